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

// A shape is a convolution of x [n, h, w, c] to o channels.
type shape struct{ n, h, w, c, o, kernel, stride int }

func (s shape) String() string {
	return fmt.Sprintf("%dx%dx%dx%d to %d, kernel %d, stride %d", s.n, s.h, s.w, s.c, s.o, s.kernel, s.stride)
}

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

// A result is what a convolution gives: y, and the gradients of a weighted sum of y to x and to the weights.
type result [3][]float32

var names = [3]string{"result", "gradient to the data", "gradient to the weights"}

// convolve computes with programs rewritten by f, and returns how many calls that put in.
func convolve(t testing.TB, backend compute.Backend, s shape, f func(string) (string, int), pad func(*ConvolutionBuilder)) (r result, calls int) {
	t.Helper()
	defer conv.RewriteWith(func(program string) (string, int) {
		out, n := f(program)
		calls += n
		return out, n
	})()
	exec := MustNewExec(backend, func(x, w *Node) []*Node {
		c := Convolve(x, w).Strides(s.stride)
		pad(c)
		y := c.Done()
		weight := Sin(MulScalar(IotaFull(x.Graph(), y.Shape()), 1.7))
		return append([]*Node{y}, Gradient(ReduceAllSum(Mul(y, weight)), x, w)...)
	})
	defer exec.Finalize()
	out, err := exec.Call(random(1, s.n, s.h, s.w, s.c), random(2, s.kernel, s.kernel, s.c, s.o))
	if err != nil {
		t.Fatal(s, err)
	}
	for i := range out {
		r[i] = tensors.MustCopyFlatData[float32](out[i])
	}
	return r, calls
}

func same(c *ConvolutionBuilder) { c.PadSame() }

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
	var shapes []shape
	for _, channels := range [][2]int{{1, 8}, {3, 16}, {8, 8}, {16, 16}, {16, 32}, {24, 40}, {32, 64}, {64, 72}, {5, 24}, {16, 3}, {7, 12}} {
		for _, size := range [][2]int{{8, 8}, {9, 7}} {
			for _, stride := range []int{1, 2} {
				shapes = append(shapes, shape{3, size[0], size[1], channels[0], channels[1], 3, stride})
			}
		}
	}
	shapes = append(shapes,
		shape{2, 5, 6, 8, 16, 1, 2}, shape{2, 9, 9, 8, 16, 5, 1}, shape{2, 10, 9, 8, 16, 7, 2}, shape{2, 11, 10, 8, 8, 3, 3}, shape{2, 1, 1, 8, 16, 3, 1},
		shape{1, 70, 90, 16, 16, 3, 1}, shape{33, 4, 4, 96, 128, 3, 1}, shape{2, 40, 200, 32, 16, 3, 2}) // images larger than what is copied at a time
	pads := map[string]func(*ConvolutionBuilder){
		"same": same, "none": func(c *ConvolutionBuilder) { c.NoPadding() },
		"uneven": func(c *ConvolutionBuilder) { c.PaddingPerDim([][2]int{{0, 1}, {2, 1}}) },
	}
	for _, s := range shapes {
		for name, pad := range pads {
			if name != "same" && (s.kernel != 3 || s.h < 3 || s.h > 40 || s.c == 64) {
				continue
			}
			got, calls := convolve(t, backend, s, conv.Rewrite, pad)
			wantCalls := 0
			if s.o%8 == 0 {
				wantCalls += 2 // forward, and to the weights
			}
			if s.c%8 == 0 {
				wantCalls++ // to the data
			}
			if calls != wantCalls {
				t.Errorf("%v, padding %s: %d calls of kernels, want %d", s, name, calls, wantCalls)
			}
			want, _ := convolve(t, backend, s, xlas, pad)
			for _, wrong := range check(t, got, want) {
				t.Errorf("%v, padding %s: %s", s, name, wrong)
			}
		}
	}
}

