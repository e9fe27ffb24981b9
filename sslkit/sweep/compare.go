package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sslkit/lab/sslkit/eval"
)

func checkSeeds(seeds []int64) error {
	if len(seeds) == 0 {
		return errors.New("sweep: give at least one seed, and three to see a spread")
	}
	for i, seed := range seeds {
		if slices.Contains(seeds[:i], seed) {
			return fmt.Errorf("sweep: seed %d is given twice, which would hide the spread", seed)
		}
	}
	return nil
}

// Comparison is one or more encoders beside the same backbone untrained and supervised.
type Comparison struct {
	Config  Config       `json:"config"` // what was asked for; its seed is not used
	Options eval.Options `json:"options"`
	Seeds   []int64      `json:"seeds"`
	Rows    []Row        `json:"rows"` // the last three are random init, random with fitted norms, and supervised
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
	EndToEnd  *eval.Spread  `json:"end_to_end,omitempty"` // of the supervised network with its own classifier
}

// Compare runs c with each of the seeds, probes every block, and sets random-init and supervised rows
// of the same backbone, data and seeds beside it.
func (s *Store) Compare(ctx context.Context, c Config, o eval.Options, seeds ...int64) (*Comparison, error) {
	return s.Ablate(ctx, []Variant{{c.Method.Name(), c}}, o, seeds...)
}

// Ablate is Compare with a row for each of the variants; the baselines are those of the first.
func (s *Store) Ablate(ctx context.Context, variants []Variant, o eval.Options, seeds ...int64) (*Comparison, error) {
	if len(variants) == 0 {
		return nil, errors.New("sweep: an ablation needs at least one variant")
	}
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	result := &Comparison{Config: variants[0].Config, Options: o, Seeds: seeds}
	for _, v := range variants {
		row, err := s.row(ctx, v.Name, v.Config, o, seeds)
		if err != nil {
			return nil, err
		}
		result.Rows = append(result.Rows, row)
	}
	return result, s.baselines(ctx, result)
}

func (s *Store) baselines(ctx context.Context, to *Comparison) error {
	for _, base := range []struct {
		name   string
		config Config
	}{{"random init", to.Config.RandomInit()}, {"random, norms fitted", to.Config.RandomFitted()}, {"supervised", to.Config.Supervised()}} {
		row, err := s.row(ctx, base.name, base.config, to.Options, to.Seeds)
		if err != nil {
			return err
		}
		to.Rows = append(to.Rows, row)
	}
	return nil
}

func (s *Store) row(ctx context.Context, name string, c Config, o eval.Options, seeds []int64) (Row, error) {
	var pretext, nonlinear, endToEnd []float64
	var knn, linear [][]float64 // [block][seed]
	for _, seed := range seeds {
		c.Seed = seed
		scores, err := s.Evaluate(ctx, c, o)
		if err != nil {
			return Row{}, fmt.Errorf("%s, seed %d: %w", name, seed, err)
		}
		if knn == nil {
			knn, linear = make([][]float64, len(scores.Stages)), make([][]float64, len(scores.Stages))
		}
		for i, stage := range scores.Stages {
			knn[i] = append(knn[i], stage.KNN)
			linear[i] = append(linear[i], stage.Linear)
			if stage.NonLinear != nil {
				nonlinear = append(nonlinear, *stage.NonLinear)
			}
		}
		if scores.EndToEnd != nil {
			endToEnd = append(endToEnd, *scores.EndToEnd)
		}
		if scores.Pretext != nil {
			pretext = append(pretext, *scores.Pretext)
		}
	}
	row := Row{Name: name, NonLinear: eval.Summarize(nonlinear), Pretext: optional(pretext), EndToEnd: optional(endToEnd)}
	for i := range knn {
		row.KNN = append(row.KNN, eval.Summarize(knn[i]))
		row.Linear = append(row.Linear, eval.Summarize(linear[i]))
	}
	return row, nil
}

func optional(values []float64) *eval.Spread {
	if len(values) == 0 {
		return nil
	}
	s := eval.Summarize(values)
	return &s
}

// Table is the result for people: a head, and rows of percentages, columns without any left out. The
// accuracies of k-NN are in [Comparison.Neighbours].
func (c *Comparison) Table() (head []string, rows [][]string) {
	column := func(title string, cell func(Row) string) {
		cells := make([]string, len(c.Rows))
		any := false
		for i, r := range c.Rows {
			cells[i] = cell(r)
			any = any || cells[i] != ""
		}
		if !any {
			return
		}
		head = append(head, title)
		for i := range cells {
			rows[i] = append(rows[i], cells[i])
		}
	}
	rows = make([][]string, len(c.Rows))
	column("encoder", func(r Row) string { return r.Name })
	column("paper, CIFAR-10", func(r Row) string {
		if r.Paper == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", 100*r.Paper)
	})
	if p := c.Options.NonLinear; p != nil {
		column(fmt.Sprintf("non-linear, block %d", p.Stage), func(r Row) string { return percent(&r.NonLinear) })
	}
	for i := range c.Rows[0].Linear {
		column(fmt.Sprintf("linear, block %d", i+1), func(r Row) string { return percent(&r.Linear[i]) })
	}
	column("pretext task", func(r Row) string { return percent(r.Pretext) })
	column("end to end", func(r Row) string { return percent(r.EndToEnd) })
	return head, rows
}

// Neighbours is the accuracy of k-NN at each block, for people.
func (c *Comparison) Neighbours() (head []string, rows [][]string) {
	head = []string{"encoder"}
	for i := range c.Rows[0].KNN {
		head = append(head, fmt.Sprintf("k-NN, block %d", i+1))
	}
	for _, r := range c.Rows {
		row := []string{r.Name}
		for _, s := range r.KNN {
			row = append(row, percent(&s))
		}
		rows = append(rows, row)
	}
	return head, rows
}

// over says what a figure of these seeds is.
func over(seeds []int64) string {
	if len(seeds) == 1 {
		return "one seed"
	}
	return fmt.Sprintf("mean ± standard deviation over %d seeds", len(seeds))
}

// Caption says under the table what its numbers are.
func (c *Comparison) Caption() string {
	over := over(c.Seeds)
	return fmt.Sprintf("%s: test accuracy in %%, on the pretext task training accuracy, %s, after the last epoch. %s.", c.Config.Data.Name, over, c.Options)
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
