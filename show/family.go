package show

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// PretextAndProbe draws for each variant how well it solves its own task beside what a linear probe of its last block finds:
// what makes a task easier need not make it more useful.
func PretextAndProbe(c *study.Comparison) (*widgets.Figure, error) {
	pretext := widgets.Series{Name: "pretext task", Role: widgets.Vermillion}
	linear := widgets.Series{Name: "linear probe, last block", Role: widgets.Blue}
	b := widgets.Bars{YLabel: "accuracy, %", Dots: true, Note: note(c)}
	for _, row := range c.Rows {
		last := row.Linear[len(row.Linear)-1]
		if row.Pretext == nil {
			b.Guides = append(b.Guides, widgets.Guide{Name: row.Name, Y: 100 * last.Mean})
			continue
		}
		b.Groups = append(b.Groups, row.Name)
		pretext.Y, pretext.Err = append(pretext.Y, 100*row.Pretext.Mean), append(pretext.Err, 100*row.Pretext.Std)
		linear.Y, linear.Err = append(linear.Y, 100*last.Mean), append(linear.Err, 100*last.Std)
	}
	b.Series = []widgets.Series{pretext, linear}
	return b.Figure()
}

// course is what was measured of a variant after each epoch, for one seed.
type course struct {
	pretext, probe []float64 // accuracies
	seconds        float64   // of an epoch
}

// courses trains a variant with each seed, if need be. The probe is k-NN on the features of a block, on up to 500 test images.
func courses(ctx context.Context, s *runs.Store, v study.Variant, block int, seeds []int64) ([]course, error) {
	var out []course
	for _, seed := range seeds {
		c := v.Config
		c.Seed = seed
		r, err := s.Pretrain(ctx, c)
		if err != nil {
			return nil, err
		}
		h := r.History
		probe := h.Figures[fmt.Sprintf("knn_%d", block)]
		if probe == nil {
			return nil, fmt.Errorf("show: %s was not measured at block %d", v.Name, block)
		}
		out = append(out, course{h.Reports["accuracy"], probe, r.EpochSeconds()})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("show: name at least one seed")
	}
	return out, nil
}

// Pace draws how soon each task has taught what a block knows: k-NN accuracy against the time it was trained for, averaged
// over the seeds.
func Pace(ctx context.Context, s *runs.Store, block int, variants []study.Variant, seeds ...int64) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "seconds of training", YLabel: fmt.Sprintf("k-NN accuracy, block %d, %%", block)}
	for _, v := range variants {
		all, err := courses(ctx, s, v, block, seeds)
		if err != nil {
			return nil, err
		}
		line := widgets.Series{Name: v.Name}
		for epoch := range all[0].probe {
			var probe, seconds []float64
			for _, one := range all {
				probe, seconds = append(probe, 100*one.probe[epoch]), append(seconds, one.seconds*float64(epoch+1))
			}
			spread := eval.Summarize(probe)
			line.X, line.Y, line.Err = append(line.X, eval.Summarize(seconds).Mean), append(line.Y, spread.Mean), append(line.Err, spread.Std)
		}
		c.Series = append(c.Series, line)
		c.Note = fmt.Sprintf("%s, up to 500 test examples; %s; a point an epoch", v.Config.Data.Name, counted(seeds))
	}
	return c.Figure()
}

