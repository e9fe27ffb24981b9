package sslkit

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/sslkit/optim"
)

// The rate that curves show is that of the compiled schedule, but for the fraction of a step.
func TestRateAt(t *testing.T) {
	backend := goBackend(t)
	const steps = 10
	for _, o := range []Optimizer{
		{Kind: "sgd", Rate: 0.1, Warmup: 1.5},
		{Kind: "adamw", Rate: 1e-3},
		{Kind: "sgd", Rate: 0.1, Drops: []int{2, 4}, Factor: 0.2},
	} {
		c := Config{Epochs: 6, Optimizer: o}
		rate := optim.CosineWarmup(o.Rate, int(o.Warmup*steps), c.Epochs*steps)
		if len(o.Drops) > 0 {
			rate = optim.Steps(o.Rate, o.Factor, 20, 40)
		}
		for step := range c.Epochs * steps {
			got := c.RateAt((float64(step) + 0.5) / steps)
			out, err := CallOnce(backend, func(x *Node) *Node { return rate(x) }, float32(step))
			if err != nil {
				t.Fatal(err)
			}
			want := out.Value().(float32)
			// A step of the cosine is at most pi/2/45 of the peak, one of the warm-up 1/15.
			if math.Abs(got-float64(want)) > 0.07*o.Rate {
				t.Errorf("%+v, step %d: %g, want %g", o, step, got, want)
			}
		}
	}
}
