package study

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

// brief is the least of Transfer.
func brief() TransferOptions {
	tune := eval.FineTune{From: 1, Epochs: 1, Steps: 3, Batch: 20, Rate: 1e-3}
	o := TransferOptions{Options: labtest.Quick(), FineTune: &tune}
	o.NonLinear = nil
	o.Few = &eval.FewShot{Labels: []eval.Labels{{PerClass: 3}}, Draws: 2}
	return o
}

// pair is two methods with two backbones.
func pair(t *testing.T) []Variant {
	simclr := labtest.Tiny(t)
	m := sslkit.SimCLRCIFAR(nn.ResNet(8, 4))
	m.Dim = 8
	simclr.Method = m
	return []Variant{{"rotation", labtest.Tiny(t)}, {"simclr", simclr}}
}

func TestTransfer(t *testing.T) {
	s, notes := newStore(t)
	ctx, variants, o := context.Background(), pair(t)[:1], brief()
	table, err := Transfer(ctx, s, variants, o, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range table.Rows {
		names = append(names, r.Name)
	}
	if want := []string{"rotation", "random init", "random, norms fitted", "supervised"}; !reflect.DeepEqual(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	for _, r := range table.Rows {
		random, fitted, supervised := strings.HasPrefix(r.Name, "random"), strings.Contains(r.Name, "fitted"), strings.HasPrefix(r.Name, "supervised")
		for column, has := range map[string]bool{
			"k-NN": true, "linear": true, "best stage": true, "linear 3 each": true, "parameters": true,
			"fine-tuned": !fitted, "fine-tuned 3 each": !fitted,
			"end to end": supervised, "s/epoch": !random, "epochs": !random, "peak MB": false,
		} {
			v, measured := r.Values[column]
			c, err := table.Column(column)
			if err != nil || measured != has || has && v.N != 2 || c.Unit == "%" && !(v.Mean >= 0 && v.Mean <= 1) {
				t.Errorf("%s, %s: %+v, %t, %v", r.Name, column, v, measured, err)
			}
		}
		if r.Baseline != (random || supervised) || len(r.Values) > len(table.Columns) {
			t.Errorf("%s: baseline %t, %d values", r.Name, r.Baseline, len(r.Values))
		}
		if best := r.Values["best stage"].Mean; best < r.Values["linear"].Mean {
			t.Errorf("%s: the best stage has %g, the last %g", r.Name, best, r.Values["linear"].Mean)
		}
	}
	// By hand: the figures are those of Evaluate and FineTune with the run's seed.
	c, probes := variants[0].Config, o.Options
	var knn, few, tuned []float64
	steps := notes.Steps
	for _, seed := range []int64{1, 2} {
		c.Seed, probes.Seed = seed, seed
		scores, err := s.Evaluate(ctx, c, probes)
		if err != nil {
			t.Fatal(err)
		}
		fit, err := FineTune(ctx, s, c, *o.FineTune, eval.Labels{PerClass: 3})
		if err != nil || fit.Examples != 12 {
			t.Fatalf("%+v, %v", fit, err)
		}
		knn, few, tuned = append(knn, scores.Last().KNN), append(few, scores.Few[0].Test.Mean), append(tuned, fit.Test)
	}
	for column, values := range map[string][]float64{"k-NN": knn, "linear 3 each": few, "fine-tuned 3 each": tuned} {
		if got, want := table.Rows[0].Values[column], eval.Summarize(values); got.Mean != want.Mean || got.Std != want.Std || got.N != 2 || got.Error <= 0 || math.Abs(got.Balanced-got.Mean) > 1e-12 {
			t.Errorf("%s: %+v, want %v", column, got, values)
		}
	}
	// NIN(3, 6), by hand: convolutions, and two numbers of each channel of a norm.
	parameters := 0
	for _, l := range [][3]int{{3, 6, 25}, {6, 5, 1}, {5, 3, 1}, {3, 6, 25}, {6, 6, 1}, {6, 6, 1}, {6, 6, 9}, {6, 6, 1}, {6, 6, 1}} {
		parameters += l[0]*l[1]*l[2] + 2*l[1]
	}
	if got := table.Rows[0].Values["parameters"].Mean; got != float64(parameters) {
		t.Errorf("%g parameters, want %d", got, parameters)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "*", "finetune-*")); len(left) != 3*2*2 {
		t.Errorf("%d files of fine-tuning are left, want one each: %q", len(left), left)
	}
	again, err := Transfer(ctx, s, variants, o, 1, 2)
	if err != nil || !reflect.DeepEqual(again, table) || notes.Steps != steps {
		t.Errorf("asked again: %v, %d more steps", err, notes.Steps-steps)
	}
	text, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	var back TransferTable
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, table) {
		t.Errorf("JSON gives another table: %v", err)
	}

	head, rows := table.Table()
	if line := strings.Join(head, "|"); strings.Contains(line, "peak MB") || !strings.HasPrefix(line, "encoder|backbone|k-NN|linear|best stage|linear 3 each") || len(rows[0]) != len(head) || rows[1][1] != "NIN(3, 6)" {
		t.Errorf("head %q, rows %q", head, rows)
	}
	caption := table.Caption()
	for _, part := range []string{"over 2 training seeds, one test set", "80 training and 40 test examples, 4 classes", "chosen by the test set", "mean of 2 draws", "fine-tuning: all stages, 1 epochs", "has seen all labels"} {
		if !strings.Contains(caption, part) {
			t.Errorf("the caption does not say %q: %s", part, caption)
		}
	}
}

