package loss

import (
	"fmt"
	"math"
	"math/cmplx"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveSIGReg compares characteristic functions at points in [-3, 3], each half of the range by the trapezoidal rule.
func naiveSIGReg(z, directions [][]float64) (mean float64) {
	directions = units(directions)
	const dt = 3.0 / 16
	for _, a := range directions {
		for k := -16; k <= 16; k++ {
			t := dt * float64(k)
			var phi complex128
			for _, row := range z {
				phi += cmplx.Exp(complex(0, t*dot(row, a))) / complex(float64(len(z)), 0)
			}
			w := dt
			if k == 16 || k == -16 {
				w /= 2
			}
			off := cmplx.Abs(phi - complex(math.Exp(-t*t/2), 0))
			mean += float64(len(z)) * w * off * off * math.Exp(-t*t/2) / float64(len(directions))
		}
	}
	return mean
}

func TestSIGReg(t *testing.T) {
	for name, z := range map[string][][]float64{
		"normal": normal(20, 4, 1), "one place": same(6), "far": scaled(normal(8, 4, 3), 4), "near": scaled(normal(8, 4, 4), 1e-3), "one row": normal(1, 4, 5),
	} {
		t.Run(name, func(t *testing.T) {
			a := normal(7, len(z[0]), 9)
			// float32 rounds cosines and their means at 1e-7, and the loss has N of them.
			check(t, name, func(x []*Node) *Node { return SIGReg(x[0], ConvertDType(Const(x[0].Graph(), a), x[0].DType())) },
				func(x [][][]float64) float64 { return naiveSIGReg(x[0], a) }, 1e-5, z)
		})
	}
}

// What it is for: a Gaussian of variance 1 has less than one that is narrower, wider, moved, flattened, or no Gaussian.
func TestSIGRegWantsAGaussian(t *testing.T) {
	const n, d = 400, 3
	directions, good := normal(64, d, 2), normal(n, d, 1)
	change := func(f func(row []float64)) [][]float64 {
		out := scaled(good, 1)
		for _, row := range out {
			f(row)
		}
		return out
	}
	measure := func(z [][]float64) float64 {
		out, err := CallOnce(pureGo(), func(z, a *Node) *Node { return SIGReg(z, a) }, z, directions)
		if err != nil {
			t.Fatal(err)
		}
		return out.Value().(float64)
	}
	least := measure(good)
	if least > 2 { // its expectation is 1.05: N times a variance of (1 - exp(-t^2)) / N, integrated with the weight
		t.Errorf("a Gaussian has %g", least)
	}
	for name, z := range map[string][][]float64{
		"narrow": scaled(good, 0.5), "wide": scaled(good, 2),
		"moved":     change(func(row []float64) { row[0] += 0.5 }),
		"flat":      change(func(row []float64) { row[2] = 0 }),
		"two-sided": change(func(row []float64) { row[1] = math.Copysign(1, row[1]) }),
	} {
		if got := measure(z); got < 3*least {
			t.Errorf("%s: %g, a Gaussian %g", name, got, least)
		}
	}
}

func TestSIGRegRejects(t *testing.T) {
	for _, c := range []struct {
		z, directions any
		want          string
	}{
		{[]float32{1}, [][]float32{{1}}, "z must be"},
		{[][]float32{{1, 2}}, [][]float32{{1}}, "[M, D]"},
		{[][]float32{{1, 2}}, [][]float64{{1, 2}}, "one dtype"},
	} {
		_, err := CallOnce(pureGo(), func(z, a *Node) *Node { return SIGReg(z, a) }, c.z, c.directions)
		if err == nil || !strings.Contains(err.Error(), "loss.SIGReg") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleSIGReg() {
	collapsed := [][]float32{{0, 0}, {0, 0}, {0, 0}, {0, 0}}
	spread := [][]float32{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}
	for _, z := range [][][]float32{collapsed, spread} {
		fmt.Printf("%.3f\n", MustExecOnce(pureGo(), func(z, a *Node) *Node { return SIGReg(z, a) }, z, [][]float32{{1, 0}, {0, 1}}).Value())
	}
	// Output:
	// 1.608
	// 0.411
}
