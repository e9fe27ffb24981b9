package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

// Arrow learns from films by telling whether they are played forwards or backwards.
//
// Wei, Lim, Zisserman and Freeman, "Learning and Using the Arrow of Time", CVPR 2018. Half of the films are shown with their frames in
// the reverse order; Loss is the cross-entropy of the two ways.
//
// What can be learnt is what does not happen backwards. On moving-fashion nothing is: each motion is straight and even, and backwards
// another of the films. On clips things go where they face. Where films give time away by other means, a fade or what a camera does by
// convention, these are learnt instead, which the paper studies; nothing is done against them here. Its network sees optical flow;
// this one sees frames, by a GRU whose last state is classified.
type Arrow struct {
	Backbone nn.Backbone `json:"backbone"` // "frames" with a state
}

// Validate says what cannot be trained.
func (m *Arrow) Validate() error {
	if m.Backbone.Arch != "frames" || m.Backbone.State < 1 {
		return fmt.Errorf(`sslkit: arrow needs a backbone "frames" with a state, not %q with %d`, m.Backbone.Arch, m.Backbone.State)
	}
	return m.Backbone.Validate()
}

// Reports lists how many are told.
func (m *Arrow) Reports() []string { return []string{"accuracy"} }

// GuessLoss is that of a guess between two.
func (m *Arrow) GuessLoss(int) float64 { return math.Ln2 }

// Loss builds the classification.
func (m *Arrow) Loss(scope *model.Scope, b Batch) *Node {
	if b.Image == nil || b.Image.Rank() != 5 || b.Image.Shape().Dim(1) < 2 {
		exceptions.Panicf("sslkit: arrow needs clips [N, T, H, W, C] of at least 2 frames, got %s", b.Example().Shape())
	}
	if b.Image.Shape().Dim(2) == 1 {
		exceptions.Panicf("sslkit: arrow learns from films: a sound has ended before its last frames, which would give its direction away")
	}
	shown, label := m.turn(scope, b.Image)
	_, c, _ := m.Backbone.Sequence(scope.In("encoder"), shown) // NxTxS
	logits := nn.Dense(scope.In("head"), Squeeze(SliceAxis(c, 1, AxisElem(-1)), 1), true, 2)
	Report("accuracy", loss.Accuracy(logits, label))
	return loss.CrossEntropy(logits, label)
}

// turn returns clips of which half have their frames in the reverse order, and 1 where that is so [N] int32, else 0.
func (m *Arrow) turn(scope *model.Scope, clip *Node) (shown, label *Node) {
	n := clip.Shape().Dim(0)
	label = scope.RandomIntN(clip.Graph(), int32(2), shapes.Make(dtypes.Int32, n))
	back := BroadcastToShape(Reshape(Equal(label, OnesLike(label)), n, 1, 1, 1, 1), shapes.Make(dtypes.Bool, clip.Shape().Dimensions...))
	return Where(back, Reverse(clip, 1), clip), label
}

// Encode is z in the mean, c at the end, and c in the mean.
func (m *Arrow) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}
