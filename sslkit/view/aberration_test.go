package view

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// naiveAberration samples green where it was before it shrank, a pixel at a time.
func naiveAberration(x images[float64], strength float64) images[float64] {
	y := blank[float64](x.n, x.h, x.w, 3)
	source := func(i, length int) (int, int, float64) {
		centre := float64(length-1) / 2
		p := min(max(centre+(float64(i)-centre)*(1+strength), 0), float64(length-1))
		return int(p), min(int(p)+1, length-1), p - float64(int(p))
	}
	for n := range x.n {
		for i := range x.h {
			for j := range x.w {
				i0, i1, di := source(i, x.h)
				j0, j1, dj := source(j, x.w)
				*y.at(n, i, j, 0), *y.at(n, i, j, 2) = *x.at(n, i, j, 0), *x.at(n, i, j, 2)
				*y.at(n, i, j, 1) = (1-di)*((1-dj)**x.at(n, i0, j0, 1)+dj**x.at(n, i0, j1, 1)) +
					di*((1-dj)**x.at(n, i1, j0, 1)+dj**x.at(n, i1, j1, 1))
			}
		}
	}
	return y
}

func TestChromaticAberration(t *testing.T) {
	x := random[float64](2, 7, 10, 3)
	for _, strength := range []float64{0, 0.05, 0.3, 2} {
		want := naiveAberration(x, strength)
		for _, c := range []struct {
			dtype     dtypes.DType
			tolerance float64
		}{{dtypes.Float64, 1e-12}, {dtypes.Float32, 5e-6}} { // places up to 15 with 53 and 24 bits, pixels up to 1
			got := apply(t, x, func(x *Node) *Node {
				return ConvertDType(ChromaticAberration(ConvertDType(x, c.dtype), strength), dtypes.Float64)
			})
			for i, v := range got.pixel {
				if !near(v, want.pixel[i], c.tolerance) {
					t.Fatalf("%s, strength %g: pixel %d is %v, want %v", c.dtype, strength, i, v, want.pixel[i])
				}
			}
		}
	}
}

// It is linear: its gradient is what a unit in one pixel makes of the weighted sum.
func TestChromaticAberrationGradient(t *testing.T) {
	const strength = 0.2
	weight := random[float64](1, 5, 6, 3)
	got := apply(t, random[float64](1, 5, 6, 3), func(x *Node) *Node {
		return Gradient(ReduceAllSum(Mul(ChromaticAberration(x, strength), ConstTensor(x.Graph(), tensor(weight)))), x)[0]
	})
	for i, g := range got.pixel {
		unit := blank[float64](1, 5, 6, 3)
		unit.pixel[i] = 1
		var want float64
		for k, v := range naiveAberration(unit, strength).pixel {
			want += v * weight.pixel[k]
		}
		if !near(g, want, 1e-12) {
			t.Errorf("gradient of pixel %d is %v, want %v", i, g, want)
		}
	}
}

// One channel, commonly green, is shrunk towards the centre of the image relative to the others.
// Reference: Doersch et al. 2015, Sec. 3.1.
func TestPaperAberrationShrinksGreen(t *testing.T) {
	x := blank[float64](1, 21, 21, 3)
	for c := range 3 {
		*x.at(0, 2, 10, c) = 1 // above the centre
	}
	y := apply(t, x, func(x *Node) *Node { return ChromaticAberration(x, 1./3) })
	// 8 pixels from the centre become 6.
	if *y.at(0, 2, 10, 0) != 1 || *y.at(0, 2, 10, 2) != 1 || *y.at(0, 2, 10, 1) != 0 || !near(*y.at(0, 4, 10, 1), 1, 1e-12) {
		t.Errorf("red, green and blue at the spot: %v; green 2 pixels nearer to the centre: %v", y.pixel[3*(2*21+10):][:3], *y.at(0, 4, 10, 1))
	}
}

func TestChromaticAberrationRejects(t *testing.T) {
	aberrate := func(strength float64) func(x *Node) *Node {
		return func(x *Node) *Node { return ChromaticAberration(x, strength) }
	}
	rejects(t, "must be [N, H, W, 3]", aberrate(0.1), tensor(numbered[float32](1, 2, 2, 1)))
	rejects(t, "pixels must be float32 or float64", aberrate(0.1), tensor(numbered[uint8](1, 2, 2, 3)))
	rejects(t, "strength is -0.1", aberrate(-0.1), tensor(numbered[float32](1, 2, 2, 3)))
	rejects(t, "images must be [N, H, W, C]", aberrate(0.1), []float32{1})
}
