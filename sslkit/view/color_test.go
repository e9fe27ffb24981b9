package view

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// onBackends runs the test on pure Go and, where there is one, on XLA.
func onBackends(t *testing.T, test func(t *testing.T, backend compute.Backend)) {
	t.Helper()
	all := []compute.Backend{goBackend(t)}
	if best := open(t); best.Name() != all[0].Name() {
		all = append(all, best)
	}
	for _, backend := range all {
		t.Run(backend.Name(), func(t *testing.T) { test(t, backend) })
	}
}

func goBackend(t *testing.T) compute.Backend {
	t.Helper()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// The naive definitions are torchvision/transforms/_functional_tensor.py, a pixel at a time. Pixels are [h*w][c].
type naive [][]float64

func clip(v float64) float64 { return min(max(v, 0), 1) }

func (x naive) each(fn func(p []float64) []float64) naive {
	var y naive
	for _, p := range x {
		y = append(y, fn(p))
	}
	return y
}

func naiveGray(p []float64) float64 {
	if len(p) == 1 {
		return p[0]
	}
	return 0.2989*p[0] + 0.587*p[1] + 0.114*p[2]
}

func naiveBlend(p []float64, with, f float64) []float64 {
	var y []float64
	for _, v := range p {
		y = append(y, clip(f*v+(1-f)*with))
	}
	return y
}

func naiveBrightness(x naive, f float64) naive {
	return x.each(func(p []float64) []float64 { return naiveBlend(p, 0, f) })
}

func naiveContrast(x naive, f float64) naive {
	var mean float64
	for _, p := range x {
		mean += naiveGray(p) / float64(len(x))
	}
	return x.each(func(p []float64) []float64 { return naiveBlend(p, mean, f) })
}

func naiveSaturation(x naive, f float64) naive {
	return x.each(func(p []float64) []float64 {
		if len(p) == 1 {
			return p
		}
		return naiveBlend(p, naiveGray(p), f)
	})
}

func naiveGrayscale(x naive) naive {
	return x.each(func(p []float64) []float64 {
		y := make([]float64, len(p))
		for c := range y {
			y[c] = naiveGray(p)
		}
		return y
	})
}

func naiveHue(x naive, f float64) naive {
	return x.each(func(p []float64) []float64 {
		if len(p) == 1 {
			return p
		}
		h, s, v := rgb2hsv(p[0], p[1], p[2])
		h += f
		return hsv2rgb(h-math.Floor(h), s, v)
	})
}

func rgb2hsv(r, g, b float64) (h, s, v float64) {
	maxc, minc := max(r, g, b), min(r, g, b)
	if maxc == minc {
		return 0, 0, maxc
	}
	rc, gc, bc := (maxc-r)/(maxc-minc), (maxc-g)/(maxc-minc), (maxc-b)/(maxc-minc)
	switch maxc {
	case r:
		h = bc - gc
	case g:
		h = 2 + rc - bc
	default:
		h = 4 + gc - rc
	}
	return math.Mod(h/6+1, 1), (maxc - minc) / maxc, maxc
}

func hsv2rgb(h, s, v float64) []float64 {
	i := math.Floor(h * 6)
	f := h*6 - i
	p, q, t := clip(v*(1-s)), clip(v*(1-s*f)), clip(v*(1-s*(1-f)))
	return [][]float64{{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}}[int(i)%6]
}

// naively applies fn to each image of x with the image's factor.
func naively(x images[float64], factor []float64, fn func(x naive, f float64) naive) images[float64] {
	y := blank[float64](x.n, x.h, x.w, x.c)
	at := 0
	for n := range x.n {
		var image naive
		for i := range x.h * x.w {
			start := (n*x.h*x.w + i) * x.c
			image = append(image, x.pixel[start:start+x.c])
		}
		for _, p := range fn(image, factor[n]) {
			at += copy(y.pixel[at:], p)
		}
	}
	return y
}

func float32s(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func narrow(x images[float64]) images[float32] {
	return images[float32]{x.n, x.h, x.w, x.c, float32s(x.pixel)}
}

func sameImages[T float32 | float64](t *testing.T, what string, got images[T], want images[float64], tolerance float64) {
	t.Helper()
	if len(got.pixel) != len(want.pixel) {
		t.Fatalf("%s: %d values, want %d", what, len(got.pixel), len(want.pixel))
	}
	for i, v := range want.pixel {
		if !near(float64(got.pixel[i]), v, tolerance) {
			t.Fatalf("%s: image %d: value %d is %v, want %v", what, i/(want.h*want.w*want.c), i, got.pixel[i], v)
		}
	}
}

var adjusts = map[string]struct {
	fn     func(x, factor *Node) *Node
	naive  func(x naive, f float64) naive
	factor []float64
}{
	"brightness": {AdjustBrightness, naiveBrightness, []float64{0, 0.4, 1, 1.7, 3}},
	"contrast":   {AdjustContrast, naiveContrast, []float64{0, 0.4, 1, 1.7, 3}},
	"saturation": {AdjustSaturation, naiveSaturation, []float64{0, 0.4, 1, 1.7, 3}},
	"hue":        {AdjustHue, naiveHue, []float64{0, 0.17, -0.28, 0.5, -0.5}},
	"grayscale":  {func(x, _ *Node) *Node { return Grayscale(x) }, func(x naive, _ float64) naive { return naiveGrayscale(x) }, make([]float64, 5)},
}

// colourful are n images of random pixels, and of black, white, gray, pure and mixed ones.
func colourful(n, c int) images[float64] {
	x := random[float64](n, 5, 4, c)
	special := []float64{0, 0, 0, 1, 1, 1, 0.3, 0.3, 0.3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0.5, 0.5, 0.2, 0.1, 0.9, 0.9}
	for i := range n {
		copy(x.pixel[i*5*4*c:(i+1)*5*4*c], special)
	}
	return x
}

func TestAdjust(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for name, a := range adjusts {
			// The Go backend cannot hand a parameter back as it is.
			fn := func(x, f *Node) *Node { return MulScalar(a.fn(x, f), 1) }
			for _, c := range []int{1, 3} {
				x := colourful(len(a.factor), c)
				want := naively(x, a.factor, a.naive)
				out, err := CallOnce(backend, fn, tensor(x), a.factor)
				if err != nil {
					t.Fatal(err)
				}
				sameImages(t, name, read[float64](t, out), want, 1e-12)
				out, err = CallOnce(backend, fn, tensor(narrow(x)), float32s(a.factor))
				if err != nil {
					t.Fatal(err)
				}
				// Rounding at 6e-8 in a handful of steps, times factors up to 3.
				sameImages(t, name+" in float32", read[float32](t, out), want, 2e-6)
			}
		}
	})
}

