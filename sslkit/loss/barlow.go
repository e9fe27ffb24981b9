package loss

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// BarlowTwins is the loss of Zbontar et al. 2021, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", Sec. 2.1,
// Eq. 1 and 2: the cross-correlation of the two views' features is to be the identity. Rows i of z1 and z2, [N, D] float32 or
// float64 of any length, N at least 2, are the views of an image. Each column is normalised over the batch, by the biased
// variance with 1e-5 added as a batch norm does; C = z1ᵀ z2 / N is DxD; the result is the scalar
// Σ (C_ii - 1)² + lambda Σ C_ij², of i ≠ j: 0 where each number agrees in both views and tells what no other tells, D where all
// rows are equal. lambda is finite and at least 0 (0.0051 in the paper). Panics with an error on other shapes, dtypes and lambdas.
func BarlowTwins(z1, z2 *Node, lambda float64) *Node {
	checkRows("BarlowTwins", "z1", z1)
	if !z2.Shape().Equal(z1.Shape()) || z1.Shape().Dim(0) < 2 {
		exceptions.Panicf("loss.BarlowTwins: z1 and z2 must be of one shape [N, D], N at least 2, got %s and %s", z1.Shape(), z2.Shape())
	}
	if !(lambda >= 0) || math.IsInf(lambda, 1) {
		exceptions.Panicf("loss.BarlowTwins: lambda must be finite and at least 0 (0.0051 for example), got %g", lambda)
	}
	n, d := z1.Shape().Dim(0), z1.Shape().Dim(1)
	c := DivScalar(Einsum("ni,nj->ij", standard(z1), standard(z2)), float64(n)) // DxD
	diagonal := Diagonal(c.Graph(), d)
	apart := Square(Sub(c, ConvertDType(diagonal, c.DType())))
	return ReduceAllSum(Where(diagonal, apart, MulScalar(apart, lambda)))
}

// standard gives each column of x [N, D] the mean 0 and the variance 1.
func standard(x *Node) *Node {
	x = Sub(x, ReduceAndKeep(x, ReduceMean, 0))
	return Div(x, Sqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, 0), 1e-5)))
}
