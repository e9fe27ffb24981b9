package loss

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// NegativeCosine is how far predictions are from their targets, which stay where they are (Chen & He 2021, "Exploring Simple
// Siamese Representation Learning", Eq. 1 and 3; half of Grill et al. 2020, "Bootstrap Your Own Latent", Eq. 2, less 1): minus
// the mean of the cosines of rows i of p and z, both [N, D] float32 or float64, of any length. The result is a scalar of their
// dtype, from -1 where all agree to 1; z has no gradient.
//
// A row of zeros has the cosine 0 with all others. Panics with an error on other shapes and dtypes.
func NegativeCosine(p, z *Node) *Node {
	checkRows("NegativeCosine", "p", p)
	if !z.Shape().Equal(p.Shape()) {
		exceptions.Panicf("loss.NegativeCosine: p and z must be of one shape, got %s and %s", p.Shape(), z.Shape())
	}
	return Neg(ReduceAllMean(ReduceSum(Mul(unit(p), unit(StopGradient(z))), -1)))
}
