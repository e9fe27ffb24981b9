package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SupCon is the supervised contrastive loss, L_out of Khosla et al. 2020, "Supervised Contrastive Learning", Eq. 2, as a mean over
// the 2N rows where the paper has a sum: each row is to find its pair and all rows of its class among the 2N-1 others, and the mean
// over these stands outside of the logarithm. z is [2N, D] float32 or float64, rows i and i+N are the views of image i, of any
// length, and label [N] int32 is its class; temperature is tau, above 0; the result is a scalar of z's dtype. Where no two images
// have a class in common it is [NTXent]. The authors' code, HobbitLong/SupContrast, multiplies it by tau/0.07, which is a rate.
//
// A row of zeros has the cosine 0 with all others. A label below 0 makes the loss NaN, which stops a run. Panics with an error on
// other shapes, dtypes and temperatures.
func SupCon(z, label *Node, temperature float64) *Node {
	checkRows("SupCon", "z", z)
	checkTemperature("SupCon", temperature)
	g, n := z.Graph(), z.Shape().Dim(0)
	if s := label.Shape(); n%2 != 0 || s.Rank() != 1 || s.DType != dtypes.Int32 || s.Dim(0) != n/2 {
		exceptions.Panicf("loss.SupCon: z must be [2N, D], rows i and i+N of image i, and label [N] int32, got %s and %s", z.Shape(), s)
	}
	z = unit(z)
	self := Diagonal(g, n)
	s := Where(self, Infinity(g, z.DType(), -1), MulScalar(Einsum("id,jd->ij", z, z), 1/temperature)) // 2Nx2N
	class := Concatenate([]*Node{label, label}, 0)                                                    // 2N
	positive := LogicalAnd(Equal(InsertAxes(class, 0), InsertAxes(class, 1)), LogicalNot(self))       // P(i), 2Nx2N
	logp := LogSoftmax(s)                                                                             // over A(i)
	sum := ReduceSum(Where(positive, logp, ZerosLike(logp)), -1)
	count := ReduceSum(ConvertDType(positive, z.DType()), -1) // at least 1, the pair
	mean := Div(sum, count)
	mean = Where(LessThan(class, ZerosLike(class)), AddScalar(ZerosLike(mean), math.NaN()), mean)
	return Neg(ReduceAllMean(mean))
}
