package loss

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// NegativeCosine is SimSiam's distance of a prediction from the other view (Chen & He 2021, "Exploring Simple Siamese
// Representation Learning", Sec. 3, Eq. 1, with the stop-gradient of Eq. 3): minus the cosine of row i of p and row i of z,
// averaged over the N rows. p and z are [N, D], both float32 or float64, of any length; the result is a scalar of their dtype,
// from -1, all rows point where their partner does, to 1. z gets no gradient, which is what keeps SimSiam from collapsing.
//
// A row of zeros has the cosine 0 with all others. Panics with an error on other shapes and dtypes.
func NegativeCosine(p, z *Node) *Node {
	checkRows("NegativeCosine", "p", p)
	if !z.Shape().Equal(p.Shape()) {
		exceptions.Panicf("loss.NegativeCosine: p and z must be [N, D] of one shape and dtype, got %s and %s", p.Shape(), z.Shape())
	}
	return Neg(ReduceAllMean(ReduceSum(Mul(unit(p), unit(StopGradient(z))), -1)))
}
