// Package plane lays rows of features out in the plane, to be looked at: PCA, which is linear, and t-SNE and UMAP, which keep
// neighbours and give up distances.
//
// All work in float64 on plain slices, one after another, so that a seed gives the same layout on every machine of one kind.
// Rows are compared by their Euclidean distance: scale them to length 1 where the cosine is meant.
package plane

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// matrix checks the rows and copies them.
func matrix(what string, x [][]float32, least int) (*mat.Dense, error) {
	if len(x) < least {
		return nil, fmt.Errorf("plane: %s of %d rows: it takes at least %d", what, len(x), least)
	}
	d := len(x[0])
	if d == 0 {
		return nil, fmt.Errorf("plane: %s of rows without values", what)
	}
	out := mat.NewDense(len(x), d, nil)
	for i, row := range x {
		if len(row) != d {
			return nil, fmt.Errorf("plane: %s: row %d has %d values, row 0 has %d", what, i, len(row), d)
		}
		for j, v := range row {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("plane: %s: row %d has %v at %d", what, i, v, j)
			}
			out.Set(i, j, float64(v))
		}
	}
	return out, nil
}

// neighbour is another row, and how far it is.
type neighbour struct {
	row      int
	distance float64 // squared
}

// nearest returns the k nearest other rows of each row, nearest first; of equals the first.
func nearest(x mat.Matrix, k int) [][]neighbour {
	n, _ := x.Dims()
	var gram mat.Dense // |a-b|^2 = aa + bb - 2ab: rounding is far below what separates neighbours
	gram.Mul(x, x.T())
	out := make([][]neighbour, n)
	all := make([]neighbour, 0, n)
	for i := range out {
		all = all[:0]
		for j := range n {
			if j != i {
				all = append(all, neighbour{j, max(0, gram.At(i, i)+gram.At(j, j)-2*gram.At(i, j))})
			}
		}
		slices.SortFunc(all, func(a, b neighbour) int { return cmp.Or(cmp.Compare(a.distance, b.distance), a.row-b.row) })
		out[i] = slices.Clone(all[:k])
	}
	return out
}

// Kept is how many of the k nearest rows of each row of x are among the k nearest in the layout y, as a share, mean over rows:
// 1 where all are, and about k/(n-1) where the layout knows nothing.
func Kept(x [][]float32, y [][2]float64, k int) (float64, error) {
	high, err := matrix("neighbours", x, k+1)
	if err != nil {
		return 0, err
	}
	if k < 1 || len(y) != len(x) {
		return 0, fmt.Errorf("plane: %d neighbours of %d rows, %d places", k, len(x), len(y))
	}
	low := mat.NewDense(len(y), 2, nil)
	for i, p := range y {
		low.SetRow(i, p[:])
	}
	kept := 0
	in, out := nearest(high, k), nearest(low, k)
	for i := range in {
		for _, a := range in[i] {
			if slices.ContainsFunc(out[i], func(b neighbour) bool { return b.row == a.row }) {
				kept++
			}
		}
	}
	return float64(kept) / float64(k*len(x)), nil
}
