package eval

import (
	"fmt"
	"math"
)

// Spread sums up one figure over seeds.
type Spread struct {
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"` // of the sample, divided by n-1; 0 if n is 1
	N    int     `json:"n"`

	Balanced float64 `json:"balanced,omitempty"` // of an accuracy, the mean over classes, and over the seeds, see Tested
	Error    float64 `json:"error,omitempty"`    // of an accuracy, its standard error over the test examples, which more seeds do not lessen
}

// Summarize returns the mean and standard deviation of values; of none, the zero Spread.
func Summarize(values []float64) Spread {
	s := Spread{N: len(values)}
	for _, v := range values {
		s.Mean += v / float64(s.N)
	}
	for _, v := range values {
		s.Std += (v - s.Mean) * (v - s.Mean)
	}
	s.Std = math.Sqrt(s.Std / math.Max(float64(s.N-1), 1))
	return s
}

// SummarizeTested is Summarize of accuracies, with what else is known of them: both are means.
func SummarizeTested(all []Tested) Spread {
	values := make([]float64, len(all))
	for i, t := range all {
		values[i] = t.Test
	}
	s := Summarize(values)
	for _, t := range all {
		s.Balanced += t.Balanced / float64(s.N)
		s.Error += t.Error / float64(s.N)
	}
	return s
}

// String shows fractions in percent: "81.2 ± 0.4 (n=3)". One seed has no spread to show: "81.2 (n=1)".
func (s Spread) String() string {
	switch {
	case s.N == 0:
		return "-"
	case s.N == 1:
		return fmt.Sprintf("%.1f (n=1)", 100*s.Mean)
	}
	return fmt.Sprintf("%.1f ± %.1f (n=%d)", 100*s.Mean, 100*s.Std, s.N)
}
