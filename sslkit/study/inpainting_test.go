package study

import (
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

func TestInpaintingLosses(t *testing.T) {
	c, err := recipe.Inpainting(sslkit.Smoke, "photos")
	if err != nil {
		t.Fatal(err)
	}
	variants, err := InpaintingLosses(c)
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]bool)
	for i, want := range []struct {
		name                   string
		rec, adv, rate, critic float64
	}{{"L2", 1, 0, 2e-3, 2e-3}, {"adversarial", 0, 1, 2e-4, 2e-4}, {"joint", 0.999, 0.001, 2e-3, 2e-4}} {
		v := variants[i]
		m := v.Config.Method.(*sslkit.ContextEncoder)
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
