package eval

import (
	"errors"
	"math"
	"testing"
)

func TestMinimizeQuadratic(t *testing.T) {
	// Curvatures from 1 to 1000: gradient descent would take thousands of steps.
	const n = 50
	calls := 0
	x, err := minimize(make([]float64, n), 200, func(x, grad []float64) (float64, error) {
		calls++
		value := 0.0
		for i := range x {
			c := math.Pow(1000, float64(i)/(n-1))
			value += c * (x[i] - float64(i)) * (x[i] - float64(i)) / 2
			grad[i] = c * (x[i] - float64(i))
		}
		return value, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		if math.Abs(v-float64(i)) > 1e-4 { // the gradient is below 1e-4, curvatures are 1 and more
			t.Errorf("x[%d] is %g", i, v)
		}
	}
	if calls > 250 {
		t.Errorf("%d evaluations", calls)
	}
}

func TestMinimizeEnds(t *testing.T) {
	// Values rounded as by float32: it cannot reach the tolerance, and must end nevertheless.
	calls := 0
	x, err := minimize([]float64{1}, 1000, func(x, grad []float64) (float64, error) {
		calls++
		grad[0] = 1e4 * x[0]
		return float64(float32(1e6 + 5e3*x[0]*x[0])), nil
	})
	if err != nil || math.Abs(x[0]) > 0.01 || calls > 100 {
		t.Errorf("x %v after %d evaluations, error %v", x, calls, err)
	}
	// Nothing improves: the search gives up.
	calls = 0
	x, err = minimize([]float64{1}, 1000, func(_, grad []float64) (float64, error) {
		calls++
		grad[0] = 1
		return 1, nil
	})
	if err != nil || x[0] != 1 || calls > 25 {
		t.Errorf("x %v after %d evaluations, error %v", x, calls, err)
	}
	// No more iterations than asked for: one evaluation at the start and a few each.
	calls = 0
	if _, err = minimize([]float64{1, 1}, 3, func(x, grad []float64) (float64, error) {
		calls++
		grad[0], grad[1] = math.Sinh(x[0]-5), math.Sinh(x[1]+5)
		return math.Cosh(x[0]-5) + math.Cosh(x[1]+5), nil
	}); err != nil || calls < 4 || calls > 12 {
		t.Errorf("%d evaluations, error %v", calls, err)
	}
	failing := errors.New("failing")
	if _, err := minimize([]float64{1}, 3, func([]float64, []float64) (float64, error) { return 0, failing }); !errors.Is(err, failing) {
		t.Errorf("error %v", err)
	}
}
