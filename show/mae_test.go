package show

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/study"
)

// masked is a masked autoencoder of 16 patches that trains in a second on the pure-Go backend.
func masked(t *testing.T) sslkit.Config {
	t.Helper()
	c := contrastive(t, "mae", "fashion-mnist-10k")
	m := c.Method.(*sslkit.MAE)
	m.Backbone, m.DecoderDepth, m.DecoderWidth, m.Mask = nn.ViT(1, 32, 7), 1, 32, 0.5
	return c
}

func TestMAE(t *testing.T) {
	s, _ := small(t)
	ctx, src, c := t.Context(), clothes(t), masked(t)
	frames, err := Painted(ctx, s, c, src, []float64{0.25, 0.5, 0.75}, 0, 3)
	if err != nil || len(frames.Figures) != 3 || frames.At != 1 || frames.Names[2] != "75 %" {
		t.Fatalf("%+v, at %d, %v", frames.Names, frames.At, err)
	}
	says(t, frames.Figures[2], err, "12 of 16 patches hidden", "guessed from visible ones", "painted", src.Classes()[src.Label(3)])
	pixels, err := c.With("normalize", false)
	if err != nil {
		t.Fatal(err)
	}
	frames, err = Painted(ctx, s, pixels, src, []float64{0.5}, 0)
	says(t, frames.Figures[0], err, "targets are pixels")

	f, err := Explained(ctx, s, study.Variant{Name: "normalised", Config: c}, study.Variant{Name: "pixels", Config: pixels})
	says(t, f, err, "normalised", "pixels", "variance explained", "epoch")

	other := contrastive(t, "simclr", "fashion-mnist-10k")
	if _, err := Painted(ctx, s, other, src, []float64{0.5}, 0); err == nil || !strings.Contains(err.Error(), "by mae") {
		t.Errorf("simclr paints: %v", err)
	}
	if _, err := Explained(ctx, s, study.Variant{Name: "simclr", Config: other}); err == nil || !strings.Contains(err.Error(), "no patches") {
		t.Errorf("simclr explains patches: %v", err)
	}
	if _, err := Painted(ctx, s, c, src, []float64{1}, 0); err == nil || !strings.Contains(err.Error(), "leaves none") {
		t.Errorf("all is hidden: %v", err)
	}
}

// A frame shows the image where it is visible, and those that hide more hide what the others hide.
func TestPaint(t *testing.T) {
	s, _ := small(t)
	c := masked(t)
	trained, err := s.Trained(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	images, _, err := read(clothes(t), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	order := [][]int32{{5, 3, 9, 0, 1, 2, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15}}
	image := images[0].Pixels
	for _, hidden := range []int{0, 8, 12} {
		seen, painted, err := paint(trained, c.Method.(*sslkit.MAE), images, order, float64(hidden)/16)
		if err != nil {
			t.Fatal(err)
		}
		differ := 0
		for i := range image {
			patch := int32(i/28/7*4 + i%28/7)
			if slices.Contains(order[0][:16-hidden], patch) {
				if seen[0].Pixels[i] != image[i] || painted[0].Pixels[i] != image[i] {
					t.Fatalf("%d hidden: pixel %d is visible and shown as %d and %d, want %d", hidden, i, seen[0].Pixels[i], painted[0].Pixels[i], image[i])
				}
			} else if seen[0].Pixels[i] != 128 {
				t.Fatalf("%d hidden: pixel %d is shown as %d, want grey", hidden, i, seen[0].Pixels[i])
			}
			if painted[0].Pixels[i] != seen[0].Pixels[i] {
				differ++
			}
		}
		if hidden > 0 && differ == 0 || bytes.Equal(painted[0].Pixels, image) != (hidden == 0) {
			t.Errorf("%d hidden: %d pixels are painted", hidden, differ)
		}
	}
}

func TestStepTime(t *testing.T) {
	c, src := masked(t), clothes(t)
	variants, err := study.Vary(c, "mae.mask", 0, 0.75)
	if err != nil {
		t.Fatal(err)
	}
	f, err := StepTime(t.Context(), src, 3, variants...)
	says(t, f, err, "mask 0.75", "100.0", "multiplications", "batches of 20, on go", "3 steps")
	if _, err := StepTime(t.Context(), src, 3, study.Variant{Name: "simclr", Config: contrastive(t, "simclr", "fashion-mnist-10k")}); err == nil ||
		!strings.Contains(err.Error(), "only mae") {
		t.Errorf("simclr hides patches: %v", err)
	}
	if _, err := StepTime(t.Context(), src, 0, variants...); err == nil {
		t.Error("no turns pass")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StepTime(ctx, src, 3, variants...); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}

// Slow turns are slow for all: a machine that is twice as slow for a while changes nothing.
func TestRelative(t *testing.T) {
	median, spread := relative([][]float64{{1, 0.5}, {2, 0.75}, {1, 0.625}, {4, 3}, {1, 0.25}})
	if !slices.Equal(median, []float64{100, 50}) || !slices.Equal(spread, []float64{0, 12.5}) {
		t.Errorf("%v ± %v, want 100 ± 0 and 50 ± 12.5", median, spread)
	}
	if median, _ := relative([][]float64{{1, 0.5}}); median[1] != 50 {
		t.Errorf("one turn: %v", median)
	}
}

// By hand, for 4 patches of 2 values, of which 2 are hidden, both networks of one block and 32 dimensions.
func TestMultiplications(t *testing.T) {
	m := &sslkit.MAE{Backbone: nn.ViT(1, 32, 1), Mask: 0.5, DecoderDepth: 1, DecoderWidth: 32}
	const d = 32
	decoder := 4*12*d*d + 2*4*4*d + 4*d*2
	if got, want := multiplications(m, 4, 2), float64(2*2*d+2*12*d*d+2*2*2*d+2*d*d+decoder); got != want {
		t.Errorf("%g multiplications, want %g", got, want)
	}
	m.MaskTokens = true
	if got, want := multiplications(m, 4, 2), float64(2*2*d+4*12*d*d+2*4*4*d+4*d*d+decoder); got != want {
		t.Errorf("with mask tokens in the encoder: %g multiplications, want %g", got, want)
	}
}
