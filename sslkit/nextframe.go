package sslkit

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
)

// NextFrame predicts what comes in pixels: after each frame of a film, it paints the next one.
//
// Mathieu, Couprie and LeCun, "Deep Multi-Scale Video Prediction beyond Mean Square Error", ICLR 2016, arXiv:1511.05440. Loss is
// Eq. 1, by which all that comes is predicted at once, as its mean (Power 2) or its median (1) at each pixel: what is not certain is
// blurred.
//
// Theirs sees four frames side by side, at four sizes. Here a recurrent network has seen all frames so far, and its state c_t says
// how the last one changes: so much of each of some features of it is added to it, which is a filter that depends on the past (as in
// Oh et al. 2015, "Action-Conditional Video Prediction using Deep Networks in Atari Games", what is to happen scales the features).
// Thus a network that has learnt nothing copies the last frame. The state is normalised before it has a say, over the batch: else it
// first learns the change that is best for all films alike, and is the same for all of them from then on. What is kept has no norm.
type NextFrame struct {
	Backbone nn.Backbone `json:"backbone"` // of each frame and, as its state, of all so far
	Width    int         `json:"features"` // of the last frame, 5x5 pixels each, that the state has to change it by
	Power    int         `json:"power"`    // p of Eq. 1: 2 or 1
}

// Validate says what cannot be trained.
func (m *NextFrame) Validate() error {
	switch {
	case m.Backbone.Arch != "frames" || m.Backbone.State < 1:
		return fmt.Errorf(`sslkit: nextframe needs a backbone "frames" with a state, which knows how things move, not %q with %d`, m.Backbone.Arch, m.Backbone.State)
	case m.Width < 1:
		return fmt.Errorf("sslkit: a frame is changed by %d features: choose at least 1", m.Width)
	case m.Power != 1 && m.Power != 2:
		return fmt.Errorf("sslkit: power %d: choose 2, the squared error, or 1, the absolute one", m.Power)
	}
	return m.Backbone.Validate()
}

// Reports lists the share of the squared error of copying the last frame that is saved: 0 for a copy, 1 for the truth.
func (m *NextFrame) Reports() []string { return []string{"skill"} }

// Loss builds Eq. 1, its mean over pixels and over all frames but the first.
func (m *NextFrame) Loss(scope *model.Scope, b Batch) *Node {
	checkFilm(b.Image)
	t := b.Image.Shape().Dim(1)
	past, next := SliceAxis(b.Image, 1, AxisRange(0, t-1)), SliceAxis(b.Image, 1, AxisRange(1, t)) // NxT-1xHxWxC
	off := Sub(m.next(scope, past), next)
	wrong := ReduceAllMean(Square(off))
	Report("skill", OneMinus(Div(wrong, AddScalar(ReduceAllMean(Square(Sub(past, next))), 1e-6))))
	if m.Power == 1 {
		return ReduceAllMean(Abs(off))
	}
	return wrong
}

// next paints, for each frame of clip [N, T, H, W, C], the one after it, from those up to it: [N, T, H, W, C].
func (m *NextFrame) next(scope *model.Scope, clip *Node) *Node {
	d := clip.Shape().Dimensions
	_, c, _ := m.Backbone.Sequence(scope.At("encoder"), clip) // NxTxS
	painter, rows := scope.At("painter"), d[0]*d[1]
	x := Reshape(clip, rows, d[2], d[3], d[4])
	f := activation.Relu(nn.Conv(painter.At("features"), x, m.Width, 5, 1, true)) // NTxHxWxF
	c = nn.BatchNorm(painter.At("norm"), Reshape(c, rows, m.Backbone.State))      // what all films share is not the state's to say
	much := nn.Dense(painter.At("gate"), c, true, m.Width)                        // NTxF
	f = Mul(f, InsertAxes(OnePlus(much), 1, 1))
	out := painter.At("pixels")
	change := nn.Dense(out.WithInitializer(initializer.RandomNormalFn(out, 0.02)), f, true, d[4]) // near 0 at first
	return Reshape(Add(x, change), d...)
}

// Ahead paints so many frames after those of clip [N, T, H, W, C], each from all before it, those it has painted included:
// [N, steps, H, W, C] in [0, 1].
func (m *NextFrame) Ahead(scope *model.Scope, clip *Node, steps int) *Node {
	t := clip.Shape().Dim(1)
	for range steps {
		painted := SliceAxis(m.next(scope, clip), 1, AxisRangeToEnd(-1)) // Nx1xHxWxC
		clip = Concatenate([]*Node{clip, ClipScalar(painted, 0, 1)}, 1)
	}
	return SliceAxis(clip, 1, AxisRangeToEnd(t))
}

// Encode is z in the mean, c at the end, and c in the mean.
func (m *NextFrame) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}

// checkFilm panics with an error where there is no film of frames that follow each other.
func checkFilm(clip *Node) {
	if clip == nil || clip.Rank() != 5 || clip.Shape().Dim(1) < 2 || clip.Shape().Dim(2) == 1 {
		got := "none"
		if clip != nil {
			got = clip.Shape().String()
		}
		exceptions.Panicf("sslkit: nextframe needs films [N, T, H, W, C] of at least 2 frames, got %s", got)
	}
}
