package runs

import (
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
)

// tinyOf is a method at its smallest on few examples of its dataset.
func tinyOf(t *testing.T, method, dataset string, train, test int) sslkit.Config {
	t.Helper()
	c, err := recipe.Preset(t.Context(), method, sslkit.Smoke, dataset)
	if err != nil {
		t.Fatal(err)
	}
	c.Epochs, c.Batch, c.Optimizer.Warmup, c.Data.Train, c.Data.Test = 1, 16, 0, train, test
	return shrunk(c)
}

func quickBy(label string) eval.Options {
	o := labtest.Quick()
	o.NonLinear, o.Label = nil, label
	return o
}

// One run is measured by each kind of its clips' labels, and is not trained again for that. The supervised row is by one kind.
func TestEvaluateByLabels(t *testing.T) {
	s, news := newStore(t)
	c := tinyOf(t, "cpc", "moving-fashion", 40, 20)
	steps := 0
	for label, classes := range map[string]int{"": 10, "what": 10, "direction": 8, "speed": 2} {
		scores, err := s.Evaluate(t.Context(), c, quickBy(label))
		if err != nil {
			t.Fatal(err)
		}
		if len(scores.Counts) != classes || len(scores.Stages) != 3 || label == "direction" && scores.Counts[0].Name != "right" {
			t.Errorf("by %q: %d stages, classes %+v", label, len(scores.Stages), scores.Counts)
		}
		if steps == 0 {
			steps = news.Steps
		}
	}
	if news.Steps != steps || steps == 0 {
		t.Errorf("%d steps in all, %d of the first", news.Steps, steps)
	}
	_, err := s.Evaluate(t.Context(), c, quickBy("colour"))
	labtest.WantError(t, "labels that are not there", err, `no labels of "colour": choose one of what, direction, speed`)

	supervised := recipe.Supervised(c)
	supervised.Epochs, supervised.Optimizer.Warmup = 1, 0
	supervised.Method.(*eval.Supervised).Label = "speed"
	for label, tested := range map[string]bool{"speed": true, "what": false} {
		scores, err := s.Evaluate(t.Context(), supervised, quickBy(label))
		if err != nil || (scores.EndToEnd != nil) != tested {
			t.Errorf("trained on speeds, measured by %s: %+v, %v", label, scores, err)
		}
	}
	if _, err := s.Evaluate(t.Context(), recipe.RandomFitted(c), quickBy("direction")); err != nil {
		t.Errorf("random init: %v", err)
	}
}

// Texts are read as the tokens that the network knows.
func TestEvaluateTexts(t *testing.T) {
	s, _ := newStore(t)
	c := tinyOf(t, "word2vec", "glosses", 64, 32)
	for name, c := range map[string]sslkit.Config{"word2vec": c, "random": recipe.RandomInit(c)} {
		scores, err := s.Evaluate(t.Context(), c, quickBy(""))
		if err != nil || len(scores.Stages) != 1 || scores.Stages[0].Dims != 8 || scores.Parameters != 800 {
			t.Errorf("%s: %+v, %v", name, scores, err)
		}
	}
	j, err := s.Trained(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	texts := j.Train.(*data.Tokenized)
	for token, word := range texts.Tokenizer.Words() {
		if is := word != ""; is != (token >= nn.FirstWord) {
			t.Errorf("token %d is %q; the network takes those from %d on for words", token, word, nn.FirstWord)
		}
	}
	if len(texts.Tokens(0)) != 24 {
		t.Errorf("texts of %d tokens", len(texts.Tokens(0)))
	}
}

// What a method has nothing to learn from is refused before anything is trained.
func TestSuits(t *testing.T) {
	s, _ := newStore(t)
	for _, test := range []struct{ method, dataset, want string }{
		{"word2vec", "fashion-mnist-10k", "word2vec learns from texts, and fashion-mnist-10k has images: choose glosses"},
		{"simclr", "glosses", "simclr learns from images, and glosses has texts"},
		{"clip", "glosses", "clip learns from images, and glosses has texts"},
		{"rotation", "moving-fashion", "learns from images, and moving-fashion has clips"},
		{"cpc", "fashion-mnist-10k", "cpc learns from clips, and fashion-mnist-10k has images: choose clips, moving-fashion"},
		{"tracking", "moving-fashion", "grey"},
		{"order", "spoken-digits", "learns from films"},
		{"pace", "spoken-digits", "learns from films"},
		{"arrow", "spoken-digits", "learns from films"},
		{"videomae", "spoken-digits", "needs films"},
		{"nextframe", "spoken-digits", "needs films"},
	} {
		err := s.Trainable(t.Context(), tinyOf(t, test.method, test.dataset, 40, 20))
		labtest.WantError(t, test.method+" on "+test.dataset, err, test.want)
	}
}
