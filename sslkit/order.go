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

// Order learns from films by telling whether three frames are in their order.
//
// Misra, Zitnick and Hebert, "Shuffle and Learn: Unsupervised Learning using Temporal Order Verification", ECCV 2016,
// arXiv:1603.08561. Of five frames a < b < c < d < e, (b, c, d) is in order, and (b, a, d) and (b, e, d) are not (Sec. 3.1): the ends
// are the same, and all frames are of one clip. Loss is the cross-entropy of the two classes. All may come reversed, since a motion
// backwards is in order, too.
//
// The paper draws windows of high motion by optical flow; here they are drawn evenly, so that clips should move. Gaps between
// the frames are drawn alike for what is in order and what is not: by distance alone neither can be told. There the classifier is
// linear (Hidden 0).
type Order struct {
	Backbone nn.Backbone `json:"backbone"` // of a frame, "frames" without a state
	Gap      int         `json:"gap"`      // most frames from one of the five to the next
	Triplets int         `json:"triplets"` // of each clip
	Positive int         `json:"positive"` // of these are in order; a quarter in Sec. 3.2
	Hidden   int         `json:"hidden"`   // units between the three frames' features, side by side, and the classes; 0: none
}

// SmallOrder takes four triplets of a clip, one of which is in order.
func SmallOrder(backbone nn.Backbone) *Order {
	return &Order{Backbone: backbone, Gap: 2, Triplets: 4, Positive: 1, Hidden: 64}
}

// Validate says what cannot be trained.
func (m *Order) Validate() error {
	switch {
	case m.Backbone.Arch != "frames" || m.Backbone.State != 0:
		return fmt.Errorf(`sslkit: order learns from single frames: its backbone is "frames" without a state, not %q with %d`, m.Backbone.Arch, m.Backbone.State)
	case m.Gap < 1 || m.Hidden < 0:
		return fmt.Errorf("sslkit: gaps of up to %d frames and %d hidden units: choose at least 1 and 0", m.Gap, m.Hidden)
	case m.Positive < 1 || m.Triplets <= m.Positive:
		return fmt.Errorf("sslkit: %d of %d triplets are in order: there must be some that are and some that are not", m.Positive, m.Triplets)
	}
	return m.Backbone.Validate()
}

// Reports lists how many are told, as the mean over the two classes: 0.5 for a guess, and for who says that none is in order.
func (m *Order) Reports() []string { return []string{"accuracy"} }

// GuessLoss is that of who knows no more than how many are in order.
func (m *Order) GuessLoss(int) float64 {
	p := float64(m.Positive) / float64(m.Triplets)
	return -p*math.Log(p) - (1-p)*math.Log(1-p)
}

// GuessAccuracy is that of both classes, see Reports.
func (m *Order) GuessAccuracy(int) float64 { return 0.5 }

// Loss builds the verification.
func (m *Order) Loss(scope *model.Scope, b Batch) *Node {
	if b.Image == nil || b.Image.Rank() != 5 || b.Image.Shape().Dim(1) < 5 {
		exceptions.Panicf("sslkit: order needs clips [N, T, H, W, C] of at least 5 frames, got %s", b.Example().Shape())
	}
	if b.Image.Shape().Dim(2) == 1 {
		exceptions.Panicf("sslkit: order learns from films: a sound has ended before its last frames, which have no order")
	}
	z, _, _ := m.Backbone.Sequence(scope.In("encoder"), b.Image) // NxTxD
	at, label := m.draw(scope, z)                                // NxR3, NR
	logits := m.judge(scope, z, at)                              // NRx2
	Report("accuracy", m.balanced(logits))
	return loss.CrossEntropy(logits, label)
}

// judge is the classifier on the features z [N, T, D] of the frames at [N, R3], those of three side by side: logits [NR, 2].
func (m *Order) judge(scope *model.Scope, z, at *Node) *Node {
	rows := Reshape(view.Pick(z, at), -1, 3*m.Backbone.Width) // NRx3D
	dims := []int{2}
	if m.Hidden > 0 {
		dims = []int{m.Hidden, 2}
	}
	return nn.MLP(scope.In("head"), rows, dims...)
}

// draw returns times [N, 3R] int32 of R triplets a clip and whether each is in order [NR] int32: the first Positive are.
func (m *Order) draw(scope *model.Scope, z *Node) (at, label *Node) {
	g, n, t := z.Graph(), z.Shape().Dim(0), z.Shape().Dim(1)
	all := fives(t, m.Gap)
	whole := shapes.Make(dtypes.Float32, n, m.Triplets)
	below := func(k int) *Node {
		return ConvertDType(MinScalar(Floor(MulScalar(scope.RandomUniform(g, whole), float64(k))), float64(k-1)), dtypes.Int32)
	}
	five := Gather(Const(g, all), InsertAxes(below(len(all)), -1))                    // NxRx5
	frame := func(i int) *Node { return Squeeze(SliceAxis(five, 2, AxisElem(i)), 2) } // NxR
	ordered := LessThan(Iota(g, shapes.Make(dtypes.Int32, n, m.Triplets), 1), Scalar(g, dtypes.Int32, m.Positive))
	early, back := Equal(below(2), ZerosLike(frame(0))), Equal(below(2), ZerosLike(frame(0)))
	middle := Where(ordered, frame(2), Where(early, frame(0), frame(4)))
	first, last := Where(back, frame(3), frame(1)), Where(back, frame(1), frame(3))
	at = Reshape(Concatenate([]*Node{InsertAxes(first, -1), InsertAxes(middle, -1), InsertAxes(last, -1)}, -1), n, 3*m.Triplets)
	return at, Reshape(ConvertDType(ordered, dtypes.Int32), n*m.Triplets)
}

// fives are all a < b < c < d < e below frames with gaps of at most gap, or of 1 where there are no more frames.
func fives(frames, gap int) (all [][]int32) {
	var grow func(five []int32)
	grow = func(five []int32) {
		if len(five) == 5 {
			all = append(all, append([]int32(nil), five...))
			return
		}
		for next := five[len(five)-1] + 1; int(next) < frames && next <= five[len(five)-1]+int32(gap); next++ {
			grow(append(five, next))
		}
	}
	for a := range frames {
		grow([]int32{int32(a)})
	}
	return all
}

// balanced is the mean over both classes of how many are told.
func (m *Order) balanced(logits *Node) *Node {
	says := Reshape(ConvertDType(ArgMax(StopGradient(logits), -1), dtypes.Float32), -1, m.Triplets) // NxR
	yes := ReduceAllMean(SliceAxis(says, 1, AxisRange(0, m.Positive)))
	no := ReduceAllMean(SliceAxis(says, 1, AxisRangeToEnd(m.Positive)))
	return DivScalar(AddScalar(Sub(yes, no), 1), 2)
}

// Encode is the mean over the frames, and all side by side.
func (m *Order) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}
