package study

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// ClaimSeeds are what claims are tested with. What they expect was fixed after looks at the seeds 1 to 3, which therefore decide
// nothing.
var ClaimSeeds = []int64{4, 5, 6, 7, 8}

// Claim is a statement of the lecture, and the experiment by which it is tested here: arms that are trained with the same seeds,
// figures of each, and what the statement says of them. What is expected is fixed here, before anything is measured.
type Claim struct {
	Name    string    `json:"name"` // for short, "temperature"
	Item    string    `json:"item"` // of the lecture, "3.1"
	Says    string    `json:"says"` // the statement
	Arms    []Variant `json:"arms"`
	Figures []Figure  `json:"figures"` // of each arm
	Expects []Expect  `json:"expects"`
	Seeds   []int64   `json:"seeds,omitempty"` // that each arm is trained with, where none are named; nil: [ClaimSeeds]
	Note    string    `json:"note,omitempty"`  // what else is to be seen in the figures
	// Reason says where a claim does not hold what was tried to find out why, and what came out.
	Reason string `json:"reason,omitempty"`
}

// Expect says that one cell of a claim's table, of arm and figure, is above another, or above a value.
type Expect struct {
	More  Cell    `json:"more"`
	Less  Cell    `json:"less,omitzero"`
	Value float64 `json:"value,omitempty"` // where there is no Less
}

// Cell is one figure of one arm, by their names.
type Cell struct {
	Arm    string `json:"arm"`
	Figure string `json:"figure"`
}

// Figure is what is measured of a run.
type Figure struct {
	Name  string  `json:"name"`
	Scale float64 `json:"-"` // in tables: 100 of what is kept as a fraction

	of func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error)
	// only names the arms that have it; nil: all.
	only []string
}

// Verdict is what became of a claim.
type Verdict string

// A claim holds where all that is expected is so and p is below 5 % each, by paired t-tests over the seeds and Holm's correction
// for their number; it does not where the opposite of one is as clear. Else it is not decided.
const (
	Holds     Verdict = "holds"
	Fails     Verdict = "does not hold"
	Undecided Verdict = "not decided"
)

// Tested is a claim with what was measured.
type Tested struct {
	Claim
	Values   map[string]map[string][]float64 `json:"values"` // of arm and figure: of each seed
	Findings []Finding                       `json:"findings"`
	Verdict  Verdict                         `json:"verdict"`
	Origins  Origins                         `json:"origins,omitempty"`
	Keys     []string                        `json:"keys"` // of its runs that did not come with this checkout
}

// Finding is what became of one thing that was expected.
type Finding struct {
	Expect
	By Paired  `json:"by"` // how much More is above; its p is adjusted for the number of findings
	Is Verdict `json:"is"`
}

// ErrNoRecord is of a claim whose runs are not all there, where none is to be trained.
var ErrNoRecord = errors.New("no record")

// seeds are the claim's own.
func (c Claim) seeds() []int64 {
	if len(c.Seeds) == 0 {
		return ClaimSeeds
	}
	return c.Seeds
}

