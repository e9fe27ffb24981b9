package eval

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/optim"
)

// xor is maps whose class is whether two cells have the same sign: no linear function tells.
func xor(n int, seed uint64) Set {
	rnd := rand.New(rand.NewPCG(seed, 6))
	s := Set{Features: make([][]float32, n), Labels: make([]int32, n)}
	for i := range s.Features {
		row := make([]float32, 8)
		for j := range row {
			row[j] = float32(rnd.NormFloat64())
		}
		if row[2]*row[5] > 0 {
			s.Labels[i] = 1
		}
		s.Features[i] = row
	}
	return s
}

func quick() NonLinear {
	p := DefaultNonLinear(1)
	p.Hidden, p.Epochs, p.Batch = 32, 10, 64
	return p
}

func TestNonLinearBeatsLinearOnXOR(t *testing.T) {
	train, test := xor(1500, 1), xor(500, 2)
	linear, err := Defaults().Linear.Fit(context.Background(), testBackend(t), train, test, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	var fits []Fit
	for range 2 {
		fit, err := quick().Fit(context.Background(), testBackend(t), train, test, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		fits = append(fits, fit)
	}
	if linear.Test > 0.6 || fits[0].Test < 0.85 {
		t.Errorf("linear %g, non-linear %g on XOR", linear.Test, fits[0].Test)
	}
	if fits[0] != fits[1] {
		t.Errorf("%+v, then %+v with the same seed", fits[0], fits[1])
	}
}

// The network is the paper's: three fully connected layers, batch norm and ReLU after the first two, which have 200 units.
// Reference: Sec. 4.1, and NonLinearClassifier.py of the authors' code: no bias before a batch norm, weights of variance
// 2/outputs.
func TestNonLinearIsThePapersNetwork(t *testing.T) {
	const inputs, classes, n = 300, 10, 64
	p := DefaultNonLinear(2)
	m := &head{p.Hidden, classes, make([]int32, n)}
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(quickBackend(t), store, func(scope *model.Scope, x *Node) *Node {
		scope.Store().SetTraining(x.Graph(), true)
		return m.Encode(scope, x)[0]
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	x := make([][]float32, n)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range x {
		for range inputs {
			x[i] = append(x[i], float32(100+rnd.NormFloat64())) // far from 0: the first batch norm must not mind
		}
	}
	out, err := exec.Call1(x)
	if err != nil {
		t.Fatal(err)
	}
	shapes := make(map[string]int)
	for v := range store.IterVariables() {
		if v.Trainable {
			shapes[fmt.Sprint(v.Shape().Dimensions)]++
		}
	}
	// Scale and shift of each norm, and the last layer's bias.
	want := map[string]int{"[300 200]": 1, "[200 200]": 1, "[200 10]": 1, "[200]": 4, "[10]": 1}
	if !maps.Equal(shapes, want) {
		t.Errorf("parameters of shapes %v, want %v", shapes, want)
	}
	for v := range store.IterVariables() {
		if d := v.Shape().Dimensions; v.Trainable && len(d) == 2 {
			var sum float64
			value, err := v.Value()
			if err != nil {
				t.Fatal(err)
			}
			weights := tensors.MustCopyFlatData[float32](value)
			for _, w := range weights {
				sum += float64(w) * float64(w)
			}
			// The sample's variance is off by the root of 2/n, 3 % for the 2,000 of the last layer.
			if got, want := sum/float64(len(weights)), 2/float64(d[1]); math.Abs(got/want-1) > 0.12 {
				t.Errorf("weights of %v have variance %g, want %g", d, got, want)
			}
		}
	}
	// After norm and ReLU, of 200 units half are on, with mean square 1/2: scores have variance 200 * 1/2 * 2/10.
	var sum float64
	scores := tensors.MustCopyFlatData[float32](out)
	for _, v := range scores {
		sum += float64(v) * float64(v)
	}
	if got := sum / float64(len(scores)); got < 10 || got > 40 {
		t.Errorf("scores have mean square %g, want about 20", got)
	}
}

// The learning rate drops after epochs 20, 40 and 45 of 50. Reference: CIFAR10_MultLayerClassifier_on_RotNet_NIN4blocks_Conv2_feats.py,
// LUT_lr.
func TestNonLinearRates(t *testing.T) {
	p := DefaultNonLinear(2)
	rates := rateAt(t, p.optimizer(10), 0, 199, 200, 399, 400, 449, 450, 499)
	for i, want := range []float64{0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008} {
		if math.Abs(rates[i]-want) > 1e-6*want {
			t.Errorf("rates %v", rates)
		}
	}
	p.Epochs = 1 // no drop falls on the first step
	if rates := rateAt(t, p.optimizer(10), 0, 9); rates[0] != rates[1] {
		t.Errorf("rates %v of one epoch", rates)
	}
}

func TestNonLinearSmallSets(t *testing.T) {
	// Fewer examples than a batch, and a test set of one.
	fit, err := quick().Fit(context.Background(), quickBackend(t), xor(10, 1), xor(1, 2), 2, 1)
	if err != nil || fit.Examples != 10 {
		t.Errorf("%+v, %v", fit, err)
	}
	_, err = quick().Fit(context.Background(), quickBackend(t), xor(1, 1), xor(1, 2), 2, 1)
	wantError(t, "one example", err, "at least 2")
}

func TestNonLinearRefusesAndStops(t *testing.T) {
	for want, change := range map[string]func(*NonLinear){
		"stages count from 1": func(p *NonLinear) { p.Stage = 0 },
		"side -2":             func(p *NonLinear) { p.Side = -2 },
		"width 0":             func(p *NonLinear) { p.Hidden = 0 },
		"for 0 epochs":        func(p *NonLinear) { p.Epochs = 0 },
		"batches of 1":        func(p *NonLinear) { p.Batch = 1 },
		"learning rate 0":     func(p *NonLinear) { p.LearningRate = 0 },
		"weight decay -1":     func(p *NonLinear) { p.WeightDecay = -1 },
	} {
		p := quick()
		change(&p)
		_, err := p.Fit(context.Background(), quickBackend(t), xor(10, 1), xor(10, 2), 2, 1)
		wantError(t, want, err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := quick().Fit(ctx, quickBackend(t), xor(100, 1), xor(10, 2), 2, 1); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
}

func rateAt(t *testing.T, o optim.SGD, steps ...int) []float64 {
	t.Helper()
	var out []float64
	exec := MustNewExec(quickBackend(t), func(step *Node) *Node { return o.Rate(step) })
	for _, s := range steps {
		out = append(out, float64(exec.MustCall(float32(s))[0].Value().(float32)))
	}
	return out
}
