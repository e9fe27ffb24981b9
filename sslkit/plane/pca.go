package plane

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// PCA projects the rows of x on their first two principal components, and returns which share of the variance each has. A
// component's sign is such that its largest weight is positive. A component without variance gives 0 to all rows.
// It is an error if there are fewer than two rows, if they differ in length, and on values that are not finite.
func PCA(x [][]float32) (y [][2]float64, share [2]float64, err error) {
	m, err := matrix("PCA", x, 2)
	if err != nil {
		return nil, share, err
	}
	return pca(m)
}

func pca(m *mat.Dense) (y [][2]float64, share [2]float64, err error) {
	var pc stat.PC
	if !pc.PrincipalComponents(m, nil) {
		return nil, share, errors.New("plane: PCA: the singular values did not converge")
	}
	var vectors mat.Dense
	pc.VectorsTo(&vectors)
	vars, total := pc.VarsTo(nil), 0.0
	for _, v := range vars {
		total += v
	}
	n, d := m.Dims()
	y = make([][2]float64, n)
	for c := range min(2, d, len(vars)) {
		if !(vars[c] > 1e-12*total) { // float32's rounding
			break
		}
		share[c] = vars[c] / total
		axis := mat.Col(nil, c, &vectors)
		largest := 0.0
		for _, v := range axis {
			if math.Abs(v) > math.Abs(largest) {
				largest = v
			}
		}
		var at mat.VecDense
		at.MulVec(m, mat.NewVecDense(d, axis))
		mean := stat.Mean(at.RawVector().Data, nil)
		for i := range y {
			y[i][c] = math.Copysign(1, largest) * (at.AtVec(i) - mean)
		}
	}
	return y, share, nil
}
