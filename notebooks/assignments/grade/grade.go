// Package grade holds what the test cells of the assignments need: checks that say in one sentence what is wrong, numbers to
// test with, and derivatives by finite differences. It imports nothing of the laboratory, so that a cell compiles in half a second.
package grade

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
)

// Check ends the cell with a sentence if what it tests is not so. A cell that ends like this has no points.
func Check(ok bool, format string, args ...any) {
	if ok {
		return
	}
	text := fmt.Sprintf(format, args...)
	// The kernel shows what it finds in this file as the cell's error, with no stack around it: see package notebooks.
	if file := os.Getenv("SSLKIT_CELL_ERROR"); file != "" && os.WriteFile(file, []byte(text), 0o600) == nil {
		os.Exit(1)
	}
	panic(errors.New(text))
}

// Near checks one number; NaN is near nothing.
func Near(what string, got, want, tolerance float64) {
	Check(math.Abs(got-want) <= tolerance, "%s is %.10g, want %.10g to within %g", what, got, want, tolerance)
}

// NearRow checks a row of numbers.
func NearRow(what string, got, want []float64, tolerance float64) {
	Check(len(got) == len(want), "%s has %d numbers, want %d", what, len(got), len(want))
	for i := range want {
		Near(fmt.Sprintf("%s[%d]", what, i), got[i], want[i], tolerance)
	}
}

// NearRows checks rows of numbers.
func NearRows(what string, got, want [][]float64, tolerance float64) {
	Check(len(got) == len(want), "%s has %d rows, want %d", what, len(got), len(want))
	for i := range want {
		NearRow(fmt.Sprintf("%s[%d]", what, i), got[i], want[i], tolerance)
	}
}

// Same checks whole numbers.
func Same(what string, got, want []int) {
	Check(len(got) == len(want), "%s has %d numbers, want %d", what, len(got), len(want))
	for i := range want {
		Check(got[i] == want[i], "%s[%d] is %d, want %d", what, i, got[i], want[i])
	}
}

// Rows draws n rows of d numbers from the normal distribution: the same for the same seed.
func Rows(seed uint64, n, d int) [][]float64 {
	rnd := rand.New(rand.NewPCG(seed, 0))
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, d)
		for j := range rows[i] {
			rows[i][j] = rnd.NormFloat64()
		}
	}
	return rows
}

// UnitRows are [Rows] of length 1.
func UnitRows(seed uint64, n, d int) [][]float64 {
	rows := Rows(seed, n, d)
	for _, row := range rows {
		var sum float64
		for _, v := range row {
			sum += v * v
		}
		for j := range row {
			row[j] /= math.Sqrt(sum)
		}
	}
	return rows
}

// Clone copies rows.
func Clone(rows [][]float64) [][]float64 {
	clone := make([][]float64, len(rows))
	for i, row := range rows {
		clone[i] = append([]float64(nil), row...)
	}
	return clone
}

// Gradient is the derivative of f by each number of x, by central differences: right to about 1e-9 where f's values and their third
// derivatives are of order 1. x is as before afterwards.
func Gradient(x [][]float64, f func() float64) [][]float64 {
	const h = 1e-5
	gradient := Clone(x)
	for i, row := range x {
		for j, v := range row {
			row[j] = v + h
			up := f()
			row[j] = v - h
			gradient[i][j] = (up - f()) / (2 * h)
			row[j] = v
		}
	}
	return gradient
}

// Grid are the centres (a, b) of the 49 bins nearest to grey, ten apart, by rising a and then b.
func Grid() (centers [][2]float64) {
	for a := -30; a <= 30; a += 10 {
		for b := -30; b <= 30; b += 10 {
			centers = append(centers, [2]float64{float64(a), float64(b)})
		}
	}
	return centers
}

// Permutations are all orders of n tiles, in the order of a dictionary.
func Permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for first := range n {
		for _, rest := range Permutations(n - 1) {
			p := []int{first}
			for _, tile := range rest { // of those that are left
				if tile >= first {
					tile++
				}
				p = append(p, tile)
			}
			all = append(all, p)
		}
	}
	return all
}

// Spread is in how many places the permutations of a set differ, all pairs of them together.
func Spread(set [][]int) (places int) {
	for i, p := range set {
		for _, q := range set[:i] {
			for k := range p {
				if p[k] != q[k] {
					places++
				}
			}
		}
	}
	return places
}

// Sum adds up.
func Sum(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}
