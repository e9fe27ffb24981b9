package nn

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// "If the input layer has m feature maps of size n x n [...] the number of parameters in this channel-wise fully-connected layer
// is mn^4, compared to m^2n^4 parameters in a fully-connected layer (ignoring the bias term)." Each channel is a product of its
// own. Reference: Pathak et al. 2016, Sec. 3.1, "Channel-wise fully-connected layer".
func TestPaperChannelDense(t *testing.T) {
	const batch, n, m = 2, 3, 4
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		x := random[float64](batch, n, n, m)
		run(t, backend, store, true, ChannelDense, x)
		shake(t, store)
		got, v, in := flat(t, run(t, backend, store, true, ChannelDense, x)), snapshot(t, store), flat(t, x)
		weights, biases := v["/weights"], v["/biases"]
		if len(weights) != m*n*n*n*n || len(biases) != m*n*n {
			t.Fatalf("%d weights and %d biases, want %d and %d", len(weights), len(biases), m*n*n*n*n, m*n*n)
		}
		want := make([]float64, len(in))
		for i := range batch {
			for to := range n * n {
				for c := range m {
					sum := biases[to*m+c]
					for from := range n * n {
						sum += in[(i*n*n+from)*m+c] * weights[(c*n*n+from)*n*n+to]
					}
					want[(i*n*n+to)*m+c] = sum
				}
			}
		}
		near(t, "map", got, want, 1e-12)
		store, x = newStore(t, 1), random[float64](1, 2, 2, 2)
		run(t, backend, store, true, ChannelDense, x)
		checkGradient(t, backend, store, ChannelDense, x)
	})
}

func TestDouble(t *testing.T) {
	x := random[float64](2, 2, 3, 2)
	got, in := flat(t, run(t, goBackend(t), newStore(t, 1), false, func(_ *model.Scope, x *Node) *Node { return double(x) }, x)), flat(t, x)
	for i, v := range got {
		c, col, row, n := i%2, i/2%6, i/12%4, i/48
		if want := in[((n*2+row/2)*3+col/2)*2+c]; v != want {
			t.Fatalf("pixel (%d, %d) of image %d is %g, want %g", row, col, n, v, want)
		}
	}
}

func TestDecoder(t *testing.T) {
	for _, c := range []struct{ h, side, layers int }{{8, 16, 2}, {7, 28, 3}, {4, 4, 1}} {
		store := newStore(t, 1)
		dims := outline(t, goBackend(t), store, shapes.Make(dtypes.Float32, 2, c.h, c.h, 5), func(scope *model.Scope, x *Node) []*Node {
			return []*Node{Decoder(scope, x, c.side, 6, 3)}
		})
		if !slices.Equal(dims[0], []int{2, c.side, c.side, 3}) {
			t.Errorf("from %d to %d: the image is %v", c.h, c.side, dims[0])
		}
		channels := map[int]int{}
		for v := range store.IterVariables() {
			if strings.HasSuffix(v.Path(), "conv/weights") {
				channels[v.Shape().Dim(3)]++
			}
		}
		for i := range c.layers {
			if channels[6<<i] != 1 || len(channels) != c.layers {
				t.Errorf("from %d to %d: layers of %v channels, want %d, doubling from 6", c.h, c.side, channels, c.layers)
			}
		}
	}
}

// GoMLX's transposed convolution has no gradient; this has, through batch norm and all.
func TestDecoderGradient(t *testing.T) {
	decoder := func(scope *model.Scope, x *Node) *Node { return Decoder(scope, x, 4, 2, 1) }
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		x := random[float64](2, 2, 2, 2)
		run(t, backend, store, true, decoder, x)
		shake(t, store)
		checkGradient(t, backend, store, decoder, x)
	})
}

func TestCritic(t *testing.T) {
	critic := func(scope *model.Scope, x *Node) *Node { return Critic(scope, x, 2) }
	for side, layers := range map[int]int{4: 0, 14: 2, 16: 2, 28: 3, 32: 3} {
		store := newStore(t, 1)
		dims := outline(t, goBackend(t), store, shapes.Make(dtypes.Float32, 3, side, side, 1), func(scope *model.Scope, x *Node) []*Node {
			return []*Node{critic(scope, x)}
		})
		var convs, norms int
		for v := range store.IterVariables() {
			if strings.HasSuffix(v.Path(), "conv/weights") {
				convs++
			}
			if strings.HasSuffix(v.Path(), "norm/scale") {
				norms++
			}
		}
		if !slices.Equal(dims[0], []int{3}) || convs != layers || norms != max(0, layers-1) {
			t.Errorf("side %d: logits %v from %d convolutions and %d norms, want [3], %d and one less", side, dims[0], convs, norms, layers)
		}
	}
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		x := random[float64](2, 9, 9, 1)
		run(t, backend, store, true, critic, x)
		shake(t, store)
		checkGradient(t, backend, store, critic, x)
	})
}

func TestPaintPanics(t *testing.T) {
	decoder := func(side int) layer {
		return func(scope *model.Scope, x *Node) *Node { return Decoder(scope, x, side, 2, 1) }
	}
	maps := shapes.Make(dtypes.Float32, 2, 8, 8, 1)
	wantPanic(t, "must double to the side 15", maps, decoder(15))
	wantPanic(t, "must double to the side 4", maps, decoder(4))
	wantPanic(t, "a square map", shapes.Make(dtypes.Float32, 2, 8, 4, 1), decoder(16))
	wantPanic(t, "nn.ChannelDense", shapes.Make(dtypes.Float32, 2, 8), ChannelDense)
	wantPanic(t, "nn.Critic", shapes.Make(dtypes.Float32, 2, 8), func(scope *model.Scope, x *Node) *Node { return Critic(scope, x, 2) })
}
