package cluster

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Whiten projects the rows of x on their first dims principal components, largest variance first, scales each of these to
// variance 1 and the rows to length 1: "PCA-reduced to 256 dimensions, whitened and l2-normalized" (Caron et al. 2018,
// Sec. 3.3). A component's sign is such that its largest weight is positive.
//
// Components whose variance is below 1e-10 of the largest, where float32 features have nothing but rounding, are left at 0;
// so are rows that lie at the mean. It panics with an error if dims is not in [1, len(x[0])], if rows differ in length
// and on values that are not finite.
func Whiten(x [][]float32, dims int) [][]float32 {
	if len(x) == 0 || dims < 1 || dims > len(x[0]) {
		panic(fmt.Errorf("cluster: cannot whiten %d examples to %d dimensions; it takes an example of at least as many", len(x), dims))
	}
	n, d := len(x), len(x[0])
	if err := checkRows("example", x, d); err != nil {
		panic(err)
	}
	centred := mat.NewDense(n, d, nil)
	mean := make([]float64, d)
	for _, row := range x {
		for j, v := range row {
			mean[j] += float64(v) / float64(n)
		}
	}
	for i, row := range x {
		for j, v := range row {
			centred.Set(i, j, float64(v)-mean[j])
		}
	}
	var covariance mat.SymDense
	covariance.SymOuterK(1/float64(n), centred.T())
	var y mat.Dense
	y.Mul(centred, components(&covariance, dims))

	out := make([][]float32, n)
	for i := range out {
		row, norm := y.RawRowView(i), 0.0
		for _, v := range row {
			norm += v * v
		}
		out[i] = make([]float32, dims)
		for j, v := range row {
			if norm > 0 {
				out[i][j] = float32(v / math.Sqrt(norm))
			}
		}
	}
	return out
}

// components returns the eigenvectors of the largest eigenvalues, over the roots of these, as columns.
func components(covariance *mat.SymDense, dims int) *mat.Dense {
	d := covariance.SymmetricDim()
	var e mat.EigenSym
	if !e.Factorize(covariance, true) {
		panic(fmt.Errorf("cluster: the eigenvalues of the covariance of %d dimensions did not converge", d))
	}
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	values := e.Values(nil) // ascending
	out := mat.NewDense(d, dims, nil)
	for j := range dims {
		from := d - 1 - j
		if !(values[from] > 1e-10*values[d-1]) {
			break
		}
		largest := 0.0
		for i := range d {
			if v := vectors.At(i, from); math.Abs(v) > math.Abs(largest) {
				largest = v
			}
		}
		scale := math.Copysign(1/math.Sqrt(values[from]), largest)
		for i := range d {
			out.Set(i, j, scale*vectors.At(i, from))
		}
	}
	return out
}
