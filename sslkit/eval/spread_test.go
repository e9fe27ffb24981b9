package eval

import (
	"fmt"
	"math"
	"testing"
)

func TestSummarize(t *testing.T) {
	got := Summarize([]float64{0.8, 0.9, 0.7})
	if math.Abs(got.Mean-0.8) > 1e-15 || math.Abs(got.Std-0.1) > 1e-15 || got.N != 3 {
		t.Errorf("%+v, want 0.8 and the sample's 0.1", got)
	}
	if got := Summarize([]float64{0.5}); got != (Spread{Mean: 0.5, N: 1}) {
		t.Errorf("%+v of one value", got)
	}
	if got := Summarize(nil); got != (Spread{}) {
		t.Errorf("%+v of none", got)
	}
}

func ExampleSpread() {
	fmt.Println(Summarize([]float64{0.81, 0.82, 0.80}))
	fmt.Println(Summarize([]float64{0.81}))
	// Output:
	// 81.0 ± 1.0 (n=3)
	// 81.0 (n=1)
}
