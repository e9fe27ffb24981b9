package nn

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/sslkit/optim"
)

// pulled takes steps in the direction -x of prototypes of x's shape, and returns the store's values after each.
func pulled(t *testing.T, o optimizer.Interface, freeze, steps int) []map[string][]float64 {
	t.Helper()
	store := newStore(t, 1)
	x := random[float32](4, 3)
	exec := model.MustNewExec(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
		var frozen *Node
		if freeze > 0 {
			step := optimizer.GetGlobalStepVar(scope).NodeValue(x.Graph())
			frozen = ConvertDType(LessThan(step, Const(x.Graph(), int64(freeze))), dtypes.Int32)
		}
		c := Prototypes(scope.In("swav"), x.Graph(), 4, 3, frozen)
		loss := ReduceAllSum(Mul(c, x))
		o.UpdateGraph(scope, x.Graph(), loss)
		train.ExecPerStepUpdateGraphFn(x.Graph())
		return c
	})
	defer exec.Finalize()
	var after []map[string][]float64
	for range steps {
		c, err := exec.Call1(x)
		if err != nil {
			t.Fatal(err)
		}
		unitRows(t, flat(t, c), 3)
		after = append(after, snapshot(t, store))
	}
	return after
}

func unitRows(t *testing.T, c []float64, d int) {
	t.Helper()
	for row := range slices.Chunk(c, d) {
		sum := 0.0
		for _, v := range row {
			sum += v * v
		}
		if math.Abs(sum-1) > 1e-6 { // float32
			t.Errorf("prototype %v has length %g, want 1", row, math.Sqrt(sum))
		}
	}
}

const path = "/swav/prototypes"

// In the authors' main_swav.py frozen prototypes get no gradient, for which PyTorch's optimizers pass over them: what was
// drawn stays, bit by bit, and the optimizer begins afterwards as if it had never seen them.
func TestPrototypesFreeze(t *testing.T) {
	for name, o := range map[string]optimizer.Interface{
		"sgd":  optim.SGD{Rate: optim.Constant(0.5), Momentum: 0.9, WeightDecay: 0.1},
		"lars": optim.LARS{Rate: optim.Constant(100), Momentum: 0.9, WeightDecay: 0.1},
		"adam": optimizer.Adam().LearningRate(0.1).Done(),
	} {
		const freeze = 3
		after := pulled(t, o, freeze, freeze+2)
		companions := slices.DeleteFunc(slices.Collect(maps.Keys(after[0])), func(p string) bool { return p == path || !strings.Contains(p, path) })
		if len(companions) == 0 {
			t.Fatalf("%s keeps nothing of the prototypes: %v", name, after[0])
		}
		unitRows(t, after[0][path], 3)
		for step := 1; step < freeze; step++ {
			if !slices.Equal(after[step][path], after[0][path]) {
				t.Errorf("%s: frozen prototypes moved in step %d", name, step+1)
			}
		}
		for _, p := range companions {
			if slices.ContainsFunc(after[freeze-1][p], func(v float64) bool { return v != 0 }) {
				t.Errorf("%s: frozen for %d steps, %s is %v, want 0", name, freeze, p, after[freeze-1][p])
			}
			if !slices.ContainsFunc(after[freeze][p], func(v float64) bool { return v != 0 }) {
				t.Errorf("%s: %s stays at 0", name, p)
			}
		}
		if slices.Equal(after[freeze][path], after[0][path]) {
			t.Errorf("%s: the prototypes did not move in step %d", name, freeze+1)
		}
		if name == "adam" {
			continue // which corrects for the number of steps, frozen ones too
		}
		// After 3 frozen steps the first one is that of a run without any.
		free := pulled(t, o, 0, 1)
		near(t, name, after[freeze][path], free[0][path], 1e-6)
	}
}

// By hand: a step from where they were normalised to, then the length is 1 again.
func TestPrototypesAreNormalisedBeforeTheStep(t *testing.T) {
	const rate, decay = 0.5, 0.1
	after := pulled(t, optim.SGD{Rate: optim.Constant(rate), WeightDecay: decay}, 0, 2)
	x := flat(t, random[float32](4, 3))
	var want []float64
	for i, row := range slices.Collect(slices.Chunk(after[0][path], 3)) {
		norm := math.Sqrt(row[0]*row[0] + row[1]*row[1] + row[2]*row[2])
		for j, v := range row {
			want = append(want, v/norm-rate*(x[3*i+j]+decay*v/norm))
		}
	}
	near(t, "second step", after[1][path], want, 1e-6)
}

func TestPrototypesReject(t *testing.T) {
	image := shapes.Make(dtypes.Float32, 1)
	for _, c := range [][2]int{{0, 2}, {2, 0}} {
		wantPanic(t, "nn.Prototypes", image, func(scope *model.Scope, x *Node) *Node {
			return Prototypes(scope, x.Graph(), c[0], c[1], nil)
		})
	}
	wantPanic(t, "a scalar", image, func(scope *model.Scope, x *Node) *Node { return Prototypes(scope, x.Graph(), 2, 2, x) })
}