// Test trains what is missing of the claim's arms with each of the seeds, its own where none are given, or, where train is false,
// refuses with ErrNoRecord, and draws the verdict.
func (c Claim) Test(ctx context.Context, s *runs.Store, train bool, seeds ...int64) (*Tested, error) {
	if len(seeds) == 0 {
		seeds = c.seeds()
	}
	c.Seeds = seeds
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	if len(seeds) < 3 {
		return nil, fmt.Errorf("study: %d seeds decide nothing: give three or more", len(seeds))
	}
	t := &Tested{Claim: c, Values: make(map[string]map[string][]float64), Origins: make(Origins)}
	defer s.Several(len(c.Arms) * len(seeds))()
	for _, arm := range c.Arms {
		t.Values[arm.Name] = make(map[string][]float64)
		for _, seed := range seeds {
			arm.Config.Seed = seed
			s.Next(arm.Name)
			if !train {
				if r, err := s.Find(ctx, arm.Config); errors.Is(err, fs.ErrNotExist) || err == nil && !r.Done {
					return nil, fmt.Errorf("study: claim %q: %w of %q with seed %d", c.Name, ErrNoRecord, arm.Name, seed)
				}
			}
			for _, f := range c.Figures {
				if f.only != nil && !slices.Contains(f.only, arm.Name) {
					continue
				}
				v, err := f.of(ctx, s, arm.Config)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, seed %d: %w", c.Name, arm.Name, seed, err)
				}
				t.Values[arm.Name][f.Name] = append(t.Values[arm.Name][f.Name], v)
			}
			r, err := s.Find(ctx, arm.Config)
			if err != nil {
				return nil, err
			}
			t.Origins.add(r)
			if r.Shipped == nil {
				t.Keys = append(t.Keys, r.Key)
			}
		}
	}
	t.judge()
	return t, nil
}

func (t *Tested) judge() {
	var tests []comparison
	for _, e := range t.Expects {
		more := t.Values[e.More.Arm][e.More.Figure]
		less := t.Values[e.Less.Arm][e.Less.Figure]
		if e.Less == (Cell{}) {
			less = make([]float64, len(more))
			for i := range less {
				less[i] = e.Value
			}
		}
		by := paired(more, less)
		t.Findings = append(t.Findings, Finding{Expect: e, By: by})
		tests = append(tests, comparison{p: by.P})
	}
	holm(tests)
	t.Verdict = Holds
	for i := range t.Findings {
		f := &t.Findings[i]
		f.By.P = tests[i].p
		switch {
		case !(f.By.P < level):
			f.Is = Undecided
		case f.By.Mean > 0:
			f.Is = Holds
		default:
			f.Is = Fails
		}
		if f.Is == Fails || f.Is == Undecided && t.Verdict == Holds {
			t.Verdict = f.Is
		}
	}
}

// Table has a row for each arm.
func (t *Tested) Table() (head []string, rows [][]string) {
	head = []string{"arm"}
	for _, f := range t.Figures {
		head = append(head, f.Name)
	}
	for _, arm := range t.Arms {
		row := []string{arm.Name}
		for _, f := range t.Figures {
			row = append(row, f.spread(t.Values[arm.Name][f.Name]))
		}
		rows = append(rows, row)
	}
	return head, rows
}

// spread is the mean and the deviation of values, in a table's form.
func (f Figure) spread(values []float64) string {
	if values == nil {
		return ""
	}
	return fmt.Sprintf("%s ± %.*f", f.mean(values), f.decimals(), f.Scale*eval.Summarize(values).Std)
}

func (f Figure) mean(values []float64) string {
	return fmt.Sprintf("%.*f", f.decimals(), f.Scale*eval.Summarize(values).Mean)
}

func (f Figure) decimals() int {
	if f.Scale == 100 {
		return 1
	}
	return 2
}

// Caption says what was expected and what was found, and what the numbers are.
func (t *Tested) Caption() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s here.", t.Says, capital(string(t.Verdict)))
	for _, f := range t.Findings {
		fmt.Fprintf(&b, " %s.", t.sentence(f))
	}
	if t.Note != "" {
		fmt.Fprintf(&b, " %s", t.Note)
	}
	if t.Reason != "" && t.Verdict != Holds {
		fmt.Fprintf(&b, " %s", t.Reason)
	}
	var trained []string
	for _, arm := range t.Arms {
		c := arm.Config
		if text := fmt.Sprintf("%s, %s", c.Data.Name, plural(c.Epochs, "epoch")); c.Epochs > 0 && !slices.Contains(trained, text) {
			trained = append(trained, text)
		}
	}
	fmt.Fprintf(&b, "\n\n%s; %s; differences with their standard error; p of paired t-tests by Holm's correction for %d.%s",
		strings.Join(trained, "; "), over(t.Seeds), len(t.Findings), t.Origins)
	return b.String()
}

