package loss

import (
	"fmt"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

func distance2(a, b []float64) float64 {
	var d float64
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
	}
	return d
}

func TestAlignment(t *testing.T) {
	x, y := units(normal(5, 4, 1)), units(normal(5, 4, 2))
	loop := func(x [][][]float64) (mean float64) {
		for i := range x[0] {
			mean += distance2(x[0][i], x[1][i]) / float64(len(x[0]))
		}
		return mean
	}
	fn := func(x []*Node) *Node { return Alignment(x[0], x[1]) }
	check(t, "random", fn, loop, 1e-6, x, y)
	check(t, "identical", fn, loop, 0, x, units(normal(5, 4, 1)))
	check(t, "random", fn, loop, 1e-6, x[:1], scaled(x[:1], -1))
}

func TestUniformity(t *testing.T) {
	loop := func(x [][][]float64) float64 {
		var sum, pairs float64
		for i := range x[0] {
			for j := range i {
				sum, pairs = sum+math.Exp(-2*distance2(x[0][i], x[0][j])), pairs+1
			}
		}
		return math.Log(sum / pairs)
	}
	fn := func(x []*Node) *Node { return Uniformity(x[0]) }
	for name, x := range map[string][][]float64{
		"random": units(normal(6, 4, 1)), "two": units(normal(2, 4, 2)), "identical": units(same(4)), "opposite": {{1, 0}, {-1, 0}}, "zeros": {{0, 0}, {1, 0}, {0, 0}},
	} {
		// Squared distances are differences of numbers of about 1.
		t.Run(name, func(t *testing.T) { check(t, name, fn, loop, 2e-6, x) })
	}
	many := units(normal(300, 128, 3))
	out, err := CallOnce(open(t), Uniformity, float32s(many))
	if err != nil {
		t.Fatal(err)
	}
	// -4 + 8/D is the expectation on the sphere of D dimensions, to the first order; D = 128.
	if got := float64(out.Value().(float32)); math.Abs(got-(-4+8./128)) > 0.01 {
		t.Errorf("spread evenly: %g, want about %g", got, -4+8./128)
	}
}

func TestFeatureStd(t *testing.T) {
	x := units(normal(50, 4, 1))
	var want float64
	for j := range 4 {
		var mean, square float64
		for _, row := range x {
			mean, square = mean+row[j]/50, square+row[j]*row[j]/50
		}
		want += math.Sqrt(square-mean*mean) / 4
	}
	for name, c := range map[string]struct {
		x    [][]float64
		want float64
	}{"random": {x, want}, "identical": {units(same(5)), 0}, "one row": {x[:1], 0}} {
		out, err := CallOnceN(open(t), func(x *Node) []*Node {
			std := FeatureStd(x)
			return []*Node{std, Gradient(Add(std, ReduceAllSum(x)), x)[0]}
		}, float32s(c.x))
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(out[0].Value().(float32)); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
		for _, row := range out[1].Value().([][]float32) {
			for _, v := range row {
				if v != 1 {
					t.Fatalf("%s: it has a gradient, %v", name, v-1)
				}
			}
		}
	}
	if math.Abs(want-0.5) > 0.02 {
		t.Errorf("spread evenly in 4 dimensions: %g, want about 1/2", want)
	}
}

func ExampleAlignment() {
	one := [][]float32{{1, 0}, {0, 1}}
	two := [][]float32{{1, 0}, {0, -1}}
	fmt.Println(MustExecOnce(pureGo(), Alignment, one, two).Value())
	// Output: 2
}

func ExampleUniformity() {
	square := [][]float32{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}
	point := [][]float32{{1, 0}, {1, 0}, {1, 0}}
	fmt.Printf("%.3f %.3f\n", MustExecOnce(pureGo(), Uniformity, square).Value(), MustExecOnce(pureGo(), Uniformity, point).Value())
	// Output: -4.396 0.000
}

func ExampleFeatureStd() {
	square := [][]float32{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}
	point := [][]float32{{1, 0}, {1, 0}, {1, 0}}
	fmt.Printf("%.3f %.3f\n", MustExecOnce(pureGo(), FeatureStd, square).Value(), MustExecOnce(pureGo(), FeatureStd, point).Value())
	// Output: 0.707 0.000
}