// TimeTo is a table, in Markdown, of how long each variant takes to reach the target, a k-NN accuracy of a block in [0, 1].
func TimeTo(ctx context.Context, s *runs.Store, block int, target float64, variants []study.Variant, seeds ...int64) (string, error) {
	t := widgets.Table{Head: []string{"task", "seconds an epoch", fmt.Sprintf("epochs to %.0f %%", 100*target), fmt.Sprintf("seconds to %.0f %%", 100*target), "best, %"}}
	for _, v := range variants {
		all, err := courses(ctx, s, v, block, seeds)
		if err != nil {
			return "", err
		}
		var each, epochs, seconds, best []float64
		for _, one := range all {
			top := 0.0
			for epoch, a := range one.probe {
				if top < target && a >= target {
					epochs, seconds = append(epochs, float64(epoch+1)), append(seconds, float64(epoch+1)*one.seconds)
				}
				top = max(top, a)
			}
			each, best = append(each, one.seconds), append(best, 100*top)
		}
		cell := func(values []float64) string {
			switch {
			case len(values) == 0:
				return "not reached"
			case len(values) < len(all):
				return fmt.Sprintf("%.1f; %d of %d seeds", eval.Summarize(values).Mean, len(values), len(all))
			case len(values) == 1:
				return fmt.Sprintf("%.1f", values[0])
			}
			return fmt.Sprintf("%.1f ± %.1f", eval.Summarize(values).Mean, eval.Summarize(values).Std)
		}
		t.Rows = append(t.Rows, []string{v.Name, cell(each), cell(epochs), cell(seconds), cell(best)})
	}
	return t.Markdown()
}

// PretextAgainst draws what a task's own accuracy says of what a block knows: a point for each epoch of each run, a colour
// for each task.
func PretextAgainst(ctx context.Context, s *runs.Store, block int, variants []study.Variant, seeds ...int64) (*widgets.Figure, error) {
	g := widgets.Scatter{XLabel: "accuracy on the pretext task, %", YLabel: fmt.Sprintf("k-NN accuracy, block %d, %%", block)}
	for _, v := range variants {
		all, err := courses(ctx, s, v, block, seeds)
		if err != nil {
			return nil, err
		}
		p := widgets.Points{Name: v.Name}
		for _, one := range all {
			p.X, p.Y = append(p.X, percents(one.pretext)...), append(p.Y, percents(one.probe)...)
		}
		g.Points = append(g.Points, p)
		g.Note = fmt.Sprintf("%s; a point for each epoch of %s", v.Config.Data.Name, counted(seeds))
	}
	return g.Figure()
}

func counted(seeds []int64) string {
	if len(seeds) == 1 {
		return "one seed"
	}
	return fmt.Sprintf("%d seeds", len(seeds))
}

// Critique is a table, in Markdown, of how much each task's own accuracy says of its use. Solved is the share, from guessing
// to perfection, of the pretext task; used is the share of the way from random init to supervised that the linear probe of the
// last block goes, if the supervised one is above; the gap is their difference. r is the correlation, over epochs, of pretext accuracy with k-NN on the block. The
// comparison's rows must begin with the variants.
func Critique(ctx context.Context, s *runs.Store, c *study.Comparison, block int, variants []study.Variant, seeds ...int64) (string, error) {
	at := make(map[string]float64)
	for _, row := range c.Rows {
		at[row.Name] = row.Linear[len(row.Linear)-1].Mean
	}
	t := widgets.Table{Head: []string{"task", "pretext accuracy, %", "solved, %", "used, %", "gap", "r over epochs"}}
	for i, v := range variants {
		row := c.Rows[i]
		if row.Name != v.Name || row.Pretext == nil {
			return "", fmt.Errorf("show: row %d of the comparison is %s and has no pretext accuracy of %s", i+1, row.Name, v.Name)
		}
		all, err := courses(ctx, s, v, block, seeds)
		if err != nil {
			return "", err
		}
		var r []float64
		for _, one := range all {
			r = append(r, stat.Correlation(one.pretext, one.probe, nil))
		}
		chance := math.Exp(-v.Config.GuessLoss())
		solved := (row.Pretext.Mean - chance) / (1 - chance)
		share, gap := "no way to go", ""
		if way := at["supervised"] - at["random init"]; way > 0 {
			used := (at[row.Name] - at["random init"]) / way
			share, gap = fmt.Sprintf("%.0f", 100*used), fmt.Sprintf("%.0f", 100*(solved-used))
		}
		t.Rows = append(t.Rows, []string{v.Name, fmt.Sprintf("%.1f", 100*row.Pretext.Mean), fmt.Sprintf("%.0f", 100*solved),
			share, gap, fmt.Sprintf("%.2f", eval.Summarize(r).Mean)})
	}
	return t.Markdown()
}
