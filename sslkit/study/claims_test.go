package study

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

// What claims expect is of arms and figures that they have, and their arms can be trained.
func TestLecture(t *testing.T) {
	claims, err := Lecture()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range claims {
		if slices.Contains(names, c.Name) || c.Says == "" || c.Item == "" || len(c.Expects) == 0 {
			t.Errorf("claim %+v", c)
		}
		names = append(names, c.Name)
		has := func(cell Cell) bool {
			f := slices.IndexFunc(c.Figures, func(f Figure) bool { return f.Name == cell.Figure })
			return f >= 0 && (c.Figures[f].only == nil || slices.Contains(c.Figures[f].only, cell.Arm)) &&
				slices.ContainsFunc(c.Arms, func(v Variant) bool { return v.Name == cell.Arm })
		}
		for _, e := range c.Expects {
			if !has(e.More) || e.Less != (Cell{}) && !has(e.Less) {
				t.Errorf("%s expects %+v, of arms %v and figures %v", c.Name, e, c.Arms, c.Figures)
			}
		}
		for i, a := range c.Arms {
			if err := a.Config.Validate(); err != nil {
				t.Errorf("%s, %s: %v", c.Name, a.Name, err)
			}
			for _, b := range c.Arms[:i] {
				if a.Config.Key() == b.Config.Key() {
					t.Errorf("%s: %s and %s are one", c.Name, a.Name, b.Name)
				}
			}
		}
		if got, err := LectureClaim(c.Name); err != nil || got.Says != c.Says {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	_, err = LectureClaim("temprature")
	labtest.WantError(t, "an unknown claim", err, `no claim is called "temprature"`, "temperature")
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name       string
		more, less [][]float64 // of each expectation
		want       Verdict
	}{
		{"clear", [][]float64{{.70, .71, .72}}, [][]float64{{.60, .612, .621}}, Holds},
		{"the opposite", [][]float64{{.60, .612, .621}}, [][]float64{{.70, .71, .72}}, Fails},
		{"by chance", [][]float64{{.70, .60, .72}}, [][]float64{{.60, .64, .65}}, Undecided},
		{"one of two", [][]float64{{.70, .71, .72}, {.70, .60, .72}}, [][]float64{{.60, .612, .621}, {.60, .64, .65}}, Undecided},
		{"one the other way", [][]float64{{.70, .71, .72}, {.60, .612, .621}}, [][]float64{{.60, .612, .621}, {.70, .71, .72}}, Fails},
		{"one alone", [][]float64{{.63, .66, .68}}, [][]float64{{.60, .612, .621}}, Holds}, // p = 0.03
		{"not as two", [][]float64{{.63, .66, .68}, {.63, .66, .68}}, [][]float64{{.60, .612, .621}, {.60, .612, .621}}, Undecided},
	} {
		c := &Tested{Values: map[string]map[string][]float64{"a": {}, "b": {}}}
		for i := range test.more {
			figure := string(rune('1' + i))
			c.Values["a"][figure], c.Values["b"][figure] = test.more[i], test.less[i]
			c.Expects = append(c.Expects, above(figure, "a", "b")...)
		}
		if c.judge(); c.Verdict != test.want {
			t.Errorf("%s: %s by %+v, want %s", test.name, c.Verdict, c.Findings, test.want)
		}
	}
	c := &Tested{Values: map[string]map[string][]float64{"a": {"x": {.30, .31, .33}}}}
	c.Expects = []Expect{{More: Cell{"a", "x"}, Value: 0.1}}
	if c.judge(); c.Verdict != Holds || math.Abs(c.Findings[0].By.Mean-(.94/3-.1)) > 1e-12 {
		t.Errorf("above a value: %+v", c.Findings)
	}
}

// A claim trains what is missing when it may, once, and says what is missing when it may not.
func TestClaim(t *testing.T) {
	s, notes := newStore(t)
	config := labtest.Tiny(t)
	measured := 0
	c := Claim{Name: "tiny", Item: "2", Says: "Rotation learns.",
		Arms: []Variant{{"rotation", config}, {untrained, recipe.RandomInit(config)}},
		Figures: []Figure{
			{Name: "loss", Scale: 1, only: []string{"rotation"}, of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
				r, err := s.Pretrain(ctx, c)
				if err != nil {
					return 0, err
				}
				return r.History.Loss[len(r.History.Loss)-1], nil
			}},
			{Name: "seed", Scale: 1, of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
				measured++
				_, err := s.Pretrain(ctx, c)
				return float64(c.Seed), err
			}},
		},
		Expects: above("seed", "rotation", untrained),
	}
	if _, err := c.Test(t.Context(), s, false, 1, 2, 3); !errors.Is(err, ErrNoRecord) || measured > 0 {
		t.Fatalf("%v, %d measured", err, measured)
	}
	if _, err := c.Test(t.Context(), s, true, 1, 2); err == nil || !strings.Contains(err.Error(), "2 seeds decide nothing") {
		t.Fatal(err)
	}
	got, err := c.Test(t.Context(), s, true, 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if notes.Steps != 3*10 || len(got.Keys) != 6 || !slices.Equal(got.Values[untrained]["seed"], []float64{1, 2, 3}) || len(got.Values["rotation"]["loss"]) != 3 {
		t.Errorf("%d steps, %+v", notes.Steps, got)
	}
	if got.Verdict != Undecided || got.Values[untrained]["loss"] != nil { // the seeds are equal
		t.Errorf("%s by %+v", got.Verdict, got.Findings)
	}
	if again, err := c.Test(t.Context(), s, false, 1, 2, 3); err != nil || notes.Steps != 3*10 || again.Verdict != got.Verdict {
		t.Errorf("again: %v, %d steps", err, notes.Steps)
	}
	text := got.Caption()
	for _, want := range []string{"Rotation learns. Not decided here.", "seed of rotation above that of untrained by +0 ± 0 (p = 1): not decided", "3 training seeds"} {
		if !strings.Contains(text, want) {
			t.Errorf("the caption is %q, without %q", text, want)
		}
	}
	if _, rows := got.Table(); len(rows) != 2 || rows[1][1] != "" {
		t.Errorf("%q", rows)
	}
}
