package recipe_test

import (
	"reflect"
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

// What labels add to SimCLR is shown by its own recipe with labels; beside it stands the supervised row all the same.
func TestSupConRecipe(t *testing.T) {
	for _, preset := range []string{sslkit.Smoke, sslkit.Class} {
		c, err := recipe.Preset(t.Context(), "supcon", preset, "fashion-mnist-10k")
		if err != nil {
			t.Fatal(err)
		}
		simclr, err := recipe.SimCLR(preset, "fashion-mnist-10k")
		if err != nil {
			t.Fatal(err)
		}
		m := c.Method.(*eval.SupCon)
		if c.Validate() != nil || c.Role() != sslkit.Labelled || m.SimCLR != *simclr.Method.(*sslkit.SimCLR) {
			t.Errorf("%+v, %v", c, c.Validate())
		}
		if s, ok := recipe.Supervised(c).Method.(*eval.Supervised); !ok || s.Backbone != m.Backbone {
			t.Errorf("the supervised row beside it is %+v", recipe.Supervised(c).Method)
		}
		c.Method = simclr.Method
		if !reflect.DeepEqual(c, simclr) {
			t.Errorf("%+v is trained otherwise than simclr, %+v", c, simclr)
		}
	}
	if _, err := recipe.Preset(t.Context(), "supcon", sslkit.Paper, "cifar10"); err == nil {
		t.Error("it has the recipe of the paper")
	}
}
