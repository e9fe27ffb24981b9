package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveSkipGram is Eq. 4 by pairs. As a mistake, what is not kept is a context all the same.
func naiveSkipGram(center, context, noise [][]float64, keep []float64, l, window, negatives int, mistake bool) float64 {
	log := func(x float64) float64 { return -math.Log1p(math.Exp(-x)) }
	var total, count float64
	for i := range center {
		for j := range center {
			apart := max(i-j, j-i)
			if i/l != j/l || apart == 0 || apart > window || keep[i] == 0 || keep[j] == 0 && !mistake {
				continue
			}
			weight := float64(window+1-apart) / float64(window)
			term := log(dot(center[i], context[j]))
			for _, n := range noise {
				term += float64(negatives) / float64(len(noise)) * log(-dot(center[i], n))
			}
			total, count = total-weight*term, count+weight
		}
	}
	if count == 0 {
		return 0
	}
	return total / count
}

func TestSkipGram(t *testing.T) {
	const n, l, d = 3, 5, 4
	keep := []float64{1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0}
	for name, c := range map[string]struct {
		scale             float64
		keep              []float64
		window, negatives int
	}{
		"random": {1, keep, 2, 3}, "wide": {1, keep, 9, 5}, "near": {1, keep, 1, 1}, "none": {1, make([]float64, n*l), 2, 3}, "large": {5, keep, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, name, func(x []*Node) *Node {
				l, _ := SkipGram(Reshape(x[0], n, l, d), Reshape(x[1], n, l, d), ConvertDType(Reshape(Const(x[0].Graph(), c.keep), n, l), x[0].DType()), x[2], c.window, c.negatives)
				return l
			}, func(x [][][]float64) float64 {
				return naiveSkipGram(x[0], x[1], x[2], c.keep, l, c.window, c.negatives, false)
			}, 1e-5, scaled(normal(n*l, d, 1), c.scale), normal(n*l, d, 2), normal(6, d, 3)) // float32, of sums of some tens
		})
	}
	if a, b := naiveSkipGram(normal(n*l, d, 1), normal(n*l, d, 2), normal(6, d, 3), keep, l, 2, 3, false),
		naiveSkipGram(normal(n*l, d, 1), normal(n*l, d, 2), normal(6, d, 3), keep, l, 2, 3, true); math.Abs(a-b) < 0.01 {
		t.Errorf("with padding for a context it is %v, without %v", b, a)
	}
}

// Where v' is 0, as in the beginning, nothing is told apart: (1+k) log 2 for each pair, and half of it is right.
func TestSkipGramBegins(t *testing.T) {
	out, err := CallOnceN(pureGo(), func(v *Node) []*Node {
		l, a := SkipGram(InsertAxes(v, 0), ZerosLike(InsertAxes(v, 0)), OnesLike(ReduceSum(InsertAxes(v, 0), -1)), ZerosLike(v), 2, 5)
		return []*Node{l, a}
	}, normal(6, 3, 1))
	if err != nil {
		t.Fatal(err)
	}
	if l, a := out[0].Value().(float64), out[1].Value().(float64); math.Abs(l-6*math.Ln2) > 1e-12 || a != 0.5 {
		t.Errorf("loss %v, want %v, accuracy %v", l, 6*math.Ln2, a)
	}
}

func TestSkipGramRejects(t *testing.T) {
	good := [][][]float32{{{1, 2}, {3, 4}}}
	for _, c := range []struct {
		center, keep, noise any
		window, negatives   int
		want                string
	}{
		{good, [][]float32{{1, 1}}, [][]float32{{1}}, 1, 1, "[S, D]"},
		{good, [][]float32{{1}}, [][]float32{{1, 2}}, 1, 1, "[N, L]"},
		{[][]float32{{1, 2}}, [][]float32{{1, 1}}, [][]float32{{1, 2}}, 1, 1, "[N, L, D]"},
		{good, [][]float32{{1, 1}}, [][]float32{{1, 2}}, 0, 1, "window of 0"},
		{good, [][]float32{{1, 1}}, [][]float32{{1, 2}}, 1, 0, "0 negatives"},
	} {
		_, err := CallOnce(pureGo(), func(v, keep, noise *Node) *Node {
			l, _ := SkipGram(v, v, keep, noise, c.window, c.negatives)
			return l
		}, c.center, c.keep, c.noise)
		if err == nil || !strings.Contains(err.Error(), "loss.SkipGram") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleSkipGram() {
	v := [][][]float32{{{2, 0}, {2, 0}}} // two words that score 4 with each other
	out := MustExecOnceN(pureGo(), func(v *Node) []*Node {
		l, a := SkipGram(v, v, OnesLike(ReduceSum(v, -1)), Neg(Reshape(v, 2, 2)), 1, 1)
		return []*Node{l, a}
	}, v)
	fmt.Printf("%.4f %.1f\n", out[0].Value(), out[1].Value())
	// Output:
	// 0.0363 1.0
}
