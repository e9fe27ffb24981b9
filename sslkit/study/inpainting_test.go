package study

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/optim"
)

func TestInpaintingPresets(t *testing.T) {
	for _, preset := range []string{Smoke, Class} {
		for _, dataset := range []string{"photos", "fashion-mnist-10k", "folder:pictures"} {
			pictures, err := Inpainting(preset, dataset)
			if err == nil {
				err = pictures.Validate()
			}
			if err != nil {
				t.Errorf("%s, %s: %v", preset, dataset, err)
			}
			features, err := InpaintingFeatures(preset, dataset)
			if err == nil {
				err = features.Validate()
			}
			if err != nil {
				t.Errorf("%s, %s, features: %v", preset, dataset, err)
			}
			a, b := pictures.Method.Inpainting, features.Method.Inpainting
			if a.Holes != 0 || a.Adv == 0 || b.Holes == 0 || b.Adv != 0 || a.Backbone != b.Backbone {
				t.Errorf("%s, %s: pictures %+v, features %+v", preset, dataset, a, b)
			}
			if side := max(28, pictures.Data.Size); side%4 != 0 || 2*a.Overlap > side/8 {
				t.Errorf("%s, %s: an overlap of %d in images of %d", preset, dataset, a.Overlap, side)
			}
			// "10 times" the rate of the critic, and beta1 (Pathak et al. 2016, Sec. 5.1; train.lua).
			o := pictures.Optimizer.build(1, 1).(optim.AdamW)
			if pictures.Optimizer.Rate != 2e-3 || a.CriticRate != 0.1 || o.Beta1 != 0.5 {
				t.Errorf("%s, %s: optimizer %+v, critic's rate %g", preset, dataset, pictures.Optimizer, a.CriticRate)
			}
		}
	}
	c, err := Inpainting(Smoke, "photos")
	if err != nil {
		t.Fatal(err)
	}
	c.Optimizer = Optimizer{Kind: "sgd", Rate: 0.1, Beta1: 0.5}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "beta1 0.5") {
		t.Errorf("sgd with beta1: error %v", err)
	}
}

func TestInpaintingLosses(t *testing.T) {
	c, err := Inpainting(Smoke, "photos")
	if err != nil {
		t.Fatal(err)
	}
	variants, err := c.InpaintingLosses()
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]bool)
	for i, want := range []struct {
		name                   string
		rec, adv, rate, critic float64
	}{{"L2", 1, 0, 2e-3, 2e-3}, {"adversarial", 0, 1, 2e-4, 2e-4}, {"joint", 0.999, 0.001, 2e-3, 2e-4}} {
		v := variants[i]
		m := v.Config.Method.Inpainting
		if v.Name != want.name || m.Rec != want.rec || m.Adv != want.adv || v.Config.Optimizer.Rate != want.rate || v.Config.Optimizer.Rate*m.CriticRate != want.critic {
			t.Errorf("%s: %+v, %+v", v.Name, m, v.Config.Optimizer)
		}
		if err := v.Config.Validate(); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		keys[v.Config.Key()] = true
	}
	if len(keys) != 3 || variants[2].Config.Key() != c.Key() {
		t.Error("the three are not three runs, of which the last one is the preset's")
	}
}
