package study

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

// An experiment that is stopped after each of its runs ends as one that was never stopped, and repeats none.
func TestTaskGapGoesOn(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	c.Epochs = 1
	steps := make(map[string]int) // of each run, over all calls
	var gap *Gap
	for calls := 1; gap == nil; calls++ {
		if calls > 20 {
			t.Fatalf("not done after %d calls", calls)
		}
		ctx, cancel := context.WithCancel(context.Background())
		s.Report = func(p runs.Progress) {
			notes.Add(p.Now+p.Note, p.Step)
			if p.Step.Steps > 0 {
				steps[p.Key]++
				if p.Step.Step == p.Step.Steps {
					cancel()
				}
			}
		}
		var err error
		if gap, err = TaskGap(ctx, s, c, labtest.Quick(), 1); err != nil && !errors.Is(err, sslkit.ErrInterrupted) {
			t.Fatal(err)
		}
		cancel()
	}
	supervised := recipe.Supervised(c)
	supervised.Seed = 1
	j, err := s.Job(t.Context(), supervised) // with the digest of the data
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 5 { // four angle sets, and supervised
		t.Errorf("steps of runs: %v", steps)
	}
	for key, n := range steps {
		want := 5
		if key == j.Key {
			want = 8 * supervised.Epochs // of 10 of 80 images
		}
		if n != want {
			t.Errorf("run %s took %d steps, want %d", key, n, want)
		}
	}
	whole, _ := newStore(t)
	want, err := TaskGap(context.Background(), whole, c, labtest.Quick(), 1)
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
	if len(rows) != len(gap.Rows)+2 || rows[len(rows)-2][0] != "commonest class" || rows[len(rows)-1][0] != "± over 40 test examples" {
		t.Errorf("%d rows in the table of %d: %q", len(rows), len(gap.Rows), rows)
	}
	for _, row := range rows {
		if len(row) != len(head) {
			t.Errorf("row %q under %q", row, head)
		}
	}
	if !reflect.DeepEqual(c.Method.(*sslkit.Rotation).Angles, []int{0, 90, 180, 270}) {
		t.Errorf("the caller's angles are now %v", c.Method.(*sslkit.Rotation).Angles)
	}
}

