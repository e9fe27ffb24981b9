package cluster

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
)

// naive is Lloyd's algorithm, word for word, where no centre loses its rows.
func naive(x, centers [][]float32, iterations int) (assign []int32, moved [][]float64, inertia float64) {
	for _, c := range centers {
		moved = append(moved, float64s(c))
	}
	label := func() {
		assign, inertia = nil, 0
		for _, row := range x {
			best, least := 0, math.Inf(1)
			for c := range moved {
				sum := 0.0
				for j, v := range row {
					sum += (float64(v) - moved[c][j]) * (float64(v) - moved[c][j])
				}
				if sum < least {
					best, least = c, sum
				}
			}
			assign, inertia = append(assign, int32(best)), inertia+least
		}
	}
	label()
	for range iterations {
		for c := range moved {
			mean, n := make([]float64, len(x[0])), 0.0
			for i, row := range x {
				if assign[i] == int32(c) {
					n++
					for j, v := range row {
						mean[j] += float64(v)
					}
				}
			}
			for j := range mean {
				mean[j] /= n
			}
			moved[c] = mean
		}
		label()
	}
	return assign, moved, inertia
}

func float64s(row []float32) []float64 {
	out := make([]float64, len(row))
	for j, v := range row {
		out[j] = float64(v)
	}
	return out
}

// each tests both implementations.
func each(t *testing.T, test func(t *testing.T, run kmeans)) {
	t.Helper()
	t.Run("slices", func(t *testing.T) { test(t, KMeans) })
	t.Run("graph", func(t *testing.T) { test(t, on(t, pureGo())) })
}

type kmeans func(x, centers [][]float32, iterations int) ([]int32, [][]float32, float64)

func on(t *testing.T, backend compute.Backend) kmeans {
	return func(x, centers [][]float32, iterations int) ([]int32, [][]float32, float64) {
		assign, moved, inertia, err := KMeansOn(backend, x, centers, iterations)
		if err != nil {
			t.Fatal(err)
		}
		return assign, moved, inertia
	}
}

func TestKMeansOnBestBackend(t *testing.T) {
	x := normals(8, chunk+100, 4)
	assign, moved, inertia := KMeans(x, x[:5], 3)
	got, gotMoved, gotInertia := on(t, best(t))(x, x[:5], 3)
	differ := 0
	for i := range x {
		if got[i] != assign[i] {
			differ++
		}
	}
	// Of rows that are nearly as far from two centres rounding decides, and moves the centres in turn.
	if differ > 2 || math.Abs(inertia-gotInertia) > 1e-4*inertia || math.Abs(float64(moved[0][0]-gotMoved[0][0])) > 1e-2 {
		t.Errorf("%d labels differ; inertia %g, want %g; centre %v, want %v", differ, gotInertia, inertia, gotMoved[0], moved[0])
	}
}

func TestKMeansIsLloyd(t *testing.T) {
	each(t, func(t *testing.T, run kmeans) {
		for _, c := range []struct{ n, d, k, iterations int }{
			{30, 2, 3, 0}, {30, 2, 3, 1}, {200, 5, 7, 4}, {200, 5, 7, 100}, {chunk + 5, 3, 4, 2}, {6, 1, 1, 3}, {5, 2, 5, 2},
		} {
			x := normals(uint64(c.n), c.n, c.d)
			centers := slices.Clone(x[:c.k])
			before := fmt.Sprint(centers)
			assign, moved, inertia := run(x, centers, c.iterations)
			wantAssign, wantMoved, wantInertia := naive(x, x[:c.k], c.iterations)
			if fmt.Sprint(centers) != before {
				t.Errorf("%v: the centres that were given have changed", c)
			}
			// Draws from a continuum have no ties; float32 distances of about 1 could confuse rows that are equally near
			// to 1e-6, and none here is.
			if !slices.Equal(assign, wantAssign) {
				t.Fatalf("%v: labels %v, want %v", c, assign, wantAssign)
			}
			for k := range moved {
				for j, v := range moved[k] {
					if math.Abs(float64(v)-wantMoved[k][j]) > 1e-6 { // rounded to float32, of values up to 4
						t.Errorf("%v: centre %d is %v, want %v", c, k, moved[k], wantMoved[k])
					}
				}
			}
			if math.Abs(inertia-wantInertia) > 1e-6*wantInertia {
				t.Errorf("%v: inertia %v, want %v", c, inertia, wantInertia)
			}
		}
	})
}

