package view

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// naiveLab is sRGB (IEC 61966-2-1) by way of XYZ to CIE Lab of a white, in float64 and with math.Pow and math.Cbrt.
func naiveLab(p []float64, white [3]float64) []float64 {
	var lin, f [3]float64
	for i, v := range p {
		if lin[i] = v / 12.92; v > 0.04045 {
			lin[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	for i, row := range [3][3]float64{{0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}} {
		t := (row[0]*lin[0] + row[1]*lin[1] + row[2]*lin[2]) / white[i]
		if f[i] = t*841/108 + 4./29; t > math.Pow(6./29, 3) {
			f[i] = math.Cbrt(t)
		}
	}
	return []float64{116*f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])}
}

var ourWhite, tabulatedWhite = [3]float64{0.950456, 1, 1.088754}, [3]float64{0.95047, 1, 1.08883}

// skimageLab has the values of scikit-image 0.26, skimage.color.rgb2lab in float64.
var skimageLab = []struct{ rgb, lab []float64 }{
	{[]float64{1, 0, 0}, []float64{53.240588, 80.092308, 67.202751}},
	{[]float64{0, 1, 0}, []float64{87.735099, -86.183030, 83.179703}},
	{[]float64{0, 0, 1}, []float64{32.295673, 79.185591, -107.857300}},
	{[]float64{1, 1, 0}, []float64{97.139507, -21.554681, 94.478122}},
	{[]float64{0, 1, 1}, []float64{91.113301, -48.090596, -14.126330}},
	{[]float64{1, 0, 1}, []float64{60.323507, 98.233054, -60.821015}},
	{[]float64{1, 1, 1}, []float64{100.000000, -0.002455, 0.004653}},
	{[]float64{0.5, 0.5, 0.5}, []float64{53.388965, -0.001468, 0.002784}},
	{[]float64{0.02, 0.05, 0.01}, []float64{2.890441, -3.505999, 3.217711}},
	{[]float64{0.001, 0.002, 0.04}, []float64{0.316694, 1.280643, -3.690403}},
	{[]float64{0.2, 0.6, 0.35}, []float64{56.297837, -44.040744, 25.147373}},
	{[]float64{0.9, 0.7, 0.55}, []float64{76.487399, 13.527466, 26.656861}},
}

func TestNaiveLabIsSkimage(t *testing.T) {
	for _, c := range skimageLab {
		// The line near black has the rounded slope of 7.787 and break of 0.008856 there: up to 2e-4 in a and b.
		for i, v := range naiveLab(c.rgb, tabulatedWhite) {
			if !near(v, c.lab[i], 2e-4) {
				t.Errorf("%v: coordinate %d is %v, scikit-image has %v", c.rgb, i, v, c.lab[i])
			}
		}
	}
}

// lab runs a conversion of pixels.
func lab[T float32 | float64](t *testing.T, backend compute.Backend, fn func(x *Node) *Node, pixels []T) []T {
	t.Helper()
	out, err := CallOnce(backend, fn, tensors.FromFlatDataAndDimensions(pixels, 1, 1, len(pixels)/3, 3))
	if err != nil {
		t.Fatal(err)
	}
	return read[T](t, out).pixel
}

// manyColours are a grid of sRGB, and colours about the break points of the curves.
func manyColours() []float64 {
	var rgb []float64
	steps := []float64{0, 1e-4, 0.02, 0.0404, 0.0405, 0.09, 0.095, 0.3, 0.5, 0.77, 1}
	for _, r := range steps {
		for _, g := range steps {
			for _, b := range steps {
				rgb = append(rgb, r, g, b)
			}
		}
	}
	return rgb
}

func TestRGBToLab(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		rgb := manyColours()
		got, single := lab(t, backend, RGBToLab, rgb), lab(t, backend, RGBToLab, float32s(rgb))
		for i := 0; i < len(rgb); i += 3 {
			p := rgb[i : i+3]
			want, table := naiveLab(p, ourWhite), naiveLab(p, tabulatedWhite)
			for j := range 3 {
				// Differences of two curves times 500 round at 500*2e-16 and, in float32, at 500*3e-7.
				if !near(got[i+j], want[j], 1e-12*500) || !near(float64(single[i+j]), want[j], 2e-4) {
					t.Fatalf("%v: coordinate %d is %v and in float32 %v, want %v", p, j, got[i+j], single[i+j], want[j])
				}
				if !near(want[j], table[j], 0.006) { // the comment of toXYZ
					t.Fatalf("%v: the white moves coordinate %d from %v to %v", p, j, table[j], want[j])
				}
			}
			if p[0] == p[1] && p[1] == p[2] && (!near(got[i+1], 0, 1e-12*500) || !near(got[i+2], 0, 1e-12*500)) {
				t.Errorf("grey %v has the colour %v", p, got[i+1:i+3])
			}
		}
	})
}

