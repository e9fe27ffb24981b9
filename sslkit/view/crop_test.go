package view

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// naiveCrop is bilinear sampling, a pixel at a time.
func naiveCrop(x images[float64], rect [][4]float64, size int) images[float64] {
	y := blank[float64](x.n, size, size, x.c)
	place := func(i int, start, extent float64, length int) (int, int, float64) {
		p := (float64(i)+0.5)*extent/float64(size) - 0.5
		p = min(max(p, 0), max(extent-1, 0)) + start
		p = min(max(p, 0), float64(length-1))
		i0 := int(math.Floor(p))
		return i0, min(i0+1, length-1), p - float64(i0)
	}
	for n := range x.n {
		for i := range size {
			i0, i1, di := place(i, rect[n][0], rect[n][2], x.h)
			for j := range size {
				j0, j1, dj := place(j, rect[n][1], rect[n][3], x.w)
				for c := range x.c {
					*y.at(n, i, j, c) = (1-di)*((1-dj)**x.at(n, i0, j0, c)+dj**x.at(n, i0, j1, c)) +
						di*((1-dj)**x.at(n, i1, j0, c)+dj**x.at(n, i1, j1, c))
				}
			}
		}
	}
	return y
}

func columns[T float32 | float64](rect [][4]float64) []any {
	var out []any
	for k := range 4 {
		var column []T
		for _, r := range rect {
			column = append(column, T(r[k]))
		}
		out = append(out, column)
	}
	return out
}

func cropper(size int) func(in []*Node) *Node {
	return func(in []*Node) *Node { return CropResize(in[0], in[1], in[2], in[3], in[4], size) }
}

var rects = [][4]float64{
	{0, 0, 5, 7},          // all of it
	{1, 2, 3, 3},          // its own edge, not the image's
	{0.5, 1.25, 2.75, 4},  // fractions
	{2, 3, 1, 1},          // one pixel
	{4.25, 0, 0.5, 6.875}, // less than one
	{-1, 5, 3, 4},         // beyond the image: its edge
}

