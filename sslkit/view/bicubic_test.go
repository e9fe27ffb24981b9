package view

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// naiveBicubic cuts a rectangle of whole pixels out and resizes it as Pillow's Image.resize does with BICUBIC
// (precompute_coeffs in its Resample.c), but for the rounding to 8 bits.
func naiveBicubic(x images[float64], rect [][4]float64, size int) images[float64] {
	kernel := func(d float64) float64 {
		const a = -0.5
		switch d = math.Abs(d); {
		case d < 1:
			return ((a+2)*d-(a+3))*d*d + 1
		case d < 2:
			return (((d-5)*d+8)*d - 4) * a
		}
		return 0
	}
	// taps are the pixels from first on that pixel i of the result is made of.
	taps := func(i int, length float64) (first int, w []float64) {
		scale := length / float64(size)
		wide := max(scale, 1)
		centre := (float64(i) + 0.5) * scale
		first = max(int(centre-2*wide+0.5), 0)
		last := min(int(centre+2*wide+0.5), int(length))
		sum := 0.0
		for k := first; k < last; k++ {
			v := kernel((float64(k) - centre + 0.5) / wide)
			w, sum = append(w, v), sum+v
		}
		for k := range w {
			w[k] /= sum
		}
		return first, w
	}
	y := blank[float64](x.n, size, size, x.c)
	for n, r := range rect {
		for i := range size {
			top, rows := taps(i, r[2])
			for j := range size {
				left, columns := taps(j, r[3])
				for c := range x.c {
					sum := 0.0
					for a, v := range rows {
						for b, w := range columns {
							sum += v * w * *x.at(n, int(r[0])+top+a, int(r[1])+left+b, c)
						}
					}
					*y.at(n, i, j, c) = min(max(sum, 0), 1)
				}
			}
		}
	}
	return y
}

func bicubic(size int) func(in []*Node) *Node {
	return func(in []*Node) *Node { return CropResizeBicubic(in[0], in[1], in[2], in[3], in[4], size) }
}

// whole rectangles: all of the image, an inner one, one row, one pixel.
var whole = [][4]float64{{0, 0, 5, 7}, {1, 2, 3, 3}, {2, 0, 1, 7}, {4, 6, 1, 1}}

func TestCropResizeBicubic(t *testing.T) {
	x := random[float64](len(whole), 5, 7, 3)
	for i, v := range x.pixel { // to the ends, so that the filter overshoots
		x.pixel[i] = math.Round(v)
	}
	for _, size := range []int{1, 2, 3, 4, 11} {
		want := naiveBicubic(x, whole, size)
		out, err := CallOnce(open(t), bicubic(size), append([]any{tensor(x)}, columns[float64](whole)...)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range read[float64](t, out).pixel {
			if !near(got, want.pixel[i], 1e-12) {
				t.Fatalf("size %d: pixel %d is %v, want %v", size, i, got, want.pixel[i])
			}
		}
		out, err = CallOnce(open(t), bicubic(size), append([]any{tensor(narrow(x))}, columns[float32](whole)...)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range read[float32](t, out).pixel {
			if !near(float64(got), want.pixel[i], 1e-5) { // kernels of places up to 7, with 24 bits
				t.Fatalf("float32, size %d: pixel %d is %v, want %v", size, i, got, want.pixel[i])
			}
		}
	}
}

// By hand, halving a line of four: a pixel of the result is 2 wide, and the kernel at 0.25, 0.25, 0.75 of that.
func TestCropResizeBicubicByHand(t *testing.T) {
	x := blank[float64](1, 1, 4, 1)
	x.pixel[0] = 1
	out, err := CallOnce(open(t), bicubic(2), append([]any{tensor(x)}, columns[float64]([][4]float64{{0, 0, 1, 4}})...)...)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d float64) float64 { return 1.5*d*d*d - 2.5*d*d + 1 } // d below 1
	far := -0.5*1.25*1.25*1.25 + 2.5*1.25*1.25 - 4*1.25 + 2
	want := at(0.25) / (2*at(0.25) + at(0.75) + far)
	if got := read[float64](t, out).pixel[0]; !near(got, want, 1e-12) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCropResizeBicubicGradient(t *testing.T) {
	x := random[float64](1, 4, 4, 1)
	for i, v := range x.pixel { // in the middle, where nothing is cut off
		x.pixel[i] = 0.4 + 0.2*v
	}
	rect := columns[float64]([][4]float64{{1, 0, 3, 4}})
	weights := random[float64](1, 3, 3, 1)
	loss := func(in []*Node) *Node {
		return ReduceAllSum(Mul(Square(CropResizeBicubic(in[0], in[1], in[2], in[3], in[4], 3)), in[5]))
	}
	value := func(x images[float64]) float64 {
		out, err := CallOnce(open(t), loss, append(append([]any{tensor(x)}, rect...), tensor(weights))...)
		if err != nil {
			t.Fatal(err)
		}
		return out.Value().(float64)
	}
	out, err := CallOnce(open(t), func(in []*Node) *Node { return Gradient(loss(in), in[0])[0] },
		append(append([]any{tensor(x)}, rect...), tensor(weights))...)
	if err != nil {
		t.Fatal(err)
	}
	const h = 1e-4 // the loss is quadratic: differences are exact to rounding
	for i, got := range read[float64](t, out).pixel {
		kept := x.pixel[i]
		x.pixel[i] = kept + h
		up := value(x)
		x.pixel[i] = kept - h
		want := (up - value(x)) / (2 * h)
		x.pixel[i] = kept
		if !near(got, want, 1e-8) {
			t.Errorf("pixel %d: gradient %v, want %v", i, got, want)
		}
	}
}

// It draws the rectangles of RandomResizedCrop.
func TestRandomResizedCropBicubic(t *testing.T) {
	const n, side, size = 20, 8, 4
	x := random[float32](n, side, side, 1)
	rect := draw(t, 1, func(scope *model.Scope, x *Node) *Node {
		top, left, height, width := randomRectangle(scope, x, 0.2, 1)
		return Reshape(Stack([]*Node{top, left, height, width}, -1), n, 1, 1, 4)
	}, x, 1)[0]
	rows := make([][4]float64, n)
	for i := range rows {
		for k := range 4 {
			rows[i][k] = float64(*rect.at(i, 0, 0, k))
		}
	}
	wide := blank[float64](n, side, side, 1)
	for i, v := range x.pixel {
		wide.pixel[i] = float64(v)
	}
	want := naiveBicubic(wide, rows, size)
	for i, v := range draw(t, 1, RandomResizedCropBicubic(size, 0.2, 1), x, 1)[0].pixel {
		if !near(float64(v), want.pixel[i], 1e-5) {
			t.Fatalf("pixel %d is %v, want %v", i, v, want.pixel[i])
		}
	}
}

func TestBicubicRejects(t *testing.T) {
	x := tensor(numbered[float32](2, 3, 3, 1))
	rejects(t, "view.RandomResizedCropBicubic: areas from", transformed(RandomResizedCropBicubic(2, 0, 1)), x)
	rejects(t, "view.CropResizeBicubic: size is 0", transformed(RandomResizedCropBicubic(0, 0.1, 1)), x)
	rejects(t, "pixels must be float", transformed(RandomResizedCropBicubic(2, 0.1, 1)), tensor(numbered[uint8](2, 3, 3, 1)))
	rejects(t, "must be [2] Float32", func(p *Node) *Node { return CropResizeBicubic(ConstTensor(p.Graph(), x), p, p, p, p, 2) }, []float32{1})
}
