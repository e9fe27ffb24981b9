package nn

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func TestPoolOfLast(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{1, 10, 2, 20, 3, 30, 6, 60}, 1, 2, 2, 2)
	got := run(t, goBackend(t), model.NewStore(), false, func(_ *model.Scope, x *Node) *Node {
		return Pool(Last([]*Node{Zeros(x.Graph(), x.Shape()), x}))
	}, x)
	near(t, "mean", flat(t, got), []float64{3, 30}, 1e-6)
	wantPanic(t, "[N, H, W, C]", shapes.Make(dtypes.Float32, 2, 3), func(_ *model.Scope, x *Node) *Node { return Pool(x) })
}

func TestMLP(t *testing.T) {
	mlp := func(scope *model.Scope, x *Node) *Node { return MLP(scope, x, 2, 1) }
	store := newStore(t, 1)
	x := tensors.FromFlatDataAndDimensions([]float32{1, 2, -1, 1}, 2, 2)
	run(t, goBackend(t), store, false, mlp, x)
	set(t, store, "/linear_1/dense/weights", []float64{1, 2, 3, -4})
	set(t, store, "/linear_1/dense/biases", []float64{0, 1})
	set(t, store, "/linear_2/dense/weights", []float64{2, 3})
	set(t, store, "/linear_2/dense/biases", []float64{-10})
	// Hidden: (7, -5) and (2, -5), of which the ReLU keeps 7 and 2; the output has no ReLU.
	near(t, "MLP", flat(t, run(t, goBackend(t), store, false, mlp, x)), []float64{4, -6}, 1e-6)
	wantPanic(t, "at least one layer", shapes.Make(dtypes.Float32, 2, 3), func(scope *model.Scope, x *Node) *Node { return MLP(scope, x) })
	wantPanic(t, "[N, D]", shapes.Make(dtypes.Float32, 2, 3, 3, 3), func(scope *model.Scope, x *Node) *Node { return MLP(scope, x, 2) })
}

func TestNormMLP(t *testing.T) {
	mlp := func(scope *model.Scope, x *Node) *Node { return NormMLP(scope, x, 2, 1) }
	store := newStore(t, 1)
	x := tensors.FromFlatDataAndDimensions([]float32{1, 2, -1, 1, 0, 3}, 3, 2)
	run(t, goBackend(t), store, false, mlp, x)
	set(t, store, "/linear_1/dense/weights", []float64{1, 2, 3, -4})
	set(t, store, "/linear_1/norm/offset", []float64{0.5, -0.25})
	set(t, store, "/linear_2/dense/weights", []float64{2, 3})
	normal := func(column []float64, offset float64) (y []float64) {
		mean, variance := moments(column, 1)
		for _, v := range column {
			y = append(y, (v-mean[0])/math.Sqrt(variance[0]+1e-5)+offset)
		}
		return y
	}
	one, two := normal([]float64{7, 2, 9}, 0.5), normal([]float64{-6, -6, -12}, -0.25)
	var out []float64
	for i := range one {
		out = append(out, 2*max(one[i], 0)+3*max(two[i], 0))
	}
	near(t, "NormMLP", flat(t, run(t, goBackend(t), store, true, mlp, x)), normal(out, 0), 1e-5)
	if store.GetVariable("/linear_2/norm/offset").Trainable || !store.GetVariable("/linear_1/norm/offset").Trainable {
		t.Error("want the offset of the last norm alone not to be trained")
	}
	wantPanic(t, "at least one layer", shapes.Make(dtypes.Float32, 2, 3), func(scope *model.Scope, x *Node) *Node { return NormMLP(scope, x) })
}
