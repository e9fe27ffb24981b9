package study

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
)

// The supervised row is the same beside whatever methods, in whatever order and with whatever schedule.
func TestSupervisedRecipeIsItsOwn(t *testing.T) {
	for _, preset := range []string{sslkit.Smoke, sslkit.Class} {
		var variants []Variant
		for _, name := range ImageMethods() {
			c, err := recipe.Preset(t.Context(), name, preset, "fashion-mnist-10k")
			if err != nil {
				t.Fatal(err)
			}
			*sslkit.Backbone(c.Method) = nn.ResNet(8, 8)
			c.Data = sslkit.Data{Name: "fashion-mnist-10k", Train: 5000, Test: 2000}
			variants = append(variants, Variant{name, c})
		}
		row := func() sslkit.Config {
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
