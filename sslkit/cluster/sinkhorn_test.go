package cluster

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
)

// authors is distributed_sinkhorn of facebookresearch/swav on one device, in float64; Q is KxB.
func authors(scores [][]float64, epsilon float64, iterations int) [][]float64 {
	b, k := len(scores), len(scores[0])
	q, total := make([][]float64, k), 0.0
	for j := range q {
		q[j] = make([]float64, b)
		for i := range b {
			q[j][i] = math.Exp(scores[i][j] / epsilon)
			total += q[j][i]
		}
	}
	for j := range k {
		for i := range b {
			q[j][i] /= total
		}
	}
	for range iterations {
		for j := range k {
			row := 0.0
			for i := range b {
				row += q[j][i]
			}
			for i := range b {
				q[j][i] /= row * float64(k)
			}
		}
		for i := range b {
			column := 0.0
			for j := range k {
				column += q[j][i]
			}
			for j := range k {
				q[j][i] /= column * float64(b)
			}
		}
	}
	codes := make([][]float64, b)
	for i := range codes {
		codes[i] = make([]float64, k)
		for j := range k {
			codes[i][j] = q[j][i] * float64(b)
		}
	}
	return codes
}

// cosines are scores as those of unit features, in [-1, 1].
func cosines(b, k int) [][]float64 {
	scores := make([][]float64, b)
	for i, row := range normals(7, b, k) {
		scores[i] = float64s(row)
		for j := range row {
			scores[i][j] = math.Tanh(scores[i][j])
		}
	}
	return scores
}

func codes(t *testing.T, backend compute.Backend, scores any, epsilon float64, iterations int) any {
	t.Helper()
	out, err := CallOnce(backend, func(s *Node) *Node { return Sinkhorn(s, epsilon, iterations) }, scores)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value()
}

func TestSinkhornIsTheAuthors(t *testing.T) {
	for i, c := range []struct {
		b, k       int
		epsilon    float64
		iterations int
	}{{8, 5, 0.05, 3}, {5, 8, 0.05, 1}, {16, 3, 0.5, 10}, {1, 4, 0.05, 3}, {4, 1, 0.05, 3}} {
		backend := pureGo()
		if i == 0 {
			backend = best(t)
		}
		scores := cosines(c.b, c.k)
		want := authors(scores, c.epsilon, c.iterations)
		rounded := make([][]float32, c.b)
		for i := range rounded {
			for _, v := range scores[i] {
				rounded[i] = append(rounded[i], float32(v))
			}
		}
		got := codes(t, backend, scores, c.epsilon, c.iterations).([][]float64)
		got32 := codes(t, backend, rounded, c.epsilon, c.iterations).([][]float32)
		for i := range want {
			sum := 0.0
			for j, w := range want[i] {
				if math.Abs(got[i][j]-w) > 1e-9 { // logarithms up to 40, at 1e-16 each
					t.Errorf("%v: code %d, %d is %v, want %v", c, i, j, got[i][j], w)
				}
				if math.Abs(float64(got32[i][j])-w) > 1e-5 { // the same at 6e-8
					t.Errorf("%v, float32: code %d, %d is %v, want %v", c, i, j, got32[i][j], w)
				}
				sum += got[i][j]
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("%v: code %d sums to %v", c, i, sum)
			}
		}
	}
}

// "These constraints enforce that on average each prototype is selected at least B/K times in the batch."
// Reference: Caron et al. 2020, Sec. 3.1, Eq. 4.
func TestSinkhornConvergesToEqualShares(t *testing.T) {
	const b, k = 12, 5
	uneven := func(iterations int) float64 {
		got := codes(t, pureGo(), cosines(b, k), 0.1, iterations).([][]float64)
		worst := 0.0
		for j := range k {
			sum := 0.0
			for i := range b {
				sum += got[i][j]
			}
			worst = max(worst, math.Abs(sum-float64(b)/k))
		}
		return worst
	}
	if got := uneven(1000); got > 1e-9 {
		t.Errorf("a prototype's share is off by %g at convergence", got)
	}
	if got := uneven(1); got < 0.01 {
		t.Errorf("a prototype's share is off by %g after one iteration: these scores test nothing", got)
	}
}

// Examples that are all alike have but one code that spreads them evenly: 1/K each, which is how a collapse shows.
func TestSinkhornOfEqualScores(t *testing.T) {
	for _, row := range codes(t, pureGo(), [][]float32{{.3, -.2, .9, 0}, {.3, -.2, .9, 0}, {.3, -.2, .9, 0}}, 0.05, 3).([][]float32) {
		for _, q := range row {
			if math.Abs(float64(q)-0.25) > 1e-6 {
				t.Errorf("code %v, want 1/4 each", row)
			}
		}
	}
}

func TestSinkhornIsStable(t *testing.T) {
	for _, epsilon := range []float64{1e-6, 1e-3, 1e6} {
		for _, row := range codes(t, pureGo(), [][]float32{{1, -1, 0}, {1, 0.5, -1}, {-1, -1, -1}}, epsilon, 3).([][]float32) {
			sum := float32(0)
			for _, q := range row {
				sum += q
			}
			if !(math.Abs(float64(sum)-1) < 1e-5) {
				t.Errorf("epsilon %g: code %v sums to %g", epsilon, row, sum)
			}
		}
	}
}

func TestSinkhornHasNoGradient(t *testing.T) {
	out, err := CallOnce(pureGo(), func(s *Node) *Node {
		return Gradient(ReduceAllSum(Add(Square(Sinkhorn(s, 0.05, 3)), MulScalar(s, 2))), s)[0]
	}, cosines(3, 2))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range out.Value().([][]float64) {
		if row[0] != 2 || row[1] != 2 {
			t.Errorf("gradient %v, want that of the second term alone: 2", row)
		}
	}
}

func TestSinkhornRejects(t *testing.T) {
	good := [][]float32{{1, 2}}
	for _, c := range []struct {
		scores     any
		epsilon    float64
		iterations int
		want       string
	}{
		{[]float32{1, 2}, 0.05, 3, "scores must be [B, K]"},
		{[][]int32{{1, 2}}, 0.05, 3, "scores must be [B, K]"},
		{good, 0, 3, "epsilon is 0"},
		{good, -0.05, 3, "epsilon is -0.05"},
		{good, math.NaN(), 3, "epsilon is NaN"},
		{good, math.Inf(1), 3, "epsilon is +Inf"},
		{good, 0.05, 0, "0 iterations"},
	} {
		_, err := CallOnce(pureGo(), func(s *Node) *Node { return Sinkhorn(s, c.epsilon, c.iterations) }, c.scores)
		if err == nil || !strings.Contains(err.Error(), "cluster.Sinkhorn") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleSinkhorn() {
	// All four images like the first prototype best, the last two least so: they get the second one.
	scores := [][]float32{{.9, .1}, {.8, .1}, {.5, .4}, {.4, .3}}
	codes := func(s *Node) *Node { return Sinkhorn(s, 0.05, 3) }
	for _, code := range MustExecOnce(pureGo(), codes, scores).Value().([][]float32) {
		fmt.Printf("%.2f\n", code)
	}
	// Output:
	// [1.00 0.00]
	// [0.98 0.02]
	// [0.00 1.00]
	// [0.00 1.00]
}
