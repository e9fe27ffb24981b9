package assignments_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/notebooks/assignments/grade"
	"github.com/sslkit/lab/sslkit/cluster"
	"github.com/sslkit/lab/sslkit/loss"
	_ "github.com/sslkit/lab/sslkit/pjrt" // has the backends
	"github.com/sslkit/lab/sslkit/view"
)

// The numbers that answers are compared with are the library's: what a test cell wants stands here by a function of the laboratory,
// and is to be found in the cell with nine digits. Who changes a cell's inputs changes them here, and the failure has the numbers.
func TestGoldenValuesAreTheLibrarys(t *testing.T) {
	rows, unit := grade.Rows, grade.UnitRows
	centers, grid := view.BinCenters(), grade.Grid()
	where := make([]int, len(grid)) // of each centre of the grid among all bins
	for i, c := range grid {
		where[i] = -1
		for k, other := range centers {
			if c == other {
				where[i] = k
			}
		}
		if where[i] < 0 {
			t.Fatalf("%v is no bin", c)
		}
	}
	logits := make([]float64, len(centers))
	for k := range logits {
		logits[k] = -1e9 // a bin that the grid lacks has no weight
	}
	for i, k := range where {
		logits[k] = 3 * rows(1, 1, len(grid))[0][i]
	}
	soft := numbers(t, func(x *Node) *Node { return view.SoftBins(x, 5, 5) }, [][]float64{{3, -12}})
	var weights []float64
	for _, k := range where {
		if soft[k] > 0 {
			weights = append(weights, soft[k])
		}
	}
	hidden := [][]float64{{1, 0, 1, 1, 0, 1}, {0, 0, 1, 0, 0, 0}, {1, 1, 1, 1, 0, 1}}

	x := rows(1, 8, 2)
	x32, c32 := make([][]float32, 8), make([][]float32, 3)
	for i, row := range x {
		x32[i] = []float32{float32(row[0]), float32(row[1])}
	}
	copy(c32, x32)
	_, moved, _ := cluster.KMeans(x32, c32, 1)
	var means []float64
	for _, c := range moved {
		means = append(means, float64(c[0]), float64(c[1]))
	}
	codes := [2][][]float64{{{0.7, 0.2, 0.1}, {0, 1, 0}, {0.3, 0.3, 0.4}}, {{0.1, 0.6, 0.3}, {0.2, 0.2, 0.6}, {1, 0, 0}}}
	picture := make([][][][]float64, 1)
	for r := range 4 {
		picture[0] = append(picture[0], make([][]float64, 4))
		for c := range 4 {
			picture[0][r][c] = []float64{float64(4*r + c)}
		}
	}

	for _, golden := range []struct {
		chapter int
		cell    string
		digits  int
		want    []float64
	}{
		{1, "soft-value", 9, weights},
		{1, "annealed-value", 9, numbers(t, func(x *Node) *Node { return view.AnnealedMean(x, 0.38) }, [][]float64{logits})},
		{1, "painted-value", 9, numbers(t, func(p, y, h *Node) *Node { // pixels are patches of one
			return loss.MaskedMSE(InsertAxes(p, -1), InsertAxes(y, -1), h)
		}, rows(2, 3, 6), rows(3, 3, 6), hidden)},
		{1, "rebalance-value", 9, numbers(t, func(p *Node) *Node { return loss.Rebalance(p, 0.5) }, []float64{0.7, 0.2, 0.1, 0})},
		{2, "entropy-value", 9, numbers(t, loss.CrossEntropy, rows(1, 5, 4), []int32{0, 3, 1, 2, 3})},
		{3, "ntxent-value", 9, numbers(t, func(z *Node) *Node { return loss.NTXent(z, 0.5) }, rows(1, 6, 4))},
		{3, "infonce-value", 9, numbers(t, func(q, k, queue *Node) *Node { return loss.InfoNCE(q, k, queue, 0.2) },
			unit(1, 3, 4), unit(2, 3, 4), unit(3, 5, 4))},
		{4, "kmeans-value", 5, means}, // of float32
		{4, "sinkhorn-value", 9, numbers(t, func(s *Node) *Node { return cluster.Sinkhorn(s, 0.25, 3) }, unit(2, 4, 3))},
		{4, "swapped-value", 9, numbers(t, func(s1, s2, c1, c2 *Node) *Node { return loss.SwAV([]*Node{s1, s2}, []*Node{c1, c2}, 0.1) },
			unit(1, 3, 3), unit(2, 3, 3), codes[0], codes[1])},
		{5, "patchify-value", 0, numbers(t, func(x *Node) *Node { return view.Patchify(x, 2) }, picture)},
		{5, "normalise-value", 9, numbers(t, func(x *Node) *Node { return loss.NormalizePatches(InsertAxes(x, 0)) }, rows(1, 2, 4))},
		{5, "masked-value", 9, numbers(t, func(p, y, h *Node) *Node {
			return loss.MaskedMSE(InsertAxes(p, 0), InsertAxes(y, 0), InsertAxes(h, 0))
		}, rows(2, 4, 4), rows(3, 4, 4), []float64{1, 0, 1, 1})},
	} {
		source := read(t, golden.chapter).cell(t, golden.cell).source
		for _, v := range golden.want {
			if text := fmt.Sprintf("%.*f", golden.digits, v); !strings.Contains(source, text) {
				t.Errorf("assignment %d, %s: the library has %s, which the cell has not; all of it: %.*f", golden.chapter, golden.cell, text, golden.digits, golden.want)
				break
			}
		}
	}
}

// numbers runs a function of the library in float64, on the backend that compiles at once.
func numbers[F ExecGraphFnOneOutput](t *testing.T, fn F, args ...any) []float64 {
	t.Helper()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	out, err := CallOnce(backend, fn, args...)
	if err != nil {
		t.Fatal(err)
	}
	var flat []float64
	out.ConstFlatData(func(data any) { flat = append(flat, data.([]float64)...) })
	for _, v := range flat {
		if math.IsNaN(v) {
			t.Fatalf("the library has %v", flat)
		}
	}
	return flat
}
