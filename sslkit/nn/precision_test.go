package nn

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func round16(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(bfloat16.FromFloat32(float32(v)).Float32())
	}
	return out
}

// inMixed is f under MixedPrecision.
func inMixed(f func(scope *model.Scope, x *Node) *Node) func(scope *model.Scope, x *Node) *Node {
	return func(scope *model.Scope, x *Node) *Node {
		MixedPrecision(scope, x.Graph())
		return f(scope, x)
	}
}

// A product is that of operands rounded to bfloat16, rounded once more; the bias is added in float32.
func TestMixedDense(t *testing.T) {
	dense := func(scope *model.Scope, x *Node) *Node { return Dense(scope, x, true, 3) }
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		x := random[float32](4, 2, 5)
		before := flat(t, run(t, backend, store, false, dense, x))
		set(t, store, "/dense/biases", []float64{100.03, 0, -3})
		w, b := round16(flat(t, store.GetVariable("/dense/weights").MustValue())), flat(t, store.GetVariable("/dense/biases").MustValue())
		in := round16(flat(t, x))
		got := flat(t, run(t, backend, store, false, inMixed(dense), x))
		full := flat(t, run(t, backend, store, false, dense, x))
		differ := 0
		for i := range got {
			var y float64
			for j := range 5 {
				y += in[i/3*5+j] * w[j*3+i%3]
			}
			// Half of a unit in the last of 8 bits, and the sum's own rounding; where that decides, the other neighbour.
			if want := y + b[i%3]; !(math.Abs(got[i]-want) <= math.Abs(y)/256+1e-5) {
				t.Errorf("value %d is %v, want %v", i, got[i], want)
			}
			if got[i] != full[i] {
				differ++
			}
		}
		if differ < len(got)/2 || len(before) != len(got) {
			t.Errorf("%d of %d values differ from those in float32: nothing was rounded", differ, len(got))
		}
		for v := range store.IterVariables() {
			if v.DType() == dtypes.BFloat16 {
				t.Errorf("%s is kept in bfloat16", v.Path())
			}
		}
	})
}

// What is built of products agrees with float32 to the rounding of several in a row, has the same variables, float32 gradients,
// and differs at all; norms are not touched.
func TestMixedLayers(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for name, test := range map[string]struct {
			f      func(scope *model.Scope, x *Node) *Node
			x      *tensors.Tensor
			rounds bool
		}{
			"conv 3x3":     {func(scope *model.Scope, x *Node) *Node { return Conv(scope, x, 8, 3, 2, true) }, random[float32](2, 6, 6, 8), true},
			"conv 1x1":     {func(scope *model.Scope, x *Node) *Node { return Conv(scope, x, 8, 1, 1, false) }, random[float32](2, 4, 4, 8), true},
			"transformer":  {func(scope *model.Scope, x *Node) *Node { return Transformer(scope, x, 1, 2, false) }, random[float32](2, 3, 8), true},
			"causal":       {func(scope *model.Scope, x *Node) *Node { return Transformer(scope, x, 1, 2, true) }, random[float32](2, 3, 8), true},
			"channelwise":  {ChannelDense, random[float32](2, 3, 3, 4), true},
			"batch norm":   {BatchNorm, random[float32](4, 3, 3, 2), false},
			"layer norm":   {LayerNorm, random[float32](4, 3, 8), false},
			"products f64": {func(scope *model.Scope, x *Node) *Node { return Dense(scope, x, true, 3) }, random[float64](4, 5), false},
		} {
			store := newStore(t, 1)
			withGradient := func(scope *model.Scope, x *Node) *Node {
				y := test.f(scope, x)
				g := Gradient(ReduceAllSum(Mul(y, Sin(IotaFull(y.Graph(), y.Shape())))), x)[0]
				return Concatenate([]*Node{Reshape(y, -1), Reshape(g, -1)}, 0)
			}
			want := flat(t, run(t, backend, store, true, withGradient, test.x))
			variables := 0
			for range store.IterVariables() {
				variables++
			}
			got := flat(t, run(t, backend, store, true, inMixed(withGradient), test.x))
			for range store.IterVariables() {
				variables--
			}
			var largest, apart float64
			for i := range want {
				largest, apart = max(largest, math.Abs(want[i])), max(apart, math.Abs(got[i]-want[i]))
			}
			if variables != 0 || !(apart <= 0.03*largest) || (apart > 1e-6*largest) != test.rounds {
				t.Errorf("%s: %g apart, of %g, and %d variables fewer", name, apart, largest, variables)
			}
		}
	})
}
