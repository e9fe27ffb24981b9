package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// naiveSwAV is the loop of main_swav.py: for each crop that has a code the mean over the other crops, then the mean of these.
// scores are [views][N][K], codes [assigned][N][K].
func naiveSwAV(scores, codes [][][]float64, temperature float64) float64 {
	total := 0.0
	for i, code := range codes {
		sub := 0.0
		for v, score := range scores {
			if v == i {
				continue
			}
			for n, row := range score {
				sum := 0.0
				for _, s := range row {
					sum += math.Exp(s / temperature)
				}
				for k, s := range row {
					sub -= code[n][k] * (s/temperature - math.Log(sum)) / float64(len(score))
				}
			}
		}
		total += sub / float64(len(scores)-1)
	}
	return total / float64(len(codes))
}

// swapCase draws scores and codes whose rows sum to 1.
func swapCase(views, assigned, n, k int) (scores, codes [][][]float64) {
	rnd := rand.New(rand.NewPCG(uint64(views), uint64(n)))
	draw := func(count int) [][][]float64 {
		out := make([][][]float64, count)
		for v := range out {
			out[v] = make([][]float64, n)
			for i := range out[v] {
				for range k {
					out[v][i] = append(out[v][i], 2*rnd.Float64()-1)
				}
			}
		}
		return out
	}
	scores, codes = draw(views), draw(assigned)
	for _, view := range codes {
		for _, row := range view {
			sum := 0.0
			for k := range row {
				row[k] = math.Abs(row[k])
				sum += row[k]
			}
			for k := range row {
				row[k] /= sum
			}
		}
	}
	return scores, codes
}

// stacked takes scores [views, N, K] and codes [assigned, N, K] apart.
func stacked(temperature float64) func(scores, codes *Node) *Node {
	return func(scores, codes *Node) *Node { return SwAV(apart(scores), apart(codes), temperature) }
}

func apart(x *Node) []*Node {
	out := make([]*Node, x.Shape().Dim(0))
	for i := range out {
		out[i] = Squeeze(SliceAxis(x, 0, AxisElem(i)), 0)
	}
	return out
}

func TestSwAV(t *testing.T) {
	for _, c := range [][4]int{{2, 2, 3, 4}, {5, 2, 4, 3}, {3, 1, 2, 5}, {2, 2, 1, 1}} {
		for _, temperature := range []float64{0.1, 1} {
			scores, codes := swapCase(c[0], c[1], c[2], c[3])
			want := naiveSwAV(scores, codes, temperature)
			got, err := CallOnce(pureGo(), stacked(temperature), scores, codes)
			if err != nil {
				t.Fatal(err)
			}
			if v := got.Value().(float64); math.Abs(v-want) > 1e-12*max(1, want) {
				t.Errorf("%v at %g: %v, want %v", c, temperature, v, want)
			}
			narrow := func(s, q *Node) *Node {
				return stacked(temperature)(ConvertDType(s, dtypes.Float32), ConvertDType(q, dtypes.Float32))
			}
			if got, err = CallOnce(pureGo(), narrow, scores, codes); err != nil {
				t.Fatal(err)
			}
			// float32 rounds at 6e-8 of the largest term, about 20.
			if v := float64(got.Value().(float32)); math.Abs(v-want) > 1e-5 {
				t.Errorf("%v at %g, float32: %v, want %v", c, temperature, v, want)
			}
		}
	}
	scores, codes := swapCase(4, 2, 6, 5)
	if got, want := call(t, stacked(0.1), scores, codes).(float64), naiveSwAV(scores, codes, 0.1); math.Abs(got-want) > 1e-12*want {
		t.Errorf("on the best backend: %v, want %v", got, want)
	}
}

// The code of a view is not predicted from the view itself.
func TestSwAVSwaps(t *testing.T) {
	scores, codes := swapCase(2, 1, 3, 4)
	before := call(t, stacked(0.1), scores, codes)
	scores[0][1][2] += 0.5
	if after := call(t, stacked(0.1), scores, codes); after != before {
		t.Errorf("the loss follows the scores of the view whose code is predicted: %v, then %v", before, after)
	}
}

func TestSwAVGradient(t *testing.T) {
	scores, codes := swapCase(4, 2, 2, 3)
	gradient := func(which int) any {
		out, err := CallOnce(pureGo(), func(s, q *Node) *Node {
			return Gradient(stacked(0.5)(s, q), s, q)[which]
		}, scores, codes)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float64](out)
	}
	for which, x := range [][][][]float64{scores, codes} {
		got, at := gradient(which).([]float64), 0
		for v := range x {
			for n := range x[v] {
				for k, old := range x[v][n] {
					const h = 1e-5 // central differences in float64: error about h^2, rounding about 1e-16*|loss|/h
					x[v][n][k] = old + h
					up := naiveSwAV(scores, codes, 0.5)
					x[v][n][k] = old - h
					down := naiveSwAV(scores, codes, 0.5)
					x[v][n][k] = old
					if want := (up - down) / (2 * h); math.Abs(got[at]-want) > 1e-6 {
						t.Errorf("input %d, view %d: gradient %v, want %v", which, v, got[at], want)
					}
					at++
				}
			}
		}
	}
}

// Scores of unit features at the paper's temperature, and beyond.
func TestSwAVIsStable(t *testing.T) {
	scores := [][][]float32{{{1, -1}, {100, -100}}, {{-1, 1}, {-100, 100}}}
	codes := [][][]float32{{{1, 0}, {0, 1}}, {{0.5, 0.5}, {1, 0}}}
	if got := call(t, stacked(0.01), scores, codes).(float32); math.IsNaN(float64(got)) || math.IsInf(float64(got), 0) {
		t.Errorf("loss %v", got)
	}
}

func TestSwAVRejects(t *testing.T) {
	a, b := [][]float32{{1, 2}}, [][]float32{{1, 2, 3}}
	for _, c := range []struct {
		fn   func(a, b *Node) *Node
		a, b any
		want string
	}{
		{func(a, b *Node) *Node { return SwAV([]*Node{a}, []*Node{b}, 0.1) }, a, a, "scores of 1 views"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, b}, nil, 0.1) }, a, a, "codes of 0"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, b}, []*Node{a, b, a}, 0.1) }, a, a, "codes of 3"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, b}, []*Node{a}, 0) }, a, a, "temperature is 0"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, b}, []*Node{a}, math.NaN()) }, a, a, "temperature is NaN"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, b}, []*Node{a}, 0.1) }, a, b, "scores of view 1"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, a}, []*Node{b}, 0.1) }, a, b, "codes of view 0"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, a}, []*Node{b}, 0.1) }, []float32{1}, []float32{1}, "must be [N, K]"},
		{func(a, b *Node) *Node { return SwAV([]*Node{a, a}, []*Node{b}, 0.1) }, [][]int32{{1}}, [][]int32{{1}}, "must be [N, K]"},
	} {
		_, err := CallOnce(pureGo(), c.fn, c.a, c.b)
		if err == nil || !strings.Contains(err.Error(), "loss.SwAV") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleSwAV() {
	first := [][]float32{{.9, .1}, {.2, .8}} // cosines with two prototypes
	second := [][]float32{{.8, .3}, {.1, .7}}
	swap := func(a, b *Node) *Node {
		sure := Const(a.Graph(), [][]float32{{1, 0}, {0, 1}})
		return SwAV([]*Node{a, b}, []*Node{sure, sure}, 0.1)
	}
	fmt.Printf("%.4f\n", MustExecOnce(pureGo(), swap, first, second).Value())
	// Output: 0.0030
}