// What TestAgainstXLA says must depend on what the kernels do.
func TestWrongKernelsAreFound(t *testing.T) {
	backend := open(t)
	s := shape{3, 8, 8, 16, 16, 3, 2}
	want, _ := convolve(t, backend, s, xlas, same)
	for _, mistake := range [][2]string{{"left = 1", "left = 0"}, {"exchanged = 1", "exchanged = 0"}, {`"sslkit_conv_gradient"`, "left = 1"}} {
		got, calls := convolve(t, backend, s, func(program string) (string, int) {
			out, n := conv.Rewrite(program)
			if strings.HasPrefix(mistake[0], `"`) { // in the gradient to the weights alone
				i := strings.Index(out, mistake[0])
				i = strings.LastIndex(out[:i], mistake[1])
				return out[:i] + "left = 0" + out[i+len(mistake[1]):], n
			}
			return strings.ReplaceAll(out, mistake[0], mistake[1]), n
		}, same)
		if wrong := check(t, got, want); calls != 3 || len(wrong) == 0 {
			t.Errorf("%q: not found, with %d calls", mistake, calls)
		}
	}
}

// The order of sums depends on the shape alone.
func TestBitsDependOnTheShapeAlone(t *testing.T) {
	backend := open(t)
	before := conv.UseLanes(8)
	defer conv.UseLanes(before)
	for _, s := range []shape{{64, 16, 16, 16, 48, 3, 1}, {17, 16, 15, 24, 40, 3, 2}, {5, 6, 6, 128, 96, 3, 1}} {
		want, _ := convolve(t, backend, s, conv.Rewrite, same)
		for _, lanes := range []int{8, before, before} {
			conv.UseLanes(lanes)
			got, calls := convolve(t, backend, s, conv.Rewrite, same)
			for i := range got {
				for j := range got[i] {
					if math.Float32bits(got[i][j]) != math.Float32bits(want[i][j]) {
						t.Fatalf("%v, %d lanes: %s: value %d is %v, was %v", s, lanes, names[i], j, got[i][j], want[i][j])
					}
				}
			}
			if calls != 3 {
				t.Errorf("%v: %d calls of kernels, want 3", s, calls)
			}
		}
	}
}

// A convolution is linear in x and in the weights, so that central differences with a long step are exact to rounding.
func TestFiniteDifferences(t *testing.T) {
	backend := open(t)
	for _, s := range []shape{{2, 6, 5, 8, 16, 3, 1}, {2, 7, 6, 16, 24, 3, 2}} {
		var calls int
		undo := conv.RewriteWith(func(program string) (string, int) {
			out, n := conv.Rewrite(program)
			calls += n
			return out, n
		})
		exec := MustNewExec(backend, func(x, w, dx, dw *Node) []*Node {
			f := func(x, w *Node) *Node {
				y := Convolve(x, w).Strides(s.stride).PadSame().Done()
				return ReduceAllSum(Mul(y, Sin(MulScalar(IotaFull(x.Graph(), y.Shape()), 1.7))))
			}
			g := Gradient(f(x, w), x, w)
			half := func(a, b *Node) *Node { return DivScalar(Sub(a, b), 2) }
			return []*Node{
				ReduceAllSum(Mul(g[0], dx)), half(f(Add(x, dx), w), f(Sub(x, dx), w)),
				ReduceAllSum(Mul(g[1], dw)), half(f(x, Add(w, dw)), f(x, Sub(w, dw))),
			}
		})
		x, w := []int{s.n, s.h, s.w, s.c}, []int{s.kernel, s.kernel, s.c, s.o}
		out, err := exec.Call(random(1, x...), random(2, w...), random(3, x...), random(4, w...))
		undo()
		if err != nil {
			t.Fatal(err)
		}
		if calls < 6 {
			t.Errorf("%v: %d calls of kernels, want those of all of 5 convolutions and 2 gradients", s, calls)
		}
		for i := 0; i < 4; i += 2 {
			got, want := float64(tensors.ToScalar[float32](out[i])), float64(tensors.ToScalar[float32](out[i+1]))
			if math.Abs(got-want) > 1e-4*max(100, math.Abs(want)) { // sums of thousands of values about 10
				t.Errorf("%v: %s along a direction is %v, by differences %v", s, names[1+i/2], got, want)
			}
		}
	}
}
