package nn

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// naivePool is both poolings by definition; x is [n, h, w, c].
func naivePool(x []float64, n, h, w, c int) (maxima, means []float64) {
	for m := range n {
		for i := range (h + 1) / 2 {
			for j := range (w + 1) / 2 {
				for l := range c {
					largest, sum := math.Inf(-1), 0.
					seen(i, j, h, w, 3, 2, func(y, z, _ int) {
						v := x[((m*h+y)*w+z)*c+l]
						largest, sum = max(largest, v), sum+v
					})
					maxima, means = append(maxima, largest), append(means, sum/9)
				}
			}
		}
	}
	return maxima, means
}

var poolCases = []struct{ h, w int }{{8, 6}, {7, 4}, {2, 5}, {1, 1}}

func TestPool(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, c := range poolCases {
			x := random[float32](2, c.h, c.w, 3)
			maxima, means := naivePool(flat(t, x), 2, c.h, c.w, 3)
			store := model.NewStore()
			near(t, "maxPool", flat(t, run(t, backend, store, false, func(_ *model.Scope, x *Node) *Node {
				return maxPool(x)
			}, x)), maxima, 0)
			near(t, "avgPool", flat(t, run(t, backend, store, false, func(_ *model.Scope, x *Node) *Node {
				return avgPool(x)
			}, x)), means, 1e-6)
		}
	})
}

func TestPoolGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, c := range poolCases {
			// Random values are further apart than the step of the differences.
			for _, pool := range []func(x *Node) *Node{maxPool, avgPool} {
				checkGradient(t, backend, newStore(t, 1), func(_ *model.Scope, x *Node) *Node {
					return pool(x)
				}, random[float64](2, c.h, c.w, 2))
			}
		}
	})
}

// Of equal values, zeros after a ReLU for instance, one alone gets the gradient of a window: the first by rows.
func TestMaxPoolTies(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		x := tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, 7, 0, 0, 7, 0, 7}, 1, 3, 3, 1)
		got := run(t, backend, model.NewStore(), false, func(_ *model.Scope, x *Node) *Node {
			return Gradient(ReduceAllSum(maxPool(x)), x)[0]
		}, x)
		// The four windows see 2x2 pixels each, in the corners; two of them meet the 7 on the left of the middle row first.
		near(t, "gradient", flat(t, got), []float64{0, 1, 0, 2, 0, 0, 0, 0, 1}, 0)
	})
}
