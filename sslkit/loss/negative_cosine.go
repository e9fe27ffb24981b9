package loss

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// NegativeCosine is the mean over rows of -cos(p, z), with no gradient to z: p, z [N, D] (Chen & He 2021, Eq. 1).
func NegativeCosine(p, z *Node) *Node {
	checkRows("NegativeCosine", "p", p)
	if !z.Shape().Equal(p.Shape()) {
		exceptions.Panicf("loss.NegativeCosine: p and z must be of one shape, got %s and %s", p.Shape(), z.Shape())
	}
	return Neg(ReduceAllMean(ReduceSum(Mul(unit(p), unit(StopGradient(z))), -1)))
}
