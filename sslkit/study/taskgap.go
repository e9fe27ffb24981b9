package study

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
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

// Gap is what is left of the gap between a pretext task and what it is good for, over the choice of angles: a
// row for each of AngleSets, then the baselines of Comparison.
type Gap struct {
	Comparison
	Finding string `json:"finding"`
}

// GapOptions is how the table's encoders are probed: as eval.Defaults, with a non-linear probe like the
// paper's on its block, see eval.NonLinear.
func GapOptions() eval.Options {
	o := eval.Defaults()
	p := eval.DefaultNonLinear(ProbedBlock)
	o.NonLinear = &p
	return o
}

// TaskGap runs c, a rotation, with each of the angle sets and each of the seeds, and probes every
// block; random-init and supervised rows have the same backbone, data and seeds. Each run is a
// record of its own: what was interrupted goes on where it was.
func TaskGap(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Options, seeds ...int64) (*Gap, error) {
	variants, err := angleSets(c)
	if err != nil {
		return nil, err
	}
	if o.NonLinear == nil {
		return nil, errors.New("study: the Task Gap is read off the non-linear probe, which the options leave out: start from GapOptions")
	}
	comparison, err := Ablate(ctx, s, variants, o, seeds...)
	if err != nil {
		return nil, err
	}
	gap := &Gap{Comparison: *comparison}
	for i, set := range AngleSets {
		gap.Rows[i].Angles, gap.Rows[i].Paper = set.Angles, set.Paper
	}
	gap.Finding = gap.finding()
	return gap, nil
}

// finding says in words what the table shows, and what it does not. Four rotations are held against each other set of angles
// and the better random encoder by paired comparisons, see compared.
func (g *Gap) finding() string {
	random := g.Rows[len(AngleSets)]
	for _, r := range g.Rows[len(AngleSets) : len(g.Rows)-1] {
		if r.NonLinear.Mean > random.NonLinear.Mean {
			random = r
		}
	}
	four := g.Rows[0]
	all := compared(four, append(slices.Clone(g.Rows[1:len(AngleSets)]), random)...)
	sets, chance := all[:len(all)-1], all[len(all)-1]
	var b strings.Builder
	fmt.Fprintf(&b, "By the non-linear probe on block %d, over %s, four rotations", g.Options.NonLinear.Stage, plural(len(g.Seeds), "seed"))
	list := func(of []comparison) string {
		var texts []string
		for _, c := range of {
			texts = append(texts, c.String())
		}
		return strings.Join(texts, "; ")
	}
	if g.Tally.Groups > 0 {
		fmt.Fprintf(&b, " differ by these points from %s; %s. No verdict is drawn from %s: over them an accuracy has a standard error of up to %.1f points.",
			list(sets), chance, testSet(g.Tally), 100*max(four.NonLinear.Error, random.NonLinear.Error))
	} else {
		var says []string
		for _, group := range []struct{ format, result string }{
			{" beat %s, as in the paper", ahead}, {" cannot be told from %s", unclear}, {" lose to %s, unlike in the paper", behind},
		} {
			of := slices.DeleteFunc(slices.Clone(sets), func(c comparison) bool { return c.result != group.result })
			if len(of) > 0 {
				says = append(says, fmt.Sprintf(group.format, list(of)))
			}
		}
		b.WriteString(strings.Join(says, "; they") + ".")
		if chance.result == ahead {
			fmt.Fprintf(&b, " They beat the better of the random encoders, %s.", chance)
		} else {
			fmt.Fprintf(&b, " They do not beat the better of the random encoders, %s.", chance)
		}
		fmt.Fprintf(&b, " %s", comparedHow(len(all), g.Tally))
	}
	if len(g.Seeds) < 3 {
		b.WriteString(" Fewer than three seeds say little.")
	}
	backbone := sslkit.Backbone(g.Config.Method)
	network := fmt.Sprintf("a NIN of %d blocks and width %d", backbone.Depth, backbone.Width)
	if backbone.Arch == "resnet" {
		network = fmt.Sprintf("a ResNet-%d of width %d", backbone.Depth, backbone.Width)
	}
	fmt.Fprintf(&b, " The paper's figures are for 50,000 colour images of CIFAR-10, a NIN of 4 blocks and width 192 and 200 epochs, and the authors' code trains the probe on shifted and mirrored images and keeps its best epoch of 100; here it is %s, %s, %s, and the probe's last epoch of %d on unchanged ones.",
		g.Config.Data.Name, network, plural(g.Config.Epochs, "epoch"), g.Options.NonLinear.Epochs)
	return b.String()
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