func TestCropResize(t *testing.T) {
	x := random[float64](len(rects), 5, 7, 3)
	x32 := blank[float32](x.n, x.h, x.w, x.c)
	for i, v := range x.pixel {
		x32.pixel[i] = float32(v)
	}
	for _, size := range []int{1, 3, 4, 9} {
		want := naiveCrop(x, rects, size)
		out, err := CallOnce(open(t), cropper(size), append([]any{tensor(x)}, columns[float64](rects)...)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range read[float64](t, out).pixel {
			if !near(got, want.pixel[i], 1e-12) {
				t.Fatalf("size %d: pixel %d is %v, want %v", size, i, got, want.pixel[i])
			}
		}
		out, err = CallOnce(open(t), cropper(size), append([]any{tensor(x32)}, columns[float32](rects)...)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range read[float32](t, out).pixel {
			if !near(float64(got), want.pixel[i], 2e-6) { // places up to 7 with 24 bits, pixels up to 1
				t.Fatalf("float32, size %d: pixel %d is %v, want %v", size, i, got, want.pixel[i])
			}
		}
	}
}

// A crop of its own size is a copy, and enlarging it is as enlarging the cut-out image.
func TestCropResizeAsIfCutOut(t *testing.T) {
	x := random[float64](1, 6, 6, 1)
	cut := blank[float64](1, 3, 3, 1)
	for i := range 3 {
		for j := range 3 {
			*cut.at(0, i, j, 0) = *x.at(0, i+1, j+2, 0)
		}
	}
	got, err := CallOnce(open(t), cropper(3), append([]any{tensor(x)}, columns[float64]([][4]float64{{1, 2, 3, 3}})...)...)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range read[float64](t, got).pixel {
		if v != cut.pixel[i] {
			t.Errorf("copy: pixel %d is %v, want %v", i, v, cut.pixel[i])
		}
	}
	large, err := CallOnce(open(t), cropper(8), append([]any{tensor(x)}, columns[float64]([][4]float64{{1, 2, 3, 3}})...)...)
	if err != nil {
		t.Fatal(err)
	}
	want := naiveCrop(cut, [][4]float64{{0, 0, 3, 3}}, 8)
	for i, v := range read[float64](t, large).pixel {
		if !near(v, want.pixel[i], 1e-12) {
			t.Errorf("enlarged: pixel %d is %v, want %v", i, v, want.pixel[i])
		}
	}
}

func TestCropResizeGradient(t *testing.T) {
	const size = 4
	// Away from where a place meets a pixel, a clamp or its end: there the derivative jumps.
	rect := [][4]float64{{0.31, 1.13, 3.37, 4.71}, {1.07, 0.41, 2.83, 3.19}}
	x := random[float64](2, 5, 7, 1)
	weight := random[float64](2, size, size, 1)
	value := func(x images[float64], rect [][4]float64) float64 {
		var sum float64
		for i, v := range naiveCrop(x, rect, size).pixel {
			sum += weight.pixel[i] * v * v
		}
		return sum
	}
	out, err := CallOnceN(open(t), func(in []*Node) []*Node {
		y := cropper(size)(in[1:])
		return Gradient(ReduceAllSum(Mul(in[0], Square(y))), in[1:]...)
	}, append([]any{tensor(weight), tensor(x)}, columns[float64](rect)...)...)
	if err != nil {
		t.Fatal(err)
	}
	const h, tolerance = 1e-6, 1e-6 // central differences in float64
	for i, got := range read[float64](t, out[0]).pixel {
		v := x.pixel[i]
		x.pixel[i] = v + h
		up := value(x, rect)
		x.pixel[i] = v - h
		down := value(x, rect)
		x.pixel[i] = v
		if want := (up - down) / (2 * h); !near(got, want, tolerance) {
			t.Errorf("d/d pixel %d = %v, want %v", i, got, want)
		}
	}
	for k, name := range []string{"top", "left", "height", "width"} {
		for n, got := range out[1+k].Value().([]float64) {
			v := rect[n][k]
			rect[n][k] = v + h
			up := value(x, rect)
			rect[n][k] = v - h
			down := value(x, rect)
			rect[n][k] = v
			if want := (up - down) / (2 * h); !near(got, want, tolerance) {
				t.Errorf("d/d %s[%d] = %v, want %v", name, n, got, want)
			}
		}
	}
}

// The mirror images of crops, of another shape than square.
func TestCutMirrors(t *testing.T) {
	x := random[float32](len(rects), 5, 7, 3)
	mirror := []bool{true, false, true, true, false, true}
	both := func(mirrored bool) images[float32] {
		out, err := CallOnce(open(t), func(in []*Node) *Node {
			var m *Node
			if mirrored {
				m = Const(in[0].Graph(), mirror)
			}
			return cut(in[0], in[1], in[2], in[3], in[4], m, 4, 6)
		}, append([]any{tensor(x)}, columns[float32](rects)...)...)
		if err != nil {
			t.Fatal(err)
		}
		return read[float32](t, out)
	}
	plain, got := both(false), both(true)
	for n, m := range mirror {
		want := single(plain, n)
		if m {
			want = mirrored(want)
		}
		for i, v := range single(got, n).pixel {
			if !near(float64(v), float64(want.pixel[i]), 1e-6) {
				t.Fatalf("image %d: pixel %d is %v, want %v", n, i, v, want.pixel[i])
			}
		}
	}
}

// naiveRectangle is get_params of torchvision's RandomResizedCrop.
func naiveRectangle(rnd *rand.Rand, h, w int, minScale, maxScale float64) [4]float64 {
	for range 10 {
		area := float64(h*w) * (minScale + (maxScale-minScale)*rnd.Float64())
		ratio := math.Exp(math.Log(3./4) + (math.Log(4./3)-math.Log(3./4))*rnd.Float64())
		cw, ch := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if 0 < cw && cw <= w && 0 < ch && ch <= h {
			return [4]float64{float64(rnd.IntN(h - ch + 1)), float64(rnd.IntN(w - cw + 1)), float64(ch), float64(cw)}
		}
	}
	cw, ch := w, h
	if ratio := float64(w) / float64(h); ratio < 3./4 {
		ch = int(math.RoundToEven(float64(w) / (3. / 4)))
	} else if ratio > 4./3 {
		cw = int(math.RoundToEven(float64(h) * (4. / 3)))
	}
	return [4]float64{float64((h - ch) / 2), float64((w - cw) / 2), float64(ch), float64(cw)}
}

// drawRectangles returns n rows top, left, height, width.
func drawRectangles(t *testing.T, n, h, w int, minScale, maxScale float64) [][]float32 {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
		x = BroadcastToDims(ConvertDType(x, dtypes.Float32), n, h, w, 1)
		top, left, height, width := randomRectangle(scope, x, minScale, maxScale)
		return Stack([]*Node{top, left, height, width}, -1)
	}, float32(0))
	if err != nil {
		t.Fatal(err)
	}
	return out.Value().([][]float32)
}

