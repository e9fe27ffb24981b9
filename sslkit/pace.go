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
	"github.com/sslkit/lab/sslkit/view"
)

// Pace learns from films by telling how fast they are played.
//
// Wang, Jiao and Liu, "Self-supervised Video Representation Learning by Pace Prediction", ECCV 2020, arXiv:2008.05861. At pace p every
// p-th frame is shown; Loss is the cross-entropy of the paces, without the contrastive term that the paper adds.
//
// Its clips are cut out of long films, from any frame on. Here films are short: as many frames are shown at each pace as the fastest
// leaves, and they begin where it can begin, since the place in the film would tell the pace. The authors' code colours each frame
// anew, too, which is not done here. Where films differ in speed nobody can tell all: of moving-fashion, whose things go 1 or 2 pixels
// a frame, the slow at pace 2 look as the fast at pace 1, and of three paces 5/6 can be told.
type Pace struct {
	Backbone nn.Backbone `json:"backbone"` // "frames" with a state, of which the last is classified
	Paces    []int       `json:"paces"`    // that are told apart; 1 to 4 in the code
}

// SmallPace tells three paces apart, by three frames of eight.
func SmallPace(backbone nn.Backbone) *Pace {
	return &Pace{Backbone: backbone, Paces: []int{1, 2, 3}}
}

// Validate says what cannot be trained.
func (m *Pace) Validate() error {
	switch {
	case m.Backbone.Arch != "frames" || m.Backbone.State < 1:
		return fmt.Errorf(`sslkit: pace needs a backbone "frames" with a state, not %q with %d`, m.Backbone.Arch, m.Backbone.State)
	case !rise(m.Paces) || len(m.Paces) < 2:
		return fmt.Errorf("sslkit: pace tells the paces %v apart: give at least two, from 1 and rising", m.Paces)
	}
	return m.Backbone.Validate()
}

// Reports lists how many paces are told.
func (m *Pace) Reports() []string { return []string{"accuracy"} }

// GuessLoss is that of who takes all paces for equally likely, which they are.
func (m *Pace) GuessLoss(int) float64 { return math.Log(float64(len(m.Paces))) }

// Loss builds the classification.
func (m *Pace) Loss(scope *model.Scope, b Batch) *Node {
	fastest := m.Paces[len(m.Paces)-1]
	if b.Image == nil || b.Image.Rank() != 5 || b.Image.Shape().Dim(1) <= fastest {
		exceptions.Panicf("sslkit: pace needs clips [N, T, H, W, C] of more than %d frames, got %s", fastest, b.Example().Shape())
	}
	if b.Image.Shape().Dim(2) == 1 {
		exceptions.Panicf("sslkit: pace learns from films: a sound has ended before its last frames")
	}
	d := b.Image.Shape().Dimensions
	at, label := m.draw(scope, b.Image) // NxM, N
	shown := Reshape(view.Pick(Reshape(b.Image, d[0], d[1], -1), at), d[0], at.Shape().Dim(1), d[2], d[3], d[4])
	_, c, _ := m.Backbone.Sequence(scope.In("encoder"), shown) // NxMxS
	logits := nn.Dense(scope.In("head"), Squeeze(SliceAxis(c, 1, AxisElem(-1)), 1), true, len(m.Paces))
	Report("accuracy", loss.Accuracy(logits, label))
	return loss.CrossEntropy(logits, label)
}

// draw returns times [N, M] int32 of the frames that are shown, and which pace they are at [N] int32.
func (m *Pace) draw(scope *model.Scope, clip *Node) (at, label *Node) {
	g, n, last := clip.Graph(), clip.Shape().Dim(0), clip.Shape().Dim(1)-1
	fastest := m.Paces[len(m.Paces)-1]
	shown := last/fastest + 1
	each := shapes.Make(dtypes.Int32, n, 1)
	label = scope.RandomIntN(g, int32(len(m.Paces)), each)
	paces := make([]int32, len(m.Paces))
	for i, p := range m.Paces {
		paces[i] = int32(p)
	}
	pace := InsertAxes(Gather(Const(g, paces), label), -1)              // Nx1
	first := scope.RandomIntN(g, int32(last-(shown-1)*fastest+1), each) // Nx1
	times := Mul(Iota(g, shapes.Make(dtypes.Int32, n, shown), 1), pace) // NxM
	return Add(times, BroadcastToShape(first, times.Shape())), Reshape(label, n)
}

// Encode is z in the mean, c at the end, and c in the mean.
func (m *Pace) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}
