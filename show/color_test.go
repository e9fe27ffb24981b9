package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
)

func TestColor(t *testing.T) {
	s, _ := small(t)
	ctx := t.Context()
	c, err := recipe.Colorization(sslkit.Smoke, "photos")
	if err != nil {
		t.Fatal(err)
	}
	m := c.Method.(*sslkit.Colorization)
	m.Backbone, m.Hidden = nn.ResNet(8, 4), 8
	c.Data.Size, c.Data.PerPhoto, c.Epochs, c.Batch, c.Optimizer.Warmup = 8, 1, 1, 50, 0
	regression, err := c.With("regression", true)
	if err != nil {
		t.Fatal(err)
	}
	variants := []study.Variant{{Name: "least squares", Config: regression}, {Name: "rebalanced", Config: c}}
	_, src, err := data.Open("photos", data.OpenOptions{Size: 8, PerPhoto: 1})
	if err != nil {
		t.Fatal(err)
	}
	f, err := ColorBins()
	says(t, f, err, "lightness 50", "313 bins")
	f, err = ColorPrior(ctx, s, c)
	says(t, f, err, "-110", "training images", "−8.0") // of bins that no photo has
	if _, err := ColorPrior(ctx, s, regression); err == nil {
		t.Error("a regression has a prior")
	}
	f, err = Colorized(ctx, s, src, variants, 0, 5)
	says(t, f, err, "lightness", "least squares", "rebalanced", "truth", "chroma ", src.Classes()[src.Label(5)])
	frames, err := ColorTemperatures(ctx, s, c, src, []float64{1, 0.38, 0}, 0, 5)
	if err != nil || len(frames.Figures) != 3 || frames.At != 1 {
		t.Fatalf("%+v, %v", frames.Names, err)
	}
	f, err = Saturation(ctx, s, src, variants...)
	says(t, f, err, "mean chroma", "least squares", "truth", "below 5")
	f, err = Rarity(ctx, s, src, variants...)
	says(t, f, err, "likeliest bin", "rebalanced")
	f, err = Doubts(ctx, s, c, src, 2)
	says(t, f, err, "painted", "modes | truth", "error ")
	if _, err := Doubts(ctx, s, regression, src, 2); err == nil {
		t.Error("a regression has modes")
	}
	text, err := ColorScores(ctx, s, src, variants...)
	if err != nil || !strings.Contains(text, "| least squares |") || !strings.Contains(text, "the error of grey") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := ColorPrior(ctx, s, contrastive(t, "simclr", "fashion-mnist-10k")); err == nil || !strings.Contains(err.Error(), "not by simclr") {
		t.Errorf("error %v", err)
	}
}

func TestModes(t *testing.T) {
	p := make([]float32, view.Bins)
	p[0], p[1], p[40], p[200], p[300] = 0.2, 0.3, 0.1, 0.25, 0.15 // bin 1 is beside bin 0
	if got := modes(p, 3); len(got) != 3 || got[0] != 1 || got[1] != 200 || got[2] != 300 {
		t.Errorf("modes %v", got)
	}
}

func TestGuesses(t *testing.T) {
	g := guesses{bin: []int32{1, 1, 1, 2}, best: []int32{1, 1, 3, 3}, chroma: []float64{1, 2, 30, 36}}
	all, each := g.accuracies()
	if all != 0.5 || each != 1./3 {
		t.Errorf("accuracies %g and %g, want 1/2 and 1/3", all, each)
	}
	if got := g.vivid(g.right); got[0] != 1 || got[3] != 0 || got[4] != 0 || got[1] == got[1] {
		t.Errorf("by chroma %v", got)
	}
}
