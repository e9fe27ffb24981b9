package study

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

func checkSeeds(seeds []int64) error {
	if len(seeds) == 0 {
		return errors.New("study: give at least one seed, and three to see a spread")
	}
	for i, seed := range seeds {
		if slices.Contains(seeds[:i], seed) {
			return fmt.Errorf("study: seed %d is given twice, which would hide the spread", seed)
		}
	}
	return nil
}

// Comparison is one or more encoders beside the same backbone untrained and supervised.
type Comparison struct {
	Config  sslkit.Config `json:"config"` // what was asked for; its seed is not used
	Options eval.Options  `json:"options"`
	Seeds   []int64       `json:"seeds"`
	Axes    []Axis        `json:"axes,omitempty"` // of a grid, whose rows come first, see [Grid]
	Rows    []Row         `json:"rows"`           // the last three are random init, random with fitted norms, and supervised

	Tally     eval.Tally `json:"tally"`     // what was trained and tested on
	Commonest float64    `json:"commonest"` // accuracy of who always answers the commonest class, see eval.Tally

	Origins Origins `json:"origins,omitempty"` // of its runs
}

// Row is one encoder over the seeds. Accuracies are fractions of the test set.
type Row struct {
	Name      string        `json:"name"`
	Angles    []int         `json:"angles,omitempty"`
	Paper     float64       `json:"paper,omitempty"`      // see AngleSet
	Pretext   *eval.Spread  `json:"pretext,omitempty"`    // accuracy on its own task, mean of the last epoch of training
	KNN       []eval.Spread `json:"knn"`                  // a block each
	Linear    []eval.Spread `json:"linear"`               // a block each
	NonLinear eval.Spread   `json:"nonlinear"`            // on the block of Options.NonLinear
	Each      []float64     `json:"nonlinear_seeds"`      // the same, of each seed
	EndToEnd  *eval.Spread  `json:"end_to_end,omitempty"` // of the supervised network with its own classifier
}

// Compare runs c with each of the seeds, probes every block, and sets random-init and supervised rows
// of the same backbone, data and seeds beside it.
func Compare(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Options, seeds ...int64) (*Comparison, error) {
	name := sslkit.NameOf(c.Method)
	if m, ok := c.Method.(*eval.Given); ok {
		name = m.Title() // which of those that others trained
	}
	return Ablate(ctx, s, []Variant{{name, c}}, o, seeds...)
}

// Ablate is Compare with a row for each of the variants; the baselines are those of the first.
func Ablate(ctx context.Context, s *runs.Store, variants []Variant, o eval.Options, seeds ...int64) (*Comparison, error) {
	if len(variants) == 0 {
		return nil, errors.New("study: an ablation needs at least one variant")
	}
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	variants, err := pinned(ctx, s, variants)
	if err != nil {
		return nil, err
	}
	result := &Comparison{Config: variants[0].Config, Options: o, Seeds: seeds, Origins: make(Origins)}
	lower := baselineVariants(result.Config, o.Label)
	defer s.Several((len(variants) + len(lower)) * len(seeds))()
	for _, v := range variants {
		row, tally, err := row(ctx, s, v.Name, v.Config, o, seeds, result.Origins)
		if err != nil {
			return nil, err
		}
		if result.Rows == nil { // baselines, too, have the data of the first
			result.Tally, result.Commonest = tally, tally.Commonest()
		}
		result.Rows = append(result.Rows, row)
	}
	for _, v := range lower {
		row, _, err := row(ctx, s, v.Name, v.Config, o, seeds, result.Origins)
		if err != nil {
			return nil, err
		}
		result.Rows = append(result.Rows, row)
	}
	return result, nil
}

// Measured is c with its own seed, and nothing beside it.
func Measured(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Options) (*Comparison, error) {
	result := &Comparison{Config: c, Options: o, Seeds: []int64{c.Seed}, Origins: make(Origins)}
	row, tally, err := row(ctx, s, sslkit.TitleOf(c.Method), c, o, result.Seeds, result.Origins)
	result.Tally, result.Commonest, result.Rows = tally, tally.Commonest(), []Row{row}
	return result, err
}

// baselineVariants stand below c.
func baselineVariants(c sslkit.Config, label string) []Variant {
	return []Variant{{"random init", recipe.RandomInit(c)}, {"random, norms fitted", recipe.RandomFitted(c)}, {"supervised", supervised(c, label)}}
}

// supervised is the supervised row beside c, by labels of a kind.
func supervised(c sslkit.Config, label string) sslkit.Config {
	s := recipe.Supervised(c)
	if c.Role() != sslkit.Labelled {
		s.Method.(*eval.Supervised).Label = label
	}
	return s
}

