package optim

import (
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Schedule builds the learning rate of one update from its number, a float32 scalar that is 0 for the first update.
// It is part of the compiled step and reads nothing but the global step, so that a resumed run goes on exactly.
// Numbers of steps are exact up to 2^24.
//
// The schedules of this package check their numbers when they are applied, within graph building, and panic there with an
// error, which train.Trainer and model.Exec hand to their caller.
type Schedule func(step *Node) *Node

// Constant is the same rate, at least 0, for ever.
func Constant(rate float64) Schedule {
	return func(step *Node) *Node {
		checkRate("Constant", rate)
		return ConstAs(step, rate)
	}
}

// CosineWarmup rises linearly to peak over the first warmup updates and then falls along half a cosine to 0 at total
// (Loshchilov & Hutter 2017, Eq. 5, without restarts; the warm-up of Goyal et al. 2017, Sec. 2.2):
//
//	step < warmup:  peak * (step+1)/warmup
//	else:           peak * (1 + cos(pi * (step-warmup)/(total-warmup))) / 2
//
// The warm-up starts at peak/warmup, not at 0, because a first update of rate 0 would be a step wasted; update warmup-1
// and update warmup both have the full peak. From total on the rate is 0. It needs peak >= 0 and 0 <= warmup < total.
func CosineWarmup(peak float64, warmup, total int) Schedule {
	return func(step *Node) *Node {
		checkRate("CosineWarmup", peak)
		if warmup < 0 || total <= warmup {
			exceptions.Panicf("optim.CosineWarmup: warmup %d and total %d; need 0 <= warmup < total, in updates", warmup, total)
		}
		done := ClipScalar(DivScalar(SubScalar(step, float64(warmup)), float64(total-warmup)), 0, 1)
		rate := MulScalar(AddScalar(Cos(MulScalar(done, math.Pi)), 1), peak/2)
		if warmup > 0 {
			rise := MulScalar(AddScalar(step, 1), peak/float64(warmup))
			rate = Where(LessThan(step, ConstAs(step, float64(warmup))), rise, rate)
		}
		return rate
	}
}

// Steps starts at rate and multiplies it by factor at each of the updates at, which ascend. RotNet on CIFAR-10 has
// rate 0.1, factor 0.2 and drops after 60, 120 and 160 of 200 epochs (the released configuration of Gidaris et al. 2018).
// It needs rate >= 0, factor > 0 and at of at least 1.
func Steps(rate, factor float64, at ...int) Schedule {
	at = slices.Clone(at)
	return func(step *Node) *Node {
		checkRate("Steps", rate)
		if !(factor > 0) || math.IsInf(factor, 1) {
			exceptions.Panicf("optim.Steps: factor is %g; it must be finite and above 0", factor)
		}
		now, value := ConstAs(step, rate), rate
		for i, a := range at {
			if a < 1 || i > 0 && a <= at[i-1] {
				exceptions.Panicf("optim.Steps: the drops are at %v; they must be at least 1 and ascend", at)
			}
			// From the product in float64, so that the last rate does not depend on the number of roundings.
			value *= factor
			now = Where(GreaterOrEqual(step, ConstAs(step, float64(a))), ConstAs(step, value), now)
		}
		return now
	}
}

func checkRate(schedule string, rate float64) {
	if !(rate >= 0) || math.IsInf(rate, 1) {
		exceptions.Panicf("optim.%s: the rate is %g; it must be finite and at least 0", schedule, rate)
	}
}
