package sweep

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/sslkit/lab/sslkit/eval"
)

// AngleSet is one of the pretext tasks of Gidaris et al. 2018, Table 2.
type AngleSet struct {
	Name   string
	Angles []int
	Paper  float64 // accuracy on CIFAR-10 of a non-linear probe on the second of four NIN blocks
}

// AngleSets are the rows of the table, best first.
var AngleSets = []AngleSet{
	{"4 rotations", []int{0, 90, 180, 270}, 0.8906},
	{"8 rotations", []int{0, 45, 90, 135, 180, 225, 270, 315}, 0.8851},
	{"2 rotations, 0 and 180", []int{0, 180}, 0.8746},
	{"2 rotations, 90 and 270", []int{90, 270}, 0.8552},
}

// ProbedBlock is the block, from 1, that the paper's table is about.
const ProbedBlock = 2

// TaskGap is the gap between a pretext task and what it is good for, over the choice of angles.
type TaskGap struct {
	Config  Config       `json:"config"` // of the first row's first seed
	Options eval.Options `json:"options"`
	Seeds   []int64      `json:"seeds"`
	Rows    []GapRow     `json:"rows"` // the angle sets, then random init and supervised
	Finding string       `json:"finding"`
}

// GapRow is one encoder over the seeds. Accuracies are fractions of the test set.
type GapRow struct {
	Name      string        `json:"name"`
	Angles    []int         `json:"angles,omitempty"`
	Paper     float64       `json:"paper,omitempty"`      // see AngleSet
	Pretext   *eval.Spread  `json:"pretext,omitempty"`    // accuracy on its own task, mean of the last epoch of training
	KNN       []eval.Spread `json:"knn"`                  // a block each
	Linear    []eval.Spread `json:"linear"`               // a block each
	NonLinear eval.Spread   `json:"nonlinear"`            // on ProbedBlock
	EndToEnd  *eval.Spread  `json:"end_to_end,omitempty"` // of the supervised network with its own classifier
}

// GapOptions is how the table's encoders are probed: as eval.Defaults, with the paper's non-linear
// probe on its block.
func GapOptions() eval.Options {
	o := eval.Defaults()
	p := eval.PaperNonLinear(ProbedBlock)
	o.NonLinear = &p
	return o
}

// TaskGap runs c, a rotation, with each of the angle sets and each of the seeds, and probes every
// block; random-init and supervised rows have the same backbone, data and seeds. Each run is a
// record of its own: what was interrupted goes on where it was.
func (s *Store) TaskGap(ctx context.Context, c Config, o eval.Options, seeds ...int64) (*TaskGap, error) {
	if c.Method.Rotation == nil {
		return nil, fmt.Errorf("sweep: the Task Gap is about rotation, not %q", c.Method.Name())
	}
	if len(seeds) == 0 {
		return nil, fmt.Errorf("sweep: the Task Gap needs at least one seed, and three to show a spread")
	}
	gap := &TaskGap{Options: o, Seeds: seeds}
	for _, set := range AngleSets {
		rotation := *c.Method.Rotation
		rotation.Angles = set.Angles
		c.Method = Method{Rotation: &rotation}
		row, err := s.gapRow(ctx, c, o, seeds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", set.Name, err)
		}
		row.Name, row.Angles, row.Paper = set.Name, set.Angles, set.Paper
		gap.Rows = append(gap.Rows, row)
		if gap.Config.Method.Name() == "" {
			gap.Config = c
			gap.Config.Seed = seeds[0]
		}
	}
	for _, base := range []struct {
		name   string
		config Config
	}{{"random init", c.RandomInit()}, {"supervised", c.Supervised()}} {
		row, err := s.gapRow(ctx, base.config, o, seeds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", base.name, err)
		}
		row.Name = base.name
		gap.Rows = append(gap.Rows, row)
	}
	gap.Finding = gap.finding()
	return gap, nil
}

