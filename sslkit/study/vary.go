package study

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/view"
)

// Variant is one point of an ablation.
type Variant struct {
	Name   string
	Config sslkit.Config
}

// pinned are the variants, all on the data as they are now.
func pinned(ctx context.Context, s *runs.Store, variants []Variant) ([]Variant, error) {
	out := slices.Clone(variants)
	for i := range out {
		var err error
		if out[i].Config, err = s.Pin(ctx, out[i].Config); err != nil {
			return nil, fmt.Errorf("%s: %w", out[i].Name, err)
		}
	}
	return out, nil
}

// Vary returns a variant of c for each value of one field, see sslkit.Config.With. It is named "field value".
func Vary(c sslkit.Config, path string, values ...any) ([]Variant, error) {
	var variants []Variant
	for _, value := range values {
		changed, err := c.With(path, value)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("study: %s: %w", path, err)
		}
		variants = append(variants, Variant{path[strings.LastIndex(path, ".")+1:] + " " + strings.Trim(string(text), `"`), changed})
	}
	return variants, nil
}

// Pairs returns a variant of c for each pair of the recipe's transforms, see view.Recipe.Only, of which one may be paired with
// itself: the cells of Chen et al. 2020, Fig. 5. The order of a pair makes no difference here. It is named "a+b".
func Pairs(c sslkit.Config, recipe view.Recipe, transforms ...string) ([]Variant, error) {
	var variants []Variant
	for i, a := range transforms {
		for _, b := range transforms[i:] {
			changed, err := c.With("view", recipe.Only(a, b))
			if err != nil {
				return nil, err
			}
			variants = append(variants, Variant{a + "+" + b, changed})
		}
	}
	return variants, nil
}
