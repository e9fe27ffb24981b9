package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// naiveInpainting is the gradient's weight of train.lua and train_random.lua of pathak22/context-encoder, "wtl2Matrix", on the
// mean of nn.MSECriterion.
func naiveInpainting(pred, target, hidden []float64, c int, seen float64) float64 {
	var sum float64
	for i := range pred {
		weight := seen
		if hidden[i/c] == 1 {
			weight = 1
		}
		sum += weight * (pred[i] - target[i]) * (pred[i] - target[i])
	}
	return sum / float64(len(pred))
}

// holey hides all but one pixel's border of images of side s.
func holey(n, s int) []float64 {
	hidden := make([]float64, n*s*s)
	for i := range hidden {
		if r, c := i/s%s, i%s; r > 0 && r < s-1 && c > 0 && c < s-1 {
			hidden[i] = 1
		}
	}
	return hidden
}

func TestInpainting(t *testing.T) {
	const n, s, c = 2, 4, 3
	pred, target, hidden := cube(1, n, s*s, c), cube(2, n, s*s, c), holey(n, s)
	for _, seen := range []float64{0, 1, 10} {
		out := callN(t, func(in []*Node) []*Node {
			l := Inpainting(in[0], in[1], in[2], seen)
			return append([]*Node{l}, Gradient(l, in[0], in[1])...)
		}, tensorOf[float64](pred, n, s, s, c), tensorOf[float64](target, n, s, s, c), tensorOf[float64](hidden, n, s, s, 1))
		want := naiveInpainting(pred, target, hidden, c, seen)
		if got := out[0].Value().(float64); !(math.Abs(got-want) <= 1e-12*max(1, want)) {
			t.Errorf("seen %g: got %v, want %v", seen, got, want)
		}
		for k, x := range [][]float64{pred, target} {
			gradient := tensors.MustCopyFlatData[float64](out[1+k])
			for i := range x {
				// Of a polynomial of degree 2 central differences are exact but for rounding.
				slope := central(x, i, func() float64 { return naiveInpainting(pred, target, hidden, c, seen) })
				if !(math.Abs(gradient[i]-slope) <= 1e-8) {
					t.Errorf("seen %g: derivative %d by input %d is %v, want %v", seen, i, k, gradient[i], slope)
				}
			}
		}
		got := callN(t, func(in []*Node) []*Node { return []*Node{Inpainting(in[0], in[1], in[2], seen)} },
			tensorOf[float32](pred, n, s, s, c), tensorOf[float32](target, n, s, s, c), tensorOf[float32](hidden, n, s, s, 1))[0].Value().(float32)
		// float32 sums of 96 terms of up to about 10.
		if !(math.Abs(float64(got)-want) <= 1e-5*max(1, want)) {
			t.Errorf("seen %g: float32: got %v, want %v", seen, got, want)
		}
	}
}

// The border counts exactly ten times: "overlapL2Weight = 10" on a matrix that is 10*wtl2, and wtl2 within. Reference: train.lua
// of pathak22/context-encoder; Pathak et al. 2016, Sec. 5.1.
func TestPaperInpaintingOverlapCountsTenTimes(t *testing.T) {
	const s = 4
	derivative := func(row, col int) float64 {
		pred := make([]float64, s*s)
		pred[row*s+col] = 0.5
		out := callN(t, func(in []*Node) []*Node { return Gradient(Inpainting(in[0], ZerosLike(in[0]), in[1], 10), in[0]) },
			tensorOf[float64](pred, 1, s, s, 1), tensorOf[float64](holey(1, s), 1, s, s, 1))
		return tensors.MustCopyFlatData[float64](out[0])[row*s+col]
	}
	within, border, corner := derivative(1, 2), derivative(0, 1), derivative(3, 3)
	if within != 2*0.5/(s*s) || border != 10*within || corner != 10*within {
		t.Errorf("derivatives %g within, %g on the border, %g in the corner: want 1/16 and ten times that", within, border, corner)
	}
}

func TestInpaintingRejects(t *testing.T) {
	x, m := tensorOf[float32](cube(1, 1, 4, 3), 1, 2, 2, 3), tensorOf[float32](cube(1, 1, 4, 1), 1, 2, 2, 1)
	fn := func(seen float64) func(in []*Node) *Node {
		return func(in []*Node) *Node { return Inpainting(in[0], in[1], in[2], seen) }
	}
	for _, c := range []struct {
		want string
		seen float64
		in   []any
	}{
		{"pred must be [N, H, W, C]", 1, []any{[]float32{1}, x, m}},
		{"pred must be [N, H, W, C]", 1, []any{[][][][]int32{{{{1}}}}, x, m}},
		{"target must be as pred", 1, []any{x, m, m}},
		{"hidden must be (Float32)[1, 2, 2, 1]", 1, []any{x, x, x}},
		{"hidden must be", 1, []any{x, x, tensorOf[float64](cube(1, 1, 4, 1), 1, 2, 2, 1)}},
		{"seen pixels is -1", -1, []any{x, x, m}},
		{"seen pixels is NaN", math.NaN(), []any{x, x, m}},
	} {
		if _, err := CallOnce(open(t), fn(c.seen), c.in...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleInpainting() {
	pred := [][][][]float32{{{{0}, {0}, {0}, {0}}}}
	target := [][][][]float32{{{{0.1}, {1}, {2}, {0}}}}
	hidden := [][][][]float32{{{{0}, {1}, {1}, {0}}}} // the outer two were seen
	fmt.Println(MustExecOnce(pureGo(), func(in []*Node) *Node { return Inpainting(in[0], in[1], in[2], 10) }, pred, target, hidden).Value())
	// Output: 1.275
}
