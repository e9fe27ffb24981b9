package show

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/study"
)

func TestWithout(t *testing.T) {
	s, rotation := small(t)
	ctx, src := t.Context(), clothes(t)
	c := contrastive(t, "barlow", "fashion-mnist-10k")
	c.Method.(*sslkit.BarlowTwins).Dim = 12
	variants, err := study.Vary(c, "epochs", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, figure := range []string{"loss", "projection_std", "effective_rank"} {
		f, err := Course(ctx, s, figure, variants...)
		says(t, f, err, "epochs 1", "epochs 2", strings.ReplaceAll(figure, "_", " "), "seed 1")
	}
	if _, err := Course(ctx, s, "accuracy", variants...); err == nil || !strings.Contains(err.Error(), `no "accuracy"`) {
		t.Errorf("barlow has an accuracy: %v", err)
	}

	frames, err := CrossCorrelation(ctx, s, src, "trained for", variants...)
	if err != nil || !slices.Equal(frames.Names, []string{"epochs 1", "epochs 2"}) || frames.At != 1 {
		t.Fatalf("%+v, %v", frames.Names, err)
	}
	says(t, frames.Figures[0], nil, "mean of the diagonal", "400 test images", "<image")
	if _, err := CrossCorrelation(ctx, s, src, "trained for", study.Variant{Name: "rotation", Config: rotation}); err == nil {
		t.Error("rotation has projections")
	}
}

func TestDiverging(t *testing.T) {
	for r, want := range map[float64][]uint8{1: {0, 114, 178}, 0: {255, 255, 255}, -1: {213, 94, 0}, 1.0001: {0, 114, 178}, 0.5: {128, 185, 217}} {
		if got := diverging(r); !slices.Equal(got, want) {
			t.Errorf("%g is %v, want %v", r, got, want)
		}
	}
	if got := diverging(math.Copysign(0, -1)); !slices.Equal(got, []uint8{255, 255, 255}) {
		t.Errorf("-0 is %v", got)
	}
}

func TestSelfAttention(t *testing.T) {
	s, rotation := small(t)
	src := clothes(t)
	c := contrastive(t, "simmim", "fashion-mnist-10k")
	*sslkit.Backbone(c.Method) = nn.ViT(1, 64, 4)
	f, err := SelfAttention(t.Context(), s, c, src, 0, 1)
	says(t, f, err, "head 1", "head 2", "mean", src.Classes()[src.Label(1)], "last block")
	if _, err := SelfAttention(t.Context(), s, rotation, src, 0); err == nil || !strings.Contains(err.Error(), "has a nin") {
		t.Errorf("a nin has heads: %v", err)
	}
}
