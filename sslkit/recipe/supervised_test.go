package recipe_test

import (
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
)

func TestSupervisedRecipe(t *testing.T) {
	c := labtest.Tiny(t)
	c.Seed, c.Backend = 7, "go"
	s := recipe.Supervised(c)
	if s.Seed != 7 || s.Backend != "go" || s.Data != c.Data || *sslkit.Backbone(s.Method) != *sslkit.Backbone(c.Method) {
		t.Errorf("%+v is not of the network, data, seed and backend of %+v", s, c)
	}
	s.Epochs = 3 // as asked for by its own flags
	if again := recipe.Supervised(s); again.Epochs != 3 || again.Key() != s.Key() {
		t.Errorf("of a supervised configuration it makes %+v", again)
	}
	for _, b := range []nn.Backbone{nn.NIN(4, 24), nn.NIN(4, 192), nn.ResNet(8, 8), nn.ResNet(20, 64), nn.ViT(4, 96, 4)} {
		for _, name := range []string{"fashion-mnist-10k", "mnist", "photos"} {
			s := recipe.Labels(b, sslkit.Data{Name: name})
			if err := s.Validate(); err != nil || s.Method.(*eval.Supervised).Flip != (name != "mnist") {
				t.Errorf("%v on %s: %+v, %v", b, name, s.Method, err)
			}
			if (s.Optimizer.Kind == "adamw") != (b.Arch == "vit") || (s.Epochs > 100) != (b.Width >= 64 && b.Arch != "vit") {
				t.Errorf("%v: %+v", b, s)
			}
		}
	}
}