// "When a cluster becomes empty, we randomly select a non-empty cluster and use its centroid with a small random
// perturbation as the new centroid for the empty cluster. We then reassign the points belonging to the non-empty cluster to
// the two resulting clusters." Reference: Caron et al. 2018, Sec. 3.3.
func TestKMeansSplitsForEmptyCentres(t *testing.T) {
	each(t, func(t *testing.T, run kmeans) {
		// Two clumps far apart, the second one scattered more; three centres beside the first, one of them out of reach.
		x := normals(1, 40, 3)
		for i := range x[20:] {
			for j := range x[20+i] {
				x[20+i][j] = 100 + 5*x[20+i][j]
			}
		}
		centers := [][]float32{{0, 0, 0}, {90, 90, 90}, {-1e4, 0, 0}}
		assign, moved, _ := run(x, centers, 1)
		count := counts(assign, 3)
		if count[0] != 20 || count[1] == 0 || count[2] == 0 {
			t.Fatalf("clusters of %v after one iteration, want the second clump shared", count)
		}
		for j := range 3 {
			a, b := float64(moved[1][j]), float64(moved[2][j])
			if mean := (a + b) / 2; math.Abs(a-b) < mean/1000 || math.Abs(a-b) > mean/400 {
				t.Errorf("the halves are %v and %v, want them a 512th apart", moved[1], moved[2])
			}
		}
		again, _, _ := run(x, centers, 1)
		if !slices.Equal(assign, again) {
			t.Error("the second run differs")
		}
		// Two centres without rows, two clumps scattered almost alike: each gets one.
		for i := range x[:20] {
			for j := range x[i] {
				x[i][j] *= 4.8
			}
		}
		assign, _, _ = run(x, [][]float32{{0, 0, 0}, {90, 90, 90}, {-1e4, 0, 0}, {-1e4, 0, 0}}, 1)
		if a, b := slices.Sorted(slices.Values(assign[:20])), slices.Sorted(slices.Values(assign[20:])); a[0] == a[19] || b[0] == b[19] {
			t.Errorf("labels %v, want both clumps shared", assign)
		}
		// From a centre at 0, where a thousandth is nothing.
		x = [][]float32{{-1, 0}, {1, 0}, {0, -1}, {0, 1}}
		if assign, _, _ = run(x, [][]float32{{0, 0}, {9, 9}}, 5); slices.Contains(counts(assign, 2), 0) {
			t.Errorf("labels %v: the centre at 0 was not split", assign)
		}
		// Fewer different rows than centres: nothing to split.
		x = [][]float32{{3, 1}, {3, 1}, {2, 2}, {2, 2}}
		assign, moved, inertia := run(x, [][]float32{{3, 0}, {2, 3}, {50, 50}}, 5)
		if want := []int32{0, 0, 1, 1}; !slices.Equal(assign, want) || inertia != 0 {
			t.Errorf("labels %v, inertia %g, centres %v, want %v and 0", assign, inertia, moved, want)
		}
	})
}

func counts(assign []int32, k int) []int {
	n := make([]int, k)
	for _, a := range assign {
		n[a]++
	}
	return n
}

func TestKMeansInertiaFalls(t *testing.T) {
	x := normals(3, 500, 4)
	last := math.Inf(1)
	for iterations := range 12 {
		assign, moved, inertia := KMeans(x, Choose(x, 20, 5), iterations)
		sum := 0.0
		for i, row := range x {
			for j, v := range row {
				d := float64(v) - float64(moved[assign[i]][j])
				sum += d * d
			}
		}
		if math.Abs(sum-inertia) > 1e-9*sum || inertia > last {
			t.Errorf("%d iterations: inertia %v, was %v, and the sum over the labels is %v", iterations, inertia, last, sum)
		}
		last = inertia
	}
}

