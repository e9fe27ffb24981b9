package optim

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// simulateLARS is SimCLR's lars_optimizer.py, with its classic momentum.
func simulateLARS(w, pull, target []float64, rate, momentum, decay, trust float64, adapt bool, steps int) []float64 {
	w = append([]float64(nil), w...)
	velocity, grad := make([]float64, len(w)), make([]float64, len(w))
	for range steps {
		var w2, g2 float64
		for i := range w {
			grad[i] = pull[i] * (w[i] - target[i])
			if adapt {
				grad[i] += decay * w[i]
			}
			w2, g2 = w2+w[i]*w[i], g2+grad[i]*grad[i]
		}
		ratio := 1.0
		if adapt && w2 > 0 && g2 > 0 {
			ratio = trust * math.Sqrt(w2) / math.Sqrt(g2)
		}
		for i := range w {
			velocity[i] = momentum*velocity[i] + rate*ratio*grad[i]
			w[i] -= velocity[i]
		}
	}
	return w
}

func TestLARS(t *testing.T) {
	const steps = 5
	for name, o := range map[string]LARS{
		"plain":         {Trust: 0.1},
		"decay":         {Trust: 0.1, WeightDecay: 0.1},
		"momentum":      {Trust: 0.1, WeightDecay: 0.1, Momentum: 0.9},
		"default trust": {Momentum: 0.9},
	} {
		for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
			t.Run(name+"/"+dtype.String(), func(t *testing.T) {
				trust := o.Trust
				if trust == 0 {
					trust = 0.001
				}
				o.Rate = Constant(0.3)
				store := model.NewStore()
				w, b := run(t, store, o, dtype, steps)
				near(t, "weights", w, simulateLARS(startW, pullW, targetW, 0.3, o.Momentum, o.WeightDecay, trust, true, steps), tolerance(dtype))
				near(t, "biases", b, simulateLARS(startB, pullB, targetB, 0.3, o.Momentum, o.WeightDecay, trust, false, steps), tolerance(dtype))
				if got := optimizer.GetGlobalStep(store); got != steps {
					t.Errorf("global step %d after %d updates", got, steps)
				}
				if err := o.Clear(store.RootScope()); err != nil || store.GetVariable("/lars/layer/weights") != nil {
					t.Errorf("Clear left the velocity, error %v", err)
				}
			})
		}
	}
}

// A step of the length rate*trust*|w|, whatever the gradient's: by hand, |w| = 5, and the gradient has direction (0.6, 0.8).
func TestLARSByHand(t *testing.T) {
	store := model.NewStore()
	o := LARS{Rate: Constant(1), Trust: 0.1}
	_, err := model.CallOnce(open(t), store, func(scope *model.Scope, x *Node) *Node {
		w := scope.VariableWithValue("w", [][]float32{{3}, {4}}).NodeValue(x)
		zero := scope.VariableWithValue("zero", [][]float32{{0}, {0}}).NodeValue(x)
		still := scope.VariableWithValue("still", [][]float32{{3}, {4}}).NodeValue(x)
		slope := Const(x.Graph(), [][]float32{{600}, {800}})
		l := ReduceAllSum(Add(Mul(w, slope), Mul(zero, slope)))
		l = Add(l, MulScalar(ReduceAllSum(still), 0))
		o.UpdateGraph(scope, x.Graph(), l)
		return l
	}, float32(0))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "w", flat(t, store, "/w"), []float64{3 - 0.3, 4 - 0.4}, 1e-6)
	near(t, "zero", flat(t, store, "/zero"), []float64{-600, -800}, 0) // ratio 1
	near(t, "still", flat(t, store, "/still"), []float64{3, 4}, 0)     // no gradient: no NaN
}

func TestLARSRejects(t *testing.T) {
	for want, o := range map[string]LARS{
		"optim.LARS: Rate is nil": {},
		"Trust is -1":             {Rate: Constant(1), Trust: -1},
		"Momentum is 1.5":         {Rate: Constant(1), Momentum: 1.5},
	} {
		rejects(t, want, func(scope *model.Scope, x *Node) *Node {
			l := problem(dtypes.Float32)(scope, x)
			o.UpdateGraph(scope, x.Graph(), l)
			return l
		})
	}
}
