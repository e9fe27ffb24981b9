package nn

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// seen calls visit with the position in the input of what output pixel (i, j) sees through a window of size k, and with the
// position in the window, leaving out the padding.
func seen(i, j, h, w, k, stride int, visit func(y, x, inWindow int)) {
	for a := range k {
		for b := range k {
			y, x := i*stride+a-(k-1)/2, j*stride+b-(k-1)/2
			if y >= 0 && y < h && x >= 0 && x < w {
				visit(y, x, a*k+b)
			}
		}
	}
}

// naiveConv is the definition. x is [n, h, w, c], weights [k, k, c, d].
func naiveConv(x, weights, biases []float64, n, h, w, c, d, k, stride int) []float64 {
	var out []float64
	for m := range n {
		for i := range (h + stride - 1) / stride {
			for j := range (w + stride - 1) / stride {
				for o := range d {
					sum := biases[o]
					seen(i, j, h, w, k, stride, func(y, z, p int) {
						for l := range c {
							sum += x[((m*h+y)*w+z)*c+l] * weights[(p*c+l)*d+o]
						}
					})
					out = append(out, sum)
				}
			}
		}
	}
	return out
}

var convCases = []struct{ h, w, kernel, stride int }{
	{4, 5, 1, 1}, {4, 5, 3, 1}, {5, 4, 5, 1}, {4, 4, 3, 2}, {5, 5, 3, 2}, {5, 4, 1, 2}, {7, 7, 3, 3}, {1, 1, 5, 1},
}

func TestConv(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, c := range convCases {
			conv := func(scope *model.Scope, x *Node) *Node { return Conv(scope, x, 3, c.kernel, c.stride, true) }
			store, x := newStore(t, 1), random[float32](2, c.h, c.w, 2)
			run(t, backend, store, false, conv, x)
			biases := []float64{1, -2, 3}
			set(t, store, "/biases", biases)
			want := naiveConv(flat(t, x), flat(t, store.GetVariable("/weights").MustValue()), biases, 2, c.h, c.w, 2, 3, c.kernel, c.stride)
			y := run(t, backend, store, false, conv, x)
			if d := y.Shape().Dimensions; d[1] != (c.h+c.stride-1)/c.stride || d[2] != (c.w+c.stride-1)/c.stride {
				t.Errorf("%+v: got %s", c, y.Shape())
			}
			near(t, "convolution", flat(t, y), want, 1e-5) // float32 sums of up to 50 products
		}
	})
}

func TestConvGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, c := range convCases[:6] {
			checkGradient(t, backend, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
				return Conv(scope, x, 2, c.kernel, c.stride, true)
			}, random[float64](2, c.h, c.w, 2))
		}
	})
}

// TestConvForm holds that XLA gets its own convolution and pure Go does not: it would be right, but slow.
func TestConvForm(t *testing.T) {
	for _, backend := range backends(t) {
		g := NewGraph(backend, "form")
		y := Conv(newStore(t, 1).RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, 1, 4, 4, 1)), 2, 3, 1, false)
		if own := y.Type() == NodeTypeConvGeneral; own != (backend.Name() == "xla") {
			t.Errorf("%s: a node of type %s", backend.Name(), y.Type())
		}
		g.Finalize()
	}
}

// Zero mean and a standard deviation of sqrt(2/n_l), n = k*k*d. Reference: He et al. 2015, Sec. 2.2, Eq. 14.
func TestPaperConvInit(t *testing.T) {
	store := newStore(t, 1)
	run(t, goBackend(t), store, false, func(scope *model.Scope, x *Node) *Node { return Conv(scope, x, 64, 3, 1, true) },
		random[float32](1, 2, 2, 32))
	weights := flat(t, store.GetVariable("/weights").MustValue()) // 18,432 of them
	mean, variance := moments(weights, 1)
	// The figures of 18,432 draws are off by 0.7 % of a deviation, and by 0.5 %: five times that.
	sigma := math.Sqrt(2. / (9 * 64))
	if math.Abs(mean[0]) > 0.04*sigma || math.Abs(math.Sqrt(variance[0])/sigma-1) > 0.025 {
		t.Errorf("mean %g, deviation %g, want 0 and %g", mean[0], math.Sqrt(variance[0]), sigma)
	}
	near(t, "biases", flat(t, store.GetVariable("/biases").MustValue()), make([]float64, 64), 0)
}

func TestConvPanics(t *testing.T) {
	image := shapes.Make(dtypes.Float32, 1, 4, 4, 1)
	conv := func(channels, kernel, stride int) layer {
		return func(scope *model.Scope, x *Node) *Node { return Conv(scope, x, channels, kernel, stride, false) }
	}
	wantPanic(t, "odd", image, conv(1, 2, 1))
	wantPanic(t, "at least 1", image, conv(0, 3, 1))
	wantPanic(t, "at least 1", image, conv(1, 3, 0))
	wantPanic(t, "[N, H, W, C]", shapes.Make(dtypes.Float32, 4, 4), conv(1, 3, 1))
}
