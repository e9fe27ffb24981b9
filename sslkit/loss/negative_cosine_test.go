package loss

import (
	"fmt"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// "An important operation for our method to work is a stop-gradient": z is a constant.
// Reference: Chen & He 2021, Sec. 3, Eq. 1 and 3.
func TestNegativeCosine(t *testing.T) {
	p, z := normal(5, 4, 1), normal(5, 4, 2)
	zero := normal(5, 4, 3)
	zero[1] = make([]float64, 4)
	for name, z := range map[string][][]float64{"random": z, "equal": normal(5, 4, 1), "opposite": scaled(p, -3), "zeros": zero, "short": scaled(z, 1e-12)} {
		loop := func(x [][][]float64) (mean float64) {
			for i, p := range units(x[0]) {
				mean -= dot(p, units(z)[i]) / float64(len(z))
			}
			return mean
		}
		t.Run(name, func(t *testing.T) {
			check(t, name, func(x []*Node) *Node { return NegativeCosine(x[0], ConvertDType(Const(x[0].Graph(), z), x[0].DType())) }, loop, 1e-6, p)
		})
	}
	out, err := CallOnceN(open(t), func(p, z *Node) []*Node { return Gradient(NegativeCosine(p, z), p, z) }, p, z)
	if err != nil {
		t.Fatal(err)
	}
	var most [2]float64
	for i := range out {
		for _, row := range out[i].Value().([][]float64) {
			for _, v := range row {
				most[i] = max(most[i], math.Abs(v))
			}
		}
	}
	if most[0] == 0 || most[1] != 0 {
		t.Errorf("gradients up to %g to p and %g to z, which is to have none", most[0], most[1])
	}
}

func ExampleNegativeCosine() {
	p := [][]float32{{1, 0}, {0, 2}}
	z := [][]float32{{5, 0}, {1, 0}}
	fmt.Println(MustExecOnce(pureGo(), NegativeCosine, p, z).Value())
	// Output: -0.5
}
