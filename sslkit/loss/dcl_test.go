package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveDCL is NT-Xent's loop with the pair left out of the sum, or, as a mistake, kept in it.
func naiveDCL(z [][]float64, temperature float64, coupled bool) (mean float64) {
	z = units(z)
	for i := range z {
		j := (i + len(z)/2) % len(z)
		var sum float64
		for k := range z {
			if k != i && (k != j || coupled) {
				sum += math.Exp(dot(z[i], z[k]) / temperature)
			}
		}
		mean += (math.Log(sum) - dot(z[i], z[j])/temperature) / float64(len(z))
	}
	return mean
}

func TestDCL(t *testing.T) {
	zeros := normal(6, 3, 4)
	zeros[1], zeros[4] = make([]float64, 3), make([]float64, 3)
	zeros[2] = make([]float64, 3)
	for name, z := range map[string][][]float64{
		"random": normal(8, 5, 1), "two pairs": normal(4, 3, 3), "identical": same(6), "zeros": zeros, "long": scaled(normal(4, 3, 6), 1e30),
	} {
		for _, temperature := range []float64{0.01, 0.5, 1} {
			t.Run(fmt.Sprint(name, " at ", temperature), func(t *testing.T) {
				// float32 rounds cosines at 1e-7; the temperature divides that.
				check(t, name, func(x []*Node) *Node { return DCL(x[0], temperature) },
					func(x [][][]float64) float64 { return naiveDCL(x[0], temperature, false) }, 1e-6/min(temperature, 1), z)
			})
		}
	}
}

// The positive is left out of the denominator (a paraphrase): with it, it is NT-Xent.
// Reference: Yeh et al. 2022, Sec. 3.1.
func TestDCLDecouples(t *testing.T) {
	z := normal(8, 5, 1)
	out, err := CallOnceN(pureGo(), func(z *Node) []*Node { return []*Node{DCL(z, 0.5), NTXent(z, 0.5)} }, z)
	if err != nil {
		t.Fatal(err)
	}
	dcl, coupled := out[0].Value().(float64), out[1].Value().(float64)
	if want := naiveDCL(z, 0.5, true); math.Abs(coupled-want) > 1e-12 || math.Abs(dcl-want) < 0.1 {
		t.Errorf("DCL %v, NT-Xent %v, want %v with the pair in the denominator and less without", dcl, coupled, want)
	}
}

func TestDCLRejects(t *testing.T) {
	for _, c := range []struct {
		z           any
		temperature float64
		want        string
	}{
		{[][]float32{{1, 0}, {0, 1}, {1, 1}, {1, 2}, {3, 1}}, 1, "two pairs"},
		{[][]float32{{1, 0}, {0, 1}}, 1, "two pairs"},
		{[][]int32{{1}, {2}, {3}, {4}}, 1, "[N, D]"},
		{float32(1), 1, "[N, D]"},
		{[][]float32{{1}, {2}, {3}, {4}}, 0, "above 0"},
		{[][]float32{{1}, {2}, {3}, {4}}, math.NaN(), "got NaN"},
	} {
		_, err := CallOnce(pureGo(), func(z *Node) *Node { return DCL(z, c.temperature) }, c.z)
		if err == nil || !strings.Contains(err.Error(), "loss.DCL") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleDCL() {
	views := [][]float32{{1, 0}, {0, 1}, {2, 0}, {0, 3}} // of images 0, 1, 0, 1
	for _, temperature := range []float64{1, 0.1} {
		fmt.Printf("%.4f\n", MustExecOnce(pureGo(), func(z *Node) *Node { return DCL(z, temperature) }, views).Value())
	}
	// Output:
	// -0.3069
	// -9.3069
}
