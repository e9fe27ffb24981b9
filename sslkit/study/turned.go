package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Turned asks of the Task Gap's last row what the paper says about it: {90, 270} is a poor choice because such a network never
// saw an upright image, and upright is what it is judged on. Here the same frozen encoders are judged on upright images and
// on images turned by 90 degrees, which that network knows. If the reason is right, it gains by the turn, and {0, 180}, which
// never saw a turned image, does not.
type Turned struct {
	Config sslkit.Config `json:"config"`
	Seeds  []int64       `json:"seeds"`
	Rows   []TurnedRow   `json:"rows"`
	// Interactions are how much more {90, 270} gains by the turn than {0, 180}, of each block with all labels, then with few.
	Interactions []Interaction `json:"interactions"`
	Origins      Origins       `json:"origins,omitempty"`
	Finding      string        `json:"finding"`

	options eval.Options
	tally   eval.Tally
}

// TurnedRow is the linear probe of one block of the encoders of one set of angles, over the seeds.
type TurnedRow struct {
	Name     string      `json:"name"`      // of the set of angles
	Block    int         `json:"block"`     // from 1
	PerClass int         `json:"per_class"` // labels of each class; 0: all
	Upright  eval.Spread `json:"upright"`   // accuracy on images as they are
	Turned   eval.Spread `json:"turned"`    // on images turned by 90 degrees, in training and test set
	Gain     Paired      `json:"gain"`      // turned less upright
}

// Interaction is a difference of two gains.
type Interaction struct {
	Block    int    `json:"block"`
	PerClass int    `json:"per_class"`
	Paired   Paired `json:"difference"`
}

// Paired is a difference that was measured with several seeds.
type Paired struct {
	Mean  float64 `json:"mean"`
	Error float64 `json:"error"` // standard error of the mean over the seeds
	P     float64 `json:"p"`     // that the seeds' differences come from a mean of 0, by a t-test; NaN of one seed
}

// MarshalJSON leaves out what one seed cannot tell.
func (p Paired) MarshalJSON() ([]byte, error) {
	out := map[string]float64{"mean": p.Mean}
	if !math.IsNaN(p.P) {
		out["error"], out["p"] = p.Error, p.P
	}
	return json.Marshal(out)
}

// String is in points.
func (p Paired) String() string {
	if math.IsNaN(p.P) {
		return fmt.Sprintf("%+.1f", 100*p.Mean)
	}
	return fmt.Sprintf("%+.1f ± %.1f", 100*p.Mean, 100*p.Error)
}

// pText is "p = 0.02", or that there is none.
func pText(p float64) string {
	switch {
	case math.IsNaN(p):
		return "one seed"
	case p < 0.001:
		return "p < 0.001"
	}
	return fmt.Sprintf("p = %.2g", p)
}

// paired compares a with b, which were measured with the same seeds.
func paired(a, b []float64) Paired {
	s := eval.Summarize(minus(a, b))
	return Paired{s.Mean, s.Std / math.Sqrt(float64(len(a))), pairedT(a, b)}
}

// FewTurned are the labels of each class in the second half of the table.
const FewTurned = 20

// TaskGapTurned trains c, a rotation, with each of AngleSets and each of the seeds, and probes every block of each encoder with
// all labels and with FewTurned of each class, on upright and on turned images. The rule by which Finding is drawn was fixed
// before it was measured: the last block, both numbers of labels, paired over the seeds.
func TaskGapTurned(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Options, seeds ...int64) (*Turned, error) {
	variants, err := angleSets(c)
	if err == nil {
		err = checkSeeds(seeds)
	}
	if err == nil {
		variants, err = pinned(ctx, s, variants)
	}
	if err != nil {
		return nil, err
	}
	o.NonLinear, o.Few = nil, nil
	t := &Turned{Config: c, Seeds: seeds, Origins: make(Origins), options: o}
	gains := make(map[string][][2][]float64) // by set of angles, of each block and number of labels: turned and upright, of each seed
	for _, perClass := range []int{0, FewTurned} {
		for _, v := range variants {
			var accuracy [][2][]float64 // [block][upright, turned][seed]
			for _, seed := range seeds {
				v.Config.Seed = seed
				for turn := range 2 {
					o := o
					o.Linear.PerClass, o.Turn = perClass, turn
					scores, err := s.Evaluate(ctx, v.Config, o)
					if err != nil {
						return nil, fmt.Errorf("%s, seed %d: %w", v.Name, seed, err)
					}
					if accuracy == nil {
						accuracy = make([][2][]float64, len(scores.Stages))
					}
					for i, stage := range scores.Stages {
						accuracy[i][turn] = append(accuracy[i][turn], stage.Linear)
					}
					t.tally = scores.Tally
				}
				if perClass == 0 {
					record, err := s.Find(ctx, v.Config)
					if err != nil {
						return nil, err
					}
					t.Origins.add(record)
				}
			}
			for i, a := range accuracy {
				t.Rows = append(t.Rows, TurnedRow{v.Name, i + 1, perClass, eval.Summarize(a[0]), eval.Summarize(a[1]), paired(a[1], a[0])})
			}
			gains[v.Name] = append(gains[v.Name], accuracy...)
		}
	}
	never, always := gains[AngleSets[3].Name], gains[AngleSets[2].Name] // saw an upright image
	for i := range never {
		blocks := len(never) / 2
		it := Interaction{Block: i%blocks + 1, Paired: paired(minus(never[i][1], never[i][0]), minus(always[i][1], always[i][0]))}
		if i >= blocks {
			it.PerClass = FewTurned
		}
		t.Interactions = append(t.Interactions, it)
	}
	t.Finding = t.finding()
	return t, nil
}

