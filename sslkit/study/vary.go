package sweep

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit/view"
)

// Variant is one point of an ablation.
type Variant struct {
	Name   string
	Config Config
}

// Vary returns a variant of c for each value of one field, see [Config.With]. It is named "field value".
func (c Config) Vary(path string, values ...any) ([]Variant, error) {
	var variants []Variant
	for _, value := range values {
		changed, err := c.With(path, value)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("sweep: %s: %w", path, err)
		}
		variants = append(variants, Variant{path[strings.LastIndex(path, ".")+1:] + " " + strings.Trim(string(text), `"`), changed})
	}
	return variants, nil
}

// Pairs returns a variant of c for each pair of the recipe's transforms, see view.Recipe.Only, of which one may be paired with
// itself: the cells of Chen et al. 2020, Fig. 5. The order of a pair makes no difference here. It is named "a+b".
func (c Config) Pairs(recipe view.Recipe, transforms ...string) ([]Variant, error) {
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

// With returns c with one field changed, without touching what c points to. The field is named by its path in
// JSON, or by as much of the path's end as names only one field of c's method: "temperature" is then
// "method.simclr.temperature". The value is one that the field's JSON takes.
func (c Config) With(path string, value any) (Config, error) {
	full, err := c.resolve(path)
	if err != nil {
		return c, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return c, fmt.Errorf("sweep: %w", err)
	}
	var tree map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber() // a seed of 63 bits must come out as it went in
	if err := d.Decode(&tree); err != nil {
		return c, fmt.Errorf("sweep: %w", err)
	}
	at, keys := tree, strings.Split(full, ".")
	for _, key := range keys[:len(keys)-1] {
		below, ok := at[key].(map[string]any)
		if !ok { // left out, being empty
			below = make(map[string]any)
			at[key] = below
		}
		at = below
	}
	at[keys[len(keys)-1]] = value
	if text, err = json.Marshal(tree); err != nil {
		return c, fmt.Errorf("sweep: %s: %w", full, err)
	}
	changed, err := decode(text)
	if err != nil {
		return c, fmt.Errorf("%s: %w", full, err)
	}
	return changed, nil
}

// resolve completes the path of a field.
func (c Config) resolve(path string) (string, error) {
	var own, ends []string
	for _, p := range paths(fields(reflect.TypeFor[Config]())) {
		if strings.HasPrefix(p, "method.") && !strings.HasPrefix(p, "method."+c.Method.Name()+".") {
			continue
		}
		own = append(own, p)
		if strings.HasSuffix("."+p, "."+path) {
			ends = append(ends, p)
		}
	}
	switch {
	case slices.Contains(own, path):
		return path, nil
	case len(ends) == 1:
		return ends[0], nil
	case len(ends) > 1:
		return "", fmt.Errorf("sweep: %q may be %s: give more of its path", path, strings.Join(ends, " or "))
	}
	return "", fmt.Errorf("sweep: no field is called %q%s", path, suggest(path, own))
}

// paths are the fields and the structs that hold them.
func paths(fields []string) []string {
	var out []string
	for _, p := range fields {
		for i, r := range p {
			if r == '.' && !slices.Contains(out, p[:i]) {
				out = append(out, p[:i])
			}
		}
		out = append(out, p)
	}
	return out
}
