package optim

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/sslkit/lab/sslkit/pjrt"
)

func open(t *testing.T) compute.Backend {
	t.Helper()
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// The test problem has a matrix w, which decays, a bias b, which does not, and a variable that the loss does not use.
// The loss is sum(pull*(w-target)^2)/2 over both, so that its gradient is pull*(w-target).
var (
	startW, startB   = []float64{1, -2, 0.5, 3, 0.25, -1}, []float64{0.5, -0.5, 2}
	pullW, pullB     = []float64{1, 0.5, 2, 0.1, 3, 1.5}, []float64{1, 2, 0.3}
	targetW, targetB = []float64{0, 1, 0.5, -1, 2, 0}, []float64{-1, 0, 1}
)

func problem(dtype dtypes.DType) func(scope *model.Scope, pull *Node) *Node {
	return func(scope *model.Scope, pull *Node) *Node {
		g := pull.Graph()
		layer := scope.In("layer")
		variable := func(name string, value []float64, dims ...int) *model.Variable {
			if dtype == dtypes.Float64 {
				return layer.VariableWithValue(name, tensors.FromFlatDataAndDimensions(value, dims...))
			}
			return layer.VariableWithValue(name, tensors.FromFlatDataAndDimensions(float32s(value), dims...))
		}
		variable("unused", []float64{7})
		w, b := variable("weights", startW, 2, 3), variable("biases", startB, 3)
		half := func(v *model.Variable, pull, target []float64) *Node {
			x := v.NodeValue(g)
			d := Sub(Reshape(x, -1), ConstAs(x, target))
			return MulScalar(ReduceAllSum(Mul(ConstAs(x, pull), Square(d))), 0.5)
		}
		l := Add(half(w, pullW, targetW), half(b, pullB, targetB))
		return Mul(l, ConvertDType(pull, dtype))
	}
}

func float32s(x []float64) []float32 {
	y := make([]float32, len(x))
	for i := range x {
		y[i] = float32(x[i])
	}
	return y
}

// run takes steps updates of the problem and returns its variables.
func run(t *testing.T, store *model.Store, o optimizer.Interface, dtype dtypes.DType, steps int) (w, b []float64) {
	t.Helper()
	loss := problem(dtype)
	exec := model.MustNewExec(open(t), store, func(scope *model.Scope, pull *Node) *Node {
		l := loss(scope, pull)
		o.UpdateGraph(scope, pull.Graph(), l)
		return l
	})
	defer exec.Finalize()
	for range steps {
		if _, err := exec.Call(float32(1)); err != nil {
			t.Fatal(err)
		}
	}
	return flat(t, store, "/layer/weights"), flat(t, store, "/layer/biases")
}

func flat(t *testing.T, store *model.Store, path string) []float64 {
	t.Helper()
	v := store.GetVariable(path)
	if v == nil {
		t.Fatalf("no variable %s", path)
	}
	var y []float64
	v.MustValue().MustConstFlatData(func(data any) {
		switch data := data.(type) {
		case []float64:
			y = append(y, data...)
		case []float32:
			for _, x := range data {
				y = append(y, float64(x))
			}
		}
	})
	return y
}

func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= tolerance) {
			t.Errorf("%s[%d] = %v, want %v within %g", what, i, got[i], want[i], tolerance)
		}
	}
}

// float32 has 2^-24 of relative rounding an operation: at values up to 3, some 30 operations stay well under 1e-5.
func tolerance(dtype dtypes.DType) float64 {
	if dtype == dtypes.Float64 {
		return 1e-6 // the rate is float32
	}
	return 1e-5
}

// simulateSGD is the loop of torch.optim.SGD's documentation, with dampening 0.
func simulateSGD(w, pull, target []float64, rate func(step int) float64, momentum, decay float64, nesterov bool, steps int) []float64 {
	w = append([]float64(nil), w...)
	buf := make([]float64, len(w))
	for step := range steps {
		for i := range w {
			grad := pull[i] * (w[i] - target[i])
			grad += decay * w[i]
			if momentum != 0 {
				if step == 0 {
					buf[i] = grad
				} else {
					buf[i] = momentum*buf[i] + grad
				}
				if nesterov {
					grad += momentum * buf[i]
				} else {
					grad = buf[i]
				}
			}
			w[i] -= rate(step) * grad
		}
	}
	return w
}

func TestSGD(t *testing.T) {
	const steps = 6
	for name, o := range map[string]SGD{
		"plain":    {},
		"decay":    {WeightDecay: 0.05},
		"momentum": {Momentum: 0.9},
		"all":      {Momentum: 0.9, WeightDecay: 0.05},
		"nesterov": {Momentum: 0.9, WeightDecay: 0.05, Nesterov: true},
	} {
		for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
			t.Run(name+"/"+dtype.String(), func(t *testing.T) {
				o.Rate = Steps(0.1, 0.5, 3)
				rate := func(step int) float64 {
					if step < 3 {
						return 0.1
					}
					return 0.05
				}
				store := model.NewStore()
				w, b := run(t, store, o, dtype, steps)
				near(t, "weights", w, simulateSGD(startW, pullW, targetW, rate, o.Momentum, o.WeightDecay, o.Nesterov, steps), tolerance(dtype))
				// Without decay.
				near(t, "biases", b, simulateSGD(startB, pullB, targetB, rate, o.Momentum, 0, o.Nesterov, steps), tolerance(dtype))
				near(t, "unused", flat(t, store, "/layer/unused"), []float64{7}, 0)
				if got := optimizer.GetGlobalStep(store); got != steps {
					t.Errorf("global step %d after %d updates", got, steps)
				}
				velocity := store.GetVariable("/sgd/layer/weights")
				if has := velocity != nil; has != (o.Momentum > 0) {
					t.Fatalf("momentum %g, velocity kept: %v", o.Momentum, has)
				}
				if velocity != nil && (velocity.Trainable || store.GetVariable("/sgd/layer/unused") != nil) {
					t.Error("a velocity is trainable, or an unused variable has one")
				}
				if err := o.Clear(store.RootScope()); err != nil || store.GetVariable("/sgd/layer/weights") != nil {
					t.Errorf("Clear left the velocity, error %v", err)
				}
			})
		}
	}
}

