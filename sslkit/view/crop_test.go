package view

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
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
