package recipe_test

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/recipe"
)

func TestInpaintingPresets(t *testing.T) {
	for _, preset := range []string{sslkit.Smoke, sslkit.Class} {
		for _, dataset := range []string{"photos", "fashion-mnist-10k", "folder:pictures"} {
			pictures, err := recipe.Inpainting(preset, dataset)
			if err == nil {
				err = pictures.Validate()
			}
			if err != nil {
				t.Errorf("%s, %s: %v", preset, dataset, err)
			}
			features, err := recipe.InpaintingFeatures(preset, dataset)
			if err == nil {
				err = features.Validate()
			}
			if err != nil {
				t.Errorf("%s, %s, features: %v", preset, dataset, err)
			}
			a, b := pictures.Method.(*sslkit.ContextEncoder), features.Method.(*sslkit.ContextEncoder)
			if a.Holes != 0 || a.Adv == 0 || b.Holes == 0 || b.Adv != 0 || a.Backbone != b.Backbone {
				t.Errorf("%s, %s: pictures %+v, features %+v", preset, dataset, a, b)
			}
			if side := max(28, pictures.Data.Size); side%4 != 0 || 2*a.Overlap > side/8 {
				t.Errorf("%s, %s: an overlap of %d in images of %d", preset, dataset, a.Overlap, side)
			}
			// "10 times" the rate of the critic, and beta1 (Pathak et al. 2016, Sec. 5.1; train.lua).
			o := pictures.Optimizer.Build(1, 1).(optim.AdamW)
			if pictures.Optimizer.Rate != 2e-3 || a.CriticRate != 0.1 || o.Beta1 != 0.5 {
				t.Errorf("%s, %s: optimizer %+v, critic's rate %g", preset, dataset, pictures.Optimizer, a.CriticRate)
			}
		}
	}
	c, err := recipe.Inpainting(sslkit.Smoke, "photos")
	if err != nil {
		t.Fatal(err)
	}
	c.Optimizer = sslkit.Optimizer{Kind: "sgd", Rate: 0.1, Beta1: 0.5}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "beta1 0.5") {
		t.Errorf("sgd with beta1: error %v", err)
	}
}
