package loss

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// BarlowTwins makes two views agree in each feature and no two features say the same (Zbontar et al. 2021, "Barlow Twins:
// Self-Supervised Learning via Redundancy Reduction", Eq. 1 and 2): the sum of (C_ii - 1)^2 over the features, and lambda times
// that of C_ij^2 over all pairs of different ones, where C [D, D] holds the correlations over the batch of feature i in the one
// view and j in the other. Rows i of z1 and z2, both [N, D] float32 or float64, N at least 2, are views of one image; lambda is
// finite and at least 0, 0.005 in the paper; the result is a scalar of their dtype.
//
// Features are divided by the root of their biased variance + 1e-5, as the batch norm of the authors' code does
// (facebookresearch/barlowtwins), so that one that is the same for all images correlates with nothing.
// Panics with an error on other shapes, dtypes and lambdas.
func BarlowTwins(z1, z2 *Node, lambda float64) *Node {
	checkRows("BarlowTwins", "z1", z1)
	n, d := z1.Shape().Dim(0), z1.Shape().Dim(1)
	if !z2.Shape().Equal(z1.Shape()) || n < 2 {
		exceptions.Panicf("loss.BarlowTwins: z1 and z2 must be of one shape and have two rows or more, got %s and %s", z1.Shape(), z2.Shape())
	}
	if !(lambda >= 0) || math.IsInf(lambda, 1) {
		exceptions.Panicf("loss.BarlowTwins: lambda must be finite and at least 0 (0.005 for example), got %g", lambda)
	}
	normal := func(z *Node) *Node {
		z = Sub(z, ReduceAndKeep(z, ReduceMean, 0))
		return Div(z, Sqrt(AddScalar(ReduceAndKeep(Square(z), ReduceMean, 0), 1e-5)))
	}
	c := DivScalar(Einsum("ni,nj->ij", normal(z1), normal(z2)), float64(n)) // DxD
	same := Diagonal(z1.Graph(), d)
	on := ReduceAllSum(Where(same, Square(AddScalar(c, -1)), ZerosLike(c)))
	off := ReduceAllSum(Where(same, ZerosLike(c), Square(c)))
	return Add(on, MulScalar(off, lambda))
}
