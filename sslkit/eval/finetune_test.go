package eval

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

// untrained is a store of the backbone as it is drawn, with fitted norms: running statistics of 0 and 1 would hide that they
// were not copied.
func untrained(t testing.TB, backbone nn.Backbone, d bars) *model.Store {
	t.Helper()
	m := &Supervised{Backbone: backbone}
	store, err := RandomInit(context.Background(), quickBackend(t), m, d, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := FitNorms(context.Background(), quickBackend(t), store, m, d); err != nil {
		t.Fatal(err)
	}
	return store
}

// values copies the encoder's variables, bit by bit.
func values(t testing.TB, store *model.Store) map[string]string {
	out := make(map[string]string)
	for path, text := range contents(t, store) {
		if strings.HasPrefix(path, "/encoder/") {
			_, out[path], _ = strings.Cut(text, " ") // not whether it is trained
		}
	}
	return out
}

// Of the copy, what lies before the stage From stays bit by bit, running statistics included, and all else moves; of the store
// that was given nothing does.
func TestFineTuneFreezes(t *testing.T) {
	d := bars{n: 32, classes: 2, batch: 16}
	for _, b := range []nn.Backbone{nn.ResNet(8, 4), nn.NIN(3, 6), nn.ViT(3, 32, 4)} {
		store := untrained(t, b, d)
		before, encoder := contents(t, store), values(t, store)
		parts := b.Parts()
		for from := 1; from <= len(parts); from++ {
			t.Run(fmt.Sprintf("%s from %d", b.Arch, from), func(t *testing.T) {
				p := DefaultFineTune()
				p.From, p.Epochs, p.Steps, p.Dir = from, 2, 0, t.TempDir()
				fit, err := p.Fit(context.Background(), quickBackend(t), store, &Supervised{Backbone: b}, b, d, d, d.labels(), d.labels(), 2, 1)
				if err != nil {
					t.Fatal(err)
				}
				if fit.Examples != 32 || !(fit.Test >= 0 && fit.Test <= 1) {
					t.Errorf("%+v", fit)
				}
				if !maps.Equal(contents(t, store), before) {
					t.Error("the store that was given has changed")
				}
				trained, _, err := sslkit.LoadStore(p.Dir)
				if err != nil {
					t.Fatal(err)
				}
				after := values(t, trained)
				if len(after) != len(encoder) {
					t.Errorf("%d variables, want %d", len(after), len(encoder))
				}
				for path, value := range after {
					frozen := false
					for _, part := range parts[:from-1] {
						for _, scope := range part {
							frozen = frozen || strings.HasPrefix(path, "/encoder/"+scope+"/")
						}
					}
					if stays := value == encoder[path]; stays != frozen && !strings.HasSuffix(path, "/biases_k") { // which softmax ignores
						t.Errorf("%s: stays is %t, frozen %t", path, stays, frozen)
					}
				}
			})
		}
	}
}

// Fine-tuning makes a classifier of an encoder that knows nothing, from few labels less so, and goes on after an interruption
// to the same end.
func TestFineTuneLearns(t *testing.T) {
	b := nn.ResNet(8, 4)
	train, test := bars{n: 96, classes: 2, batch: 16}, bars{n: 64, classes: 2, batch: 16, seed: 1}
	store := untrained(t, b, train)
	p := DefaultFineTune()
	p.Rate, p.Pad, p.Steps = 0.01, 1, 36
	tune := func(ctx context.Context, p FineTune) (Fit, error) {
		return p.Fit(ctx, quickBackend(t), store, &Supervised{Backbone: b}, b, train, test, train.labels(), test.labels(), 2, 1)
	}
	steps := 0
	p.Progress = func(at sslkit.Progress) { steps = at.Steps }
	fit, err := tune(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if fit.Test < 0.9 || fit.Train < 0.9 || steps != 36 { // of 6 each epoch: 3 epochs would be 18
		t.Errorf("%+v after %d steps", fit, steps)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.Dir = t.TempDir()
	p.Progress = func(at sslkit.Progress) {
		if at.Step == 8 {
			cancel()
		}
	}
	if _, err := tune(ctx, p); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	first := 0
	p.Progress = func(at sslkit.Progress) {
		if first == 0 {
			first = at.Step
		}
	}
	if again, err := tune(context.Background(), p); err != nil || again != fit || first < 8 {
		t.Errorf("%+v from step %d, %v; uninterrupted %+v", again, first, err, fit)
	}
}

// doubled sees each channel twice.
type doubled struct{ Supervised }

func (m *doubled) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Supervised.Encode(scope, Concatenate([]*Node{image, image}, -1))
}

// What is tuned is the method's encoder, with all that it does to images before they reach the backbone.
func TestFineTuneEncodes(t *testing.T) {
	b, d := nn.ResNet(8, 4), bars{n: 32, classes: 2, batch: 16}
	m := &doubled{Supervised{Backbone: b}}
	store, err := RandomInit(context.Background(), quickBackend(t), m, d, 1)
	if err != nil {
		t.Fatal(err)
	}
	p := DefaultFineTune()
	p.Epochs, p.Steps = 1, 0
	if _, err := p.Fit(context.Background(), quickBackend(t), store, m, b, d, d, d.labels(), d.labels(), 2, 1); err != nil {
		t.Error(err)
	}
	_, err = p.Fit(context.Background(), quickBackend(t), store, &m.Supervised, b, d, d, d.labels(), d.labels(), 2, 1)
	wantError(t, "the backbone alone", err, "is not one of this backbone")
}

func TestFineTuneRefuses(t *testing.T) {
	for want, change := range map[string]func(p *FineTune){
		"from stage 0":      func(p *FineTune) { p.From = 0 },
		"0 epochs":          func(p *FineTune) { p.Epochs = 0 },
		"at least -1 steps": func(p *FineTune) { p.Steps = -1 },
		"batches of 1":      func(p *FineTune) { p.Batch = 1 },
		"rate NaN":          func(p *FineTune) { p.Rate = math.NaN() },
		"decay -1":          func(p *FineTune) { p.WeightDecay = -1 },
		"pad -1":            func(p *FineTune) { p.Pad = -1 },
	} {
		p := DefaultFineTune()
		change(&p)
		wantError(t, want, p.Validate(), want)
	}
	d := bars{n: 32, classes: 2, batch: 16}
	store := untrained(t, nn.ResNet(8, 4), d)
	tune := func(p FineTune, store *model.Store, b nn.Backbone, d bars) error {
		_, err := p.Fit(context.Background(), quickBackend(t), store, &Supervised{Backbone: b}, b, d, d, d.labels(), d.labels(), 2, 1)
		return err
	}
	p := DefaultFineTune()
	wantError(t, "another encoder", tune(p, store, nn.ResNet(8, 2), d), "is not one of this backbone")
	wantError(t, "a deeper encoder", tune(p, store, nn.ResNet(14, 4), d), "lacks", "of the encoder")
	wantError(t, "an empty store", tune(p, model.NewStore(), nn.ResNet(8, 4), d), "lacks")
	wantError(t, "a large batch", tune(p, store, nn.ResNet(8, 4), bars{n: 8, classes: 2, batch: 16}), "smaller than a batch")
	p.From = 4
	wantError(t, "stage 4 of 3", tune(p, store, nn.ResNet(8, 4), d), "from stage 4", "has 3")
}
