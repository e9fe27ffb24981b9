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
