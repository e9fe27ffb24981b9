package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveSoft is Eq. 2 of Zhang et al. 2016 with the mean in place of the sum, in float64.
func naiveSoft(logits, target [][]float64, weight []float64) float64 {
	var total float64
	for i, row := range logits {
		var sum float64
		for _, l := range row {
			sum += math.Exp(l)
		}
		for q, l := range row {
			total -= weight[i] * target[i][q] * math.Log(math.Exp(l)/sum)
		}
	}
	return total / float64(len(logits))
}

func softCase() (logits, target [][]float64, weight []float64) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		l, z, sum := make([]float64, 7), make([]float64, 7), 0.0
		for q := range l {
			l[q] = 2 * rnd.NormFloat64()
			if q%3 > 0 { // else the target leaves the bin out
				z[q] = rnd.Float64()
				sum += z[q]
			}
		}
		for q := range z {
			z[q] /= sum
		}
		logits, target, weight = append(logits, l), append(target, z), append(weight, 3*rnd.Float64())
	}
	return logits, target, weight
}

func TestSoftCrossEntropy(t *testing.T) {
	logits, target, weight := softCase()
	out, err := CallOnceN(open(t), func(in []*Node) []*Node {
		l := SoftCrossEntropy(in[0], in[1], in[2])
		return append([]*Node{l}, Gradient(l, in[0], in[2])...)
	}, logits, target, weight)
	if err != nil {
		t.Fatal(err)
	}
	want := naiveSoft(logits, target, weight)
	if got := out[0].Value().(float64); !(math.Abs(got-want) <= 1e-12) {
		t.Errorf("got %v, want %v", got, want)
	}
	const h = 1e-5 // central differences in float64: error about h^2
	check := func(what string, got float64, at *float64) {
		v := *at
		*at = v + h
		up := naiveSoft(logits, target, weight)
		*at = v - h
		down := naiveSoft(logits, target, weight)
		*at = v
		if want := (up - down) / (2 * h); !(math.Abs(got-want) <= 1e-8) {
			t.Errorf("d/d %s = %v, want %v", what, got, want)
		}
	}
	for i, row := range out[1].Value().([][]float64) {
		for q, got := range row {
			check(fmt.Sprintf("logits[%d][%d]", i, q), got, &logits[i][q])
		}
	}
	for i, got := range out[2].Value().([]float64) {
		check(fmt.Sprintf("weight[%d]", i), got, &weight[i])
	}
	// float32 rounds at 6e-8 of terms of about 3.
	w := float32s([][]float64{weight})[0]
	single, err := CallOnce(open(t), func(a, b, c *Node) *Node { return SoftCrossEntropy(a, b, c) }, float32s(logits), float32s(target), w)
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(single.Value().(float32)); !(math.Abs(got-want) <= 2e-6) {
		t.Errorf("float32: got %v, want %v", got, want)
	}
}

func TestRebalance(t *testing.T) {
	prior := []float64{0.9, 0.06, 0.04, 0}
	for _, lambda := range []float64{0.01, 0.5, 1} {
		out, err := CallOnce(open(t), func(p *Node) *Node { return Rebalance(p, lambda) }, prior)
		if err != nil {
			t.Fatal(err)
		}
		got := out.Value().([]float64)
		var scale, expected float64
		for _, p := range prior {
			scale += p / ((1-lambda)*p + lambda/4)
		}
		for i, p := range prior {
			if want := 1 / ((1-lambda)*p + lambda/4) / scale; !(math.Abs(got[i]-want) <= 1e-12*want) {
				t.Errorf("lambda %g: weight %d is %v, want %v", lambda, i, got[i], want)
			}
			expected += p * got[i]
		}
		if !(math.Abs(expected-1) <= 1e-12) {
			t.Errorf("lambda %g: the mean weight is %v, want 1", lambda, expected)
		}
	}
}

func TestSoftRejects(t *testing.T) {
	two, weight := [][]float32{{1, 2}}, []float32{1}
	for _, c := range []struct {
		logits, target, weight any
		want                   string
	}{
		{[]float32{1}, two, weight, "logits must be floats of rank 2"},
		{[][]int32{{1}}, two, weight, "logits must be floats"},
		{two, [][]float32{{1}}, weight, "target must be as logits"},
		{two, two, two, "weight must be floats of rank 1"},
		{two, two, []float32{1, 2}, "one number for each row"},
		{two, two, []float64{1}, "of its dtype"},
	} {
		_, err := CallOnce(open(t), func(a, b, c *Node) *Node { return SoftCrossEntropy(a, b, c) }, c.logits, c.target, c.weight)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
	for _, lambda := range []float64{0, 1.1, math.NaN()} {
		if _, err := CallOnce(open(t), func(p *Node) *Node { return Rebalance(p, lambda) }, weight); err == nil || !strings.Contains(err.Error(), "(0, 1]") {
			t.Errorf("lambda %g: error %v", lambda, err)
		}
	}
}

func ExampleSoftCrossEntropy() {
	logits := [][]float32{{2, 0, 0}, {0, 0, 0}}
	target := [][]float32{{0.8, 0.2, 0}, {0, 0, 1}}
	weight := []float32{0.5, 1.5} // the second colour is rarer
	fmt.Printf("%.4f\n", MustExecOnce(pureGo(), func(a, b, c *Node) *Node { return SoftCrossEntropy(a, b, c) }, logits, target, weight).Value())
	// Output:
	// 0.9838
}

func ExampleRebalance() {
	prior := []float32{0.9, 0.06, 0.04, 0}
	fmt.Printf("%.2f\n", MustExecOnce(pureGo(), func(p *Node) *Node { return Rebalance(p, 0.5) }, prior).Value())
	// Output:
	// [0.78 2.90 3.10 3.59]
}
