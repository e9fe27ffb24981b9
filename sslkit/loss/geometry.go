package loss

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Alignment is how far apart the two views of an image are (Wang & Isola 2020, "Understanding Contrastive Representation
// Learning through Alignment and Uniformity on the Hypersphere", Sec. 4.1.1, with alpha = 2): the mean squared distance
// of rows i of x and y, [N, D] float32 or float64 of length 1. The result is a scalar from 0, all views agree, to 4.
// Panics with an error on other shapes and dtypes.
func Alignment(x, y *Node) *Node {
	checkRows("Alignment", "x", x)
	if !y.Shape().Equal(x.Shape()) {
		exceptions.Panicf("loss.Alignment: x and y must be of one shape, got %s and %s", x.Shape(), y.Shape())
	}
	return ReduceAllMean(ReduceSum(Square(Sub(x, y)), -1))
}

// Uniformity is how unevenly the features lie on the sphere (Wang & Isola 2020, Sec. 4.1.2, with t = 2): the logarithm of the
// mean of exp(-2 d^2) over all pairs of different rows of x, [N, D] float32 or float64 of length 1, at least two. The
// result is a scalar: 0 where all rows are equal, near -4 where many are spread evenly over many dimensions.
// Panics with an error on other shapes and dtypes.
func Uniformity(x *Node) *Node {
	checkRows("Uniformity", "x", x)
	n := x.Shape().Dim(0)
	if n < 2 {
		exceptions.Panicf("loss.Uniformity: need at least two rows, got %s", x.Shape())
	}
	square := ReduceAndKeep(Square(x), ReduceSum, -1)                                       // Nx1
	d := Sub(Add(square, Transpose(square, 0, 1)), MulScalar(Einsum("id,jd->ij", x, x), 2)) // NxN, squared
	e := Where(Diagonal(x.Graph(), n), ZerosLike(d), Exp(MulScalar(d, -2)))
	return Log(DivScalar(ReduceAllSum(e), float64(n*(n-1))))
}

// FeatureStd tells collapse: the standard deviation over the N rows of x [N, D], float32 or float64 of length 1, averaged
// over its columns (Chen & He 2021, "Exploring Simple Siamese Representation Learning", Sec. 4.1). The result is a scalar
// without gradient: 0 where all rows are equal, near 1/sqrt(D) where they are spread evenly.
// Panics with an error on other shapes and dtypes.
func FeatureStd(x *Node) *Node {
	checkRows("FeatureStd", "x", x)
	x = StopGradient(x)
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, 0))
	return ReduceAllMean(Sqrt(ReduceMean(Square(centred), 0)))
}
