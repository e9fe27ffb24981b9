package eval

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// minimize moves x to the minimum of the convex function f by L-BFGS (Nocedal & Wright, "Numerical Optimization", 2nd ed.
// 2006, Algorithms 7.4 and 7.5, with 10 pairs) and returns it. f returns its value at x and fills in the gradient; its error
// is passed on. It stops after the given iterations, at a gradient whose largest component is below 1e-4, or when no step
// lowers the value, which with float32 arithmetic behind f is as close to the minimum as can be told.
//
// Line search backtracks to sufficient decrease (Algorithm 3.1): on a convex function pairs have s'y >= 0 without Wolfe's
// second condition, so one evaluation a step is the rule. gonum's optimize has an L-BFGS, too, but it does not tell that end
// from a failure, evaluates more often, and depends on golang.org/x/tools.
func minimize(x []float64, iterations int, f func(x, grad []float64) (float64, error)) ([]float64, error) {
	const pairs, tolerance, decrease = 10, 1e-4, 1e-4
	n := len(x)
	var s, y [][]float64 // the last moves, and by how much the gradient changed on them
	grad, newGrad, newX := make([]float64, n), make([]float64, n), make([]float64, n)
	value, err := f(x, grad)
	if err != nil {
		return nil, err
	}
	for range iterations {
		if floats.Norm(grad, math.Inf(1)) < tolerance {
			break
		}
		dir := direction(grad, s, y)
		slope := floats.Dot(dir, grad)
		step := 1.0
		if len(s) == 0 {
			step = min(1, 1/floats.Norm(grad, 1)) // nothing is known of the curvature yet
		}
		var newValue float64
		for {
			floats.AddScaledTo(newX, x, step, dir)
			if newValue, err = f(newX, newGrad); err != nil {
				return nil, err
			}
			if newValue <= value+decrease*step*slope {
				break
			}
			if step /= 2; step < 1e-6 {
				return x, nil
			}
		}
		ds, dy := make([]float64, n), make([]float64, n)
		floats.SubTo(ds, newX, x)
		floats.SubTo(dy, newGrad, grad)
		if floats.Dot(ds, dy) > 1e-10*floats.Dot(dy, dy) {
			s, y = append(s, ds), append(y, dy)
			if len(s) > pairs {
				s, y = s[1:], y[1:]
			}
		}
		x, newX, grad, newGrad, value = newX, x, newGrad, grad, newValue
	}
	return x, nil
}

// direction is minus the approximate inverse Hessian times the gradient (Algorithm 7.4).
func direction(grad []float64, s, y [][]float64) []float64 {
	q := make([]float64, len(grad))
	floats.SubTo(q, q, grad)
	alpha := make([]float64, len(s))
	for i := len(s) - 1; i >= 0; i-- {
		alpha[i] = floats.Dot(s[i], q) / floats.Dot(s[i], y[i])
		floats.AddScaled(q, -alpha[i], y[i])
	}
	if last := len(s) - 1; last >= 0 {
		floats.Scale(floats.Dot(s[last], y[last])/floats.Dot(y[last], y[last]), q) // Eq. 7.20
	}
	for i := range s {
		beta := floats.Dot(y[i], q) / floats.Dot(s[i], y[i])
		floats.AddScaled(q, alpha[i]-beta, s[i])
	}
	return q
}
