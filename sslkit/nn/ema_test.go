package nn

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// tower is a linear layer and a batch norm.
func tower(scope *model.Scope, x *Node) *Node {
	return BatchNorm(scope.In("norm"), MLP(scope.In("mlp"), x, 2))
}

// followed builds fast, moves slow, and builds slow.
func followed(momentum float64) layer {
	return func(scope *model.Scope, x *Node) *Node {
		tower(scope.At("fast"), x)
		EMA(scope.At("slow"), scope.At("fast"), x.Graph(), momentum)
		return tower(scope.At("slow"), x)
	}
}

func TestEMA(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		x := random[float32](4, 3)
		run(t, backend, store, false, followed(0.9), x)
		drawn := snapshot(t, store)
		run(t, backend, store, false, followed(0.9), x)
		if !reflect.DeepEqual(drawn, snapshot(t, store)) {
			t.Error("evaluation moved a variable")
		}
		if err := Copy(store, "/slow", "/fast"); err != nil {
			t.Fatal(err)
		}
		copied := snapshot(t, store)
		for path, values := range copied {
			if name, is := strings.CutPrefix(path, "/fast/"); is && !slices.Equal(copied["/slow/"+name], values) {
				t.Errorf("slow's %s is %v, want a copy of %v", name, copied["/slow/"+name], values)
			}
		}
		set(t, store, "/fast/mlp/linear_1/dense/weights", []float64{1, 2, 3, 4, 5, 6})
		set(t, store, "/fast/norm/scale", []float64{2, 3})
		before := snapshot(t, store)
		y := flat(t, run(t, backend, store, true, followed(0.75), x))
		after := snapshot(t, store)
		moved := map[string][]float64{}
		for path := range after {
			name, is := strings.CutPrefix(path, "/slow/")
			if !is {
				continue
			}
			var want []float64
			for i, f := range before["/fast/"+name] {
				want = append(want, 0.75*before[path][i]+0.25*f)
			}
			if name == "norm/mean" || name == "norm/variance" {
				want = before[path] // until slow is built
			}
			moved[path] = want
			if store.GetVariable(path).Trainable {
				t.Errorf("%s is to be trained", path)
			}
		}
		// From there, slow computes and its statistics follow as if it had been built alone.
		alone := newStore(t, 1)
		slow := func(scope *model.Scope, x *Node) *Node { return Identity(tower(scope.In("slow"), x)) }
		run(t, backend, alone, false, slow, x)
		for path, values := range moved {
			set(t, alone, path, values)
		}
		near(t, "y", y, flat(t, run(t, backend, alone, true, slow, x)), 1e-5)
		for path := range moved {
			near(t, path, after[path], flat(t, alone.GetVariable(path).MustValue()), 1e-6)
		}
	})
}

// Slow computes with a mixture that holds fast's parameters, but nothing is learnt through it.
func TestEMAHasNoGradient(t *testing.T) {
	store := newStore(t, 1)
	x := random[float32](4, 3)
	run(t, goBackend(t), store, false, followed(0.5), x)
	for v := range store.IterVariables() {
		if v.DType().IsFloat() {
			v.SetTrainable(true) // as a checkpoint leaves it
		}
	}
	sum := run(t, goBackend(t), store, true, func(scope *model.Scope, x *Node) *Node {
		y := ReduceAllSum(Sin(followed(0.5)(scope, x)))
		for v := range scope.IterVariables() {
			if strings.HasPrefix(v.Path(), "/slow/") && v.Trainable {
				t.Errorf("%s is to be trained", v.Path())
			}
		}
		var all []*Node
		for _, gradient := range scope.BuildTrainableVariablesGradientsGraph(y) {
			all = append(all, Reshape(Abs(gradient), -1))
		}
		return ReduceAllSum(Concatenate(all, 0))
	}, x)
	near(t, "sum of all gradients", flat(t, sum), []float64{0}, 0)
}

func TestCopyNamesWhatIsMissing(t *testing.T) {
	store := newStore(t, 1)
	run(t, goBackend(t), store, false, func(scope *model.Scope, x *Node) *Node { return tower(scope.In("fast"), x) }, random[float32](4, 3))
	if err := Copy(store, "/slow", "/fast"); err == nil || !strings.Contains(err.Error(), "there is no /slow/") {
		t.Errorf("error %v", err)
	}
}
