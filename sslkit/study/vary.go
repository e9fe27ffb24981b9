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

// Field is one field of a configuration and the values that it takes in a grid.
type Field struct {
	Path   string
	Values []any
}

// Axis is a field of a grid as tables and figures name it.
type Axis struct {
	Field  string   `json:"field"`
	Values []string `json:"values"`
}

// Grid returns a variant of c for each combination of the fields' values, the last field's changing fastest, and the fields as
// axes. One field is [Vary]; variants of several are named "field value, field value".
func Grid(c sslkit.Config, fields ...Field) ([]Variant, []Axis, error) {
	variants, axes := []Variant{{Config: c}}, []Axis{}
	for _, f := range fields {
		axis := Axis{Field: f.Path[strings.LastIndex(f.Path, ".")+1:]}
		if slices.ContainsFunc(axes, func(a Axis) bool { return a.Field == axis.Field }) {
			return nil, nil, fmt.Errorf("study: %s is varied twice: give all of its values at once", f.Path)
		}
		var finer []Variant
		for i, v := range variants {
			varied, err := Vary(v.Config, f.Path, f.Values...)
			if err != nil {
				return nil, nil, err
			}
			for _, w := range varied {
				if i == 0 {
					axis.Values = append(axis.Values, strings.TrimPrefix(w.Name, axis.Field+" "))
				}
				if v.Name != "" {
					w.Name = v.Name + ", " + w.Name
				}
				finer = append(finer, w)
			}
		}
		variants, axes = finer, append(axes, axis)
	}
	return variants, axes, nil
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