// figure is the claim's figure of that name.
func (t *Tested) figure(name string) Figure {
	return t.Figures[slices.IndexFunc(t.Figures, func(f Figure) bool { return f.Name == name })]
}

// sentence is "k-NN of tau 0.2 is above that of tau 1 by +3.1 ± 0.4 (p = 0.01): holds".
func (t *Tested) sentence(f Finding) string {
	scale := t.figure(f.More.Figure).Scale
	less := fmt.Sprintf("that of %s", f.Less.Arm)
	switch {
	case f.Less == (Cell{}):
		less = fmt.Sprintf("%.4g", f.Value*scale)
	case f.Less.Figure != f.More.Figure:
		less = fmt.Sprintf("%s of %s", f.Less.Figure, f.Less.Arm)
	}
	return fmt.Sprintf("%s of %s above %s by %+.3g ± %.2g (%s): %s", f.More.Figure, f.More.Arm, less, f.By.Mean*scale, f.By.Error*scale, pText(f.By.P), f.Is)
}

// brief is "k-NN: tau 0.2 74.9, tau 1 71.8 (p = 0.01)".
func (t *Tested) brief(f Finding) string {
	mean := func(c Cell) string { return t.figure(c.Figure).mean(t.Values[c.Arm][c.Figure]) }
	more := fmt.Sprintf("%s: %s %s", f.More.Figure, f.More.Arm, mean(f.More))
	switch {
	case f.Less == (Cell{}):
		return fmt.Sprintf("%s, more than %.4g (%s)", more, f.Value*t.figure(f.More.Figure).Scale, pText(f.By.P))
	case f.Less.Arm == f.More.Arm:
		return fmt.Sprintf("%s, %s %s (%s)", more, f.Less.Figure, mean(f.Less), pText(f.By.P))
	case f.Less.Figure != f.More.Figure:
		return fmt.Sprintf("%s, %s: %s %s (%s)", more, f.Less.Figure, f.Less.Arm, mean(f.Less), pText(f.By.P))
	}
	return fmt.Sprintf("%s, %s %s (%s)", more, f.Less.Arm, mean(f.Less), pText(f.By.P))
}

// Claims are the lecture's, tested.
type Claims struct {
	Tested  []*Tested `json:"tested"`
	Missing []string  `json:"missing,omitempty"` // names of claims without all records, where none were to be trained
}

// TestClaims tests the named claims of [Lecture], or all, see [Claim.Test].
func TestClaims(ctx context.Context, s *runs.Store, train bool, seeds []int64, names ...string) (*Claims, error) {
	all, err := Lecture()
	if err != nil {
		return nil, err
	}
	if names != nil {
		all = nil
		for _, name := range names {
			c, err := LectureClaim(name)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	out := new(Claims)
	for _, c := range all {
		t, err := c.Test(ctx, s, train, seeds...)
		switch {
		case errors.Is(err, ErrNoRecord):
			out.Missing = append(out.Missing, c.Name)
		case err != nil:
			return nil, err
		default:
			out.Tested = append(out.Tested, t)
		}
	}
	return out, nil
}

// Table has a row for each claim.
func (c *Claims) Table() (head []string, rows [][]string) {
	for _, t := range c.Tested {
		var found []string
		for _, f := range t.Findings {
			found = append(found, t.brief(f))
		}
		rows = append(rows, []string{t.Item, t.Says, string(t.Verdict), strings.Join(found, "; ")})
	}
	return []string{"lecture", "it says", "here", "by"}, rows
}

// Caption says how verdicts come about, and what is missing.
func (c *Claims) Caption() string {
	text := "A claim holds where all that it lets expect is so with p below 5 %, by paired t-tests over the seeds and Holm's correction within the claim; " +
		"it does not where the opposite of one is as clear; else it is not decided."
	if c.Missing != nil {
		text += fmt.Sprintf(" Without records: %s.", strings.Join(c.Missing, ", "))
	}
	return text
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