// A checkpoint gives variables back marked trainable; going on from there must be exact all the same.
func TestSGDResumes(t *testing.T) {
	o := SGD{Rate: CosineWarmup(0.1, 2, 8), Momentum: 0.9, WeightDecay: 0.01}
	whole, _ := run(t, model.NewStore(), o, dtypes.Float32, 6)

	store := model.NewStore()
	run(t, store, o, dtypes.Float32, 3)
	resumed := model.NewStore()
	for _, path := range []string{"/sgd/layer/weights", "/sgd/layer/biases", "/layer/unused", "/layer/weights", "/layer/biases", "/global_step"} {
		v, err := store.GetVariable(path).CloneToStore(resumed)
		if err != nil {
			t.Fatal(err)
		}
		v.SetTrainable(true)
	}
	resumed.GetVariable("/global_step").SetTrainable(false)
	w, _ := run(t, resumed, o, dtypes.Float32, 3)
	near(t, "weights", w, whole, 0) // the same operations: bit by bit
}

// Two accumulated halves make one update with the mean of their gradients.
func TestSGDAccumulates(t *testing.T) {
	for name, o := range map[string]optimizer.Interface{
		"SGD":   SGD{Rate: Constant(0.1), Momentum: 0.9},
		"LARS":  LARS{Rate: Constant(0.1), Momentum: 0.9, Trust: 0.1},
		"AdamW": AdamW{Rate: Constant(0.1), WeightDecay: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			loss := problem(dtypes.Float32)
			accumulated := model.NewStore()
			trainer := train.NewTrainer(open(t), accumulated, func(scope *model.Scope, in []*Node) *Node {
				l := loss(scope, ReduceAllMean(in[0]))
				train.AddMainLoss(l)
				return l
			}, nil, o, nil, nil)
			if err := trainer.AccumulateGradients(2); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				for _, pull := range []float32{0.5, 1.5} { // their mean is 1, as in run
					batch := train.Batch{Inputs: []*tensors.Tensor{tensors.FromValue([]float32{pull})}}
					if _, err := trainer.TrainStep(batch); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := optimizer.GetGlobalStep(accumulated); got != 3 {
				t.Errorf("global step %d after 3 updates", got)
			}
			w, b := run(t, model.NewStore(), o, dtypes.Float32, 3)
			near(t, "weights", flat(t, accumulated, "/layer/weights"), w, tolerance(dtypes.Float32))
			near(t, "biases", flat(t, accumulated, "/layer/biases"), b, tolerance(dtypes.Float32))
		})
	}
}

// rejects runs build in a graph and wants the panic, an error, to come back as the error of the call.
func rejects(t *testing.T, want string, build func(scope *model.Scope, x *Node) *Node) {
	t.Helper()
	_, err := model.CallOnce(open(t), model.NewStore(), build, float32(1))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func TestSGDRejects(t *testing.T) {
	for want, o := range map[string]SGD{
		"Rate is nil":             {},
		"Momentum is 1":           {Rate: Constant(1), Momentum: 1},
		"Momentum is NaN":         {Rate: Constant(1), Momentum: math.NaN()},
		"WeightDecay is -1":       {Rate: Constant(1), WeightDecay: -1},
		"Nesterov needs":          {Rate: Constant(1), Nesterov: true},
		"the rate is -0.1":        {Rate: Constant(-0.1)},
		"finite and at least":     {Rate: Constant(1), WeightDecay: math.Inf(1)},
		"no trainable variable":   {Rate: Constant(1)},
		"the loss must be a scal": {Rate: Constant(1)},
	} {
		switch want {
		case "no trainable variable":
			rejects(t, want, func(scope *model.Scope, x *Node) *Node { o.UpdateGraph(scope, x.Graph(), x); return x })
			continue
		case "the loss must be a scal":
			rejects(t, want, func(scope *model.Scope, x *Node) *Node {
				o.UpdateGraph(scope, x.Graph(), BroadcastToDims(x, 2))
				return x
			})
			continue
		}
		rejects(t, want, func(scope *model.Scope, x *Node) *Node {
			l := problem(dtypes.Float32)(scope, x)
			o.UpdateGraph(scope, x.Graph(), l)
			return l
		})
	}
	if err := (SGD{Rate: Constant(0.1), Momentum: 0.9, Nesterov: true}).Validate(); err != nil {
		t.Error(err)
	}
}
