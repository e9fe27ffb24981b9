package sslkit

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Reconstruct hides from the encoder a share mask of the patches of image [N, S, S, C]: those last in order [N, L] int32,
// permutations such as [view.RandomMask] draws. It returns the images with mid-grey, and with what the decoder paints, in
// place of the hidden patches.
//
// With normalised targets the decoder says nothing of a patch's mean and deviation. The picture does not take the
// hidden patch's own, which would show more than the network knows: it takes a mean of those of the visible patches,
// weighted by 1/distance^4. So its brightness and contrast are a guess, made here and not by the network.
func (m *MAE) Reconstruct(scope *model.Scope, image, order *Node, mask float64) (masked, painted *Node) {
	patches := view.Patchify(nn.Centre(image), m.Backbone.Patch) // NxLxP
	hidden, rank := view.Hidden(patches.Shape().Dim(1), mask), view.Ranks(order)
	seen := visible(rank, hidden, patches.DType())                    // NxL
	pred := view.Pick(m.predict(scope, patches, order, hidden), rank) // NxLxP
	if m.Normalize {
		mean, deviation := loss.PatchMoments(patches)
		pred = Add(Mul(pred, guess(deviation, seen)), guess(mean, seen))
	}
	show := func(rest *Node) *Node {
		x := Add(rest, Mul(Sub(patches, rest), InsertAxes(seen, -1)))
		return ClipScalar(AddScalar(MulScalar(view.Unpatchify(x, m.Backbone.Patch), 0.25), 0.5), 0, 1)
	}
	return show(ZerosLike(pred)), show(pred)
}

// guess averages x [N, L, 1] over the patches that are seen [N, L], the near ones of the grid most.
func guess(x, seen *Node) *Node {
	l := seen.Shape().Dim(1)
	grid := int(math.Sqrt(float64(l)))
	weight := make([][]float32, l) // LxL
	for i := range weight {
		weight[i] = make([]float32, l)
		for j := range weight {
			dy, dx := i/grid-j/grid, i%grid-j%grid
			weight[i][j] = 1 / float32(max(1, (dy*dy+dx*dx)*(dy*dy+dx*dx)))
		}
	}
	near := func(x *Node) *Node {
		return Einsum("ij,njk->nik", ConvertDType(Const(x.Graph(), weight), x.DType()), x)
	}
	seen = InsertAxes(seen, -1)
	return Div(near(Mul(x, seen)), near(seen))
}
