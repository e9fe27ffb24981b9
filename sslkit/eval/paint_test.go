package eval

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// By hand, against a loop; a blurred picture has less, and what lies outside the mask does not count.
func TestDetail(t *testing.T) {
	const h, w = 6, 5
	x, mask := make([][][][]float32, 1), make([][][][]float32, 1)
	for i := range h {
		var row, hidden [][]float32
		for j := range w {
			row = append(row, []float32{float32(math.Sin(float64(3*i*i + 5*j))), float32(math.Cos(float64(i - 2*j*j)))})
			in := float32(0)
			if i >= 1 && j >= 1 {
				in = 1
			}
			hidden = append(hidden, []float32{in})
		}
		x[0], mask[0] = append(x[0], row), append(mask[0], hidden)
	}
	var want, n float64
	for i := 2; i < h-1; i++ { // the pixels at 1 have a neighbour outside
		for j := 2; j < w-1; j++ {
			for c := range 2 {
				l := 4*x[0][i][j][c] - x[0][i-1][j][c] - x[0][i+1][j][c] - x[0][i][j-1][c] - x[0][i][j+1][c]
				want += float64(l) * float64(l) / 2
			}
			n++
		}
	}
	want /= n
	out, err := CallOnceN(testBackend(t), func(x, mask *Node) []*Node {
		return []*Node{Detail(x, mask), Detail(MulScalar(x, 0.5), mask), Detail(x, ZerosLike(mask))}
	}, x, mask)
	if err != nil {
		t.Fatal(err)
	}
	read := func(i int) float64 { return float64(out[i].Value().([]float32)[0]) }
	if got := read(0); math.Abs(got-want) > 1e-5*want { // float32 sums of some twenty terms
		t.Errorf("detail %g, want %g", got, want)
	}
	if got := read(1); math.Abs(got-want/4) > 1e-5*want {
		t.Errorf("of half the contrast: %g, want %g", got, want/4)
	}
	if got := read(2); got != 0 {
		t.Errorf("of nothing: %g", got)
	}
}

func TestPainted(t *testing.T) {
	x := [][][][]float32{{{{1, 0, 0}, {0.5, 0.5, 0.5}}}}
	out, err := CallOnceN(testBackend(t), func(x *Node) []*Node {
		gray := Add(ZerosLike(x), Const(x.Graph(), [][][][]float32{{{{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}}}}))
		a, b, c := Painted(x, x)
		d, e, f := Painted(x, gray)
		return []*Node{a, b, c, d, e, f}
	}, x)
	if err != nil {
		t.Fatal(err)
	}
	read := func(i int) float64 { return float64(out[i].Value().([]float32)[0]) }
	// sRGB's red has a = 80.09, b = 67.20; of two pixels, one is grey.
	red := math.Hypot(80.09, 67.20) / 2
	psnr := -10 * math.Log10(3*0.25/6)
	for i, want := range []float64{100, 0, red, psnr, red, 0} {
		if got := read(i); math.Abs(got-want) > 0.02 {
			t.Errorf("%d: %g, want %g", i, got, want)
		}
	}
}