func row(ctx context.Context, s *runs.Store, name string, c sslkit.Config, o eval.Options, seeds []int64, from Origins) (Row, eval.Tally, error) {
	var pretext []float64
	var nonlinear, endToEnd []eval.Tested
	var knn, linear [][]eval.Tested // [block][seed]
	var tally eval.Tally
	for _, seed := range seeds {
		c.Seed = seed
		s.Next(name)
		scores, err := s.Evaluate(ctx, c, o)
		if err != nil {
			return Row{}, tally, fmt.Errorf("%s, seed %d: %w", name, seed, err)
		}
		record, err := s.Find(ctx, c)
		if err != nil {
			return Row{}, tally, fmt.Errorf("%s, seed %d: %w", name, seed, err)
		}
		from.add(record)
		if knn == nil {
			knn, linear = make([][]eval.Tested, len(scores.Stages)), make([][]eval.Tested, len(scores.Stages))
			tally = scores.Tally
		}
		for i, stage := range scores.Stages {
			knn[i] = append(knn[i], stage.KNNTested)
			linear[i] = append(linear[i], stage.LinearTested)
			if stage.NonLinear != nil {
				nonlinear = append(nonlinear, stage.NonLinearTested)
			}
		}
		if scores.EndToEnd != nil {
			endToEnd = append(endToEnd, scores.EndToEndTested)
		}
		if scores.Pretext != nil {
			pretext = append(pretext, *scores.Pretext)
		}
	}
	row := Row{Name: name, NonLinear: eval.SummarizeTested(nonlinear), Pretext: optional(pretext)}
	for _, t := range nonlinear {
		row.Each = append(row.Each, t.Test)
	}
	if endToEnd != nil {
		all := eval.SummarizeTested(endToEnd)
		row.EndToEnd = &all
	}
	for i := range knn {
		row.KNN = append(row.KNN, eval.SummarizeTested(knn[i]))
		row.Linear = append(row.Linear, eval.SummarizeTested(linear[i]))
	}
	return row, tally, nil
}

func optional(values []float64) *eval.Spread {
	if len(values) == 0 {
		return nil
	}
	s := eval.Summarize(values)
	return &s
}

// Table is the result for people: a head, and rows of percentages, columns without any left out. Below the encoders stand the
// commonest class, which needs no encoder, and the largest error over the test images. The accuracies of k-NN are in
// [Comparison.Neighbours].
func (c *Comparison) Table() (head []string, rows [][]string) {
	t := c.table()
	t.text("paper, CIFAR-10", func(i int) string {
		if c.Rows[i].Paper == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", 100*c.Rows[i].Paper)
	})
	if p := c.Options.NonLinear; p != nil {
		t.accuracy(fmt.Sprintf("non-linear, block %d", p.Stage), func(i int) *eval.Spread { return &c.Rows[i].NonLinear })
		t.balanced("by class", func(i int) *eval.Spread { return &c.Rows[i].NonLinear })
	}
	last := len(c.Rows[0].Linear) - 1
	for k := range last + 1 {
		t.accuracy(fmt.Sprintf("linear, block %d", k+1), func(i int) *eval.Spread { return &c.Rows[i].Linear[k] })
	}
	t.balanced("by class", func(i int) *eval.Spread { return &c.Rows[i].Linear[last] })
	t.text("pretext task", func(i int) string { return percent(c.Rows[i].Pretext) })
	t.accuracy("end to end", func(i int) *eval.Spread { return c.Rows[i].EndToEnd })
	return t.head, t.rows
}

// Neighbours is the accuracy of k-NN at each block, for people.
func (c *Comparison) Neighbours() (head []string, rows [][]string) {
	t := c.table()
	last := len(c.Rows[0].KNN) - 1
	for k := range last + 1 {
		t.accuracy(fmt.Sprintf("k-NN, block %d", k+1), func(i int) *eval.Spread { return &c.Rows[i].KNN[k] })
	}
	t.balanced("by class", func(i int) *eval.Spread { return &c.Rows[i].KNN[last] })
	return t.head, t.rows
}

func (c *Comparison) table() *accuracyTable {
	var names []string
	for _, r := range c.Rows {
		names = append(names, r.Name)
	}
	return newTable(c.Tally, names)
}

// accuracyTable is one under way: a row for each encoder, then that of the commonest class and that of the error over test
// examples.
type accuracyTable struct {
	tally    eval.Tally
	encoders int
	head     []string
	rows     [][]string
}

