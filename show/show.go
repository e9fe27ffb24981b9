// Package show draws what the laboratory measured: records and comparisons of runs and studies, images of data,
// as figures of widgets. The command line and the notebooks share it.
package show

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Images draws examples of a dataset in one row, with the names of their classes.
func Images(src data.Source, index ...int) (*widgets.Figure, error) {
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	return widgets.Gallery{Images: [][]widgets.Image{images}, Captions: [][]string{names}, Size: 72}.Figure()
}

// Copies draws the rotated copies that a step trains on: a row for each example, a column for each
// angle. Crops and flips, which are random, are left out.
func Copies(angles []int, src data.Source, index ...int) (*widgets.Figure, error) {
	m := &sslkit.Rotation{Angles: angles}
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	turned, err := drawn("rotating", images, m.Rotate)
	if err != nil {
		return nil, err
	}
	n := len(images)
	g := widgets.Gallery{Rows: names, Images: make([][]widgets.Image, n), Size: 72}
	for k, angle := range angles {
		g.Cols = append(g.Cols, fmt.Sprintf("%d°", angle))
		for i := range n {
			g.Images[i] = append(g.Images[i], turned[k*n+i])
		}
	}
	return g.Figure()
}

// Attention draws where an encoder is most active on examples of a dataset, a column for each of its
// blocks (Gidaris et al. 2018, Fig. 3).
func Attention(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, index ...int) (*widgets.Figure, error) {
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	picked, err := data.Batches(data.Pick(src, index...), data.Options{Batch: len(index), KeepLast: true})
	if err != nil {
		return nil, err
	}
	trained, err := s.Trained(ctx, c)
	if err != nil {
		return nil, err
	}
	stages, err := eval.AttentionMaps(ctx, trained.Backend, trained.Store, trained.Method, picked)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Rows: names, Cols: []string{"image"}, Size: 84}
	for k := range stages {
		g.Cols = append(g.Cols, fmt.Sprintf("block %d", k+1))
	}
	for i, image := range images {
		row := []widgets.Image{image}
		for _, stage := range stages {
			overlay, err := widgets.Attention(image, stage.Maps[i], stage.Height, stage.Width)
			if err != nil {
				return nil, err
			}
			row = append(row, overlay)
		}
		g.Images = append(g.Images, row)
	}
	return g.Figure()
}

func read(src data.Source, index []int) (images []widgets.Image, names []string, err error) {
	if len(index) == 0 {
		return nil, nil, fmt.Errorf("show: name at least one example of %s", src.Name())
	}
	h, w, c := src.Shape()
	for _, i := range index {
		if i < 0 || i >= src.Len() {
			return nil, nil, fmt.Errorf("show: example %d of %s, which has %d", i, src.Name(), src.Len())
		}
		m := widgets.Image{Pixels: make([]uint8, h*w*c), H: h, W: w, C: c}
		if err := src.Read(i, m.Pixels); err != nil {
			return nil, nil, err
		}
		name := ""
		if label := src.Label(i); label >= 0 {
			name = src.Classes()[label]
		}
		images, names = append(images, m), append(names, name)
	}
	return images, names, nil
}

// Training draws a run's accuracy on its pretext task, and beside it how well the features of two
// blocks, one in the middle and the last, serve to find the class by k-NN, which no loss asks for.
func Training(r *runs.Record) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "epoch", YLabel: "accuracy, %", Note: fmt.Sprintf("%s, seed %d; k-NN on up to 500 test examples", r.Config.Data.Name, r.Config.Seed)}
	if y := r.History.Reports["accuracy"]; len(y) > 0 {
		c.Series = append(c.Series, widgets.Series{Name: "pretext task", Role: widgets.Blue, Y: percents(y)})
	}
	last := 0
	for r.History.Figures[fmt.Sprintf("knn_%d", last+1)] != nil {
		last++
	}
	for _, block := range slices.Compact([]int{(last + 1) / 2, last}) {
		if y := r.History.Figures[fmt.Sprintf("knn_%d", block)]; block > 0 {
			c.Series = append(c.Series, widgets.Series{Name: fmt.Sprintf("class, block %d", block), Y: percents(y)})
		}
	}
	if guess := r.Config.GuessAccuracy(); guess > 0 && len(r.History.Reports["accuracy"]) > 0 {
		c.Guides = []widgets.Guide{{Name: "pretext, by chance", Y: 100 * guess}}
	}
	return c.Figure()
}

// Losses draws a run's loss, an epoch each.
func Losses(r *runs.Record) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "epoch", YLabel: "loss", Note: fmt.Sprintf("%s, %s, seed %d", sslkit.TitleOf(r.Config.Method), r.Config.Data.Name, r.Config.Seed),
		Series: []widgets.Series{{Name: "loss", Role: widgets.Blue, Y: r.History.Loss}}}
	if guess := r.Config.GuessLoss(); guess > 0 {
		c.Guides = []widgets.Guide{{Name: "by guessing", Y: guess}}
	}
	return c.Figure()
}

// Blocks draws the accuracy of the linear probe at each block of the encoders.
func Blocks(c *study.Comparison) (*widgets.Figure, error) {
	return blocks(c, "linear probe", func(r study.Row) []eval.Spread { return r.Linear })
}

// Neighbours draws the accuracy of k-NN at each block of the encoders.
func Neighbours(c *study.Comparison) (*widgets.Figure, error) {
	return blocks(c, "k-NN", func(r study.Row) []eval.Spread { return r.KNN })
}

