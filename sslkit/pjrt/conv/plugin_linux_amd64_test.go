//go:build cgo && !noxla

package conv_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

func open(t testing.TB) compute.Backend {
	t.Helper()
	backend, choice, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	if choice.Conv == "" {
		t.Skip("no fast convolutions here: ", choice.Why)
	}
	return backend
}

// xlas leaves a program as it is, so that XLA convolves.
func xlas(program string) (string, int) { return program, 0 }

// A shape is a convolution of x [n, h, w, c] to o channels, with a square kernel.
type shape struct {
	n, h, w, c, o, kernel, stride int

	pads [][2]int // nil: as much as keeps the size at stride 1
}

func (s shape) String() string {
	return fmt.Sprintf("%dx%dx%dx%d to %d, kernel %d, stride %d%s", s.n, s.h, s.w, s.c, s.o, s.kernel, s.stride,
		strings.ReplaceAll(fmt.Sprintf(", pads %v", s.pads), ", pads []", ""))
}

func (s shape) convolve(x, w *Node) *Node {
	c := Convolve(x, w).Strides(s.stride)
	if s.pads != nil {
		return c.PaddingPerDim(s.pads).Done()
	}
	return c.PadSame().Done()
}

func (s shape) image() *tensors.Tensor   { return random(1, s.n, s.h, s.w, s.c) }
func (s shape) weights() *tensors.Tensor { return random(2, s.kernel, s.kernel, s.c, s.o) }

