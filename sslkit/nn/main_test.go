package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/pjrt"
)

var openGo = sync.OnceValues(func() (compute.Backend, error) { return compute.NewWithConfig("go:ops_sequential") })

func goBackend(t testing.TB) compute.Backend {
	t.Helper()
	backend, err := openGo()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// backends returns pure Go and, where there is one, XLA.
func backends(t testing.TB) []compute.Backend {
	t.Helper()
	all := []compute.Backend{goBackend(t)}
	best, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	if best.Name() != all[0].Name() {
		all = append(all, best)
	}
	return all
}

func onBackends(t *testing.T, test func(t *testing.T, backend compute.Backend)) {
	for _, b := range backends(t) {
		t.Run(b.String(), func(t *testing.T) { test(t, b) })
	}
}

func newStore(t testing.TB, seed int64) *model.Store {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		t.Fatal(err)
	}
	return store
}

// random is a tensor of normal values, the same at each call.
func random[T float32 | float64](dims ...int) *tensors.Tensor {
	rnd := rand.New(rand.NewPCG(1, 2))
	x := make([]T, shapes.Make(dtypes.Float32, dims...).Size())
	for i := range x {
		x[i] = T(rnd.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(x, dims...)
}

// flat is a tensor's values, as float64.
func flat(t testing.TB, x *tensors.Tensor) []float64 {
	t.Helper()
	if x.DType() == dtypes.Float64 {
		return tensors.MustCopyFlatData[float64](x)
	}
	var out []float64
	for _, v := range tensors.MustCopyFlatData[float32](x) {
		out = append(out, float64(v))
	}
	return out
}

// layer is what the tests run; most layers become one by a closure.
type layer func(scope *model.Scope, x *Node) *Node

// run returns f(x). It leaves x free for another backend.
func run(t testing.TB, backend compute.Backend, store *model.Store, training bool, f layer, x *tensors.Tensor) *tensors.Tensor {
	t.Helper()
	x, err := x.LocalClone()
	if err != nil {
		t.Fatal(err)
	}
	y, err := model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
		scope.Store().SetTraining(x.Graph(), training)
		return f(scope, x)
	}, x)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// outline builds the graph of f without compiling it and returns the results' shapes.
func outline(t testing.TB, backend compute.Backend, store *model.Store, image shapes.Shape, f func(scope *model.Scope, x *Node) []*Node) [][]int {
	t.Helper()
	g := NewGraph(backend, "outline")
	defer g.Finalize()
	var dims [][]int
	for _, m := range f(store.RootScope(), Parameter(g, "x", image)) {
		dims = append(dims, m.Shape().Dimensions)
	}
	return dims
}

// set gives a variable values, converted to its type.
func set(t testing.TB, store *model.Store, path string, values []float64) {
	t.Helper()
	v := store.GetVariable(path)
	if v == nil {
		t.Fatalf("no variable %s", path)
	}
	value := tensors.FromFlatDataAndDimensions(slices.Clone(values), v.Shape().Dimensions...)
	if v.DType() == dtypes.Float32 {
		var x []float32
		for _, f := range values {
			x = append(x, float32(f))
		}
		value = tensors.FromFlatDataAndDimensions(x, v.Shape().Dimensions...)
	}
	if err := v.SetValue(value); err != nil {
		t.Fatal(err)
	}
}

// snapshot is the values of all variables but the random state.
func snapshot(t testing.TB, store *model.Store) map[string][]float64 {
	t.Helper()
	all := map[string][]float64{}
	for v := range store.IterVariables() {
		if v.DType().IsFloat() {
			all[v.Path()] = flat(t, v.MustValue())
		}
	}
	return all
}

// near checks that got is want but for an error of tolerance, relative to 1 or to the value if that is larger.
func near(t testing.TB, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance*max(1, math.Abs(want[i]))) {
			t.Errorf("%s: value %d is %v, want %v within %g", what, i, got[i], want[i], tolerance)
			return
		}
	}
}

// checkGradient compares the gradient of a weighted sum of f(x), in training mode, with central differences, for x in
// float64 and for all trainable variables. At a step of 1e-4 the differences themselves are good to about 1e-7.
func checkGradient(t *testing.T, backend compute.Backend, store *model.Store, f layer, x *tensors.Tensor) {
	t.Helper()
	const step, tolerance = 1e-4, 1e-6
	weighted := func(scope *model.Scope, x *Node) *Node {
		scope.Store().SetTraining(x.Graph(), true)
		y := f(scope, x)
		weight := Sin(MulScalar(Iota(y.Graph(), shapes.Make(y.DType(), y.Shape().Size()), 0), 1.7))
		return ReduceAllSum(Mul(Reshape(y, -1), weight))
	}
	var paths []string
	exec := model.MustNewExec(backend, store, func(scope *model.Scope, x *Node) []*Node {
		value := weighted(scope, x)
		leaves := []*Node{x}
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable {
				paths, leaves = append(paths, v.Path()), append(leaves, v.NodeValue(x.Graph()))
			}
		}
		return Gradient(value, leaves...)
	})
	gradients, err := exec.Call(x)
	if err != nil {
		t.Fatal(err)
	}
	valueExec := model.MustNewExec(backend, store, weighted)
	differences := func(values []float64, at func(moved []float64) float64) []float64 {
		d := make([]float64, len(values))
		for i := range values {
			moved := slices.Clone(values)
			moved[i] += step
			up := at(moved)
			moved[i] -= 2 * step
			d[i] = (up - at(moved)) / (2 * step)
		}
		return d
	}
	value := func(x *tensors.Tensor) float64 { return flat(t, valueExec.MustCall1(x))[0] }
	near(t, "gradient of x", flat(t, gradients[0]), differences(flat(t, x), func(moved []float64) float64 {
		return value(tensors.FromFlatDataAndDimensions(moved, x.Shape().Dimensions...))
	}), tolerance)
	for i, path := range paths {
		values := flat(t, store.GetVariable(path).MustValue())
		near(t, "gradient of "+path, flat(t, gradients[1+i]), differences(values, func(moved []float64) float64 {
			set(t, store, path, moved)
			return value(x)
		}), tolerance)
		set(t, store, path, values)
	}
}

// wantPanic checks that f panics with an error that says part.
func wantPanic(t *testing.T, part string, image shapes.Shape, f layer) {
	t.Helper()
	store := newStore(t, 1)
	err := exceptions.TryCatch[error](func() {
		outline(t, goBackend(t), store, image, func(scope *model.Scope, x *Node) []*Node {
			scope.Store().SetTraining(x.Graph(), true)
			return []*Node{f(scope, x)}
		})
	})
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("want a panic with an error that says %q, got %v", part, err)
	}
}