// Each cell of the table is the mean and the deviation of what the single runs have.
func TestTaskGapSpreads(t *testing.T) {
	s, notes := newStore(t)
	c, seeds := labtest.Tiny(t), []int64{1, 2}
	gap, err := TaskGap(t.Context(), s, c, labtest.Quick(), seeds...)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * (4*10 + 8*recipe.Supervised(c).Epochs); notes.Steps != want {
		t.Errorf("%d steps, want %d: 10 of each of two seeds of four trained rows, and those of the supervised one", notes.Steps, want)
	}
	configs := make(map[string]sslkit.Config)
	for _, set := range AngleSets {
		config := c
		config.Method = &sslkit.Rotation{Backbone: nn.NIN(3, 6), Angles: set.Angles, Pad: 1, Flip: true}
		configs[set.Name] = config
	}
	configs["random init"], configs["random, norms fitted"], configs["supervised"] = recipe.RandomInit(c), recipe.RandomFitted(c), recipe.Supervised(c)
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
		var of [2]*runs.Scores
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
			if config.Role() == sslkit.SelfSupervised && *all[0].Pretext != r.History.Reports["accuracy"][1] {
				t.Errorf("%s, seed %d: pretext accuracy %v, the run's is %v", row.Name, seed, *all[0].Pretext, r.History.Reports["accuracy"])
			}
		}
		check := func(what string, got eval.Spread, read func(*runs.Scores) float64) {
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
			check(fmt.Sprint("k-NN ", i+1), row.KNN[i], func(s *runs.Scores) float64 { return s.Stages[i].KNN })
			check(fmt.Sprint("linear ", i+1), row.Linear[i], func(s *runs.Scores) float64 { return s.Stages[i].Linear })
		}
		check("non-linear", row.NonLinear, func(s *runs.Scores) float64 { return *s.Stages[ProbedBlock-1].NonLinear })
		if config.Role() == sslkit.SelfSupervised {
			check("pretext", *row.Pretext, func(s *runs.Scores) float64 { return *s.Pretext })
		}
		if row.Name == "supervised" {
			check("end to end", *row.EndToEnd, func(s *runs.Scores) float64 { return *s.EndToEnd })
		}
	}
	if r := gap.Rows[0]; len(r.Each) != 2 || math.Abs(r.Each[0]+r.Each[1]-2*r.NonLinear.Mean) > 1e-12 || r.NonLinear.Error <= 0 || math.Abs(r.NonLinear.Balanced-r.NonLinear.Mean) > 1e-12 {
		t.Errorf("%+v: the accuracies of the seeds, their error, and as classes are equal the same over these", r)
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
		Config: labtest.Tiny(t), Options: labtest.Quick(), Seeds: []int64{1, 2, 3},
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
	for _, want := range []string{c.Config.Data.Name, "over 3 training seeds, one test set", "k=5", "T=0.07", "stage 2", "Supervised: a recipe of its own, 2 epochs on the labels, mirroring"} {
		if !strings.Contains(c.Caption(), want) {
			t.Errorf("caption %q does not say %q", c.Caption(), want)
		}
	}
	// Uneven classes: 8 of 10 test examples are of the commonest, which is 50 % over the two classes.
	c.Tally = eval.Tally{Train: 20, Test: 10, Classes: 3, Counts: []eval.ClassCount{{Name: "cat", Train: 17, Test: 8}, {Name: "dog", Train: 2, Test: 2}, {Name: "elk", Train: 1}}}
	c.Rows[0].NonLinear.Balanced, c.Rows[0].NonLinear.Error = 0.625, 0.02
	c.Rows[1].NonLinear.Error = 0.035
	head, rows = c.Table()
	wantHead = []string{"encoder", "paper, CIFAR-10", "non-linear, block 2", "by class", "linear, block 1", "linear, block 2", "by class", "pretext task"}
	wantRows = [][]string{
		{"4 rotations", "89.06", "75.0 ± 1.0", "62.5", "10.0 ± 2.0", "20.0", "0.0", "50.0 ± 12.5"},
		{"random init", "", "60.0 ± 2.0", "0.0", "30.0 ± 2.0", "", "", ""},
		{"commonest class", "", "80.0", "50.0", "80.0", "80.0", "50.0", ""},
		{"± over 10 test examples", "", "± 3.5", "", "± 0.0", "± 0.0", "", ""},
	}
	if !reflect.DeepEqual(head, wantHead) || !reflect.DeepEqual(rows, wantRows) {
		t.Errorf("%q\n%q\nwant\n%q\n%q", head, rows, wantHead, wantRows)
	}
	for _, want := range []string{"20 training and 10 test examples, 3 classes of 1 to 17 training examples; without a test example: elk", "By class: the column before"} {
		if !strings.Contains(c.Caption(), want) {
			t.Errorf("caption %q does not say %q", c.Caption(), want)
		}
	}
}

func TestTaskGapMistakes(t *testing.T) {
	s, _ := newStore(t)
	_, err := TaskGap(context.Background(), s, recipe.Supervised(labtest.Tiny(t)), labtest.Quick(), 1)
	labtest.WantError(t, "not rotation", err, `not "supervised"`)
	_, err = TaskGap(context.Background(), s, labtest.Tiny(t), eval.Defaults(), 1)
	labtest.WantError(t, "no non-linear probe", err, "GapOptions")
	_, err = TaskGap(context.Background(), s, labtest.Tiny(t), labtest.Quick(), 1, 2, 1)
	labtest.WantError(t, "a seed twice", err, "seed 1 is given twice")
	_, err = TaskGap(context.Background(), s, labtest.Tiny(t), labtest.Quick())
	labtest.WantError(t, "no seed", err, "seed")
	_, err = Compare(context.Background(), s, labtest.Tiny(t), labtest.Quick())
	labtest.WantError(t, "no seed", err, "seed")
}

