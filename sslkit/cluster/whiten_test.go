package cluster

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// mixed are normals through a fixed matrix, shifted: their variances differ and their dimensions are correlated.
func mixed(n, d int, seed uint64) [][]float32 {
	x, mix := normals(seed, n, d), normals(99, d, d)
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, d)
		for j := range d {
			out[i][j] = float32(3 * j)
			for k := range d {
				out[i][j] += x[i][k] * mix[k][j]
			}
		}
	}
	return out
}

func TestWhitenedComponentsHaveUnitCovariance(t *testing.T) {
	const n, d = 300, 6
	centred := mat.NewDense(n, d, nil)
	for i, row := range mixed(n, d, 1) {
		centred.SetRow(i, float64s(row))
	}
	for j := range d {
		mean := mat.Sum(centred.ColView(j)) / n
		for i := range n {
			centred.Set(i, j, centred.At(i, j)-mean)
		}
	}
	var covariance mat.SymDense
	covariance.SymOuterK(1./n, centred.T())
	basis := components(&covariance, 4)
	var y, got mat.Dense
	y.Mul(centred, basis)
	got.Mul(y.T(), &y)
	last := math.Inf(1)
	for i := range 4 {
		for j := range 4 {
			want := 0.0
			if i == j {
				want = n
			}
			if math.Abs(got.At(i, j)-want) > 1e-9*n { // float64 throughout
				t.Errorf("covariance %d, %d is %g, want %g", i, j, got.At(i, j)/n, want/n)
			}
		}
		// A direction's weight is over the root of its variance: descending variance is ascending weight.
		variance := 1 / math.Pow(mat.Norm(basis.ColView(i), 2), 2)
		if variance > last {
			t.Errorf("component %d has variance %g, the one before it %g", i, variance, last)
		}
		last = variance
		if largest := mat.Max(basis.ColView(i)); largest < -mat.Min(basis.ColView(i)) {
			t.Errorf("component %d: its largest weight is negative: %v", i, mat.Formatted(basis.ColView(i)))
		}
	}
}

// Whitening undoes any invertible map of the features, up to a rotation: cosines between rows stay.
func TestWhitenForgetsHowFeaturesWereMixed(t *testing.T) {
	const n, d = 40, 5
	x := normals(2, n, d)
	a, b := Whiten(x, d), Whiten(mixed(n, d, 2), d)
	for i := range n {
		for k := range n {
			var p, q float64
			for j := range d {
				p += float64(a[i][j]) * float64(a[k][j])
				q += float64(b[i][j]) * float64(b[k][j])
			}
			if math.Abs(p-q) > 1e-4 { // float32 features, mixed by a matrix of condition number about 10
				t.Fatalf("rows %d and %d have cosine %g, mixed %g", i, k, p, q)
			}
			if i == k && math.Abs(p-1) > 1e-6 {
				t.Errorf("row %d has length %g, want 1", i, math.Sqrt(p))
			}
		}
	}
}

// By hand: dimension 1 varies most, then dimension 0.
func TestWhitenByHand(t *testing.T) {
	x := [][]float32{{1, 10, 7}, {-1, 10, 7}, {1, -10, 7}, {-1, -10, 7}}
	const r = 0.70710678 // of rows (±1, ±1)
	want := [][]float32{{r, r, 0}, {r, -r, 0}, {-r, r, 0}, {-r, -r, 0}}
	for i, row := range Whiten(x, 3) {
		for j, v := range row {
			if math.Abs(float64(v-want[i][j])) > 1e-6 {
				t.Errorf("row %d is %v, want %v", i, row, want[i])
			}
		}
	}
	if got := Whiten(x, 1); len(got[0]) != 1 || got[0][0] != 1 || got[2][0] != -1 {
		t.Errorf("to one dimension: %v, want 1, 1, -1, -1", got)
	}
}

// What does not vary, or only by rounding, must not be blown up to variance 1.
func TestWhitenOfDeficientRank(t *testing.T) {
	x := normals(4, 50, 6)
	for i := range x {
		x[i][2] = x[i][0]             // twice
		x[i][3] = x[i][0] + x[i][1]   // a sum, rounded
		x[i][4] = 5                   // constant
		x[i][5] = 1000 + float32(i%2) // far from the origin
	}
	for i, row := range Whiten(x, 6) {
		for j, v := range row {
			if (j >= 3) != (v == 0) {
				t.Fatalf("row %d is %v, want three components and three zeros", i, row)
			}
		}
	}
	for _, row := range Whiten([][]float32{{2, 3}, {2, 3}, {2, 3}}, 2) {
		if row[0] != 0 || row[1] != 0 {
			t.Errorf("equal rows became %v, want 0", row)
		}
	}
	if row := Whiten([][]float32{{2, 3}}, 1)[0]; row[0] != 0 {
		t.Errorf("a single row became %v, want 0", row)
	}
}

func TestWhitenRejects(t *testing.T) {
	rejects(t, "0 examples", func() { Whiten(nil, 1) })
	rejects(t, "to 3 dimensions", func() { Whiten([][]float32{{1, 2}}, 3) })
	rejects(t, "to 0 dimensions", func() { Whiten([][]float32{{1, 2}}, 0) })
	rejects(t, "example 1 has 1 dimensions", func() { Whiten([][]float32{{1, 2}, {1}}, 1) })
	rejects(t, "example 0 is not finite", func() { Whiten([][]float32{{float32(math.Inf(1))}}, 1) })
}

func ExampleWhiten() {
	x := [][]float32{{100, 1}, {-100, 1}, {100, -1}, {-100, -1}}
	for _, row := range Whiten(x, 2) {
		fmt.Printf("%.2f\n", row)
	}
	// Output:
	// [0.71 0.71]
	// [-0.71 0.71]
	// [0.71 -0.71]
	// [-0.71 -0.71]
}
