package optim

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// simulateAdamW is the loop of torch.optim.AdamW's documentation, without amsgrad.
func simulateAdamW(w, pull, target []float64, rate func(step int) float64, beta1, beta2, decay float64, steps int) []float64 {
	w = append([]float64(nil), w...)
	m, s := make([]float64, len(w)), make([]float64, len(w))
	for step := range steps {
		t := float64(step + 1)
		for i := range w {
			grad := pull[i] * (w[i] - target[i])
			w[i] -= rate(step) * decay * w[i]
			m[i] = beta1*m[i] + (1-beta1)*grad
			s[i] = beta2*s[i] + (1-beta2)*grad*grad
			mHat, sHat := m[i]/(1-math.Pow(beta1, t)), s[i]/(1-math.Pow(beta2, t))
			w[i] -= rate(step) * mHat / (math.Sqrt(sHat) + 1e-8)
		}
	}
	return w
}

func TestAdamW(t *testing.T) {
	const steps = 6
	for name, c := range map[string]struct {
		o            AdamW
		beta1, beta2 float64
	}{
		"defaults": {AdamW{}, 0.9, 0.999},
		"mae":      {AdamW{Beta2: 0.95, WeightDecay: 0.05}, 0.9, 0.95},
		"betas":    {AdamW{Beta1: 0.5, Beta2: 0.9, WeightDecay: 0.5}, 0.5, 0.9},
	} {
		for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
			t.Run(name+"/"+dtype.String(), func(t *testing.T) {
				o := c.o
				o.Rate = Steps(0.1, 0.5, 3)
				rate := func(step int) float64 {
					if step < 3 {
						return 0.1
					}
					return 0.05
				}
				store := model.NewStore()
				w, b := run(t, store, o, dtype, steps)
				near(t, "weights", w, simulateAdamW(startW, pullW, targetW, rate, c.beta1, c.beta2, o.WeightDecay, steps), tolerance(dtype))
				// Without decay.
				near(t, "biases", b, simulateAdamW(startB, pullB, targetB, rate, c.beta1, c.beta2, 0, steps), tolerance(dtype))
				near(t, "unused", flat(t, store, "/layer/unused"), []float64{7}, 0)
				if got := optimizer.GetGlobalStep(store); got != steps {
					t.Errorf("global step %d after %d updates", got, steps)
				}
				for _, path := range []string{"/adamw/first/layer/weights", "/adamw/second/layer/biases", "/adamw/updates"} {
					if v := store.GetVariable(path); v == nil || v.Trainable {
						t.Errorf("%s is missing, or trainable", path)
					}
				}
				if store.GetVariable("/adamw/first/layer/unused") != nil {
					t.Error("an unused variable has moments")
				}
				if err := o.Clear(store.RootScope()); err != nil || store.GetVariable("/adamw/first/layer/weights") != nil {
					t.Errorf("Clear left the moments, error %v", err)
				}
			})
		}
	}
}

// After Clear the moments start anew, although the global step goes on: as a fresh optimizer from where the weights are.
func TestAdamWClear(t *testing.T) {
	o := AdamW{Rate: Constant(0.1)}
	store := model.NewStore()
	_, before := run(t, store, o, dtypes.Float64, 3)
	if err := o.Clear(store.RootScope()); err != nil {
		t.Fatal(err)
	}
	_, after := run(t, store, o, dtypes.Float64, 2)
	rate := func(int) float64 { return 0.1 }
	near(t, "biases", after, simulateAdamW(before, pullB, targetB, rate, 0.9, 0.999, 0, 2), tolerance(dtypes.Float64))
}

// A checkpoint gives variables back marked trainable; going on from there must be exact all the same.
func TestAdamWResumes(t *testing.T) {
	o := AdamW{Rate: CosineWarmup(0.1, 2, 8), Beta2: 0.95, WeightDecay: 0.05}
	whole, _ := run(t, model.NewStore(), o, dtypes.Float32, 6)

	store := model.NewStore()
	run(t, store, o, dtypes.Float32, 3)
	resumed := model.NewStore()
	for v := range store.IterVariables() {
		clone, err := v.CloneToStore(resumed)
		if err != nil {
			t.Fatal(err)
		}
		clone.SetTrainable(v.DType().IsFloat())
	}
	w, _ := run(t, resumed, o, dtypes.Float32, 3)
	near(t, "weights", w, whole, 0) // the same operations: bit by bit
}

func TestAdamWRejects(t *testing.T) {
	for want, o := range map[string]AdamW{
		"AdamW: Rate is nil":  {},
		"Beta1 is 1":          {Rate: Constant(1), Beta1: 1},
		"Beta2 is -0.5":       {Rate: Constant(1), Beta2: -0.5},
		"Beta2 is NaN":        {Rate: Constant(1), Beta2: math.NaN()},
		"WeightDecay is -1":   {Rate: Constant(1), WeightDecay: -1},
		"finite and at least": {Rate: Constant(1), WeightDecay: math.Inf(1)},
	} {
		rejects(t, want, func(scope *model.Scope, x *Node) *Node {
			l := problem(dtypes.Float32)(scope, x)
			o.UpdateGraph(scope, x.Graph(), l)
			return l
		})
	}
}
