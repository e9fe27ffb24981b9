package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveBarlowTwins is the loop of Algorithm 1, with the batch norm of the authors' code.
func naiveBarlowTwins(a, b [][]float64, lambda float64) (total float64) {
	n, d := len(a), len(a[0])
	moments := func(z [][]float64, j int) (mean, deviation float64) {
		for _, row := range z {
			mean += row[j] / float64(n)
		}
		for _, row := range z {
			deviation += (row[j] - mean) * (row[j] - mean) / float64(n)
		}
		return mean, math.Sqrt(deviation + 1e-5)
	}
	for i := range d {
		for j := range d {
			mi, si := moments(a, i)
			mj, sj := moments(b, j)
			var c float64
			for k := range n {
				c += (a[k][i] - mi) / si * (b[k][j] - mj) / sj / float64(n)
			}
			if i == j {
				total += (c - 1) * (c - 1)
			} else {
				total += lambda * c * c
			}
		}
	}
	return total
}

func TestBarlowTwins(t *testing.T) {
	still := normal(5, 3, 3)
	for _, row := range still {
		row[1] = 2 // a feature without variance
	}
	for name, z := range map[string][2][][]float64{
		"random": {normal(6, 4, 1), normal(6, 4, 2)}, "two rows": {normal(2, 3, 4), normal(2, 3, 5)}, "one feature": {normal(4, 1, 6), normal(4, 1, 7)},
		"the same": {normal(5, 3, 8), normal(5, 3, 8)}, "still": {still, normal(5, 3, 9)}, "collapsed": {same(4), same(4)}, "long": {scaled(normal(5, 3, 1), 1e3), normal(5, 3, 2)},
	} {
		for _, lambda := range []float64{0, 0.005, 1} {
			t.Run(fmt.Sprint(name, " with ", lambda), func(t *testing.T) {
				// Correlations of float32 are good to 1e-6; there are 16 at most.
				check(t, name, func(x []*Node) *Node { return BarlowTwins(x[0], x[1], lambda) },
					func(x [][][]float64) float64 { return naiveBarlowTwins(x[0], x[1], lambda) }, 1e-5, z[:]...)
			})
		}
	}
}

// Two views that agree, in features that have nothing in common, have nothing to lose; features that do not vary lose
// all, and so does a second feature that repeats the first.
func TestBarlowTwinsTellsCollapse(t *testing.T) {
	best := [][]float64{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}
	twice := [][]float64{{1, 1}, {1, 1}, {-1, -1}, {-1, -1}}
	for name, c := range map[string]struct {
		z    [][]float64
		want float64
	}{"best": {best, 0}, "collapsed": {same(4)[:4], 3}, "repeated": {twice, 2 * 0.1}} {
		l, err := CallOnce(pureGo(), func(z *Node) *Node { return BarlowTwins(z, z, 0.1) }, c.z)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Value().(float64); math.Abs(got-c.want) > 1e-5 { // what is added to the variance
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestBarlowTwinsRejects(t *testing.T) {
	rows, other := [][]float32{{1, 0}, {0, 1}}, [][]float32{{1, 0, 0}}
	for want, fn := range map[string]func(a, b *Node) *Node{
		"of one shape": func(a, b *Node) *Node { return BarlowTwins(a, b, 1) },
		"two rows":     func(_, b *Node) *Node { return BarlowTwins(b, b, 1) },
		"[N, D]":       func(a, _ *Node) *Node { return BarlowTwins(ReduceAllSum(a), a, 1) },
		"got -1":       func(a, _ *Node) *Node { return BarlowTwins(a, a, -1) },
		"got NaN":      func(a, _ *Node) *Node { return BarlowTwins(a, a, math.NaN()) },
		"got +Inf":     func(a, _ *Node) *Node { return BarlowTwins(a, a, math.Inf(1)) },
	} {
		if _, err := CallOnce(pureGo(), fn, rows, other); err == nil || !strings.Contains(err.Error(), "loss.BarlowTwins") || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

func ExampleBarlowTwins() {
	apart := [][]float32{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}
	twice := [][]float32{{1, 1}, {1, 1}, {-1, -1}, {-1, -1}} // the second feature says what the first one does
	for _, z := range [][][]float32{apart, twice} {
		fmt.Printf("%.3f\n", MustExecOnce(pureGo(), func(z *Node) *Node { return BarlowTwins(z, z, 0.005) }, z).Value())
	}
	// Output:
	// 0.000
	// 0.010
}
