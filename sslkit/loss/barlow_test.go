package loss

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// naiveBarlow is Eq. 1 and 2 of Zbontar et al. 2021, the columns normalised one by one.
func naiveBarlow(z1, z2 [][]float64, lambda float64) (total float64) {
	column := func(z [][]float64, j int) []float64 {
		n := float64(len(z))
		x, mean, variance := make([]float64, len(z)), 0.0, 0.0
		for i := range z {
			mean += z[i][j] / n
		}
		for i := range z {
			x[i] = z[i][j] - mean
			variance += x[i] * x[i] / n
		}
		return scaled([][]float64{x}, 1/math.Sqrt(variance+1e-5))[0]
	}
	for i := range z1[0] {
		for j := range z2[0] {
			switch c := dot(column(z1, i), column(z2, j)) / float64(len(z1)); i {
			case j:
				total += (c - 1) * (c - 1)
			default:
				total += lambda * c * c
			}
		}
	}
	return total
}

func TestBarlowTwins(t *testing.T) {
	z := normal(6, 4, 1)
	near := normal(6, 4, 2)
	for i := range near {
		for j := range near[i] {
			near[i][j] = z[i][j] + 0.3*near[i][j]
		}
	}
	flat := normal(6, 4, 3)
	for i := range flat {
		flat[i][2] = 0.5 // says nothing
	}
	for name, x := range map[string][2][][]float64{
		"random": {z, normal(6, 4, 4)}, "near": {z, near}, "far from 0": {shifted(z, 100), near}, "two images": {z[:2], near[:2]},
		"one column": {first(z), first(near)}, "a constant column": {flat, near}, "long": {scaled(z, 1e3), near},
	} {
		for _, lambda := range []float64{0, 0.0051, 1} {
			t.Run(fmt.Sprint(name, " at ", lambda), func(t *testing.T) {
				// float32 holds numbers of 100 to 1e-5, which is divided by a deviation of about 1.
				check(t, name, func(x []*Node) *Node { return BarlowTwins(x[0], x[1], lambda) },
					func(x [][][]float64) float64 { return naiveBarlow(x[0], x[1], lambda) }, 2e-5, clone(x[0]), clone(x[1]))
			})
		}
	}
	// The ends of its range: equal views of numbers that have nothing to do with one another, and a collapse.
	design := [][]float64{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}
	for name, c := range map[string]struct {
		x    [][]float64
		want float64
	}{"independent": {design, 0}, "equal rows": {same(4), 3}} {
		out, err := CallOnce(open(t), func(x *Node) *Node { return BarlowTwins(x, x, 0.5) }, float32s(c.x))
		if err != nil {
			t.Fatal(err)
		}
		// 1e-5 beside a variance of 1 takes 1e-5 off each correlation.
		if got := float64(out.Value().(float32)); math.Abs(got-c.want) > 1e-8 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}

// "C is a square matrix [...] computed between the outputs of the two identical networks along the batch dimension": what is
// taken along the features, by an unbiased variance or as a sum in place of the mean is another number.
// Reference: Zbontar et al. 2021, Sec. 2.1, Eq. 2 and Algorithm 1.
func TestBarlowTwinsMistakes(t *testing.T) {
	z1, z2 := normal(4, 4, 1), normal(4, 4, 2)
	identity := func(x *Node) *Node { return ConvertDType(Diagonal(x.Graph(), 4), x.DType()) }
	barlow := func(c *Node) *Node {
		apart := Square(Sub(c, identity(c)))
		return ReduceAllSum(Mul(apart, Add(MulScalar(OneMinus(identity(c)), 0.3), identity(c))))
	}
	correlation := func(a, b *Node) *Node { return DivScalar(Einsum("ni,nj->ij", a, b), 4) }
	want := naiveBarlow(z1, z2, 0.3)
	for name, fn := range map[string]func(a, b *Node) *Node{
		"":                   func(a, b *Node) *Node { return barlow(correlation(standard(a), standard(b))) },
		"along the features": func(a, b *Node) *Node { return barlow(DivScalar(Einsum("in,jn->ij", standard(a), standard(b)), 4)) },
		"unbiased variance":  func(a, b *Node) *Node { return barlow(MulScalar(correlation(standard(a), standard(b)), 0.75)) },
		"not normalised":     func(a, b *Node) *Node { return barlow(correlation(a, b)) },
		"a sum":              func(a, b *Node) *Node { return barlow(MulScalar(correlation(standard(a), standard(b)), 4)) },
		"one view twice":     func(a, _ *Node) *Node { return barlow(correlation(standard(a), standard(a))) },
	} {
		out, err := CallOnce(pureGo(), fn, z1, z2)
		if err != nil {
			t.Fatal(err)
		}
		if right := math.Abs(out.Value().(float64)-want) < 1e-3; right != (name == "") {
			t.Errorf("mistake %q: %v, and the loop has %v", name, out.Value(), want)
		}
	}
}

func TestBarlowTwinsRejects(t *testing.T) {
	rows, other := [][]float32{{1, 0}, {0, 1}}, [][]float32{{1, 0, 0}}
	for want, fn := range map[string]func(x, y *Node) *Node{
		"of one shape":    func(x, y *Node) *Node { return BarlowTwins(x, y, 1) },
		"N at least 2":    func(_, y *Node) *Node { return BarlowTwins(y, y, 1) },
		"at least 0":      func(x, _ *Node) *Node { return BarlowTwins(x, x, -1) },
		"got NaN":         func(x, _ *Node) *Node { return BarlowTwins(x, x, math.NaN()) },
		"finite":          func(x, _ *Node) *Node { return BarlowTwins(x, x, math.Inf(1)) },
		"z1 must be rows": func(x, _ *Node) *Node { return BarlowTwins(ReduceAllSum(x), x, 1) },
		"float32 or":      func(x, _ *Node) *Node { return BarlowTwins(ConvertDType(x, dtypes.Int32), x, 1) },
		"p and z must be": func(x, y *Node) *Node { return NegativeCosine(x, y) },
		"p must be rows":  func(x, _ *Node) *Node { return NegativeCosine(ReduceAllSum(x), x) },
	} {
		// CallOnce hangs on a panic that is not an error.
		if _, err := CallOnce(pureGo(), fn, rows, other); err == nil || !strings.Contains(err.Error(), "loss.") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// shifted adds a number to all of x.
func shifted(x [][]float64, by float64) [][]float64 {
	y := clone(x)
	for _, row := range y {
		for j := range row {
			row[j] += by
		}
	}
	return y
}

// first is the first column of x.
func first(x [][]float64) (y [][]float64) {
	for _, row := range x {
		y = append(y, slices.Clone(row[:1]))
	}
	return y
}

// clone is for check, which moves its inputs and puts them back.
func clone(x [][]float64) [][]float64 { return scaled(x, 1) }

func ExampleBarlowTwins() {
	one := [][]float32{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}} // both numbers differ and tell different things
	twice := [][]float32{{1, 1}, {1, 1}, {-1, -1}, {-1, -1}}
	nothing := [][]float32{{1, 1}, {1, 1}, {1, 1}, {1, 1}}
	for _, z := range [][][]float32{one, twice, nothing} {
		l := MustExecOnce(pureGo(), func(z *Node) *Node { return BarlowTwins(z, z, 0.5) }, z)
		fmt.Printf("%.3f\n", l.Value())
	}
	// Output:
	// 0.000
	// 1.000
	// 2.000
}
