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

// PatchPosition tells where in its image a patch was. It is no way to learn a representation but the
// instrument that found a shortcut of context prediction: who can tell from chromatic aberration
// where each of two patches was, knows how they lie to each other.
//
// Doersch, Gupta & Efros 2015, Sec. 4.2. Loss is the mean squared error of the coordinates as a share of
// that of always saying the centre.
type PatchPosition struct {
	Backbone   nn.Backbone `json:"backbone"`
	Patch      float64     `json:"patch"`      // a patch's side, as a share of the image's
	Aberration float64     `json:"aberration"` // strength of the [view.ChromaticAberration] planted into the images
	Hidden     int         `json:"hidden"`     // units between the tower and the coordinates
	Guards     Guards      `json:"guards"`
}

// AbsolutePosition has the patches of [DeepContext], normalised and not guarded otherwise.
func AbsolutePosition(backbone nn.Backbone) *PatchPosition {
	return &PatchPosition{Backbone: backbone, Patch: 0.25, Hidden: 256, Guards: Guards{Normalize: true}}
}

// Validate says what cannot be trained.
func (m *PatchPosition) Validate() error {
	switch {
	case !(m.Patch > 0 && m.Patch < 1):
		return fmt.Errorf("sslkit: patch %g is no share of the image: choose from above 0 to below 1, such as 0.25", m.Patch)
	case !(m.Aberration >= 0):
		return fmt.Errorf("sslkit: aberration %g: choose a strength such as 0.05, or 0 for none", m.Aberration)
	}
	return checkPatches(0, m.Hidden, m.Guards, m.Backbone)
}

// Reports lists the root of the mean squared distance between the guess and the place, which is 0 to 1 from edge
// to edge along both axes. Who always says the centre errs by 1/sqrt(6) = 0.408.
func (m *PatchPosition) Reports() []string { return []string{"rmse"} }

// Loss builds the regression of the place of one patch of each image.
func (m *PatchPosition) Loss(scope *model.Scope, b Batch) *Node {
	_, place, guess := m.Locate(scope, b.Image)
	distance2 := ReduceAllMean(ReduceSum(Square(Sub(guess, place)), -1))
	Report("rmse", Sqrt(distance2))
	return MulScalar(distance2, 6) // a uniform place is 2/12 from the centre, squared
}

// Encode is the tower, run on whole images.
func (m *PatchPosition) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// Locate cuts a patch out of each image [N, S, S, C]: [N, p, p, C] without guards, its place (row and
// column, [N, 2] in [0, 1]) and the network's guess of it, [N, 2].
func (m *PatchPosition) Locate(scope *model.Scope, image *Node) (patch, place, guess *Node) {
	n, s := square("patch position", image)
	p := int(math.Round(m.Patch * float64(s)))
	if p < leastPatch || p == s {
		exceptions.Panicf("sslkit: a patch of %d of %d pixels has no place: it needs at least %d, and room to move", p, s, leastPatch)
	}
	image = floatImage(image)
	if m.Aberration != 0 {
		image = view.ChromaticAberration(image, m.Aberration)
	}
	corner := scope.RandomIntN(image.Graph(), int32(s-p+1), shapes.Make(dtypes.Int32, n, 2))
	patch = view.Cut(image, SliceAxis(corner, 1, AxisElem(0)), SliceAxis(corner, 1, AxisElem(1)), p)
	place = DivScalar(ConvertDType(corner, dtypes.Float32), float64(s-p))
	h := nn.Pool(nn.Last(m.Encode(scope, m.Guards.Apply(scope, patch))))
	guess = Logistic(nn.MLP(scope.In("regressor"), h, m.Hidden, 2)) // Nx2
	return patch, place, guess
}