func random(seed uint64, dims ...int) *tensors.Tensor {
	rnd := rand.New(rand.NewPCG(1, seed))
	size := 1
	for _, d := range dims {
		size *= d
	}
	x := make([]float32, size)
	for i := range x {
		x[i] = float32(rnd.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(x, dims...)
}

// weighted is a sum of y's values in which each counts differently.
func weighted(y *Node) *Node {
	return ReduceAllSum(Mul(y, Sin(MulScalar(IotaFull(y.Graph(), y.Shape()), 1.7))))
}

// A result is what a convolution gives: y, and the gradients of a weighted sum of y to x and to the weights.
type result [3][]float32

var names = [3]string{"result", "gradient to the data", "gradient to the weights"}

// compileWith calls f, which compiles, with programs rewritten by rewrite, and returns how many calls that put in.
func compileWith(rewrite func(string) (string, int), f func()) (calls int) {
	defer conv.RewriteWith(func(program string) (string, int) {
		out, n := rewrite(program)
		calls += n
		return out, n
	})()
	f()
	return calls
}

// convolve computes all shapes in one program, which is rewritten by rewrite.
func convolve(t testing.TB, backend compute.Backend, all []shape, rewrite func(string) (string, int)) (results []result, calls int) {
	t.Helper()
	var in []any
	for _, s := range all {
		in = append(in, s.image(), s.weights())
	}
	out, calls := calculate(t, backend, in, rewrite, func(in []*Node) (out []*Node) {
		for i, s := range all {
			x, w := in[2*i], in[2*i+1]
			y := s.convolve(x, w)
			out = append(append(out, y), Gradient(weighted(y), x, w)...)
		}
		return out
	})
	results = make([]result, len(all))
	for i, values := range out {
		results[i/3][i%3] = values
	}
	return results, calls
}

// calculate returns what a program gives, which is rewritten by rewrite.
func calculate(t testing.TB, backend compute.Backend, in []any, rewrite func(string) (string, int), build func(in []*Node) []*Node) (results [][]float32, calls int) {
	t.Helper()
	exec := MustNewExec(backend, build)
	defer exec.Finalize()
	var out []*tensors.Tensor
	var err error
	calls = compileWith(rewrite, func() { out, err = exec.Call(in...) })
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range out {
		results = append(results, tensors.MustCopyFlatData[float32](values))
	}
	return results, calls
}

// apart says how far two results are apart at most, relative to the largest value.
func apart(got, want []float32) float64 {
	var largest, difference float64
	for i := range want {
		largest = max(largest, math.Abs(float64(want[i])))
		if d := math.Abs(float64(got[i] - want[i])); !(d <= difference) {
			difference = d // NaN too
		}
	}
	return difference / max(largest, math.SmallestNonzeroFloat32)
}

// Sums of up to 10,000 products in float32, in another order.
const tolerance = 1e-5

// check compares the kernels' results with XLA's.
func check(t testing.TB, got, want result) (wrong []string) {
	t.Helper()
	for i, name := range names {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("%s: %d values, want %d", name, len(got[i]), len(want[i]))
		}
		if d := apart(got[i], want[i]); !(d <= tolerance) {
			wrong = append(wrong, fmt.Sprintf("%s: %g from XLA's, relative to the largest value", name, d))
		}
	}
	return wrong
}

func TestAgainstXLA(t *testing.T) {
	backend := open(t)
	shapes := []shape{
		{n: 2, h: 5, w: 6, c: 8, o: 16, kernel: 1, stride: 2}, {n: 2, h: 9, w: 9, c: 8, o: 16, kernel: 5, stride: 1},
		{n: 2, h: 10, w: 9, c: 8, o: 16, kernel: 7, stride: 2}, {n: 2, h: 11, w: 10, c: 8, o: 8, kernel: 3, stride: 3},
		{n: 2, h: 1, w: 1, c: 8, o: 16, kernel: 3, stride: 1}, {n: 33, h: 4, w: 4, c: 96, o: 128, kernel: 3, stride: 1},
		{n: 1, h: 70, w: 90, c: 16, o: 16, kernel: 3, stride: 1}, {n: 2, h: 40, w: 200, c: 32, o: 16, kernel: 3, stride: 2}, // larger than what is copied at a time
	}
	for _, pads := range [][][2]int{{{0, 0}, {0, 0}}, {{0, 1}, {2, 1}}} {
		for stride := 1; stride <= 2; stride++ {
			shapes = append(shapes, shape{3, 9, 7, 8, 16, 3, stride, pads})
		}
	}
	for _, channels := range [][2]int{{1, 8}, {3, 16}, {8, 8}, {16, 16}, {16, 32}, {24, 40}, {32, 64}, {64, 72}, {5, 24}, {16, 3}, {7, 12}} {
		shapes = append(shapes, shape{3, 8, 8, channels[0], channels[1], 3, 1, nil}, shape{3, 8, 8, channels[0], channels[1], 3, 2, nil},
			shape{3, 9, 7, channels[0], channels[1], 3, 2, nil})
	}
	wantCalls := 0
	for _, s := range shapes {
		if s.o%8 == 0 {
			wantCalls += 2 // forward, and to the weights
		}
		if s.c%8 == 0 {
			wantCalls++ // to the data
		}
	}
	got, calls := convolve(t, backend, shapes, conv.Rewrite)
	want, _ := convolve(t, backend, shapes, xlas)
	if calls != wantCalls {
		t.Errorf("%d calls of kernels, want %d", calls, wantCalls)
	}
	for i, s := range shapes {
		for _, wrong := range check(t, got[i], want[i]) {
			t.Errorf("%v: %s", s, wrong)
		}
	}
	if err := conv.Refused(); err != nil {
		t.Error(err)
	}
}

// What TestAgainstXLA says must depend on what the kernels do.
func TestWrongKernelsAreFound(t *testing.T) {
	backend := open(t)
	s := []shape{{3, 8, 8, 16, 16, 3, 2, nil}}
	want, _ := convolve(t, backend, s, xlas)
	for name, mistake := range map[string][2]string{
		"the result":                  {"left = 1 : i64, stride = 2 : i64, top = 1 : i64},\n      call_target_name = \"sslkit_conv\"", "left = 0 : i64, stride = 2 : i64, top = 1 : i64},\n      call_target_name = \"sslkit_conv\""},
		"the gradient to the data":    {"exchanged = 1", "exchanged = 0"},
		"the gradient to the weights": {"top = 1 : i64},\n      call_target_name = \"sslkit_conv_gradient\"", "top = 0 : i64},\n      call_target_name = \"sslkit_conv_gradient\""},
	} {
		planted := false
		got, calls := convolve(t, backend, s, func(program string) (string, int) {
			out, n := conv.Rewrite(program)
			planted = strings.Contains(out, mistake[0])
			return strings.Replace(out, mistake[0], mistake[1], 1), n
		})
		if wrong := check(t, got[0], want[0]); calls != 3 || !planted || len(wrong) != 1 {
			t.Errorf("a mistake in %s, planted %v: found %q, with %d calls; want it and nothing else", name, planted, wrong, calls)
		}
	}
}

// The order of sums depends on the shape alone.
func TestBitsDependOnTheShapeAlone(t *testing.T) {
	backend := open(t)
	before := conv.UseLanes(8)
	defer conv.UseLanes(before)
	shapes := []shape{{64, 16, 16, 16, 48, 3, 1, nil}, {17, 16, 15, 24, 40, 3, 2, nil}, {5, 6, 6, 128, 96, 3, 1, nil}}
	want, _ := convolve(t, backend, shapes, conv.Rewrite)
	for _, lanes := range []int{8, before} {
		conv.UseLanes(lanes)
		got, calls := convolve(t, backend, shapes, conv.Rewrite)
		if calls != 3*len(shapes) {
			t.Errorf("%d calls of kernels, want %d", calls, 3*len(shapes))
		}
		for k, s := range shapes {
			for i := range names {
				for j, v := range got[k][i] {
					if math.Float32bits(v) != math.Float32bits(want[k][i][j]) {
						t.Fatalf("%v, %d lanes: %s: value %d is %v, was %v", s, lanes, names[i], j, v, want[k][i][j])
					}
				}
			}
		}
	}
}

// A convolution is linear in x and in the weights, so that central differences with a long step are exact to rounding.
func TestFiniteDifferences(t *testing.T) {
	backend := open(t)
	for _, s := range []shape{{2, 6, 5, 8, 16, 3, 1, nil}, {2, 7, 6, 16, 24, 3, 2, nil}} {
		exec := MustNewExec(backend, func(x, w, dx, dw *Node) []*Node {
			f := func(x, w *Node) *Node { return weighted(s.convolve(x, w)) }
			g := Gradient(f(x, w), x, w)
			half := func(a, b *Node) *Node { return DivScalar(Sub(a, b), 2) }
			return []*Node{
				ReduceAllSum(Mul(g[0], dx)), half(f(Add(x, dx), w), f(Sub(x, dx), w)),
				ReduceAllSum(Mul(g[1], dw)), half(f(x, Add(w, dw)), f(x, Sub(w, dw))),
			}
		})
		var out []*tensors.Tensor
		var err error
		calls := compileWith(conv.Rewrite, func() {
			out, err = exec.Call(s.image(), s.weights(), random(3, s.n, s.h, s.w, s.c), random(4, s.kernel, s.kernel, s.c, s.o))
		})
		if err != nil {
			t.Fatal(err)
		}
		if calls < 6 {
			t.Errorf("%v: %d calls of kernels, want those of all convolutions and 2 gradients", s, calls)
		}
		for i := 0; i < 4; i += 2 {
			got, want := float64(tensors.ToScalar[float32](out[i])), float64(tensors.ToScalar[float32](out[i+1]))
			if math.Abs(got-want) > 1e-4*max(100, math.Abs(want)) { // sums of thousands of values about 10
				t.Errorf("%v: %s along a direction is %v, by differences %v", s, names[1+i/2], got, want)
			}
		}
	}
}

// A program that the plugin refuses is compiled as it was, and that is said.
func TestRefused(t *testing.T) {
	backend := open(t)
	s := []shape{{1, 4, 4, 8, 8, 3, 1, nil}}
	want, _ := convolve(t, backend, s, xlas)
	got, calls := convolve(t, backend, s, func(program string) (string, int) {
		out, n := conv.Rewrite(program)
		return strings.ReplaceAll(out, "sslkit_conv", "sslkit_none"), n
	})
	if wrong := check(t, got[0], want[0]); calls != 3 || len(wrong) > 0 {
		t.Errorf("%q, with %d calls", wrong, calls)
	}
	if err := conv.ForgetRefused(); err == nil || !strings.Contains(err.Error(), "sslkit_none") {
		t.Errorf("refused: %v, want the name that the plugin does not know", err)
	}
}