// Each backbone has its own baselines.
func TestBaselines(t *testing.T) {
	v := pair(t)
	v = append(v, v[1])
	v[2].Config.Epochs++
	of := Baselines(v)
	var names []string
	for _, b := range of {
		names = append(names, b.Name)
	}
	if want := []string{"random init, NIN(3, 6)", "random, norms fitted, NIN(3, 6)", "supervised, NIN(3, 6)",
		"random init, ResNet(8, 4)", "random, norms fitted, ResNet(8, 4)", "supervised, ResNet(8, 4)"}; !reflect.DeepEqual(names, want) {
		t.Fatalf("%q, want %q", names, want)
	}
	if c := of[5].Config; c.Role() != sslkit.Labelled || *sslkit.Backbone(c.Method) != nn.ResNet(8, 4) || !reflect.DeepEqual(c, recipe.Supervised(v[1].Config)) || c.Validate() != nil {
		t.Errorf("supervised: %+v", c)
	}
	if of := Baselines(v[1:]); len(of) != 3 || of[2].Name != "supervised" {
		t.Errorf("of one backbone: %+v", of)
	}
	if got := network(nn.ViT(4, 96, 4)); got != "ViT(4, 96, 4)" {
		t.Error(got)
	}
}

func TestTransferSort(t *testing.T) {
	row := func(name string, linear, seconds float64) TransferRow {
		r := TransferRow{Name: name, Values: map[string]eval.Spread{}}
		for column, v := range map[string]float64{"linear": linear, "s/epoch": seconds} {
			if !math.IsNaN(v) {
				r.Values[column] = eval.Spread{Mean: v, N: 1}
			}
		}
		return r
	}
	table := &TransferTable{Columns: brief().Columns(), Rows: []TransferRow{row("a", 0.5, 3), row("b", math.NaN(), 1), row("c", 0.7, math.NaN()), row("d", 0.5, 2)}}
	for column, want := range map[string]string{"LINEAR": "c a d b", "s/epoch": "b d a c"} {
		sorted := *table
		sorted.Rows = append([]TransferRow(nil), table.Rows...)
		if err := sorted.Sort(column); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range sorted.Rows {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("by %s: %s, want %s", column, got, want)
		}
	}
	labtest.WantError(t, "no column", table.Sort("linaer"), `did you mean "linear"`)
}

