package recipe

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sslkit/lab/sslkit/nn"
)

// The supervised row is the same beside whatever methods, in whatever order and with whatever schedule.
func TestSupervisedRecipeIsItsOwn(t *testing.T) {
	for _, preset := range []string{Smoke, Class, Paper} {
		var variants []Variant
		for _, name := range ImageMethods() {
			c, err := Preset(name, preset, "fashion-mnist-10k")
			if err != nil {
				t.Fatal(err)
			}
			*c.Method.Network() = nn.ResNet(8, 8)
			c.Data = Data{Name: "fashion-mnist-10k", Train: 5000, Test: 2000}
			variants = append(variants, Variant{name, c})
		}
		row := func() Config {
			of := Baselines(variants)
			if len(of) != 3 || of[2].Name != "supervised" {
				t.Fatalf("baselines %+v", of)
			}
			return of[2].Config
		}
		want := row()
		if err := want.Validate(); err != nil {
			t.Errorf("%s: %v", preset, err)
		}
		for range variants {
			variants = append(variants[1:], variants[0])
			if got := row(); got.Key() != want.Key() || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: beside %s first the supervised row is %+v, and %+v beside the others", preset, variants[0].Name, got, want)
			}
		}
		slices.Reverse(variants)
		if got := row(); got.Key() != want.Key() {
			t.Errorf("%s: it depends on the order", preset)
		}
	}
}

func TestSupervisedRecipe(t *testing.T) {
	c := tiny(t)
	c.Seed, c.Backend = 7, "go"
	s := c.Supervised()
	if s.Seed != 7 || s.Backend != "go" || s.Data != c.Data || *s.Method.Network() != *c.Method.Network() {
		t.Errorf("%+v is not of the network, data, seed and backend of %+v", s, c)
	}
	s.Epochs = 3 // as asked for by its own flags
	if again := s.Supervised(); again.Epochs != 3 || again.Key() != s.Key() {
		t.Errorf("of a supervised configuration it makes %+v", again)
	}
	for _, b := range []nn.Backbone{nn.NIN(4, 24), nn.NIN(4, 192), nn.ResNet(8, 8), nn.ResNet(20, 64), nn.ViT(4, 96, 4)} {
		for _, name := range []string{"fashion-mnist-10k", "mnist", "photos"} {
			s := SupervisedRecipe(b, Data{Name: name})
			if err := s.Validate(); err != nil || s.Method.Supervised.Flip != (name != "mnist") {
				t.Errorf("%v on %s: %+v, %v", b, name, s.Method.Supervised, err)
			}
			if (s.Optimizer.Kind == "adamw") != (b.Arch == "vit") || (s.Epochs > 100) != (b.Width >= 64 && b.Arch != "vit") {
				t.Errorf("%v: %+v", b, s)
			}
		}
	}
}

// A folder of few images is no reason to fail, or for a single step an epoch.
func TestSupervisedOnFewImages(t *testing.T) {
	s, notes := newStore(t)
	c := tiny(t)
	c.Data.Train = 24
	c = c.Supervised()
	c.Epochs, c.Optimizer.Warmup = 2, 0
	pretrain(t, s, c)
	if notes.steps != 2*3 {
		t.Errorf("%d steps, want 3 of 8 images an epoch", notes.steps)
	}
}
