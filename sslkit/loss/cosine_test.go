package loss

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

func TestNegativeCosine(t *testing.T) {
	p, z := normal(5, 4, 1), normal(5, 4, 2)
	zero := normal(5, 4, 3)
	zero[2] = make([]float64, 4)
	for name, x := range map[string][2][][]float64{
		"random": {p, z}, "one row": {p[:1], z[:1]}, "equal": {p, p}, "opposite": {p, scaled(p, -1)}, "identical": {same(3), same(3)},
		"zero prediction": {zero, z}, "zero target": {p, zero}, "long": {scaled(p, 1e30), z}, "short": {p, scaled(z, 1e-30)},
	} {
		z := x[1]
		loop := func(x [][][]float64) (mean float64) {
			p, z := units(x[0]), units(z)
			for i := range p {
				mean -= dot(p[i], z[i]) / float64(len(p))
			}
			return mean
		}
		// z is no variable of the check: its gradient is not the derivative, see below. float32 rounds cosines at 1e-7.
		t.Run(name, func(t *testing.T) {
			check(t, name, func(x []*Node) *Node { return NegativeCosine(x[0], ConstAsDType(x[0].Graph(), x[0].DType(), z)) }, loop, 1e-6, x[0])
		})
	}
}

// z is a constant of its term of the loss. Reference: Sec. 3, Eq. 3.
func TestNegativeCosineStopsTheGradient(t *testing.T) {
	gradient := func(fn func(p, z *Node) *Node) (largest float64) {
		out, err := CallOnceN(open(t), func(p, z *Node) []*Node { return Gradient(fn(p, z), p, z)[1:] }, float32s(normal(5, 4, 1)), float32s(normal(5, 4, 2)))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range out[0].Value().([][]float32) {
			for _, v := range row {
				largest = max(largest, math.Abs(float64(v)))
			}
		}
		return largest
	}
	if got := gradient(func(p, z *Node) *Node { return Add(NegativeCosine(p, z), MulScalar(ReduceAllSum(z), 0)) }); got != 0 {
		t.Errorf("z has a gradient of up to %g", got)
	}
	// The other way round it is the prediction, so that this test can fail.
	if got := gradient(func(p, z *Node) *Node { return Add(NegativeCosine(z, p), MulScalar(ReduceAllSum(p), 0)) }); got < 0.01 {
		t.Errorf("the prediction's gradient is at most %g", got)
	}
}

func TestNegativeCosineRefuses(t *testing.T) {
	for name, z := range map[string]any{
		"fewer rows": float32s(normal(2, 4, 1)), "fewer columns": float32s(normal(3, 2, 1)), "another dtype": normal(3, 4, 1), "one row": []float32{1, 2, 3, 4},
	} {
		if _, err := CallOnce(pureGo(), func(p, z *Node) *Node { return NegativeCosine(p, z) }, float32s(normal(3, 4, 2)), z); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := CallOnce(pureGo(), func(p *Node) *Node {
		p = ConvertDType(p, dtypes.Int32)
		return NegativeCosine(p, p)
	}, float32s(normal(3, 4, 2))); err == nil {
		t.Error("integers: no error")
	}
}

func ExampleNegativeCosine() {
	prediction := [][]float32{{2, 0}, {0, 1}}
	same, opposite := [][]float32{{1, 0}, {0, 3}}, [][]float32{{-1, 0}, {0, -1}}
	fmt.Println(MustExecOnce(pureGo(), NegativeCosine, prediction, same).Value(), MustExecOnce(pureGo(), NegativeCosine, prediction, opposite).Value())
	// Output: -1 1
}