func blocks(c *study.Comparison, probe string, of func(study.Row) []eval.Spread) (*widgets.Figure, error) {
	g := widgets.Curves{YLabel: probe + " accuracy, %", Note: note(c)}
	for _, row := range c.Rows {
		s := widgets.Series{Name: row.Name, Role: role(row.Name)}
		for _, v := range of(row) {
			s.Y, s.Err = append(s.Y, 100*v.Mean), append(s.Err, 100*v.Std)
		}
		g.Series = append(g.Series, s)
	}
	for i := range c.Rows[0].Linear {
		g.Names = append(g.Names, fmt.Sprintf("block %d", i+1))
	}
	return g.Figure()
}

// Ablation draws the last block's accuracies for each variant, with those of the baselines as guides; of a grid of two fields, a
// heat map of the linear probe's.
func Ablation(c *study.Comparison) (*widgets.Figure, error) {
	if len(c.Axes) == 2 {
		return grid(c)
	}
	linear := widgets.Series{Name: "linear probe", Role: widgets.Blue}
	knn := widgets.Series{Name: "k-NN"}
	b := widgets.Bars{YLabel: "accuracy, %", Dots: true, Note: note(c) + "; last block"}
	for _, row := range c.Rows {
		last := len(row.Linear) - 1
		if role(row.Name) != widgets.Auto {
			b.Guides = append(b.Guides, widgets.Guide{Name: row.Name + ", linear", Y: 100 * row.Linear[last].Mean})
			continue
		}
		b.Groups = append(b.Groups, row.Name)
		linear.Y, linear.Err = append(linear.Y, 100*row.Linear[last].Mean), append(linear.Err, 100*row.Linear[last].Std)
		knn.Y, knn.Err = append(knn.Y, 100*row.KNN[last].Mean), append(knn.Err, 100*row.KNN[last].Std)
	}
	// "temperature 0.1, temperature 0.2" says one thing twice.
	if field, _, found := strings.Cut(b.Groups[0], " "); found {
		short := slices.Clone(b.Groups)
		for i := range short {
			short[i] = strings.TrimPrefix(short[i], field+" ")
		}
		if !slices.ContainsFunc(b.Groups, func(name string) bool { return !strings.HasPrefix(name, field+" ") }) {
			b.Groups, b.Note = short, field+"; "+b.Note
		}
	}
	b.Series = []widgets.Series{linear, knn}
	return b.Figure()
}

// grid draws a cell for each variant of two fields; the baselines are in the note.
func grid(c *study.Comparison) (*widgets.Figure, error) {
	down, across := c.Axes[0], c.Axes[1]
	cells := len(down.Values) * len(across.Values)
	if len(c.Rows) < cells {
		return nil, fmt.Errorf("show: a grid of %d cells with %d rows", cells, len(c.Rows))
	}
	h := widgets.Heatmap{Rows: down.Values, RowLabel: down.Field, Cols: across.Values, ColLabel: across.Field, Decimals: 1,
		Note: note(c) + "; linear probe, last block, accuracy in %"}
	last := func(r study.Row) eval.Spread { return r.Linear[len(r.Linear)-1] }
	for i, r := range c.Rows[:cells] {
		if i%len(across.Values) == 0 {
			h.Values, h.Spread = append(h.Values, nil), append(h.Spread, nil)
		}
		at, v, spread := len(h.Values)-1, last(r), math.NaN()
		if v.N > 1 {
			spread = 100 * v.Std
		}
		h.Values[at], h.Spread[at] = append(h.Values[at], 100*v.Mean), append(h.Spread[at], spread)
	}
	for _, r := range c.Rows[cells:] {
		h.Note += fmt.Sprintf("; %s %.1f", r.Name, 100*last(r).Mean)
	}
	return h.Figure()
}

// Gap draws the Task Gap: the non-linear probe on the paper's block for each set of angles, here and
// in the paper.
func Gap(g *study.Gap) (*widgets.Figure, error) {
	here := widgets.Series{Name: "here: " + g.Config.Data.Name, Role: widgets.Blue}
	paper := widgets.Series{Name: "paper: CIFAR-10"}
	b := widgets.Bars{YLabel: "accuracy, %", Dots: true, Note: note(&g.Comparison)}
	for _, row := range g.Rows {
		if row.Angles == nil {
			b.Guides = append(b.Guides, widgets.Guide{Name: row.Name, Y: 100 * row.NonLinear.Mean})
			continue
		}
		b.Groups = append(b.Groups, row.Name)
		here.Y, here.Err = append(here.Y, 100*row.NonLinear.Mean), append(here.Err, 100*row.NonLinear.Std)
		paper.Y = append(paper.Y, 100*row.Paper)
	}
	b.Series, b.Reference = []widgets.Series{here}, paper
	return b.Figure()
}

func note(c *study.Comparison) string {
	n := fmt.Sprintf("%s; mean ± deviation over %d seeds", c.Config.Data.Name, len(c.Seeds))
	if len(c.Seeds) == 1 {
		n = c.Config.Data.Name + "; one seed"
	}
	return n + testSet(c.Tally)
}

// testSet says on how many test examples, and what the commonest class alone would have.
func testSet(t eval.Tally) string {
	if t.Test == 0 {
		return ""
	}
	of := fmt.Sprintf("%d test examples", t.Test)
	if t.Groups > 0 {
		of = fmt.Sprintf("crops of %d test photos", t.Groups)
	}
	return fmt.Sprintf("; %s, commonest class %.1f %%", of, 100*t.Commonest())
}

func role(name string) widgets.Role {
	switch name {
	case "random init":
		return widgets.RandomInit
	case "random, norms fitted":
		return widgets.Sky
	case "supervised":
		return widgets.Supervised
	}
	return widgets.Auto
}

func percents(fractions []float64) []float64 {
	out := slices.Clone(fractions)
	for i := range out {
		out[i] *= 100
	}
	return out
}
