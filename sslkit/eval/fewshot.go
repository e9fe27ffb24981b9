package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
)

// Labels says how many of the training labels may be seen, equally of each class. The zero value is all.
type Labels struct {
	Share    float64 `json:"share,omitempty"`     // of each class, rounded, and at least one example: in (0, 1]
	PerClass int     `json:"per_class,omitempty"` // or so many examples of each class
}

// Validate says what cannot be drawn.
func (l Labels) Validate() error {
	switch {
	case !(l.Share >= 0 && l.Share <= 1):
		return fmt.Errorf("eval: a share of %g of the labels, want one in (0, 1]", l.Share)
	case l.PerClass < 0:
		return fmt.Errorf("eval: %d labels a class, want at least 0 (all)", l.PerClass)
	case l.Share > 0 && l.PerClass > 0:
		return fmt.Errorf("eval: a share of %g of the labels and %d a class: choose one", l.Share, l.PerClass)
	}
	return nil
}

// String is "all labels", "1% of the labels" or "10 labels a class".
func (l Labels) String() string {
	switch {
	case l.Share > 0:
		return fmt.Sprintf("%.4g%% of the labels", 100*l.Share)
	case l.PerClass == 1:
		return "1 label a class"
	case l.PerClass > 0:
		return fmt.Sprintf("%d labels a class", l.PerClass)
	}
	return "all labels"
}

// Draw returns the indices of the examples that keep their labels, in the order in which seed draws them; of all, their
// own order. A larger draw by the same seed has all of a smaller one. It fails if a class has fewer than PerClass.
func (l Labels) Draw(labels []int32, classes int, seed int64) ([]int, error) {
	if err := errors.Join(l.Validate(), checkLabels("training", labels, len(labels), classes)); err != nil {
		return nil, err
	}
	if l == (Labels{}) {
		all := make([]int, len(labels))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	have, want := make([]int, classes), slices.Repeat([]int{l.PerClass}, classes)
	for _, c := range labels {
		have[c]++
	}
	for c, n := range have {
		if l.Share > 0 {
			want[c] = min(n, max(1, int(math.Round(l.Share*float64(n)))))
		}
		if n < want[c] {
			return nil, fmt.Errorf("eval: class %d has %d training examples, the probe wants %d of each", c, n, want[c])
		}
	}
	var index []int
	for _, i := range rand.New(rand.NewPCG(uint64(seed), 0)).Perm(len(labels)) {
		if c := labels[i]; want[c] > 0 {
			want[c]--
			index = append(index, i)
		}
	}
	return index, nil
}

// draw keeps the examples that l draws.
func (s Set) draw(l Labels, classes int, seed int64) (Set, error) {
	index, err := l.Draw(s.Labels, classes, seed)
	if err != nil || len(index) == len(s.Labels) {
		return s, err
	}
	var out Set
	for _, i := range index {
		out.Features = append(out.Features, s.Features[i])
		out.Labels = append(out.Labels, s.Labels[i])
	}
	return out, nil
}

// FewShot is the linear probe with few labels: what an encoder is worth where labels are dear (Chen et al. 2020, SimCLR,
// Sec. 6 and Table 7, which fine-tune on 1 % and 10 %, "in a class-balanced way"; for that see [FineTune]). Which examples are
// labelled matters the more the fewer they are, so that each figure is a mean over several draws.
type FewShot struct {
	Labels []Labels `json:"labels"`
	Draws  int      `json:"draws"`
}

// Few is what came out for one number of labels.
type Few struct {
	Labels   Labels `json:"labels"`
	Examples int    `json:"examples"` // how many these were
	Test     Spread `json:"test"`     // accuracy over the draws

	L2 []float64 `json:"l2,omitempty"` // the penalty of each draw's probe
}

// Validate says what cannot be run.
func (f FewShot) Validate() error {
	if len(f.Labels) == 0 || f.Draws < 1 {
		return fmt.Errorf("eval: few labels: %d numbers of them and %d draws, want at least 1 of both", len(f.Labels), f.Draws)
	}
	for i, l := range f.Labels {
		if err := l.Validate(); err != nil {
			return err
		}
		if l == (Labels{}) || slices.Contains(f.Labels[:i], l) {
			return fmt.Errorf("eval: few labels: %v is given twice, or is what the probe sees anyway", l)
		}
	}
	return nil
}

// Fit trains p, whose PerClass is not used, on each of the draws and measures it on test. The first draw is that of seed. A
// cancelled context stops it with the context's error.
func (f FewShot) Fit(ctx context.Context, backend compute.Backend, p Linear, train, test Set, classes int, seed int64) ([]Few, error) {
	if err := errors.Join(f.Validate(), p.Validate()); err != nil {
		return nil, err
	}
	if err := checkPair(train, test, classes); err != nil {
		return nil, err
	}
	probe, err := p.compile(backend)
	if err != nil {
		return nil, err
	}
	defer probe.close()
	var out []Few
	for _, l := range f.Labels {
		few := Few{Labels: l}
		var all []Tested
		for k := range f.Draws {
			drawn, err := train.draw(l, classes, seed+int64(k)<<32)
			if err != nil {
				return nil, err
			}
			fit, err := probe.fit(ctx, drawn, test, classes, seed+int64(k)<<32)
			if err != nil {
				return nil, err
			}
			few.Examples, all, few.L2 = fit.Examples, append(all, fit.Tested), append(few.L2, fit.L2)
		}
		few.Test = SummarizeTested(all)
		out = append(out, few)
	}
	return out, nil
}
