package sslkit

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

// Predict is W_k c_T for each k: what comes after clips [N, T, H, W, C], all of whose frames are there, as [N, K, Width]. A frame
// is found by it that has the largest inner product of its z with it, see [CPC.Frames].
func (m *CPC) Predict(scope *model.Scope, clip *Node) *Node {
	_, c, _ := m.Backbone.Sequence(scope.At("encoder"), clip)
	last := Squeeze(SliceAxis(c, 1, AxisElem(c.Shape().Dim(1)-1)), 1) // NxS
	var each []*Node
	for _, k := range m.Ahead {
		p := nn.Dense(scope.At("ahead_%d", k).At("predict"), last, false, m.Backbone.Width) // NxD
		each = append(each, InsertAxes(p, 1))
	}
	return Concatenate(each, 1)
}

// Frames is z of each frame of clips [N, T, H, W, C]: [N, T, Width].
func (m *CPC) Frames(scope *model.Scope, clip *Node) *Node {
	frames := m.Backbone
	frames.State = 0 // which no frame by itself has
	z, _, _ := frames.Sequence(scope.At("encoder"), clip)
	return z
}
