package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

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

// The learning rate drops where the authors' code drops it: after epochs 20, 40 and 45 of 50.
func TestNonLinearFollowsThePaper(t *testing.T) {
	p := DefaultNonLinear(2)
	if p != (NonLinear{Stage: 2, Hidden: 200, Epochs: 50, Batch: 128, LearningRate: 0.1, WeightDecay: 5e-4}) {
		t.Errorf("%+v", p)
	}
	// Reference: Sec. 4.1; CIFAR10_MultLayerClassifier_on_RotNet_NIN4blocks_Conv2_feats.py, LUT_lr.
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
