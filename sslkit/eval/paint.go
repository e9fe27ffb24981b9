package eval

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/sslkit/view"
)

// Painted judges pictures by images x, both [N, H, W, 3] in [0, 1]: their PSNR in dB, at most 100; the mean distance of their
// colours from the true ones in the plane of a and b; and their mean chroma, the distance from grey there; [N] each.
func Painted(x, painted *Node) (psnr, wrong, chroma *Node) {
	ab := func(x *Node) *Node { return SliceAxis(view.RGBToLab(x), -1, AxisRange(1)) }
	length := func(ab *Node) *Node { return ReduceMean(Sqrt(ReduceSum(Square(ab), -1)), 1, 2) }
	mse := ReduceMean(Square(Sub(x, painted)), 1, 2, 3)
	return MulScalar(Log(MaxScalar(mse, 1e-10)), -10/math.Ln10), length(Sub(ab(x), ab(painted))), length(ab(painted))
}

// HoleError is the mean squared error of what was painted, by images x, both [N, H, W, C], where hidden [N, H, W, 1] is 1 and nowhere
// else do they differ: [N].
func HoleError(x, painted, hidden *Node) *Node {
	sum := ReduceSum(Square(Sub(painted, x)), 1, 2, 3)
	return DivScalar(Div(sum, ReduceSum(hidden, 1, 2, 3)), float64(x.Shape().Dim(3)))
}

// Detail is the energy of the fine structure of images x [N, H, W, C] where mask [N, H, W, 1] is 1: the mean square of the discrete
// Laplacian, 4 times a pixel less its neighbours above, below, left and right, at the pixels that have these within the mask, [N].
// What is blurred has little. Without such a pixel it is 0.
func Detail(x, mask *Node) *Node {
	h, w := x.Shape().Dim(1), x.Shape().Dim(2)
	at := func(x *Node, down, right int) *Node {
		return Slice(x, AxisRange(), AxisRange(1+down, h-1+down), AxisRange(1+right, w-1+right), AxisRange())
	}
	beside := [][2]int{{-1, 0}, {1, 0}, {0, -1}, {0, 1}}
	laplacian, within := MulScalar(at(x, 0, 0), 4), at(mask, 0, 0)
	for _, d := range beside {
		laplacian, within = Sub(laplacian, at(x, d[0], d[1])), Mul(within, at(mask, d[0], d[1]))
	}
	energy := ReduceSum(Mul(ReduceMean(Square(laplacian), -1), Squeeze(within, -1)), 1, 2)
	return Div(energy, MaxScalar(ReduceSum(within, 1, 2, 3), 1))
}