func TestLabToRGB(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		rgb := manyColours()
		there := func(x *Node) *Node { return LabToRGB(RGBToLab(x)) }
		back, single := lab(t, backend, there, rgb), lab(t, backend, there, float32s(rgb))
		for i, v := range rgb {
			// sRGB's two lines do not quite meet: 0.0031308*12.92 is 0.04045 but for 6e-8. In float32, near black, an
			// error of 2e-4 in a is 1e-5 of red.
			if !near(back[i], v, 1e-7) || !near(float64(single[i]), v, 1e-5) {
				t.Fatalf("colour %v: channel %d comes back as %v and in float32 as %v", rgb[i/3*3:i/3*3+3], i%3, back[i], single[i])
			}
		}
		// Outside of sRGB: a pure cyan beyond the monitor's, and lighter than white.
		for _, v := range lab(t, backend, LabToRGB, []float64{60, -100, -50, 120, 0, 0, -5, 0, 0}) {
			if !(v >= 0 && v <= 1) {
				t.Errorf("a value of %v", v)
			}
		}
	})
}

func TestLightness(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		both := func(x *Node) *Node {
			grey := SliceAxis(x, -1, AxisElem(0))
			replicated := Concatenate([]*Node{grey, grey, grey}, -1)
			return Concatenate([]*Node{MulScalar(SliceAxis(RGBToLab(x), -1, AxisElem(0)), 0.01), Lightness(x),
				Sub(Lightness(grey), Lightness(replicated))}, -1)
		}
		got := lab(t, backend, both, manyColours())
		for i := 0; i < len(got); i += 3 {
			if !near(got[i], got[i+1], 1e-14) || !near(got[i+2], 0, 1e-14) {
				t.Fatalf("lightness %v, want %v; a grey image differs from itself with three channels by %v", got[i+1], got[i], got[i+2])
			}
		}
	})
}

func TestLabGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		add := func(fn func(x *Node) *Node) func(x, p *Node) *Node {
			return func(x, p *Node) *Node { return Add(fn(x), InsertAxes(p, -1, -1, -1)) }
		}
		x := random[float64](1, 3, 3, 3)
		copy(x.pixel, []float64{0.01, 0.02, 0.03, 0.2, 0.001, 0.02})
		checkGradient(t, "RGBToLab", backend, add(RGBToLab), x, []float64{0}, func(x images[float64], p []float64) images[float64] {
			return naively(x, p, func(x naive, f float64) naive {
				return x.each(func(rgb []float64) []float64 {
					y := naiveLab(rgb, ourWhite)
					return []float64{y[0] + f, y[1] + f, y[2] + f}
				})
			})
		})
	})
}

// At black, where the root is steep; at the break points; and out of gamut.
func TestLabGradientIsFinite(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		gradient := func(fn func(x *Node) *Node) func(x *Node) *Node {
			return func(x *Node) *Node { return Gradient(ReduceAllSum(Square(fn(x))), x)[0] }
		}
		for name, got := range map[string][]float32{
			"RGBToLab": lab(t, backend, gradient(RGBToLab), []float32{0, 0, 0, 0.04045, 0.04045, 0.04045, 1, 1, 1, -0.1, 0, 1.1}),
			"LabToRGB": lab(t, backend, gradient(LabToRGB), []float32{0, 0, 0, 8, 0, 0, 100, 0, 0, 100, 128, -128, 0, 128, -128}),
		} {
			for i, v := range got {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Errorf("%s: gradient %d is %v", name, i, v)
				}
			}
		}
	})
}

func TestLabRejects(t *testing.T) {
	rejects(t, "view.RGBToLab: images must have 3", RGBToLab, tensor(numbered[float32](1, 2, 2, 1)))
	rejects(t, "view.LabToRGB: images must have 1 or 3", LabToRGB, tensor(numbered[float32](1, 2, 2, 2)))
	rejects(t, "view.RGBToLab: pixels must be float", RGBToLab, tensor(numbered[uint8](1, 2, 2, 3)))
	rejects(t, "view.Lightness: images must be [N, H, W, C]", Lightness, []float32{1})
}
