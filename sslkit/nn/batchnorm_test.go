package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// moments returns the mean and the biased variance of each of c channels.
func moments(x []float64, c int) (mean, variance []float64) {
	mean, variance = make([]float64, c), make([]float64, c)
	n := float64(len(x) / c)
	for i, v := range x {
		mean[i%c] += v / n
	}
	for i, v := range x {
		variance[i%c] += (v - mean[i%c]) * (v - mean[i%c]) / n
	}
	return mean, variance
}

func TestBatchNorm(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, x := range []*tensors.Tensor{random[float32](3, 2, 4, 5), random[float32](6, 5), random[float64](3, 2, 4, 5)} {
			c, values := 5, flat(t, x)
			m := float64(len(values) / c)
			mean, variance := moments(values, c)
			store := newStore(t, 1)
			run(t, backend, store, false, BatchNorm, x) // makes the variables
			scale, offset := []float64{1, 2, -1, 0.5, 0}, []float64{0, 1, 2, -3, 4}
			set(t, store, "/scale", scale)
			set(t, store, "/offset", offset)
			set(t, store, "/mean", []float64{1, 1, 1, 1, 1})
			set(t, store, "/variance", []float64{2, 2, 2, 2, 2})
			normal := func(mean, variance []float64) (want []float64) {
				for i, v := range values {
					i %= c
					want = append(want, (v-mean[i])/math.Sqrt(variance[i]+1e-5)*scale[i]+offset[i])
				}
				return want
			}
			near(t, "training", flat(t, run(t, backend, store, true, BatchNorm, x)), normal(mean, variance), 1e-5)
			runningMean, runningVariance := make([]float64, c), make([]float64, c)
			for i := range c {
				runningMean[i] = 0.9*1 + 0.1*mean[i]
				runningVariance[i] = 0.9*2 + 0.1*variance[i]*m/(m-1)
			}
			near(t, "running mean", flat(t, store.GetVariable("/mean").MustValue()), runningMean, 1e-6)
			near(t, "running variance", flat(t, store.GetVariable("/variance").MustValue()), runningVariance, 1e-6)
			got := flat(t, run(t, backend, store, false, BatchNorm, x))
			near(t, "evaluation", got, normal(runningMean, runningVariance), 1e-5)
		}
	})
}

// A mean of 1e4 leaves float32 values steps of 1e-3; the figures of the values as they are must come out nevertheless.
func TestBatchNormLargeMean(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		x := random[float32](64, 28, 28, 2)
		tensors.MustMutableFlatData(x, func(flat []float32) {
			for i := range flat {
				flat[i] += 1e4
			}
		})
		values := flat(t, x)
		mean, variance := moments(values, 2)
		var want []float64
		for i, v := range values {
			want = append(want, (v-mean[i%2])/math.Sqrt(variance[i%2]+1e-5))
		}
		store := newStore(t, 1)
		// 50,000 numbers of order 1 summed in float32, in any order. Summing numbers of order 1e4 fails this by far.
		near(t, "training", flat(t, run(t, backend, store, true, BatchNorm, x)), want, 1e-4)
		near(t, "running mean", flat(t, store.GetVariable("/mean").MustValue()), []float64{0.1 * mean[0], 0.1 * mean[1]}, 1e-6)
		m := float64(64 * 28 * 28)
		near(t, "running variance", flat(t, store.GetVariable("/variance").MustValue()),
			[]float64{0.9 + 0.1*variance[0]*m/(m-1), 0.9 + 0.1*variance[1]*m/(m-1)}, 1e-5)
	})
}

func TestBatchNormGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, x := range []*tensors.Tensor{random[float64](3, 2, 2, 2), random[float64](5, 2)} {
			store := newStore(t, 1)
			run(t, backend, store, false, BatchNorm, x)
			set(t, store, "/scale", []float64{0.5, -2})
			checkGradient(t, backend, store, BatchNorm, x)
		}
	})
}

// split is BatchNorm over groups of the batch.
func split(groups int) layer {
	return func(scope *model.Scope, x *Node) *Node {
		SplitBatchNorm(scope, x.Graph(), groups)
		return BatchNorm(scope.At("norm"), x)
	}
}

