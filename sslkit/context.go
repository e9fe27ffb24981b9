package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// ContextPrediction tells on which of 8 sides of one patch of an image another lies, which takes
// knowing what they are parts of.
//
// Doersch, Gupta & Efros, "Unsupervised Visual Representation Learning by Context Prediction", ICCV
// 2015, arXiv:1505.05192. Loss is the 8-way cross-entropy of Sec. 3; towers of shared weights see one
// patch each and are fused late (Fig. 3).
//
// Each pair is used in both orders, as in the authors' code: the second seen from the first, and the
// first, with the opposite label, seen from the second.
//
// All patches of a batch go through the tower together: batch norm mixes pairs of all labels.
type ContextPrediction struct {
	Backbone nn.Backbone `json:"backbone"`
	Patch    float64     `json:"patch"`           // a patch's side, as a share of the image's
	Gap      float64     `json:"gap"`             // between patches, as a share of a patch's side
	Jitter   float64     `json:"jitter"`          // each patch moves by up to so much of its side in each direction
	Tower    int         `json:"tower,omitempty"` // units of fc6, which ends each tower; 0: the map's mean ends it
	Hidden   int         `json:"hidden"`          // units of fc7 and fc8
	Guards   Guards      `json:"guards"`
}

// DeepContext has the paper's proportions, Sec. 3.2: patches of 96 pixels, 48 apart, moved by up to 7, a third of
// them pixelated, all but one colour dropped. (Their images are 4 to 7 patches wide.) All its layers are of one width, as the
// paper's of 4096 (Fig. 3).
//
// Dropping colours costs more than it saves where images are small, have little of the aberration that it guards against, and
// are judged in all three channels, of which the network never saw more than one alive: on 2,000 scenes of 32 pixels,
// ResNet(8, 8) after 24 epochs is probed at 38.0 % with "drop" and at 45.1 % with colours as they are; untrained at 40.6 %. (Those
// towers ended in the map's mean.)
func DeepContext(backbone nn.Backbone) *ContextPrediction {
	return &ContextPrediction{Backbone: backbone, Patch: 0.25, Gap: 0.5, Jitter: 7. / 96, Tower: 256, Hidden: 256,
		Guards: Guards{Colors: "drop", Downsample: 0.33, Normalize: true}}
}

// Validate says what cannot be trained.
func (m *ContextPrediction) Validate() error {
	switch {
	case !(m.Patch > 0 && m.Patch <= 0.5):
		return fmt.Errorf("sslkit: patch %g is no share of the image that leaves room for a pair: choose from above 0 to 0.5", m.Patch)
	case !(m.Gap >= 0):
		return fmt.Errorf("sslkit: gap %g: choose a share of the patch's side, such as 0.5", m.Gap)
	case !(m.Jitter >= 0):
		return fmt.Errorf("sslkit: jitter %g: choose a share of the patch's side, such as 0.07", m.Jitter)
	}
	return checkPatches(m.Tower, m.Hidden, m.Guards, m.Backbone)
}

// Reports lists the accuracy on the pretext task.
func (m *ContextPrediction) Reports() []string { return []string{"accuracy"} }

// Loss builds the 8-way classification of a pair of patches of each image, in both orders.
func (m *ContextPrediction) Loss(scope *model.Scope, b Batch) *Node {
	patches, y := m.Pairs(scope, b.Image)
	y = Concatenate([]*Node{y, Neg(AddScalar(y, -7))}, 0) // 2N; the opposite side is 7-y
	return told(m.tell(scope, m.Guards.Apply(scope, patches)), y)
}

// Encode is a tower, run on whole images.
func (m *ContextPrediction) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// tell returns the logits [2N, 8] of N pairs of patches [2N, p, p, C], in their order and then in the other.
func (m *ContextPrediction) tell(scope *model.Scope, patches *Node) *Node {
	h := tower(scope, nn.Last(m.Encode(scope, patches)), m.Tower) // 2NxC
	h = Reshape(h, -1, 2, h.Shape().Dim(1))
	first, second := SliceAxis(h, 1, AxisElem(0)), SliceAxis(h, 1, AxisElem(1)) // Nx1xC
	h = Concatenate([]*Node{Concatenate([]*Node{first, second}, 1), Concatenate([]*Node{second, first}, 1)}, 0)
	return nn.MLP(scope.In("classifier"), Reshape(h, h.Shape().Dim(0), -1), m.Hidden, m.Hidden, 8)
}

// Pairs cuts a pair of patches out of each image [N, S, S, C]: [2N, p, p, C], both of the first image first,
// and on which side of the first the second lies, [N] int32 in
//
//	0 1 2
//	3   4
//	5 6 7
//
// The first is anywhere that leaves room for the second, so that a patch's place in the image alone tells
// little about the side. It panics with an error where two patches do not fit, or have less than 4 pixels.
func (m *ContextPrediction) Pairs(scope *model.Scope, image *Node) (patches, side *Node) {
	n, s := square("context prediction", image)
	pixels := func(share float64, of int) int { return int(math.Round(share * float64(of))) }
	p := pixels(m.Patch, s)
	gap, jitter := pixels(m.Gap, p), pixels(m.Jitter, p)
	if need := 2*p + gap + 2*jitter; p < leastPatch || need > s {
		exceptions.Panicf("sslkit: images of %dx%d are too small for context prediction with patches of %d pixels, at least %d, "+
			"a gap of %d and a jitter of %d: a pair takes %d", s, s, p, leastPatch, gap, jitter, need)
	}
	g, each := image.Graph(), shapes.Make(dtypes.Int32, n)
	side = scope.RandomIntN(g, int32(8), each)
	place := Add(side, ConvertDType(GreaterThan(side, Const(g, int32(3))), dtypes.Int32)) // of 3x3
	row := Div(place, Const(g, int32(3)))
	corners := func(step *Node) *Node { // -1, 0 or 1 along one axis
		step = MulScalar(step, p+gap)
		least := Sub(ConstAs(step, jitter), MinScalar(step, 0))
		room := Neg(AddScalar(Abs(step), p+2*jitter-s-1)) // places for the first
		u := scope.RandomUniform(g, shapes.Make(dtypes.Float32, n))
		first := Add(least, ConvertDType(Floor(Mul(u, ConvertDType(room, dtypes.Float32))), dtypes.Int32))
		both := Stack([]*Node{first, Add(first, step)}, 1) // Nx2
		return Add(both, AddScalar(scope.RandomIntN(g, int32(2*jitter+1), both.Shape()), -jitter))
	}
	top := corners(AddScalar(row, -1))
	left := corners(AddScalar(Sub(place, MulScalar(row, 3)), -1))
	return view.Cut(image, top, left, p), side
}

// Predict guesses the sides of one pair of each image [N, S, S, C]: its patches [N, p, p, C] without guards, and
// the side, drawn and guessed, [N] int32 as in [ContextPrediction.Pairs].
func (m *ContextPrediction) Predict(scope *model.Scope, image *Node) (first, second, side, guess *Node) {
	patches, side := m.Pairs(scope, floatImage(image))
	n, d := side.Shape().Dim(0), patches.Shape().Dimensions
	guess = ArgMax(SliceAxis(m.tell(scope, m.Guards.Apply(scope, patches)), 0, AxisRange(0, n)), -1)
	pairs := Reshape(patches, n, 2, d[1], d[2], d[3])
	of := func(i int) *Node { return Squeeze(SliceAxis(pairs, 1, AxisElem(i)), 1) }
	return of(0), of(1), side, guess
}

// GuessLoss is the cross-entropy of a guess.
func (*ContextPrediction) GuessLoss(int) float64 { return math.Log(8) }