func TestAdjustByHand(t *testing.T) {
	pixel := func(fn func(x, f *Node) *Node, f float64, rgb ...float64) []float64 {
		t.Helper()
		out, err := CallOnce(goBackend(t), fn, tensors.FromFlatDataAndDimensions(rgb, 1, 1, len(rgb)/3, 3), []float64{f})
		if err != nil {
			t.Fatal(err)
		}
		return read[float64](t, out).pixel
	}
	for _, c := range []struct {
		name      string
		got, want []float64
	}{
		{"brighter, clipped", pixel(AdjustBrightness, 2, 0.1, 0.4, 0.7), []float64{0.2, 0.8, 1}},
		// The means are 0.9999*0.4 and 0.9999*0.6 = 0.49995 together.
		{"half the contrast", pixel(AdjustContrast, 0.5, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6),
			[]float64{0.449975, 0.449975, 0.449975, 0.549975, 0.549975, 0.549975}},
		{"half the saturation", pixel(AdjustSaturation, 0.5, 1, 0, 0), []float64{0.64945, 0.14945, 0.14945}},
		{"red to green", pixel(AdjustHue, 1./3, 1, 0, 0), []float64{0, 1, 0}},
		{"orange to its complement", pixel(AdjustHue, 0.5, 1, 0.5, 0), []float64{0, 0.5, 1}},
		{"blue to yellow-green", pixel(AdjustHue, -5./12, 0, 0, 1), []float64{0.5, 1, 0}},
		{"gray", pixel(AdjustHue, 0.2, 0.25, 0.25, 0.25), []float64{0.25, 0.25, 0.25}},
		{"luma", pixel(func(x, _ *Node) *Node { return Grayscale(x) }, 0, 1, 0.5, 0), []float64{0.5924, 0.5924, 0.5924}},
		{"solarized", pixel(func(x, _ *Node) *Node { return Solarize(x, 0.4) }, 0, 0.3, 0.4, 0.75), []float64{0.3, 0.6, 0.25}},
	} {
		if !slices.EqualFunc(c.got, c.want, func(a, b float64) bool { return near(a, b, 1e-12) }) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// checkGradient compares the gradients in x and in the parameter of each image with central differences of the naive view.
func checkGradient(t *testing.T, name string, backend compute.Backend, fn func(x, p *Node) *Node, x images[float64], p []float64,
	naive func(x images[float64], p []float64) images[float64]) {
	t.Helper()
	weight := random[float64](x.n, x.h, x.w, x.c)
	value := func() float64 {
		var sum float64
		for i, v := range naive(x, p).pixel {
			sum += weight.pixel[i] * v
		}
		return sum
	}
	out, err := CallOnceN(backend, func(in []*Node) []*Node {
		return Gradient(ReduceAllSum(Mul(in[0], fn(in[1], in[2]))), in[1], in[2])
	}, tensor(weight), tensor(x), p)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	const h, tolerance = 1e-6, 1e-6 // central differences in float64; no pixel is that close to where a derivative jumps
	check := func(what string, got, at []float64) {
		for i := range at {
			v := at[i]
			at[i] = v + h
			up := value()
			at[i] = v - h
			down := value()
			at[i] = v
			if want := (up - down) / (2 * h); !near(got[i], want, tolerance*max(1, math.Abs(want))) {
				t.Fatalf("%s: d/d %s %d = %v, want %v", name, what, i, got[i], want)
			}
		}
	}
	check("value", read[float64](t, out[0]).pixel, x.pixel)
	check("parameter", out[1].Value().([]float64), p)
}

func TestAdjustGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for name, a := range adjusts {
			factor := []float64{0.37, 1.3}
			if name == "hue" {
				factor = []float64{0.37, -0.21}
			}
			// The parameter of grayscale is unused: its gradient is that of what is added.
			fn := func(x, f *Node) *Node { return Add(a.fn(x, f), InsertAxes(f, -1, -1, -1)) }
			checkGradient(t, name, backend, fn, random[float64](2, 4, 3, 3), factor, func(x images[float64], f []float64) images[float64] {
				y := naively(x, f, a.naive)
				for i := range y.pixel {
					y.pixel[i] += f[i/(y.h*y.w*y.c)]
				}
				return y
			})
		}
		solarize := func(x, f *Node) *Node { return Add(Solarize(x, 0.4), InsertAxes(f, -1, -1, -1)) }
		checkGradient(t, "solarize", backend, solarize, random[float64](1, 3, 3, 2), []float64{0}, func(x images[float64], f []float64) images[float64] {
			y := blank[float64](x.n, x.h, x.w, x.c)
			for i, v := range x.pixel {
				if v >= 0.4 {
					v = 1 - v
				}
				y.pixel[i] = v + f[0]
			}
			return y
		})
	})
}