func TestSplitBatchNorm(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, x := range []*tensors.Tensor{random[float32](6, 2, 3, 4), random[float32](6, 4)} {
			const c, groups = 4, 3
			values := flat(t, x)
			var want []float64
			runningMean, runningVariance := make([]float64, c), slices.Repeat([]float64{0.9}, c)
			each := len(values) / groups
			m := float64(each / c)
			for g := range groups {
				part := values[g*each : (g+1)*each]
				mean, variance := moments(part, c)
				for i, v := range part {
					want = append(want, (v-mean[i%c])/math.Sqrt(variance[i%c]+1e-5))
				}
				for i := range c {
					runningMean[i] += 0.1 * mean[i] / groups
					runningVariance[i] += 0.1 * variance[i] * m / (m - 1) / groups
				}
			}
			store := newStore(t, 1)
			// Two values each in the second case: where they are near, epsilon and float32 show.
			near(t, "training", flat(t, run(t, backend, store, true, split(groups), x)), want, 1e-4)
			near(t, "running mean", flat(t, store.GetVariable("/norm/mean").MustValue()), runningMean, 1e-6)
			near(t, "running variance", flat(t, store.GetVariable("/norm/variance").MustValue()), runningVariance, 1e-6)
			whole := newStore(t, 1)
			if got, want := flat(t, run(t, backend, whole, true, split(1), x)), flat(t, run(t, backend, newStore(t, 1), true, BatchNorm, x)); !slices.Equal(got, want) {
				t.Error("one group differs from BatchNorm")
			}
			got := flat(t, run(t, backend, store, false, split(groups), x))
			set(t, whole, "/norm/mean", runningMean)
			set(t, whole, "/norm/variance", runningVariance)
			near(t, "evaluation", got, flat(t, run(t, backend, whole, false, split(1), x)), 1e-5)
		}
		x := random[float64](4, 2, 1, 2)
		checkGradient(t, backend, newStore(t, 1), split(2), x)
		checkGradient(t, backend, newStore(t, 1), split(2), random[float64](6, 2))
	})
}

// A backbone has the split from the scope that it is built under, and no other has it.
func TestSplitBatchNormReachesStages(t *testing.T) {
	for name, b := range small {
		if b.Arch == "vit" {
			continue // it has no batch norm
		}
		x := random[float32](4, 8, 8, 1)
		changed := random[float32](4, 8, 8, 1)
		tensors.MustMutableFlatData(changed, func(flat []float32) { flat[3*64+5] += 3 }) // in the last image
		seen := func(groups int, x *tensors.Tensor) []float64 {
			all := run(t, goBackend(t), newStore(t, 1), true, func(scope *model.Scope, x *Node) *Node {
				SplitBatchNorm(scope.At("net"), x.Graph(), groups)
				Last(b.Stages(scope.At("other"), x))
				return Last(b.Stages(scope.At("net"), x))
			}, x)
			return flat(t, all)
		}
		half := func(y []float64) []float64 { return y[:len(y)/2] }
		if !slices.Equal(half(seen(2, x)), half(seen(2, changed))) {
			t.Errorf("%s: the second group leaks into the first", name)
		}
		if slices.Equal(half(seen(1, x)), half(seen(1, changed))) {
			t.Errorf("%s: one group: this test would not notice a leak", name)
		}
	}
}

func TestShuffled(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		const n = 7
		x := make([]float32, n*2)
		for i := range x {
			x[i] = float32(i)
		}
		orders := map[string]bool{}
		for range 5 {
			var order *Node
			out, err := model.CallOnceN(backend, store, func(scope *model.Scope, x *Node) []*Node {
				y := Shuffled(scope, x, func(x *Node) *Node {
					order = Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1)
					return MulScalar(x, 10)
				})
				return []*Node{y, order}
			}, tensors.FromFlatDataAndDimensions(x, n, 2))
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range flat(t, out[0]) {
				if v != 10*float64(x[i]) {
					t.Fatalf("the rows came back as %v", out[0].Value())
				}
			}
			seen := flat(t, out[1])
			orders[fmt.Sprint(seen)] = true
			slices.Sort(seen)
			near(t, "the rows inside, in order", seen, []float64{0, 2, 4, 6, 8, 10, 12}, 0)
		}
		if len(orders) < 4 { // of 5040
			t.Errorf("five draws gave the orders %v", orders)
		}
	})
}

