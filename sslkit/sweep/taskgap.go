package sweep

import (
	"context"
	"errors"
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

// TaskGap is the gap between a pretext task and what it is good for, over the choice of angles: a
// row for each of AngleSets, then the baselines of Comparison.
type TaskGap struct {
	Comparison
	Finding string `json:"finding"`
}

// GapOptions is how the table's encoders are probed: as eval.Defaults, with the paper's non-linear
// probe on its block.
func GapOptions() eval.Options {
	o := eval.Defaults()
	p := eval.DefaultNonLinear(ProbedBlock)
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
	if o.NonLinear == nil {
		return nil, errors.New("sweep: the Task Gap is read off the non-linear probe, which the options leave out: start from GapOptions")
	}
	var variants []Variant
	for _, set := range AngleSets {
		rotation := *c.Method.Rotation
		rotation.Angles = set.Angles
		c.Method = Method{Rotation: &rotation}
		variants = append(variants, Variant{set.Name, c})
	}
	comparison, err := s.Ablate(ctx, variants, o, seeds...)
	if err != nil {
		return nil, err
	}
	gap := &TaskGap{Comparison: *comparison}
	for i, set := range AngleSets {
		gap.Rows[i].Angles, gap.Rows[i].Paper = set.Angles, set.Paper
	}
	gap.Finding = gap.finding()
	return gap, nil
}

// finding says in words what the table shows, and what it does not.
func (g *TaskGap) finding() string {
	random := g.Rows[len(AngleSets)]
	for _, r := range g.Rows[len(AngleSets) : len(g.Rows)-1] {
		if r.NonLinear.Mean > random.NonLinear.Mean {
			random = r
		}
	}
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
	fmt.Fprintf(&b, "By the non-linear probe on block %d, over %s, four rotations", g.Options.NonLinear.Stage, plural(len(g.Seeds), "seed"))
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
		fmt.Fprintf(&b, " They beat the better of the random encoders by %.1f points.", 100*gain)
	default:
		fmt.Fprintf(&b, " They do not beat the better of the random encoders beyond the spread (%+.1f points).", 100*gain)
	}
	if len(g.Seeds) < 3 {
		b.WriteString(" Fewer than three seeds say little about the spread.")
	}
	backbone := g.Config.Method.Network()
	network := fmt.Sprintf("a NIN of %d blocks and width %d", backbone.Depth, backbone.Width)
	if backbone.Arch == "resnet" {
		network = fmt.Sprintf("a ResNet-%d of width %d", backbone.Depth, backbone.Width)
	}
	fmt.Fprintf(&b, " The paper's figures are for 50,000 colour images of CIFAR-10, a NIN of 4 blocks and width 192 and 200 epochs, and the authors' code keeps the best epoch of the probe; here it is %s, %s, %s, and the probe's last epoch of %d.",
		g.Config.Data.Name, network, plural(g.Config.Epochs, "epoch"), g.Options.NonLinear.Epochs)
	return b.String()
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// spread is the standard deviation of the difference of two rows: what is smaller may be chance. One
// seed tells nothing.
func spread(a, b eval.Spread) float64 {
	if a.N < 2 || b.N < 2 {
		return math.Inf(1)
	}
	return math.Hypot(a.Std, b.Std)
}