// Black, white, gray and pure pixels have no hue or no saturation, and lie where the clipping begins.
func TestAdjustGradientIsFinite(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for name, a := range adjusts {
			out, err := CallOnceN(backend, func(in []*Node) []*Node {
				return Gradient(ReduceAllSum(Square(Add(a.fn(in[0], in[1]), InsertAxes(in[1], -1, -1, -1)))), in...)
			}, tensor(narrow(colourful(len(a.factor), 3))), float32s(a.factor))
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range append(read[float32](t, out[0]).pixel, out[1].Value().([]float32)...) {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%s: a gradient is %v", name, v)
				}
			}
		}
	})
}

// An untouched pixel at the ends of the range hands its gradient on.
func TestAdjustGradientAtTheEnds(t *testing.T) {
	out, err := CallOnce(goBackend(t), func(x, f *Node) *Node {
		return Gradient(ReduceAllSum(AdjustBrightness(x, f)), x)[0]
	}, tensors.FromFlatDataAndDimensions([]float32{0, 0.5, 1}, 1, 1, 3, 1), []float32{1})
	if err != nil {
		t.Fatal(err)
	}
	if got := read[float32](t, out).pixel; !slices.Equal(got, []float32{1, 1, 1}) {
		t.Errorf("gradients are %v, want 1 each", got)
	}
}

func TestColoursReject(t *testing.T) {
	x, two := tensor(numbered[float32](2, 3, 3, 3)), tensor(numbered[float32](2, 3, 3, 2))
	for name, fn := range map[string]func(x, f *Node) *Node{
		"AdjustBrightness": AdjustBrightness, "AdjustContrast": AdjustContrast, "AdjustSaturation": AdjustSaturation, "AdjustHue": AdjustHue,
	} {
		for _, c := range []struct {
			want   string
			x      *tensors.Tensor
			factor any
		}{
			{"images must be [N, H, W, C]", tensors.FromValue([]float32{1}), []float32{1}},
			{"pixels must be float", tensor(numbered[uint8](2, 3, 3, 3)), []float32{1, 1}},
			{"images must have 1 or 3 channels", two, []float32{1, 1}},
			{"factor must be [2] Float32", x, []float32{1}},
			{"factor must be [2] Float32", x, []float64{1, 1}},
			{"factor must be [2] Float32", x, float32(1)},
		} {
			x := c.x
			rejects(t, "view."+name+": "+c.want, func(f *Node) *Node { return fn(ConstTensor(f.Graph(), x), f) }, c.factor)
		}
	}
	rejects(t, "view.Grayscale: images must have 1 or 3", Grayscale, two)
	solarize := func(x *Node) *Node { return Solarize(x, 0.5) }
	rejects(t, "view.Solarize: pixels must be float", solarize, tensor(numbered[uint8](2, 3, 3, 3)))
}