func TestBatchNormTwice(t *testing.T) {
	// Two views through the same norm in one step, as in SimSiam: each has its own statistics.
	store := newStore(t, 1)
	x := tensors.FromFlatDataAndDimensions([]float32{1, 3}, 2, 1)
	y := run(t, goBackend(t), store, true, func(scope *model.Scope, x *Node) *Node {
		one := BatchNorm(scope.At("norm"), x)
		return Add(one, BatchNorm(scope.At("norm"), MulScalar(x, 10)))
	}, x)
	near(t, "sum", flat(t, y), []float64{-2, 2}, 1e-4) // epsilon, over a variance of 1
	near(t, "running mean", flat(t, store.GetVariable("/norm/mean").MustValue()), []float64{0.9*0.1*2 + 0.1*20}, 1e-6)
}

func TestBatchNormTrainable(t *testing.T) {
	store := newStore(t, 1)
	x := random[float32](3, 2)
	run(t, goBackend(t), store, true, BatchNorm, x)
	trainable := func(path string) bool { return store.GetVariable(path).Trainable }
	if !trainable("/scale") || !trainable("/offset") || trainable("/mean") || trainable("/variance") {
		t.Error("want scale and offset trainable, mean and variance not")
	}
	store.GetVariable("/scale").SetTrainable(false) // frozen by the caller
	store.GetVariable("/mean").SetTrainable(true)   // as a checkpoint leaves it
	run(t, goBackend(t), store, true, BatchNorm, x)
	if trainable("/scale") || trainable("/mean") {
		t.Error("building again made a frozen scale or a running mean trainable")
	}
}

func TestBatchNormPanics(t *testing.T) {
	wantPanic(t, "more than one value", shapes.Make(dtypes.Float32, 1, 1, 1, 3), BatchNorm)
	wantPanic(t, "[N, ..., C]", shapes.Make(dtypes.Float32, 3), BatchNorm)
	wantPanic(t, "batch of 4 is no multiple of the 3 groups", shapes.Make(dtypes.Float32, 4, 3), split(3))
	wantPanic(t, "in 4 group(s)", shapes.Make(dtypes.Float32, 4, 3), split(4))
	wantPanic(t, "at least 1", shapes.Make(dtypes.Float32, 4, 3), split(0))
	wantPanic(t, "[N, ..., C]", shapes.Make(dtypes.Int32, 3, 3), BatchNorm)
}

// Still norms compute in training as in evaluation, and their statistics stay; others go on.
func TestStillBatchNorm(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store, x := newStore(t, 1), random[float32](8, 3)
		two := func(still bool) layer {
			return func(scope *model.Scope, x *Node) *Node {
				if still {
					StillBatchNorm(scope.At("a"), x.Graph())
				}
				return Concatenate([]*Node{BatchNorm(scope.At("a").In("norm"), x), BatchNorm(scope.At("b").In("norm"), x)}, 0)
			}
		}
		run(t, backend, store, true, two(false), x)
		before := snapshot(t, store)
		evaluated := flat(t, run(t, backend, store, false, two(false), x))
		trained := flat(t, run(t, backend, store, true, two(true), x))
		if n := len(evaluated) / 2; !slices.Equal(trained[:n], evaluated[:n]) || slices.Equal(trained[n:], evaluated[n:]) {
			t.Errorf("evaluation gives %v, training %v, of which the first half is to be the same", evaluated, trained)
		}
		for path, values := range snapshot(t, store) {
			if strings.HasSuffix(path, "mean") && slices.Equal(values, before[path]) != strings.HasPrefix(path, "/a/") {
				t.Errorf("%s went from %v to %v", path, before[path], values)
			}
		}
	})
}
