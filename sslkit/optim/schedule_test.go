package optim

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// at evaluates s at the given updates.
func at(t *testing.T, s Schedule, steps ...float32) []float64 {
	t.Helper()
	exec := MustNewExec(open(t), func(step *Node) *Node { return s(step) })
	defer exec.Finalize()
	var rates []float64
	for _, step := range steps {
		out, err := exec.Call1(step)
		if err != nil {
			t.Fatal(err)
		}
		rates = append(rates, float64(out.Value().(float32)))
	}
	return rates
}

func TestSchedules(t *testing.T) {
	root := math.Sqrt(0.5)
	for name, c := range map[string]struct {
		schedule Schedule
		at       []float32
		want     []float64
	}{
		"constant":          {Constant(0.3), []float32{0, 1, 1 << 24}, []float64{0.3, 0.3, 0.3}},
		"zero":              {Constant(0), []float32{5}, []float64{0}},
		"warm-up":           {CosineWarmup(0.4, 4, 12), []float32{0, 1, 2, 3, 4}, []float64{0.1, 0.2, 0.3, 0.4, 0.4}},
		"cosine":            {CosineWarmup(0.4, 4, 12), []float32{6, 8, 10, 12, 100}, []float64{0.2 * (1 + root), 0.2, 0.2 * (1 - root), 0, 0}},
		"cosine, no warmup": {CosineWarmup(2, 0, 10), []float32{0, 5, 10}, []float64{2, 1, 0}},
		"steps":             {Steps(0.1, 0.2, 60, 120, 160), []float32{0, 59, 60, 119, 120, 159, 160, 999}, []float64{0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008}},
		"no steps":          {Steps(0.1, 0.2), []float32{7}, []float64{0.1}},
		"late step":         {Steps(1, 0.5, 1<<24-1), []float32{1<<24 - 2, 1<<24 - 1}, []float64{1, 0.5}}, // float32 still counts here
	} {
		t.Run(name, func(t *testing.T) {
			near(t, "rate", at(t, c.schedule, c.at...), c.want, 2e-7) // float32 cosine, rates up to 2
		})
	}
}

func TestSchedulesReject(t *testing.T) {
	for want, s := range map[string]Schedule{
		"optim.Constant: the rate is -1":      Constant(-1),
		"optim.Constant: the rate is +Inf":    Constant(math.Inf(1)),
		"optim.CosineWarmup: the rate is NaN": CosineWarmup(math.NaN(), 0, 1),
		"warmup 5 and total 5":                CosineWarmup(1, 5, 5),
		"warmup -1":                           CosineWarmup(1, -1, 5),
		"factor is 0":                         Steps(1, 0, 5),
		"drops are at [5 5]":                  Steps(1, 0.1, 5, 5),
		"drops are at [0]":                    Steps(1, 0.1, 0),
	} {
		rejects(t, want, func(_ *model.Scope, x *Node) *Node { return s(x) })
	}
}

func ExampleCosineWarmup() {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	rate := MustNewExec(backend, func(step *Node) *Node { return CosineWarmup(0.8, 2, 6)(step) })
	for step := range 7 {
		fmt.Printf("%.3f ", rate.MustCall1(float32(step)).Value())
	}
	// Output: 0.400 0.800 0.800 0.683 0.400 0.117 0.000
}