// gapOf is a result with the given accuracies of the non-linear probe, seed by seed: the angle sets, random init, supervised.
func gapOf(c sslkit.Config, off float64, accuracies ...[]float64) *Gap {
	g := &Gap{Comparison: Comparison{Config: c, Options: GapOptions(), Seeds: make([]int64, len(accuracies[0])), Tally: eval.Tally{Test: 400}}}
	for i, each := range accuracies {
		s := eval.Summarize(each)
		s.Error = off
		g.Rows = append(g.Rows, Row{Name: []string{"4", "8", "0 and 180", "90 and 270", "random init", "supervised"}[i], NonLinear: s, Each: each})
	}
	return g
}

func TestFinding(t *testing.T) {
	c := labtest.Tiny(t)
	// Three seeds, with a luck of their own that all rows share: only pairs tell them apart.
	of := func(mean float64) []float64 { return []float64{mean - 0.1, mean + 0.001, mean + 0.099} }
	four := []float64{0.7, 0.8, 0.9}
	random, supervised := of(0.6), of(0.9)
	photos := gapOf(c, 0.06, four, of(0.6), of(0.6), of(0.6), random, supervised)
	photos.Tally.Groups = 40
	for name, test := range map[string]struct {
		gap  *Gap
		want []string
		not  string
	}{
		"as in the paper": {gapOf(c, 0.01, four, of(0.7), of(0.7), of(0.7), random, supervised),
			[]string{"block 2, over 3 seeds, four rotations beat 8 (+10.0, p < 0.001); 0 and 180 (+10.0, p < 0.001); 90 and 270 (+10.0, p < 0.001), as in the paper.",
				"They beat the better of the random encoders, random init (+20.0, p < 0.001)", "4 comparisons", "the 400 test examples"}, "unlike"},
		// 2.0 points are sure by the seeds, and less than twice the error of two accuracies, 1.41 points.
		"within the test error": {gapOf(c, 0.01, four, of(0.78), of(0.7), of(0.7), random, supervised), []string{"beat 0 and 180 (", "cannot be told from 8 (+2.0"}, "beat 8"},
		// 10 points that are different each time.
		"within the spread": {gapOf(c, 0.01, four, []float64{0.8, 0.6, 0.7}, of(0.7), of(0.85), random, supervised),
			[]string{"beat 0 and 180", "cannot be told from 8 (+10.0, p = 0.4", "lose to 90 and 270 (-5.0", "unlike in the paper"}, "beat 8"},
		"no better than chance": {gapOf(c, 0.01, four, four, four, four, of(0.79), supervised), []string{"do not beat", "random init (+1.0", "cannot be told from 8 (+0.0, p = 1)"}, "as in the paper"},
		"one seed": {gapOf(c, 0.01, []float64{0.8}, []float64{0.1}, []float64{0.1}, []float64{0.1}, []float64{0.1}, []float64{0.1}),
			[]string{"over 1 seed,", "cannot be told from 8 (+70.0); 0 and 180 (+70.0)", "say little"}, "as in the paper"},
		"photos": {photos, []string{"four rotations differ by these points from 8 (+20.0, p < 0.001);", "No verdict is drawn from 40 test photos", "up to 6.0 points"}, "beat"},
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

	rotation := *c.Method.(*sslkit.Rotation)
	rotation.Backbone = nn.ResNet(14, 8)
	c.Method = &rotation
	same := of(0.5)
	if got := gapOf(c, 0.01, same, same, same, same, same, same).finding(); !strings.Contains(got, "a ResNet-14 of width 8") {
		t.Errorf("a resnet: %q", got)
	}
}
