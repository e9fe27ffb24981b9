package loss

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// VICReg makes two views the same while each feature varies over the batch and no two vary together (Bardes, Ponce & LeCun
// 2022, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", Eq. 6): the weighted sum of
//
//   - invariance: the mean over rows and features of the squared difference of the views;
//   - variance: the mean over the features of max(0, 1 - s), s being the root of the unbiased variance + 1e-4; of both views
//     the mean, as in the authors' code (facebookresearch/vicreg), where Eq. 6 has the sum;
//   - covariance: the sum of squares off the diagonal of the covariance matrix (over N-1), divided by D; of both views the sum.
//
// Rows i of z1 and z2, both [N, D] float32 or float64, N at least 2, are views of one image. The code's mean over all of the
// squared difference is 1/D of Eq. 5. The weights are finite and at least 0, 25, 25 and 1 in the paper; the result is a scalar of their
// dtype. Panics with an error on other shapes, dtypes and weights.
func VICReg(z1, z2 *Node, invariance, variance, covariance float64) *Node {
	checkRows("VICReg", "z1", z1)
	n, d := z1.Shape().Dim(0), z1.Shape().Dim(1)
	if !z2.Shape().Equal(z1.Shape()) || n < 2 {
		exceptions.Panicf("loss.VICReg: z1 and z2 must be of one shape and have two rows or more, got %s and %s", z1.Shape(), z2.Shape())
	}
	for _, weight := range []float64{invariance, variance, covariance} {
		if !(weight >= 0) || math.IsInf(weight, 1) {
			exceptions.Panicf("loss.VICReg: the weights must be finite and at least 0 (25, 25 and 1 for example), got %g, %g and %g",
				invariance, variance, covariance)
		}
	}
	v, c := ZerosLike(ReduceAllSum(z1)), ZerosLike(ReduceAllSum(z1))
	for _, z := range []*Node{z1, z2} {
		z = Sub(z, ReduceAndKeep(z, ReduceMean, 0))
		cov := DivScalar(Einsum("ni,nj->ij", z, z), float64(n-1)) // DxD
		std := Sqrt(AddScalar(DivScalar(ReduceSum(Square(z), 0), float64(n-1)), 1e-4))
		v = Add(v, ReduceAllMean(MaxScalar(Sub(OnesLike(std), std), 0)))
		c = Add(c, ReduceAllSum(Where(Diagonal(z.Graph(), d), ZerosLike(cov), Square(cov))))
	}
	far := ReduceAllMean(Square(Sub(z1, z2)))
	return Add(MulScalar(far, invariance), Add(MulScalar(v, variance/2), MulScalar(c, covariance/float64(d))))
}
