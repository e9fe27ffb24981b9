package sslkit

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func toySimCSE() *SimCSE { return PaperSimCSE(nn.Text(1, 32, bertWords, bertLength)) }

func TestSimCSEValidate(t *testing.T) {
	if err := toySimCSE().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toySimCSE, map[string]func(*SimCSE){
		`not "words"`:          func(m *SimCSE) { m.Backbone = nn.Words(9, 8, 8) },
		"dropout 0: it is all": func(m *SimCSE) { m.Dropout = 0 },
		"dropout 1":            func(m *SimCSE) { m.Dropout = 1 },
		"above 0 (0.05":        func(m *SimCSE) { m.Temperature = 0 },
		"multiple of 32":       func(m *SimCSE) { m.Backbone.Width = 33 },
	})
}

// A text is read twice with different dropout, and each is to
// find its other among the N others of the batch, by cosines over tau. As mistakes all 2N-1 other readings are told apart, as in
// SimCLR; and both readings have the same mask, with which there is nothing to be learned. Reference: Gao et al. 2021, Sec. 3, Eq.
// 4, and there "Fixed 0.1" (a paraphrase).
func TestSimCSELossIsEquation4(t *testing.T) {
	m, texts, store := toySimCSE(), readable()[1:], seeded(t)
	n := len(texts)
	callText(t, store, true, func(scope *model.Scope, text *Node) []*Node { return []*Node{m.Loss(scope, Batch{Text: text})} }, texts)
	jitter(t, store)
	again := func() {
		if err := store.SetRNGStateFromSeed(5); err != nil {
			t.Fatal(err)
		}
	}
	again()
	got := float64(callText(t, store, true, func(scope *model.Scope, text *Node) []*Node { return []*Node{m.Loss(scope, Batch{Text: text})} }, texts)[0].Value().(float32))
	again()
	twice := func(training bool) [][]float32 {
		return callText(t, store, training, func(scope *model.Scope, text *Node) []*Node { return []*Node{m.embed(scope, text)} }, slices.Concat(texts, texts))[0].Value().([][]float32)
	}
	h := twice(true)
	cosine := func(i, j int) (sum float64) {
		for d := range h[i] {
			sum += float64(h[i][d]) * float64(h[j][d])
		}
		return sum
	}
	equation := func(first, last int) float64 { // among the readings from first to last
		var loss, count float64
		for i := range n {
			var all float64
			for j := first; j < last; j++ {
				if j != i {
					all += math.Exp(cosine(i, j) / m.Temperature)
				}
			}
			loss, count = loss+math.Log(all)-cosine(i, i+n)/m.Temperature, count+1
		}
		return loss / count
	}
	const tolerance = 1e-4 // float32 cosines over 0.05
	if want := equation(n, 2*n); math.Abs(got-want) > tolerance {
		t.Errorf("loss %v, want %v", got, want)
	}
	if wrong := equation(0, 2*n); math.Abs(got-wrong) < 10*tolerance {
		t.Errorf("among all others the loss is %v: this test would not tell", wrong)
	}
	for _, training := range []bool{true, false} {
		h := twice(training)
		for i := range n {
			far := 0.
			for d := range h[i] {
				far = max(far, math.Abs(float64(h[i][d]-h[i+n][d])))
			}
			if same := far < 1e-5; same == training { // float32
				t.Errorf("training %t: both readings of text %d are the same: %t", training, i, same)
			}
		}
	}
}

// Texts come to be told apart in spite of what is dropped.
func TestSimCSELearns(t *testing.T) {
	m := PaperSimCSE(nn.Text(1, 32, 15, toyLength))
	m.Dropout = 0.3
	r := &Run{Method: m, Backend: goBackend(t), Train: toyTexts{64, 32}, Epochs: 25, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.003)}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if first, last := h.Loss[0], h.Loss[24]; last > 0.7*first || h.Reports["accuracy"][24] < h.Reports["accuracy"][0] || h.Reports["projection_std"][24] < 0.05 {
		t.Errorf("the loss goes from %v to %v, reports %v", first, last, h.Reports)
	}
}

func TestSimCSERefuses(t *testing.T) {
	for want, in := range map[string]any{"needs texts": [][][][]float32{{{{1}}}}, "at least 2": readable()[:1]} {
		_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node {
			b := Batch{Text: x}
			if x.Rank() == 4 {
				b = Batch{Image: x}
			}
			return toySimCSE().Loss(scope, b)
		}, in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
