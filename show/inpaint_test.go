package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
)

func TestInpainted(t *testing.T) {
	s, _ := small(t)
	src := clothes(t)
	some, err := data.Subset(src, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := recipe.Inpainting(sslkit.Smoke, "fashion-mnist-10k")
	if err != nil {
		t.Fatal(err)
	}
	m := c.Method.(*sslkit.ContextEncoder)
	m.Backbone, m.Decoder, m.Critic = nn.ResNet(8, 2), 2, 2
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch = 20, 10, 1, 10
	central, err := study.InpaintingLosses(c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Inpainted(t.Context(), s, some, central, 0, 1)
	says(t, f, err, "seen", "L2", "adversarial", "joint", "truth", " dB", ", joint ", "mean over 10 of fashion-mnist-10k/train")

	m.Holes, m.Overlap, m.Seen = 1, 0, 1
	anywhere, err := study.InpaintingLosses(c)
	if err != nil {
		t.Fatal(err)
	}
	f, err = Inpainted(t.Context(), s, some, anywhere[:1], 0, 1)
	says(t, f, err, "L2", "truth")
	// All variants get the same holes: painted twice by the same network, an example is the same.
	p, err := newPainter(t.Context(), s, anywhere[0], anywhere[0])
	if err != nil {
		t.Fatal(err)
	}
	images, _, err := read(some, []int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	var masks [2]string
	for i := range masks {
		drawn, decibels, err := p.paint(images)
		if err != nil {
			t.Fatal(err)
		}
		masked, completed := drawn[0], drawn[1]
		masks[i] = string(masked[0].Pixels) + string(masked[1].Pixels)
		wrong, hidden := 0., 0.
		for k, v := range completed[0].Pixels {
			d := float64(v) - float64(images[0].Pixels[k])
			wrong += d * d / 255 / 255
			if masked[0].Pixels[k] != images[0].Pixels[k] || d != 0 {
				hidden++
			}
		}
		// Pixels in bytes are good to 1/510, and a hidden one may by chance be what it was: the hole has 14x14.
		if want := decibel(wrong / (14 * 14)); decibels[1][0] < want-0.5 || decibels[1][0] > want+0.5 || hidden > 14*14 {
			t.Errorf("%.2f dB, want %.2f; %g pixels hidden", decibels[1][0], want, hidden)
		}
	}
	if masks[0] != masks[1] {
		t.Error("two calls draw two kinds of holes")
	}

	for want, variants := range map[string][]study.Variant{
		"cannot paint the holes": {central[0], anywhere[0]},
		"both must be inpaint":   {{Name: "rotation", Config: contrastive(t, "simclr", "fashion-mnist-10k")}},
	} {
		if _, err := Inpainted(t.Context(), s, some, variants, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