// What cannot be trained is said before anything is.
func TestTransferRefuses(t *testing.T) {
	s, notes := newStore(t)
	with := func(change func(c *sslkit.Config)) []Variant {
		v := pair(t)
		change(&v[1].Config)
		return v
	}
	moco := sslkit.MoCoV2(nn.ResNet(8, 4))
	moco.Queue, moco.Dim = 40, 8
	for want, variants := range map[string][]Variant{
		"at least one variant":       nil,
		"have different data":        with(func(c *sslkit.Config) { c.Data.Size = 16 }),
		`two variants are called`:    {pair(t)[0], pair(t)[0]},
		"simclr: sslkit: batch of 0": with(func(c *sslkit.Config) { c.Batch = 0 }),
		"no multiple of the batch":   with(func(c *sslkit.Config) { c.Method = moco }),
		"side is a multiple of":      with(func(c *sslkit.Config) { *sslkit.Backbone(c.Method) = nn.ViT(2, 32, 5) }),
		"no captions":                with(func(c *sslkit.Config) { c.Method = sslkit.SmallCLIP(nn.ResNet(8, 4)) }),
	} {
		_, err := Transfer(context.Background(), s, variants, brief(), 1)
		labtest.WantError(t, want, err, want)
	}
	_, err := Transfer(context.Background(), s, pair(t), brief())
	labtest.WantError(t, "no seeds", err, "at least one seed")
	o := brief()
	o.FineTune.From = 0
	_, err = Transfer(context.Background(), s, pair(t), o, 1)
	labtest.WantError(t, "stage 0", err, "from stage 0")
	if notes.Steps > 0 {
		t.Errorf("%d steps were taken", notes.Steps)
	}
}

// Labels are drawn by the run's seed, and fine-tuning that is interrupted goes on.
func TestFineTune(t *testing.T) {
	s, notes := newStore(t)
	c, p := labtest.Tiny(t), *brief().FineTune
	pretrain(t, s, c)
	p.Steps = 30
	ctx, cancel := context.WithCancel(context.Background())
	s.Report = func(at runs.Progress) {
		if at.Step.Step == 12 {
			cancel()
		}
	}
	if _, err := FineTune(ctx, s, c, p, eval.Labels{PerClass: 5}); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	s.Report = func(p runs.Progress) { notes.Add(p.Now+p.Note, p.Step) }
	notes.Forget()
	fit, err := FineTune(context.Background(), s, c, p, eval.Labels{PerClass: 5})
	if err != nil || notes.Steps > 30-12 || fit.Examples != 20 || fit.Labels.PerClass != 5 || !reflect.DeepEqual(fit.Options, p) {
		t.Errorf("%+v, %v, after %d more steps", fit, err, notes.Steps)
	}
	_, err = FineTune(context.Background(), s, c, p, eval.Labels{PerClass: 21})
	labtest.WantError(t, "21 of 20", err, "class 0 has 20")
	r, err := s.Find(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(s.Dir, r.Key, "finetune-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := FineTune(context.Background(), s, c, p, eval.Labels{PerClass: 5}); err != nil || again.Fit != fit.Fit {
		t.Errorf("after damage %+v, %v, before %+v", again, err, fit)
	}
	all, err := FineTune(context.Background(), s, c, p, eval.Labels{})
	if err != nil || all.Examples != 80 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestPicked(t *testing.T) {
	train, _, err := data.Open(labtest.Folder(t, true), data.OpenOptions{Size: 12})
	if err != nil {
		t.Fatal(err)
	}
	p := data.Pick(train, 7, 3)
	a, b := make([]uint8, 12*12*3), make([]uint8, 12*12*3)
	if err := errors.Join(p.Read(1, a), train.Read(3, b)); err != nil || !reflect.DeepEqual(a, b) || p.Label(0) != train.Label(7) || p.Len() != 2 {
		t.Errorf("picked %+v, %v", p, err)
	}
}