func TestRandomRectangle(t *testing.T) {
	const n = 20000
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		h, w     int
		min, max float64
	}{
		{32, 32, 0.08, 1},
		{28, 28, 0.2, 0.9},
		{20, 60, 0.08, 1}, // often none of ten fits
		{60, 20, 0.3, 0.3},
	} {
		var got, want [6][]float64
		note := func(to *[6][]float64, r [4]float64) {
			for i, v := range []float64{r[0], r[1], r[2], r[3], r[2] * r[3], r[3] / r[2]} {
				to[i] = append(to[i], v)
			}
		}
		for _, r := range drawRectangles(t, n, c.h, c.w, c.min, c.max) {
			for _, v := range r {
				if v != float32(math.Round(float64(v))) || v < 0 {
					t.Fatalf("%dx%d: rectangle %v is not in whole pixels", c.h, c.w, r)
				}
			}
			if r[2] < 1 || r[3] < 1 || r[0]+r[2] > float32(c.h) || r[1]+r[3] > float32(c.w) {
				t.Fatalf("%dx%d: rectangle %v is not within", c.h, c.w, r)
			}
			note(&got, [4]float64{float64(r[0]), float64(r[1]), float64(r[2]), float64(r[3])})
			note(&want, naiveRectangle(rnd, c.h, c.w, c.min, c.max))
		}
		for i, name := range []string{"top", "left", "height", "width", "area", "ratio"} {
			sameLaw(t, name, got[i], want[i])
		}
	}
}

// Where nothing fits, the largest rectangle in the centre is taken.
func TestRandomRectangleFallsBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{10, 40}, {41, 10}, {1, 1}} {
		minScale := 0.99
		if size[0] == 1 {
			minScale = 0.1 // rounds to nothing, or to all there is
		}
		want := naiveRectangle(rnd, size[0], size[1], minScale, max(minScale, 0.2))
		for _, r := range drawRectangles(t, 5, size[0], size[1], minScale, max(minScale, 0.2)) {
			for i, v := range r {
				if float64(v) != want[i] {
					t.Fatalf("%v: got %v, want %v", size, r, want)
				}
			}
		}
	}
}

func TestRandomResizedCrop(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		// A ramp shows where its crop was: the first value and the last of a row tell left and width.
		const n, size = 300, 12
		x := blank[float32](n, size, size, 1)
		for i := range x.pixel {
			x.pixel[i] = float32(i % size)
		}
		widths := map[int]int{}
		for _, y := range drawOn(t, backend, 1, RandomResizedCrop(6, 0.25, 0.5), x, 1) {
			if y.h != 6 || y.w != 6 {
				t.Fatalf("crops are %dx%d", y.h, y.w)
			}
			for k := range n {
				row := single(y, k).pixel[:6]
				step := float64(row[3] - row[2]) // width/6, inside the crop
				width := math.Round(6 * step)
				if !near(width, 6*step, 1e-4) || width < 5 || width > 10 { // sqrt(36*3/4), sqrt(72*4/3)
					t.Fatalf("image %d: its width is %v", k, 6*step)
				}
				widths[int(width)]++
			}
		}
		if len(widths) < 5 {
			t.Errorf("widths are %v", widths)
		}
	})
}

func TestRandomResizedCropRejects(t *testing.T) {
	x := tensor(numbered[float32](2, 3, 3, 1))
	for _, c := range [][2]float64{{0, 1}, {0.5, 0.4}, {0.5, 1.1}, {math.NaN(), 1}} {
		rejects(t, "view.RandomResizedCrop: areas from", transformed(RandomResizedCrop(2, c[0], c[1])), x)
	}
	rejects(t, "pixels must be float", transformed(RandomResizedCrop(2, 0.1, 1)), tensor(numbered[uint8](2, 3, 3, 1)))
	rejects(t, "size is 0", transformed(RandomResizedCrop(0, 0.1, 1)), x)
}

func TestCropResizeRejects(t *testing.T) {
	crop := func(size int) func(x, p *Node) *Node {
		return func(x, p *Node) *Node { return CropResize(x, p, p, p, p, size) }
	}
	x := tensor(numbered[float32](2, 3, 3, 1))
	for _, c := range []struct {
		x    *tensors.Tensor
		p    any
		size int
		want string
	}{
		{tensors.FromValue([]float32{1}), []float32{1, 1}, 2, "images must be [N, H, W, C]"},
		{tensor(numbered[uint8](2, 3, 3, 1)), []float32{1, 1}, 2, "pixels must be float32 or float64"},
		{x, []float32{1, 1}, 0, "size is 0"},
		{x, []float32{1}, 2, "must be [2] Float32"},
		{x, []float64{1, 1}, 2, "must be [2] Float32"},
		{x, []int32{1, 1}, 2, "must be [2] Float32"},
	} {
		x := c.x
		rejects(t, c.want, func(p *Node) *Node { return crop(c.size)(ConstTensor(p.Graph(), x), p) }, c.p)
	}
}
