package loss

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Knots and range of the quadrature of [SIGReg], as in the authors' code.
const (
	sigregKnots = 17
	sigregRange = 3.0
)

// SIGReg is how far the rows of z are from an isotropic Gaussian of mean 0 and variance 1 (Balestriero & LeCun 2025, "LeJEPA: Provable
// and Scalable Self-Supervised Learning Without the Heuristics"; rbalestr-lab/lejepa, MINIMAL.md): along each direction, N times
//
//	integral over t in [-3, 3] of |mean over n of exp(i t x_n) - exp(-t^2/2)|^2 exp(-t^2/2)
//
// which is the test of Epps and Pulley (1983) by the trapezoidal rule on 17 points in [0, 3], doubled, and the mean over the directions.
// z is [N, D] float32 or float64, directions are [M, D] of its dtype and of any length but 0, which get no gradient; the result is a
// scalar. It is at least 0, and of rows that are such a Gaussian 1.05 on average, for any N. Panics with an error on other shapes and dtypes.
func SIGReg(z, directions *Node) *Node {
	checkRows("SIGReg", "z", z)
	checkRows("SIGReg", "directions", directions)
	if directions.DType() != z.DType() || directions.Shape().Dim(1) != z.Shape().Dim(1) {
		exceptions.Panicf("loss.SIGReg: z and directions must be [N, D] and [M, D] of one dtype, got %s and %s", z.Shape(), directions.Shape())
	}
	x := Einsum("nd,md->nm", z, unit(StopGradient(directions))) // NxM
	const step = sigregRange / (sigregKnots - 1)
	sum := ZerosLike(ReduceMean(x, 0)) // M
	for k := range sigregKnots {
		t := step * float64(k)
		normal, weight := math.Exp(-t*t/2), 2*step*math.Exp(-t*t/2)
		if k == 0 || k == sigregKnots-1 {
			weight /= 2
		}
		turned := MulScalar(x, t)
		off := AddScalar(ReduceMean(Cos(turned), 0), -normal)
		sum = Add(sum, MulScalar(Add(Square(off), Square(ReduceMean(Sin(turned), 0))), weight))
	}
	return MulScalar(ReduceAllMean(sum), float64(z.Shape().Dim(0)))
}
