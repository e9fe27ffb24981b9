package cluster

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/support/exceptions"
)

// A hundredth of the rows are far away on either side: they get centres, which rows drawn evenly seldom do.
func TestChooseApartFindsWhatIsRare(t *testing.T) {
	x := make([][]float32, 1000)
	for i := range x {
		x[i] = []float32{float32(i%7) / 100, 0}
	}
	for i := range 5 {
		x[100*i], x[100*i+50] = []float32{50, 0}, []float32{-50, 0}
	}
	found := func(choose func(x [][]float32, k int, seed uint64) [][]float32) (n int) {
		for seed := range uint64(20) {
			var left, right bool
			for _, c := range choose(x, 3, seed) {
				left, right = left || c[0] == -50, right || c[0] == 50
			}
			if left && right {
				n++
			}
		}
		return n
	}
	if got := found(ChooseApart); got != 20 {
		t.Errorf("both groups got a centre in %d of 20 draws", got)
	}
	if got := found(Choose); got > 2 {
		t.Errorf("evenly drawn, both groups got a centre in %d of 20 draws: this test would not notice", got)
	}
}

// Of rows 0, 1 and 3 with the first at 0, the second is 3 with 9 chances of 10.
func TestChooseApartProbability(t *testing.T) {
	far, all := 0.0, 0.0
	for seed := range uint64(3000) {
		c := ChooseApart([][]float32{{0}, {1}, {3}}, 2, seed)
		if c[0][0] == 0 {
			all++
			if c[1][0] == 3 {
				far++
			}
		}
	}
	// About 1000 draws: a deviation of 0.0095.
	if math.Abs(far/all-0.9) > 0.04 {
		t.Errorf("3 comes after 0 in %.3f of %g draws, want 0.9", far/all, all)
	}
}

func TestChooseApartEdges(t *testing.T) {
	if c := ChooseApart([][]float32{{2}, {2}, {2}}, 3, 1); len(c) != 3 {
		t.Errorf("%d centres of equal rows, want 3", len(c))
	}
	if err := exceptions.TryCatch[error](func() { ChooseApart([][]float32{{2}}, 2, 1) }); err == nil {
		t.Error("two centres of one row pass")
	}
}