func (s *Store) gapRow(ctx context.Context, c Config, o eval.Options, seeds []int64) (row GapRow, err error) {
	var pretext, nonlinear, endToEnd []float64
	var knn, linear [][]float64 // [block][seed]
	for _, seed := range seeds {
		c.Seed = seed
		scores, err := s.Evaluate(ctx, c, o)
		if err != nil {
			return row, err
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
		if c.Method.Rotation != nil {
			r, err := s.Pretrain(ctx, c)
			if err != nil {
				return row, err
			}
			accuracy := r.History.Reports["accuracy"]
			pretext = append(pretext, accuracy[len(accuracy)-1])
		}
	}
	for i := range knn {
		row.KNN = append(row.KNN, eval.Summarize(knn[i]))
		row.Linear = append(row.Linear, eval.Summarize(linear[i]))
	}
	row.NonLinear = eval.Summarize(nonlinear)
	row.Pretext, row.EndToEnd = optional(pretext), optional(endToEnd)
	return row, nil
}

func optional(values []float64) *eval.Spread {
	if len(values) == 0 {
		return nil
	}
	s := eval.Summarize(values)
	return &s
}

// finding says in words what the table shows, and what it does not.
func (g *TaskGap) finding() string {
	random := g.Rows[len(AngleSets)]
	var ahead, behind, unclear []string
	four := g.Rows[0]
	for _, other := range g.Rows[1:len(AngleSets)] {
		switch gain := four.NonLinear.Mean - other.NonLinear.Mean; {
		case math.Abs(gain) <= spread(four.NonLinear, other.NonLinear):
			unclear = append(unclear, other.Name)
		case gain > 0:
			ahead = append(ahead, other.Name)
		default:
			behind = append(behind, other.Name)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "By the non-linear probe on block %d, over %d seeds, four rotations", ProbedBlock, len(g.Seeds))
	var says []string
	if len(ahead) > 0 {
		says = append(says, " beat "+strings.Join(ahead, "; ")+" by more than the spread, as in the paper")
	}
	if len(unclear) > 0 {
		says = append(says, " cannot be told from "+strings.Join(unclear, "; ")+" within the spread")
	}
	if len(behind) > 0 {
		says = append(says, " lose to "+strings.Join(behind, "; ")+", unlike in the paper")
	}
	b.WriteString(strings.Join(says, "; they") + ".")
	switch gain := four.NonLinear.Mean - random.NonLinear.Mean; {
	case gain > spread(four.NonLinear, random.NonLinear):
		fmt.Fprintf(&b, " They beat a random encoder by %.1f points.", 100*gain)
	default:
		fmt.Fprintf(&b, " They do not beat a random encoder beyond the spread (%+.1f points).", 100*gain)
	}
	if len(g.Seeds) < 3 {
		b.WriteString(" Fewer than three seeds say little about the spread.")
	}
	rotation := g.Config.Method.Rotation
	fmt.Fprintf(&b, " The paper's figures are for 50,000 colour images of CIFAR-10, a NIN of width 192 and 200 epochs; here it is %s, a %s of %d blocks and width %d, and %d epochs.",
		g.Config.Data.Name, strings.ToUpper(rotation.Backbone.Arch), rotation.Backbone.Depth, rotation.Backbone.Width, g.Config.Epochs)
	return b.String()
}

// spread is the standard deviation of the difference of two rows: what is smaller may be chance. One
// seed tells nothing.
func spread(a, b eval.Spread) float64 {
	if a.N < 2 || b.N < 2 {
		return math.Inf(1)
	}
	return math.Hypot(a.Std, b.Std)
}

// Table is the result for people: a head, and rows of percentages. The k-NN accuracies are in KNN.
func (g *TaskGap) Table() (head []string, rows [][]string) {
	head = []string{"encoder", "paper, CIFAR-10", fmt.Sprintf("non-linear, block %d", ProbedBlock)}
	for i := range g.Rows[0].Linear {
		head = append(head, fmt.Sprintf("linear, block %d", i+1))
	}
	head = append(head, "pretext task", "end to end")
	for _, r := range g.Rows {
		row := []string{r.Name, "", percent(&r.NonLinear)}
		if r.Paper > 0 {
			row[1] = fmt.Sprintf("%.2f", 100*r.Paper)
		}
		for i := range r.Linear {
			row = append(row, percent(&r.Linear[i]))
		}
		rows = append(rows, append(row, percent(r.Pretext), percent(r.EndToEnd)))
	}
	return head, rows
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
