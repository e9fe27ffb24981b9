package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
)

// An experiment that is stopped after each of its runs ends as one that was never stopped, and repeats none.
func TestTaskGapGoesOn(t *testing.T) {
	s, notes := newStore(t)
	c := tiny(t)
	c.Epochs = 1
	steps := make(map[string]int) // of each run, over all calls
	var gap *TaskGap
	for calls := 1; gap == nil; calls++ {
		if calls > 20 {
			t.Fatalf("not done after %d calls", calls)
		}
		ctx, cancel := context.WithCancel(context.Background())
		s.Report = func(p Progress) {
			notes.add(p)
			if p.Step.Steps > 0 {
				steps[p.Key]++
				if p.Step.Step == p.Step.Steps {
					cancel()
				}
			}
		}
		var err error
		if gap, err = s.TaskGap(ctx, c, quick(), 1); err != nil && !errors.Is(err, sslkit.ErrInterrupted) {
			t.Fatal(err)
		}
		cancel()
	}
	if len(steps) != 5 { // four angle sets, and supervised
		t.Errorf("steps of runs: %v", steps)
	}
	for key, n := range steps {
		if n != 5 {
			t.Errorf("run %s took %d steps, want 5", key, n)
		}
	}
	whole, _ := newStore(t)
	want, err := whole.TaskGap(context.Background(), c, quick(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gap, want) {
		t.Errorf("got\n%+v, undisturbed\n%+v", gap, want)
	}

	for i, set := range AngleSets {
		r := gap.Rows[i]
		if r.Name != set.Name || !reflect.DeepEqual(r.Angles, set.Angles) || r.Paper != set.Paper || r.Pretext == nil || r.EndToEnd != nil ||
			len(r.KNN) != 3 || len(r.Linear) != 3 || r.NonLinear.N != 1 {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	last := gap.Rows[len(gap.Rows)-1]
	if last.Name != "supervised" || last.EndToEnd == nil || last.Pretext != nil || last.Paper != 0 {
		t.Errorf("last row %+v", last)
	}
	head, rows := gap.Table()
	if len(rows) != len(gap.Rows) {
		t.Errorf("%d rows in the table of %d", len(rows), len(gap.Rows))
	}
	for _, row := range rows {
		if len(row) != len(head) {
			t.Errorf("row %q under %q", row, head)
		}
	}
	if !reflect.DeepEqual(c.Method.Rotation.Angles, []int{0, 90, 180, 270}) {
		t.Errorf("the caller's angles are now %v", c.Method.Rotation.Angles)
	}
}

// Each cell of the table is the mean and the deviation of what the single runs have.
func TestTaskGapSpreads(t *testing.T) {
	s, notes := newStore(t)
	c, seeds := tiny(t), []int64{1, 2}
	gap, err := s.TaskGap(t.Context(), c, quick(), seeds...)
	if err != nil {
		t.Fatal(err)
	}
	if notes.steps != 2*5*10 {
		t.Errorf("%d steps, want 10 of each of two seeds of five trained rows", notes.steps)
	}
	configs := make(map[string]Config)
	for _, set := range AngleSets {
		config := c
		config.Method.Rotation = &sslkit.Rotation{Backbone: nn.NIN(3, 6), Angles: set.Angles, Pad: 1, Flip: true}
		configs[set.Name] = config
	}
	configs["random init"], configs["random, norms fitted"], configs["supervised"] = c.RandomInit(), c.RandomFitted(), c.Supervised()
	if len(gap.Rows) != len(configs) {
		t.Fatalf("%d rows, want %d", len(gap.Rows), len(configs))
	}
	spreads := 0
	for _, row := range gap.Rows {
		config, found := configs[row.Name]
		if !found {
			t.Errorf("a row of %q", row.Name)
			continue
		}
		var of [2]*Scores
		for i, seed := range seeds {
			config.Seed = seed
			r, err := s.Find(context.Background(), config)
			if err != nil {
				t.Fatal(err)
			}
			all, err := s.Scores(r.Key)
			if err != nil || len(all) != 1 {
				t.Fatalf("%s, seed %d: %d scores, %v", row.Name, seed, len(all), err)
			}
			of[i] = all[0]
			if config.Method.Rotation != nil && *all[0].Pretext != r.History.Reports["accuracy"][1] {
				t.Errorf("%s, seed %d: pretext accuracy %v, the run's is %v", row.Name, seed, *all[0].Pretext, r.History.Reports["accuracy"])
			}
		}
		check := func(what string, got eval.Spread, read func(*Scores) float64) {
			t.Helper()
			a, b := read(of[0]), read(of[1])
			// Of two values the sample's deviation is their distance over the root of 2.
			mean, std := (a+b)/2, math.Abs(a-b)/math.Sqrt2
			if got.N != 2 || math.Abs(got.Mean-mean) > 1e-12 || math.Abs(got.Std-std) > 1e-12 {
				t.Errorf("%s, %s: %+v of %v and %v", row.Name, what, got, a, b)
			}
			if std > 0 {
				spreads++
			}
		}
		for i := range 3 {
			check(fmt.Sprint("k-NN ", i+1), row.KNN[i], func(s *Scores) float64 { return s.Stages[i].KNN })
			check(fmt.Sprint("linear ", i+1), row.Linear[i], func(s *Scores) float64 { return s.Stages[i].Linear })
		}
		check("non-linear", row.NonLinear, func(s *Scores) float64 { return *s.Stages[ProbedBlock-1].NonLinear })
		if config.Method.Rotation != nil {
			check("pretext", *row.Pretext, func(s *Scores) float64 { return *s.Pretext })
		}
		if row.Name == "supervised" {
			check("end to end", *row.EndToEnd, func(s *Scores) float64 { return *s.EndToEnd })
		}
	}
	if spreads < 30 {
		t.Errorf("only %d cells differ between the seeds", spreads)
	}
	if gap.Finding != gap.finding() || !strings.Contains(gap.Finding, "over 2 seeds") {
		t.Errorf("finding %q", gap.Finding)
	}
}

func TestTable(t *testing.T) {
	of := func(mean, std float64, n int) eval.Spread { return eval.Spread{Mean: mean, Std: std, N: n} }
	some := of(0.5, 0.125, 3)
	c := Comparison{
		Config: tiny(t), Options: quick(), Seeds: []int64{1, 2, 3},
		Rows: []Row{
			{Name: "4 rotations", Paper: 0.8906, Pretext: &some, NonLinear: of(0.75, 0.01, 3), Linear: []eval.Spread{of(0.1, 0.02, 3), of(0.2, 0, 1)}},
			{Name: "random init", NonLinear: of(0.6, 0.02, 3), Linear: []eval.Spread{of(0.3, 0.02, 3), {}}},
		},
	}
	head, rows := c.Table()
	wantHead := []string{"encoder", "paper, CIFAR-10", "non-linear, block 2", "linear, block 1", "linear, block 2", "pretext task"} // nothing is end to end
	wantRows := [][]string{
		{"4 rotations", "89.06", "75.0 ± 1.0", "10.0 ± 2.0", "20.0", "50.0 ± 12.5"},
		{"random init", "", "60.0 ± 2.0", "30.0 ± 2.0", "", ""},
	}
	if !reflect.DeepEqual(head, wantHead) || !reflect.DeepEqual(rows, wantRows) {
		t.Errorf("%q\n%q\nwant\n%q\n%q", head, rows, wantHead, wantRows)
	}
	for _, want := range []string{c.Config.Data.Name, "over 3 seeds", "k=5", "T=0.07", "stage 2"} {
		if !strings.Contains(c.Caption(), want) {
			t.Errorf("caption %q does not say %q", c.Caption(), want)
		}
	}
}

func TestTaskGapMistakes(t *testing.T) {
	s, _ := newStore(t)
	_, err := s.TaskGap(context.Background(), tiny(t).Supervised(), quick(), 1)
	wantError(t, "not rotation", err, `not "supervised"`)
	_, err = s.TaskGap(context.Background(), tiny(t), eval.Defaults(), 1)
	wantError(t, "no non-linear probe", err, "GapOptions")
	_, err = s.TaskGap(context.Background(), tiny(t), quick(), 1, 2, 1)
	wantError(t, "a seed twice", err, "seed 1 is given twice")
	_, err = s.TaskGap(context.Background(), tiny(t), quick())
	wantError(t, "no seed", err, "seed")
	_, err = s.Compare(context.Background(), tiny(t), quick())
	wantError(t, "no seed", err, "seed")
}

// gapOf is a result with the given accuracies of the non-linear probe: the angle sets, random init, supervised.
func gapOf(c Config, seeds int, accuracies ...eval.Spread) *TaskGap {
	g := &TaskGap{Comparison: Comparison{Config: c, Options: GapOptions(), Seeds: make([]int64, seeds)}}
	for i, a := range accuracies {
		g.Rows = append(g.Rows, Row{Name: []string{"4", "8", "0 and 180", "90 and 270", "random init", "supervised"}[i], NonLinear: a})
	}
	return g
}

func TestFinding(t *testing.T) {
	c := tiny(t)
	of := func(mean, std float64) eval.Spread { return eval.Spread{Mean: mean, Std: std, N: 3} }
	random, supervised := of(0.6, 0.01), of(0.9, 0.01)
	for name, test := range map[string]struct {
		gap  *TaskGap
		want []string
		not  string
	}{
		"as in the paper": {gapOf(c, 3, of(0.8, 0.01), of(0.7, 0.01), of(0.7, 0.01), of(0.7, 0.01), random, supervised),
			[]string{"block 2, over 3 seeds, four rotations beat 8; 0 and 180; 90 and 270 by more than the spread, as in the paper.", "by 20.0 points"}, "unlike"},
		// The spread of a difference is hypot(0.03, 0.04) = 0.05.
		"at the spread": {gapOf(c, 3, of(0.75, 0.03), of(0.7001, 0.04), of(0.6999, 0.04), of(0.85, 0.01), random, supervised),
			[]string{"beat 0 and 180 by more", "cannot be told from 8 within the spread", "lose to 90 and 270, unlike in the paper"}, "cannot be told from 8;"},
		"no better than chance": {gapOf(c, 3, of(0.61, 0.01), of(0.61, 0.01), of(0.61, 0.01), of(0.61, 0.01), random, supervised),
			[]string{"do not beat", "beyond the spread (+1.0 points)"}, "as in the paper"},
		"one seed": {gapOf(c, 1, eval.Spread{Mean: 0.8, N: 1}, eval.Spread{Mean: 0.1, N: 1}, eval.Spread{Mean: 0.1, N: 1}, eval.Spread{Mean: 0.1, N: 1},
			eval.Spread{Mean: 0.1, N: 1}, eval.Spread{Mean: 0.1, N: 1}), []string{"over 1 seed,", "cannot be told from 8; 0 and 180; 90 and 270", "say little"}, "as in the paper"},
	} {
		got := test.gap.finding()
		for _, want := range append(test.want, "CIFAR-10", c.Data.Name, "a NIN of 3 blocks and width 6, 2 epochs", "last epoch of 50") {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q does not say %q", name, got, want)
			}
		}
		if strings.Contains(got, test.not) {
			t.Errorf("%s: %q says %q", name, got, test.not)
		}
	}

	rotation := *c.Method.Rotation
	rotation.Backbone = nn.ResNet(14, 8)
	c.Method = Method{Rotation: &rotation}
	same := of(0.5, 0.1)
	if got := gapOf(c, 3, same, same, same, same, same, same).finding(); !strings.Contains(got, "a ResNet-14 of width 8") {
		t.Errorf("a resnet: %q", got)
	}
}
