package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

func naiveNegativeCosine(p, z [][]float64) (mean float64) {
	p, z = units(p), units(z)
	for i := range p {
		mean -= dot(p[i], z[i]) / float64(len(p))
	}
	return mean
}

func TestNegativeCosine(t *testing.T) {
	zeros := normal(3, 4, 3)
	zeros[1] = make([]float64, 4)
	for name, x := range map[string][2][][]float64{
		"random": {normal(5, 4, 1), normal(5, 4, 2)}, "one row": {normal(1, 4, 1), normal(1, 4, 2)}, "the same": {normal(3, 4, 1), normal(3, 4, 1)},
		"opposite": {normal(3, 4, 1), scaled(normal(3, 4, 1), -2)}, "zero": {zeros, normal(3, 4, 4)}, "zero target": {normal(3, 4, 4), zeros},
		"long": {scaled(normal(3, 4, 1), 1e30), normal(3, 4, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			target := func(like *Node) *Node { return ConvertDType(Const(like.Graph(), x[1]), like.DType()) }
			check(t, name, func(p []*Node) *Node { return NegativeCosine(p[0], target(p[0])) },
				func(p [][][]float64) float64 { return naiveNegativeCosine(p[0], x[1]) }, 1e-6, x[0])
		})
	}
}

// "The encoder on x2 receives no gradient from z2 in the first term": one that does is seen.
// Reference: Chen & He 2021, Sec. 3, Eq. 3.
func TestNegativeCosineStopsTheGradient(t *testing.T) {
	moved := func(l func(p, z *Node) *Node) (most float64) {
		out, err := CallOnce(pureGo(), func(p, z *Node) *Node { return Gradient(l(p, z), z)[0] }, normal(3, 4, 1), normal(3, 4, 2))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range out.Value().([][]float64) {
			for _, v := range row {
				most = max(most, math.Abs(v))
			}
		}
		return most
	}
	// A loss that does not use z at all cannot be asked for its gradient: a part of z that has one is 0 times it.
	if got := moved(func(p, z *Node) *Node { return Add(NegativeCosine(p, z), MulScalar(ReduceAllSum(z), 0)) }); got != 0 {
		t.Errorf("the target has a gradient, %v", got)
	}
	if got := moved(func(p, z *Node) *Node { return Neg(ReduceAllMean(ReduceSum(Mul(unit(p), unit(z)), -1))) }); got == 0 {
		t.Error("this test would not notice a gradient")
	}
}

func TestNegativeCosineRejects(t *testing.T) {
	rows, other := [][]float32{{1, 0}, {0, 1}}, [][]float32{{1, 0, 0}}
	for want, fn := range map[string]func(a, b *Node) *Node{
		"of one shape": NegativeCosine,
		"[N, D]":       func(a, _ *Node) *Node { return NegativeCosine(ReduceAllSum(a), a) },
	} {
		if _, err := CallOnce(pureGo(), fn, rows, other); err == nil || !strings.Contains(err.Error(), "loss.NegativeCosine") || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

func ExampleNegativeCosine() {
	p := [][]float32{{1, 0}, {0, 2}}
	z := [][]float32{{3, 0}, {1, 0}} // the first prediction is right but for its length, the second is far off
	fmt.Println(MustExecOnce(pureGo(), NegativeCosine, p, z).Value())
	// Output: -0.5
}