func TestKMeansTies(t *testing.T) {
	each(t, func(t *testing.T, run kmeans) {
		assign, _, _ := run([][]float32{{1}, {0}}, [][]float32{{0}, {2}, {0}}, 0)
		if want := []int32{0, 0}; !slices.Equal(assign, want) {
			t.Errorf("labels %v, want the lower one of equals: %v", assign, want)
		}
	})
}

func TestKMeansRejects(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		x, centers [][]float32
		iterations int
		want       string
	}{
		{nil, [][]float32{{1}}, 1, "0 examples from 1 centres"},
		{[][]float32{{1}}, nil, 1, "1 examples from 0 centres"},
		{[][]float32{{}}, [][]float32{{}}, 1, "at least 1 dimension"},
		{[][]float32{{1}, {1, 2}}, [][]float32{{1}}, 1, "example 1 has 2 dimensions"},
		{[][]float32{{1}}, [][]float32{{1, 2}}, 1, "centre 0 has 2 dimensions"},
		{[][]float32{{1}, {nan}}, [][]float32{{1}}, 1, "example 1 is not finite"},
		{[][]float32{{1}}, [][]float32{{nan}}, 1, "centre 0 is not finite"},
		{[][]float32{{1}}, [][]float32{{1}}, -1, "-1 iterations"},
	} {
		rejects(t, c.want, func() { KMeans(c.x, c.centers, c.iterations) })
		if _, _, _, err := KMeansOn(pureGo(), c.x, c.centers, c.iterations); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	x := normals(1, 10, 2)
	seen := make(map[string]bool)
	for _, c := range Choose(x, 10, 3) {
		seen[fmt.Sprint(c)] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different rows of 10", len(seen))
	}
	if a, b := fmt.Sprint(Choose(x, 4, 3)), fmt.Sprint(Choose(x, 4, 3)); a != b {
		t.Errorf("one seed gave %s and %s", a, b)
	}
	if a, b := fmt.Sprint(Choose(x, 4, 3)), fmt.Sprint(Choose(x, 4, 4)); a == b {
		t.Error("two seeds gave the same rows")
	}
	rejects(t, "11 centres among 10", func() { Choose(x, 11, 1) })
	rejects(t, "0 centres", func() { Choose(x, 0, 1) })
}

func TestBalance(t *testing.T) {
	assign := []int32{0, 0, 0, 3, 3, 0, 1, 0}
	weights, used := Balance(assign, 5)
	total := make([]float64, 5)
	for i, c := range assign {
		total[c] += float64(weights[i])
	}
	for c, want := range []float64{8. / 3, 8. / 3, 0, 8. / 3, 0} {
		if math.Abs(total[c]-want) > 1e-6 { // float32
			t.Errorf("cluster %d weighs %g of 8 examples, want %g", c, total[c], want)
		}
	}
	if used != 3 {
		t.Errorf("%d clusters used, want 3", used)
	}
}

func ExampleKMeans() {
	x := [][]float32{{0, 0}, {0, 1}, {5, 5}, {5, 6}}
	assign, centers, inertia := KMeans(x, [][]float32{{0, 0}, {1, 1}}, 10)
	fmt.Println(assign, centers, inertia)
	// Output: [0 0 1 1] [[0 0.5] [5 5.5]] 1
}

// One iteration is two assignments and one move.
func BenchmarkKMeans(b *testing.B) {
	x := normals(1, 60000, 256)
	b.Run("slices", func(b *testing.B) {
		for b.Loop() {
			KMeans(x, x[:1000], 1)
		}
	})
	backend := best(b)
	b.Run(backend.Name(), func(b *testing.B) {
		for b.Loop() {
			if _, _, _, err := KMeansOn(backend, x, x[:1000], 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
