package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naivePredictive is Eq. 4 of CPC over what is valid; as a mistake, what is not can be found, too.
func naivePredictive(p, z [][]float64, valid []float64, among [][]bool, mistake bool) float64 {
	var total, count float64
	for i := range p {
		if valid[i] == 0 {
			continue
		}
		var others []float64
		for j := range z {
			if j != i && (valid[j] != 0 || mistake) && (among == nil || among[i][j]) {
				others = append(others, dot(p[i], z[j]))
			}
		}
		total += find(dot(p[i], z[i]), others)
		count++
	}
	if count == 0 {
		return 0
	}
	return total / count
}

func TestPredictive(t *testing.T) {
	all, some := []float64{1, 1, 1, 1, 1, 1}, []float64{1, 0, 1, 1, 0, 1}
	pairs := make([][]bool, 6)
	for i := range pairs {
		for j := range pairs {
			pairs[i] = append(pairs[i], i/2 == j/2)
		}
	}
	for name, c := range map[string]struct {
		p, z  [][]float64
		valid []float64
		among [][]bool
	}{
		"random":        {normal(6, 4, 1), normal(6, 4, 2), some, nil},
		"all":           {normal(6, 4, 1), normal(6, 4, 2), all, nil},
		"none":          {normal(6, 4, 1), normal(6, 4, 2), make([]float64, 6), nil},
		"of its pair":   {normal(6, 4, 1), normal(6, 4, 2), some, pairs},
		"long":          {scaled(normal(6, 4, 3), 8), normal(6, 4, 4), all, nil}, // scores of some tens
		"one dimension": {normal(6, 1, 5), normal(6, 1, 6), some, nil},
	} {
		t.Run(name, func(t *testing.T) {
			// float32 rounds scores at 1e-7 of some tens.
			check(t, name, func(x []*Node) *Node {
				g := x[0].Graph()
				var among *Node
				if c.among != nil {
					among = Const(g, c.among)
				}
				l, _ := PredictiveWithAccuracy(x[0], x[1], ConvertDType(Const(g, c.valid), x[0].DType()), among)
				return l
			}, func(x [][][]float64) float64 { return naivePredictive(x[0], x[1], c.valid, c.among, false) }, 1e-5, c.p, c.z)
		})
	}
	// What is not there must not be told apart: as a mistake it is, and the loss another.
	p, z := normal(6, 4, 1), normal(6, 4, 2)
	if right, wrong := naivePredictive(p, z, some, nil, false), naivePredictive(p, z, some, nil, true); math.Abs(right-wrong) < 0.05 {
		t.Errorf("with what is not valid among the others it is %v, without %v", wrong, right)
	}
}

// With W = 0 all are alike: the loss is the logarithm of their number, whatever z.
func TestPredictiveOfNothing(t *testing.T) {
	z := normal(6, 4, 2)
	for _, c := range []struct {
		valid []float64
		want  float64
	}{{[]float64{1, 1, 1, 1, 1, 1}, math.Log(6)}, {[]float64{1, 0, 1, 1, 0, 1}, math.Log(4)}} {
		got, err := CallOnce(pureGo(), func(z, valid *Node) *Node { return Predictive(ZerosLike(z), z, valid) }, z, c.valid)
		if err != nil || math.Abs(got.Value().(float64)-c.want) > 1e-12 {
			t.Errorf("loss %v, %v, want %v", got, err, c.want)
		}
	}
}

func TestPredictiveAccuracy(t *testing.T) {
	p := [][]float64{{1, 0}, {0, 1}, {1, 0}, {0, 5}}
	z := [][]float64{{1, 0}, {0, 1}, {0, 1}, {0, 3}} // of the second the last scores more; the third finds another
	for _, c := range []struct {
		valid []float64
		want  float64
	}{{[]float64{1, 1, 1, 1}, 0.5}, {[]float64{1, 1, 1, 0}, 2. / 3}, {[]float64{0, 0, 0, 0}, 0}} {
		out, err := CallOnceN(pureGo(), func(p, z, valid *Node) []*Node {
			_, accuracy := PredictiveWithAccuracy(p, z, valid, nil)
			return []*Node{accuracy}
		}, p, z, c.valid)
		if err != nil || math.Abs(out[0].Value().(float64)-c.want) > 1e-12 {
			t.Errorf("accuracy %v, %v, want %v", out, err, c.want)
		}
	}
}

func TestPredictiveRejects(t *testing.T) {
	rows := [][]float32{{1, 0}, {0, 1}}
	for _, c := range []struct {
		p, z, valid any
		want        string
	}{
		{rows, [][]float32{{1, 0}}, []float32{1, 1}, "of one dtype"},
		{rows, rows, []float32{1}, "[M]"},
		{rows, rows, []float64{1, 1}, "of one dtype"},
		{[]float32{1}, []float32{1}, []float32{1}, "rows [N, D]"},
	} {
		_, err := CallOnce(pureGo(), Predictive, c.p, c.z, c.valid)
		if err == nil || !strings.Contains(err.Error(), "loss.Predictive") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExamplePredictive() {
	z := [][]float32{{2, 0}, {0, 2}, {9, 9}} // the last is padding
	fmt.Printf("%.4f\n", MustExecOnce(pureGo(), func(z, valid *Node) *Node { return Predictive(z, z, valid) }, z, []float32{1, 1, 0}).Value())
	// Output:
	// 0.0181
}