func newTable(tally eval.Tally, encoders []string) *accuracyTable {
	t := &accuracyTable{tally: tally, encoders: len(encoders), head: []string{"encoder"}}
	for _, name := range encoders {
		t.rows = append(t.rows, []string{name})
	}
	if tally.Test > 0 {
		t.rows = append(t.rows, []string{commonestRow}, []string{"± over " + testSet(tally)})
	}
	return t
}

const commonestRow = "commonest class"

// testSet is "2000 test examples", or what they are of.
func testSet(t eval.Tally) string {
	if t.Groups > 0 {
		return fmt.Sprintf("%d test photos", t.Groups)
	}
	return fmt.Sprintf("%d test examples", t.Test)
}

// text adds a column that is no accuracy, unless it is empty.
func (t *accuracyTable) text(title string, cell func(i int) string) { t.column(title, cell, "", "") }

// accuracy adds a column, unless it is empty.
func (t *accuracyTable) accuracy(title string, of func(i int) *eval.Spread) {
	e := 0.0
	for i := range t.encoders {
		if s := of(i); s != nil {
			e = max(e, s.Error)
		}
	}
	t.column(title, func(i int) string { return percent(of(i)) }, fmt.Sprintf("%.1f", 100*t.tally.Commonest()), fmt.Sprintf("± %.1f", 100*e))
}

// balanced adds a column of the means over classes, unless they are the accuracies anyway.
func (t *accuracyTable) balanced(title string, of func(i int) *eval.Spread) {
	if t.tally.Even() {
		return
	}
	classes := 0
	for _, c := range t.tally.Counts {
		if c.Test > 0 {
			classes++
		}
	}
	t.column(title, func(i int) string {
		if s := of(i); s != nil && s.N > 0 {
			return fmt.Sprintf("%.1f", 100*s.Balanced)
		}
		return ""
	}, fmt.Sprintf("%.1f", 100/float64(classes)), "")
}

func (t *accuracyTable) column(title string, cell func(i int) string, commonest, off string) {
	cells := make([]string, t.encoders, t.encoders+2)
	for i := range cells {
		cells[i] = cell(i)
	}
	if !slices.ContainsFunc(cells, func(text string) bool { return text != "" }) {
		return
	}
	t.head = append(t.head, title)
	for i, text := range append(cells, commonest, off)[:len(t.rows)] {
		t.rows[i] = append(t.rows[i], text)
	}
}

// over says what a figure of these seeds is.
func over(seeds []int64) string {
	if len(seeds) == 1 {
		return "one training seed"
	}
	return fmt.Sprintf("mean ± standard deviation over %d training seeds", len(seeds))
}

// Caption says under the table what its numbers are.
func (c *Comparison) Caption() string {
	return fmt.Sprintf("%s: %v. Test accuracy in %%, on the pretext task training accuracy, %s, one test set, after the last epoch. %s%s. %s.%s",
		c.Config.Data.Name, c.Tally, over(c.Seeds), tested(c.Tally), supervisedNote(c.Config), c.Options, c.Origins)
}

// tested says what the last rows of an accuracy table are, and the columns by class.
func tested(t eval.Tally) string {
	text := "The last row is the largest standard error over the test examples, which more seeds do not lessen. "
	if t.Groups > 0 {
		text = fmt.Sprintf("The last row is the largest standard error over the %d test photos, whose crops go right or wrong together: "+
			"differences below twice that say nothing. ", t.Groups)
	}
	if t.Even() {
		return text + "Classes are equal in the test set, so that accuracy is the mean over classes, too. "
	}
	return text + "By class: the column before as the mean of the accuracies on each class. "
}

func percent(s *eval.Spread) string {
	switch {
	case s == nil || s.N == 0:
		return ""
	case s.N == 1:
		return fmt.Sprintf("%.1f", 100*s.Mean)
	}
	return fmt.Sprintf("%.1f ± %.1f", 100*s.Mean, 100*s.Std)
}

// supervisedNote says in a caption what the supervised row beside c had.
func supervisedNote(c sslkit.Config) string {
	s := recipe.Supervised(c)
	m, o := s.Method.(*eval.Supervised), s.Optimizer
	views := "unchanged images"
	switch {
	case m.Pad > 0 && m.Flip:
		views = fmt.Sprintf("shifts of up to %s and mirroring", plural(m.Pad, "pixel"))
	case m.Pad > 0:
		views = fmt.Sprintf("shifts of up to %s", plural(m.Pad, "pixel"))
	case m.Flip:
		views = "mirroring"
	}
	return fmt.Sprintf("Supervised: a recipe of its own, %s on the labels, %s, batch %d, %s, rate %g", plural(s.Epochs, "epoch"), views, s.Batch, o.Kind, o.Rate)
}
