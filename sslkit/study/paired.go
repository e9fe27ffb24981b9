package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/sslkit/lab/sslkit/eval"
)

// How one row of a table compares with another.
const (
	ahead   = "ahead"
	behind  = "behind"
	unclear = "unclear"
)

// level is what the p-values of all comparisons of a table together are to stay below.
const level = 0.05

// comparison is how much higher the non-linear probe of one row is than that of another.
type comparison struct {
	with   string
	gain   float64 // mean over seeds
	p      float64 // adjusted for the number of comparisons; NaN of one seed
	result string
}

// String is "8 rotations (+1.2, p = 0.03)".
func (c comparison) String() string {
	p := ", " + pText(c.p)
	if math.IsNaN(c.p) {
		p = ""
	}
	return fmt.Sprintf("%s (%+.1f%s)", c.with, 100*c.gain, p)
}

// compared holds a row against others by paired t-tests over the seeds, with Holm's correction for their number. A result is
// clear if its p is below 5 %, and the difference at least twice its standard error over the test images, which seeds do not
// lessen: that of two accuracies of independent images, which is larger than of the same images.
func compared(row Row, others ...Row) []comparison {
	out := make([]comparison, len(others))
	for i, other := range others {
		out[i] = comparison{with: other.Name, gain: row.NonLinear.Mean - other.NonLinear.Mean, p: pairedT(row.Each, other.Each)}
	}
	holm(out)
	for i, other := range others {
		c := &out[i]
		c.result = unclear
		if c.p < level && math.Abs(c.gain) >= 2*math.Hypot(row.NonLinear.Error, other.NonLinear.Error) { // never of NaN
			c.result = ahead
			if c.gain < 0 {
				c.result = behind
			}
		}
	}
	return out
}

// comparedHow says how it was decided.
func comparedHow(comparisons int, t eval.Tally) string {
	return fmt.Sprintf("Differences in points; p of paired t-tests over the seeds, %d comparisons, by Holm's correction; what is told apart has p < %g and is "+
		"twice its standard error over the %s.", comparisons, level, testSet(t))
}

// pairedT is the two-sided p of the hypothesis that a and b, measured with the same seeds, have one mean (Student's t with n-1
// degrees of freedom); NaN of fewer than two.
func pairedT(a, b []float64) float64 {
	if len(a) < 2 || len(a) != len(b) {
		return math.NaN()
	}
	s, n := eval.Summarize(minus(a, b)), float64(len(a))
	if s.Std == 0 { // of accuracies, which are counted: a coincidence
		if s.Mean == 0 {
			return 1
		}
		return 0
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}
	return 2 * t.Survival(math.Abs(s.Mean)/(s.Std/math.Sqrt(n)))
}

func minus(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

// holm adjusts the p-values (Holm 1979): the k-th smallest of m is multiplied by m-k+1, and none becomes smaller than one
// before it.
func holm(all []comparison) {
	order := make([]*comparison, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	slices.SortStableFunc(order, func(a, b *comparison) int { return cmp.Compare(a.p, b.p) })
	least := 0.0
	for k, c := range order {
		if math.IsNaN(c.p) {
			continue
		}
		least = max(least, min(1, c.p*float64(len(all)-k)))
		c.p = least
	}
}
