package study

import (
	"math"
	"testing"
)

func TestPairedT(t *testing.T) {
	for name, c := range map[string]struct {
		a, b []float64
		want float64
	}{
		// Differences 1, 2, 3: t = 2 / (1/sqrt 3) = 3.4641 with 2 degrees of freedom, where p = 1 - t/sqrt(2+t^2).
		"three":   {[]float64{11, 22, 33}, []float64{10, 20, 30}, 1 - math.Sqrt(12./14)},
		"swapped": {[]float64{10, 20, 30}, []float64{11, 22, 33}, 1 - math.Sqrt(12./14)},
		// Of one degree of freedom, Student's t is Cauchy's: differences 0 and 2 have t = 1.
		"two":      {[]float64{1, 3}, []float64{1, 1}, 0.5},
		"the same": {[]float64{1, 2}, []float64{1, 2}, 1},
	} {
		if got := pairedT(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: p = %g, want %g", name, got, c.want)
		}
	}
	if got := pairedT([]float64{1}, []float64{2}); !math.IsNaN(got) {
		t.Errorf("one seed: p = %g", got)
	}
}

// Holm's own procedure: 0.01, 0.04, 0.03 and 0.005 of four become 0.03, 0.06, 0.06 and 0.02.
func TestHolm(t *testing.T) {
	all := []comparison{{p: 0.01}, {p: 0.04}, {p: 0.03}, {p: 0.005}, {p: math.NaN()}}[:4]
	holm(all)
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		if math.Abs(all[i].p-want) > 1e-12 {
			t.Errorf("%d: %g, want %g", i, all[i].p, want)
		}
	}
}
