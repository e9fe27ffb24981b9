package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/gomlx/gomlx/support/exceptions"
)

// naiveKNN restates the definition: all cosines in float64, a full sort, weights as they are written.
func naiveKNN(train [][]float32, labels []int32, test [][]float32, k, classes int, temperature float64) []int32 {
	cosine := func(a, b []float32) float64 {
		dot := 0.0
		for i := range a {
			dot += float64(a[i]) * float64(b[i])
		}
		if n := length(a) * length(b); n > 0 {
			return dot / n
		}
		return 0
	}
	out := make([]int32, len(test))
	for i, row := range test {
		order := make([]int, len(train))
		scores := make([]float64, len(train))
		for j := range train {
			order[j], scores[j] = j, cosine(train[j], row)
		}
		sort.SliceStable(order, func(a, b int) bool { return scores[order[a]] > scores[order[b]] })
		votes := make([]float64, classes)
		for _, j := range order[:min(k, len(order))] {
			votes[labels[j]] += math.Exp(scores[j] / temperature)
		}
		for c := range votes {
			if votes[c] > votes[out[i]] {
				out[i] = int32(c)
			}
		}
	}
	return out
}

func TestKNNMatchesNaive(t *testing.T) {
	for _, test := range []struct {
		n, m, d, k, classes int
		temperature         float64
	}{
		{200, 130, 16, 20, 5, 0.07},
		{200, 70, 3, 1, 10, 0.07},
		{97, 65, 100, 200, 3, 0.5}, // k beyond the training set
		{300, 64, 8, 50, 4, 10},
	} {
		train, query := blobs(test.n, test.d, test.classes, 2, 1), blobs(test.m, test.d, test.classes, 2, 2)
		got := KNN(train.Features, train.Labels, query.Features, test.k, test.classes, test.temperature)
		want := naiveKNN(train.Features, train.Labels, query.Features, test.k, test.classes, test.temperature)
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%+v: test row %d is %d, want %d", test, i, got[i], want[i])
			}
		}
		if a := accuracy(got, query.Labels); a < 1.5/float64(test.classes) && test.d > 3 {
			t.Errorf("%+v: accuracy %g on blobs", test, a)
		}
	}
}

func TestKNNTies(t *testing.T) {
	// Rows 0 to 3 are in the same direction, of different length: k 2 takes rows 0 and 1.
	train := [][]float32{{1, 0}, {4, 0}, {2, 0}, {3, 0}, {0, 1}, {-1, 0}}
	labels := []int32{2, 2, 1, 1, 0, 0}
	test := [][]float32{{5, 0}, {0, 0}}
	if got := KNN(train, labels, test[:1], 2, 3, 0.07); got[0] != 2 {
		t.Errorf("label %d, want that of the first neighbours, 2", got[0])
	}
	// Among all four, labels 1 and 2 have equal votes: the lower class.
	if got := KNN(train, labels, test[:1], 4, 3, 0.07); got[0] != 1 {
		t.Errorf("label %d, want the lower of two equal classes, 1", got[0])
	}
	// A nearer one that comes later pushes the later of two equal ones out: rows 0 and 2 remain.
	if got := KNN([][]float32{{1, 1}, {2, 2}, {3, 0}}, []int32{2, 0, 1}, test[:1], 2, 3, 1e3); got[0] != 1 {
		t.Errorf("label %d, want 1 of the nearest row", got[0])
	}
	if got := KNN([][]float32{{1, 1}, {2, 2}, {3, 0}}, []int32{2, 0, 2}, test[:1], 2, 3, 1e3); got[0] != 2 {
		t.Errorf("label %d, want 2 of the nearest row and of the first of two equal ones", got[0])
	}
	if got := KNN([][]float32{{1, 1}, {2, 2}, {2, 2}, {3, 0}}, []int32{0, 0, 1, 1}, test[:1], 3, 2, 1e3); got[0] != 0 {
		t.Errorf("label %d, want 0 of the first two of three equal ones", got[0])
	}
	// A row of zeros is equally far from all.
	if got := KNN(train, labels, test[1:], 2, 3, 0.07); got[0] != 2 {
		t.Errorf("label %d of a zero row, want that of the first rows, 2", got[0])
	}
	if got := KNN([][]float32{{0, 0}, {1, 1}}, []int32{0, 1}, [][]float32{{1, 0}}, 1, 2, 0.07); got[0] != 1 {
		t.Errorf("label %d: a zero training row is nearest", got[0])
	}
	if got := KNN(train, labels, nil, 2, 3, 0.07); len(got) != 0 {
		t.Errorf("%v for no test rows", got)
	}
}

func TestKNNExtremes(t *testing.T) {
	big, small := float32(3e38), float32(1e-38)
	train := [][]float32{{big, 0}, {0, small}, {small, small}}
	got := KNN(train, []int32{0, 1, 2}, [][]float32{{small, 0}, {0, big}, {big, big}}, 3, 3, 1e-4)
	for i, want := range []int32{0, 1, 2} {
		if got[i] != want {
			t.Errorf("row %d is %d, want %d", i, got[i], want)
		}
	}
}

func TestKNNPanics(t *testing.T) {
	f, l := [][]float32{{1, 2}, {3, 4}}, []int32{0, 1}
	nan := float32(math.NaN())
	for want, call := range map[string]func(){
		"training set is empty":    func() { KNN(nil, nil, f, 1, 2, 1) },
		"2 examples but 1 labels":  func() { KNN(f, l[:1], f, 1, 2, 1) },
		"want 0 to 1":              func() { KNN(f, []int32{0, 2}, f, 1, 2, 1) },
		"k 0":                      func() { KNN(f, l, f, 0, 2, 1) },
		"temperature 0":            func() { KNN(f, l, f, 1, 2, 0) },
		"temperature NaN":          func() { KNN(f, l, f, 1, 2, math.NaN()) },
		"test features 1":          func() { KNN(f, l, [][]float32{{1}}, 1, 2, 1) },
		"test set: features of ex": func() { KNN(f, l, [][]float32{{1, nan}}, 1, 2, 1) },
	} {
		wantError(t, want, exceptions.TryCatch[error](call), want)
	}
}

func ExampleKNN() {
	bank := [][]float32{{1, 0}, {0.9, 0.1}, {0, 1}}
	fmt.Println(KNN(bank, []int32{0, 0, 1}, [][]float32{{2, 1}, {1, 3}}, 2, 2, 0.07))
	// Output: [0 1]
}

func TestKNNIsFast(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	rows := func(n int) [][]float32 {
		out := make([][]float32, n)
		for i := range out {
			out[i] = make([]float32, 256)
			for j := range out[i] {
				out[i][j] = float32(rnd.NormFloat64())
			}
		}
		return out
	}
	train, test := rows(10000), rows(2000)
	start := time.Now()
	KNN(train, make([]int32, 10000), test, 20, 10, 0.07)
	took := time.Since(start)
	t.Logf("10,000 x 2,000 x 256 in %v", took)
	if took > 20*time.Second { // about 1 s on two free cores; a machine under load gets leeway
		t.Errorf("took %v", took)
	}
}
