package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveVICReg is the loop of Algorithm 1 as main_vicreg.py has it.
func naiveVICReg(a, b [][]float64, invariance, variance, covariance float64) (total float64) {
	n, d := len(a), len(a[0])
	for k := range a {
		total += invariance * distance2(a[k], b[k]) / float64(n*d)
	}
	for _, z := range [][][]float64{a, b} {
		mean := make([]float64, d)
		for _, row := range z {
			for j, v := range row {
				mean[j] += v / float64(n)
			}
		}
		for i := range d {
			for j := range d {
				var c float64
				for _, row := range z {
					c += (row[i] - mean[i]) * (row[j] - mean[j]) / float64(n-1)
				}
				if i == j {
					total += variance * max(0, 1-math.Sqrt(c+1e-4)) / float64(d) / 2
				} else {
					total += covariance * c * c / float64(d)
				}
			}
		}
	}
	return total
}

func TestVICReg(t *testing.T) {
	for name, z := range map[string][2][][]float64{
		"random": {normal(6, 4, 1), normal(6, 4, 2)}, "two rows": {normal(2, 3, 4), normal(2, 3, 5)}, "one feature": {normal(4, 1, 6), normal(4, 1, 7)},
		"the same": {normal(5, 3, 8), normal(5, 3, 8)}, "collapsed": {same(4), same(4)}, "spread": {scaled(normal(5, 3, 1), 10), scaled(normal(5, 3, 2), 10)},
		"narrow": {scaled(normal(5, 3, 1), 0.1), scaled(normal(5, 3, 2), 0.1)},
	} {
		for _, w := range [][3]float64{{25, 25, 1}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}} {
			t.Run(fmt.Sprint(name, " with ", w), func(t *testing.T) {
				check(t, name, func(x []*Node) *Node { return VICReg(x[0], x[1], w[0], w[1], w[2]) },
					func(x [][][]float64) float64 { return naiveVICReg(x[0], x[1], w[0], w[1], w[2]) }, 1e-5, z[:]...)
			})
		}
	}
}

// "The variance term is responsible for preventing a shrinkage of the embeddings towards zero": of views that are all the
// same, nothing else speaks.
// Reference: Bardes et al. 2022, Sec. 3, "Intuition", and Sec. 4.2, Eq. 1.
func TestVICRegTellsCollapse(t *testing.T) {
	for name, c := range map[string]struct {
		weights [3]float64
		want    float64
	}{"whole": {[3]float64{25, 25, 1}, 25 * (1 - 0.01)}, "no variance": {[3]float64{25, 0, 1}, 0}} {
		l, err := CallOnce(pureGo(), func(z *Node) *Node { return VICReg(z, z, c.weights[0], c.weights[1], c.weights[2]) }, same(5))
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Value().(float64); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestVICRegRejects(t *testing.T) {
	rows, other := [][]float32{{1, 0}, {0, 1}}, [][]float32{{1, 0, 0}}
	for want, fn := range map[string]func(a, b *Node) *Node{
		"of one shape":      func(a, b *Node) *Node { return VICReg(a, b, 1, 1, 1) },
		"two rows":          func(_, b *Node) *Node { return VICReg(b, b, 1, 1, 1) },
		"[N, D]":            func(a, _ *Node) *Node { return VICReg(ReduceAllSum(a), a, 1, 1, 1) },
		"got -1, 1 and 1":   func(a, _ *Node) *Node { return VICReg(a, a, -1, 1, 1) },
		"got 1, NaN and 1":  func(a, _ *Node) *Node { return VICReg(a, a, 1, math.NaN(), 1) },
		"got 1, 1 and +Inf": func(a, _ *Node) *Node { return VICReg(a, a, 1, 1, math.Inf(1)) },
	} {
		if _, err := CallOnce(pureGo(), fn, rows, other); err == nil || !strings.Contains(err.Error(), "loss.VICReg") || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

func ExampleVICReg() {
	apart := [][]float32{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}
	point := [][]float32{{1, 1}, {1, 1}, {1, 1}, {1, 1}}
	for _, z := range [][][]float32{apart, point} {
		fmt.Printf("%.2f\n", MustExecOnce(pureGo(), func(z *Node) *Node { return VICReg(z, z, 25, 25, 1) }, z).Value())
	}
	// Output:
	// 0.00
	// 24.75
}