func angleSets(c sslkit.Config) ([]Variant, error) {
	rotation, ok := c.Method.(*sslkit.Rotation)
	if !ok {
		return nil, fmt.Errorf("study: the Task Gap is about rotation, not %q", sslkit.NameOf(c.Method))
	}
	var variants []Variant
	for _, set := range AngleSets {
		with := *rotation
		with.Angles = set.Angles
		c.Method = &with
		variants = append(variants, Variant{set.Name, c})
	}
	return variants, nil
}

// judged are the interactions that the finding is drawn from, of the last block, and their p by Holm's correction for two.
func (t *Turned) judged() (all, few Interaction, p [2]float64) {
	blocks := len(t.Interactions) / 2
	all, few = t.Interactions[blocks-1], t.Interactions[2*blocks-1]
	tests := []comparison{{p: all.Paired.P}, {p: few.Paired.P}}
	holm(tests)
	return all, few, [2]float64{tests[0].p, tests[1].p}
}

// Holds reports whether both judged interactions are above 0 with p below 5 %, by Holm's correction for two.
func (t *Turned) Holds() (bool, error) {
	if len(t.Seeds) < 3 {
		return false, errors.New("study: fewer than three seeds say little")
	}
	all, few, p := t.judged()
	return p[0] < level && p[1] < level && all.Paired.Mean > 0 && few.Paired.Mean > 0, nil
}

func (t *Turned) finding() string {
	all, few, p := t.judged()
	var b strings.Builder
	gain := func(name string, perClass int) Paired {
		for _, r := range t.Rows {
			if r.Name == name && r.PerClass == perClass && r.Block == all.Block {
				return r.Gain
			}
		}
		return Paired{}
	}
	never, always := AngleSets[3].Name, AngleSets[2].Name
	fmt.Fprintf(&b, "Judged on turned images instead of upright ones, block %d, over %s: %s gains %v points with all labels and %v with %d of each class; %s %v and %v. The differences of these gains are %v and %v",
		all.Block, plural(len(t.Seeds), "seed"), never, gain(never, 0), gain(never, FewTurned), FewTurned, always, gain(always, 0), gain(always, FewTurned), all.Paired, few.Paired)
	if holds, err := t.Holds(); err != nil {
		b.WriteString(". Fewer than three seeds say little.")
	} else {
		fmt.Fprintf(&b, " (p = %.2g and %.2g of paired t-tests, by Holm's correction for two).", p[0], p[1])
		if holds {
			b.WriteString(" The paper's reason holds: a network that never saw an upright image is the better for images as it knows them; the exercise must look like the exam.")
		} else {
			b.WriteString(" That is not clear enough to say that the paper's reason holds here.")
		}
	}
	return b.String()
}

// Table lays the accuracies out, in %.
func (t *Turned) Table() (head []string, rows [][]string) {
	for _, r := range t.Rows {
		labels := "all"
		if r.PerClass > 0 {
			labels = fmt.Sprintf("%d each", r.PerClass)
		}
		rows = append(rows, []string{r.Name, labels, fmt.Sprint(r.Block), percent(&r.Upright), percent(&r.Turned), r.Gain.String()})
	}
	return []string{"trained to tell apart", "labels", "block", "upright", "turned by 90", "gain"}, rows
}

// Caption says under the table what it shows, and what its numbers are.
func (t *Turned) Caption() string {
	return fmt.Sprintf("%s\n\n%s: %v. Test accuracy in %% of the linear probe, %s, one test set; training and test images alike are upright or turned. "+
		"Gain: turned less upright, paired, ± standard error over the seeds. %v.%s", t.Finding, t.Config.Data.Name, t.tally, over(t.Seeds), t.options, t.Origins)
}
