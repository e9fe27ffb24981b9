package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
)

// tells is says for tables.
func tells(t *testing.T, text string, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the table does not say %q:\n%s", w, text)
		}
	}
}

func TestPuzzles(t *testing.T) {
	s, _ := small(t)
	ctx, src := t.Context(), clothes(t)
	context, jigsaw := contrastive(t, "context", "fashion-mnist-10k"), contrastive(t, "jigsaw", "fashion-mnist-10k")
	f, err := Confusion(ctx, s, context, src)
	says(t, f, err, "it is said to lie", "below right", "12.5 by guessing", "1000 test images")
	f, err = PatchNeighbours(ctx, s, src, study.Variant{Name: "trained", Config: context}, study.Variant{Name: "random init", Config: recipe.RandomInit(context)})
	says(t, f, err, "trained", "random init", "patch")
	f, err = Puzzles(ctx, s, jigsaw, src, 0, 1, 2)
	says(t, f, err, "shuffled", "put right", "24 permutations")

	byP, err := study.Vary(jigsaw, "permutations", 4, 6)
	if err != nil {
		t.Fatal(err)
	}
	text, err := PermutationSets(byP...)
	tells(t, text, err, "permutations 4", "9.00 | 9") // the first few never agree in a tile
	for name, err := range map[string]error{
		"sides":        second(Confusion(ctx, s, jigsaw, src)),
		"permutations": second(PermutationSets(study.Variant{Name: "context", Config: context})),
		"puzzles":      second(Puzzles(ctx, s, context, src, 0)),
		"places":       second(Aberration(ctx, s, src, []study.Variant{{Config: context}}, 1)),
		"patches":      second(PatchNeighbours(ctx, s, src)),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one about %s", err, name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAberration(t *testing.T) {
	s, _ := small(t)
	c := contrastive(t, "position", "fashion-mnist-10k")
	f, err := Aberration(t.Context(), s, clothes(t), []study.Variant{{Name: "unguarded", Config: c}}, 1)
	says(t, f, err, "unguarded", "always the centre", "one seed")
}

func TestFamily(t *testing.T) {
	s, _ := small(t)
	ctx := t.Context()
	var variants []study.Variant
	for _, method := range []string{"context", "jigsaw"} {
		c := contrastive(t, method, "fashion-mnist-10k")
		variants = append(variants, study.Variant{Name: method, Config: c.WithEpochs(2)})
	}
	result, err := study.Ablate(ctx, s, variants, eval.Defaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := PretextAndProbe(result)
	says(t, f, err, "pretext task", "linear probe, last block", "context", "jigsaw", "supervised")
	f, err = Pace(ctx, s, 3, variants, 1)
	says(t, f, err, "seconds of training", "k-NN accuracy, block 3", "jigsaw")
	f, err = PretextAgainst(ctx, s, 3, variants, 1)
	says(t, f, err, "accuracy on the pretext task", "a point for each epoch of one seed")
	text, err := TimeTo(ctx, s, 3, 0.01, variants, 1)
	tells(t, text, err, "epochs to 1 %", "| context |", "| 1.0 |") // any encoder is right once in a hundred
	text, err = TimeTo(ctx, s, 3, 1, variants, 1)
	tells(t, text, err, "not reached")
	text, err = Critique(ctx, s, result, 3, variants, 1)
	tells(t, text, err, "solved", "| jigsaw |")
	if _, err := Critique(ctx, s, result, 3, variants[1:], 1); err == nil {
		t.Error("variants in another order than the table's rows pass")
	}
	if _, err := Pace(ctx, s, 9, variants, 1); err == nil || !strings.Contains(err.Error(), "block 9") {
		t.Errorf("a block that there is not: %v", err)
	}
}
