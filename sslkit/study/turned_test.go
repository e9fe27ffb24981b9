package study

import (
	"math"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
)

// The table has what single evaluations have, and takes no more training than the Task Gap.
func TestTaskGapTurned(t *testing.T) {
	s, notes := newStore(t)
	c, o := labtest.Tiny(t), labtest.Quick()
	got, err := TaskGapTurned(t.Context(), s, c, o, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if notes.Steps != 2*4*10 {
		t.Errorf("%d steps, want 10 of each of two seeds of four rows", notes.Steps)
	}
	if len(got.Rows) != 4*3*2 || len(got.Interactions) != 3*2 {
		t.Fatalf("%d rows and %d interactions, want those of four sets, three blocks and two numbers of labels", len(got.Rows), len(got.Interactions))
	}
	of := func(set, block, perClass, turn int, seed int64) float64 {
		with := *c.Method.(*sslkit.Rotation)
		with.Angles = AngleSets[set].Angles
		config, o := c, o
		config.Method, config.Seed = &with, seed
		o.NonLinear, o.Few, o.Linear.PerClass, o.Turn = nil, nil, perClass, turn
		scores, err := s.Evaluate(t.Context(), config, o)
		if err != nil {
			t.Fatal(err)
		}
		return scores.Stages[block-1].Linear
	}
	differ := false
	for _, r := range got.Rows {
		for i, set := range AngleSets {
			if set.Name != r.Name {
				continue
			}
			upright := eval.Summarize([]float64{of(i, r.Block, r.PerClass, 0, 1), of(i, r.Block, r.PerClass, 0, 2)})
			turned := eval.Summarize([]float64{of(i, r.Block, r.PerClass, 1, 1), of(i, r.Block, r.PerClass, 1, 2)})
			if r.Upright != upright || r.Turned != turned || math.Abs(r.Gain.Mean-(turned.Mean-upright.Mean)) > 1e-12 {
				t.Errorf("%+v, want %v and %v", r, upright, turned)
			}
			differ = differ || upright.Mean != turned.Mean
		}
	}
	if !differ {
		t.Error("turned images are judged as upright ones are: they are not turned")
	}
	if _, err := got.Holds(); err == nil || !strings.Contains(got.Finding, "Fewer than three seeds") {
		t.Errorf("two seeds decide: %s", got.Finding)
	}
	for _, it := range got.Interactions { // paired: of the third set's gains and the fourth's
		var each []float64
		for seed := int64(1); seed <= 2; seed++ {
			gain := func(set int) float64 {
				return of(set, it.Block, it.PerClass, 1, seed) - of(set, it.Block, it.PerClass, 0, seed)
			}
			each = append(each, gain(3)-gain(2))
		}
		want := eval.Summarize(each)
		if math.Abs(it.Paired.Mean-want.Mean) > 1e-12 || math.Abs(it.Paired.Error-want.Std/math.Sqrt2) > 1e-12 {
			t.Errorf("%+v, want %v", it, want)
		}
	}
	head, rows := got.Table()
	if len(rows) != len(got.Rows) || len(rows[0]) != len(head) || !strings.Contains(got.Caption(), got.Finding) {
		t.Errorf("table of %d rows under %q; %s", len(rows), head, got.Caption())
	}
}

// The rule: both numbers of labels, the last block, above 0 beyond chance by Holm's correction.
func TestTurnedHolds(t *testing.T) {
	with := func(all, few Paired) *Turned {
		other := Paired{1, 0.1, 1e-6} // of the first block, which does not count
		return &Turned{Seeds: []int64{4, 5, 6}, Interactions: []Interaction{{1, 0, other}, {2, 0, all}, {1, FewTurned, other}, {2, FewTurned, few}}}
	}
	for _, c := range []struct {
		all, few Paired
		want     bool
	}{
		{Paired{0.03, 0.002, 0.004}, Paired{0.04, 0.01, 0.04}, true},
		{Paired{0.03, 0.002, 0.03}, Paired{0.04, 0.01, 0.04}, false}, // the first is 0.06 for two comparisons
		{Paired{0.03, 0.002, 0.004}, Paired{0.04, 0.03, 0.3}, false},
		{Paired{-0.03, 0.002, 0.004}, Paired{0.04, 0.01, 0.01}, false},
	} {
		if got, err := with(c.all, c.few).Holds(); err != nil || got != c.want {
			t.Errorf("%+v: %t, %v, want %t", c, got, err, c.want)
		}
	}
	if p := paired([]float64{0.9, 0.8, 0.85}, []float64{0.8, 0.75, 0.7}); math.Abs(p.Mean-0.1) > 1e-12 || math.Abs(p.Error-0.05/math.Sqrt(3)) > 1e-12 {
		t.Errorf("%+v", p) // 0.1, 0.05 and 0.15: a deviation of 0.05
	}
}
