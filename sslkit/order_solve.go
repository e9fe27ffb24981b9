package sslkit

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Solve draws R triplets of each of clips [N, T, H, W, C], as training does, and tells whether they are in order: the times of
// their frames [N, R, 3], whether they are [N, R], and whether they are said to be [N, R], 1 for yes, all int32.
func (m *Order) Solve(scope *model.Scope, clip *Node) (times, ordered, guess *Node) {
	n := clip.Shape().Dim(0)
	z, _, _ := m.Backbone.Sequence(scope.In("encoder"), clip)
	at, label := m.draw(scope, z)
	guess = ArgMax(m.judge(scope, z, at), -1)
	return Reshape(at, n, m.Triplets, 3), Reshape(label, n, m.Triplets), Reshape(guess, n, m.Triplets)
}
