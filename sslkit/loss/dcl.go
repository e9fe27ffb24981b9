package loss

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// DCL is [NTXent] without the pair in the denominator (Yeh et al. 2022, "Decoupled Contrastive Learning", Sec. 3.1, Eq. 6 without
// weights), which leaves a pair that is found already with its gradient, so that small batches suffice: the mean over the 2N rows
// of -s + log of the sum of exp(t) over the 2N-2 others, where s is the cosine with its pair and t that with another, over
// temperature. z is [2N, D] float32 or float64, N at least 2, rows i and i+N are a pair, of any length; temperature is above 0;
// the result is a scalar of z's dtype, which may be below 0.
//
// A row of zeros has the cosine 0 with all others. Panics with an error on other shapes, dtypes and temperatures.
func DCL(z *Node, temperature float64) *Node {
	checkRows("DCL", "z", z)
	checkTemperature("DCL", temperature)
	g, n := z.Graph(), z.Shape().Dim(0)
	if n%2 != 0 || n < 4 {
		exceptions.Panicf("loss.DCL: rows i and i+N of z are a pair, and there must be two pairs or more to tell apart, got %s", z.Shape())
	}
	z = unit(z)
	s := MulScalar(Einsum("id,jd->ij", z, z), 1/temperature) // 2Nx2N
	i, j := Iota(g, shapes.Make(z.DType(), n, n), 0), Iota(g, shapes.Make(z.DType(), n, n), 1)
	apart := Abs(Sub(i, j))
	pair := Equal(apart, ConstAs(s, n/2))
	others := Where(LogicalOr(pair, Diagonal(g, n)), Infinity(g, z.DType(), -1), s)
	most := StopGradient(ReduceAndKeep(others, ReduceMax, -1))
	sum := ReduceSum(Exp(Sub(others, most)), -1)         // 2N
	found := ReduceSum(Where(pair, s, ZerosLike(s)), -1) // 2N
	return ReduceAllMean(Sub(Add(Log(sum), Squeeze(most, -1)), found))
}
