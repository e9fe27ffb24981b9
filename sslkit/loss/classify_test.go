package loss

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/sslkit/lab/sslkit/pjrt"
)

func open(t *testing.T) compute.Backend {
	t.Helper()
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// naive is the mean of log(sum(exp)) - logit[label], in float64, shifted by the largest logit.
func naive(logits [][]float64, label []int32) float64 {
	var total float64
	for i, row := range logits {
		largest, sum := math.Inf(-1), 0.0
		for _, x := range row {
			largest = max(largest, x)
		}
		for _, x := range row {
			sum += math.Exp(x - largest)
		}
		total += largest + math.Log(sum) - row[label[i]]
	}
	return total / float64(len(logits))
}

func float32s(x [][]float64) [][]float32 {
	y := make([][]float32, len(x))
	for i := range x {
		for _, v := range x[i] {
			y[i] = append(y[i], float32(v))
		}
	}
	return y
}

func call(t *testing.T, fn func(a, b *Node) *Node, a, b any) any {
	t.Helper()
	out, err := CallOnce(open(t), fn, a, b)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value()
}

func call3(t *testing.T, fn func(a, b, c *Node) *Node, a, b, c any) any {
	t.Helper()
	out, err := CallOnce(open(t), fn, a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value()
}

var cases = map[string]struct {
	logits [][]float64
	label  []int32
}{
	"four":       {[][]float64{{1, 2, -1}, {0, 0, 0}, {-3, 0.5, 2}, {4, 4, 1}}, []int32{1, 2, 0, 0}},
	"one":        {[][]float64{{0.25, -0.5}}, []int32{1}},
	"one class":  {[][]float64{{3}, {4}}, []int32{0, 0}},
	"large":      {[][]float64{{1e4, -1e4, 0}, {1e4, 9999, 0}, {-1e4, -1e4, -1e4}}, []int32{1, 1, 2}},
	"ruled out":  {[][]float64{{1, math.Inf(-1), 2}}, []int32{0}},
	"long batch": {[][]float64{{1, 0}, {0, 1}, {1, 0}, {0, 1}, {2, 0}, {0, 2}, {3, 0}}, []int32{0, 0, 1, 1, 0, 1, 1}},
}

func TestCrossEntropy(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			want := naive(c.logits, c.label)
			if got := call(t, CrossEntropy, c.logits, c.label).(float64); !(math.Abs(got-want) <= 1e-12*max(1, want)) {
				t.Errorf("float64: got %v, want %v", got, want)
			}
			// float32 rounds at 6e-8 of the largest term.
			if got := call(t, CrossEntropy, float32s(c.logits), c.label).(float32); !(math.Abs(float64(got)-want) <= 1e-6*max(1, want)) {
				t.Errorf("float32: got %v, want %v", got, want)
			}
		})
	}
}

func TestCrossEntropyGradient(t *testing.T) {
	gradient := func(logits, label *Node) *Node { return Gradient(CrossEntropy(logits, label), logits)[0] }
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := call(t, gradient, c.logits, c.label).([][]float64)
			const h = 1e-5 // central differences in float64: error about h^2, rounding about 1e-16*|loss|/h
			for i, row := range c.logits {
				for j, x := range row {
					row[j] = x + h
					up := naive(c.logits, c.label)
					row[j] = x - h
					down := naive(c.logits, c.label)
					row[j] = x
					if want := (up - down) / (2 * h); !(math.Abs(got[i][j]-want) <= 1e-6) {
						t.Errorf("d/d logits[%d][%d] = %v, want %v", i, j, got[i][j], want)
					}
				}
			}
			for _, row := range call(t, gradient, float32s(c.logits), c.label).([][]float32) {
				for _, x := range row {
					if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
						t.Errorf("float32 gradient has %v", x)
					}
				}
			}
		})
	}
}

// A label that is no class must stop a run, not count as a perfect answer.
func TestCrossEntropyUnknownLabel(t *testing.T) {
	for _, label := range []int32{-1, 2} {
		if got := call(t, CrossEntropy, [][]float32{{0, 1}, {1, 0}}, []int32{0, label}).(float32); !math.IsNaN(float64(got)) {
			t.Errorf("label %d of 2 classes: loss %v, want NaN", label, got)
		}
	}
}

func TestAccuracy(t *testing.T) {
	for _, c := range []struct {
		logits [][]float32
		label  []int32
		want   float32
	}{
		{[][]float32{{1, 2}, {2, 1}, {0, 1}, {3, 1}}, []int32{1, 0, 0, 1}, 0.5},
		{[][]float32{{0, 0, 1}}, []int32{2}, 1},
		{[][]float32{{0, 0}}, []int32{0}, 1}, // among equals the first
		{[][]float32{{0, 0}}, []int32{1}, 0},
		{[][]float32{{1, 0}}, []int32{-1}, 0},
	} {
		if got := call(t, Accuracy, c.logits, c.label).(float32); got != c.want {
			t.Errorf("Accuracy(%v, %v) = %v, want %v", c.logits, c.label, got, c.want)
		}
	}
	if got := call(t, Accuracy, [][]float64{{1, 2}}, []int32{1}); got != 1.0 {
		t.Errorf("float64: got %v (%T), want 1", got, got)
	}
}

func TestClassifyRejects(t *testing.T) {
	for name, fn := range map[string]func(a, b *Node) *Node{"CrossEntropy": CrossEntropy, "Accuracy": Accuracy} {
		for _, c := range []struct {
			logits, label any
			want          string
		}{
			{[]float32{1, 2}, []int32{0, 1}, "logits must be [N, K]"},
			{[][]int32{{1, 2}}, []int32{0}, "logits must be [N, K]"},
			{[][]float32{{1, 2}}, []int32{0, 1}, "label must be [1] int32"},
			{[][]float32{{1, 2}}, [][]int32{{0}}, "label must be [1] int32"},
			{[][]float32{{1, 2}}, []int64{0}, "label must be [1] int32"},
			{[][]float32{{1, 2}}, []float32{0}, "label must be [1] int32"},
		} {
			// CallOnce hangs on a panic that is not an error.
			_, err := CallOnce(open(t), fn, c.logits, c.label)
			if err == nil || !strings.Contains(err.Error(), "loss."+name) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s(%v, %v): got error %v, want one with %q", name, c.logits, c.label, err, c.want)
			}
		}
	}
}

func pureGo() compute.Backend {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	return backend
}

func ExampleCrossEntropy() {
	logits := [][]float32{{2, 0}, {0, 0}} // sure and right; undecided
	label := []int32{0, 1}
	fmt.Printf("%.4f\n", MustExecOnce(pureGo(), CrossEntropy, logits, label).Value())
	// Output: 0.4100
}

func ExampleMaskedCrossEntropy() {
	logits := [][]float32{{2, 0, 0}, {0, 0, 5}} // the second has nothing to say
	out := MustExecOnceN(pureGo(), func(logits, label, mask *Node) []*Node {
		loss, accuracy := MaskedCrossEntropy(logits, label, mask)
		return []*Node{loss, accuracy}
	}, logits, []int32{0, 1}, []float32{1, 0})
	fmt.Printf("%.4f, %v right\n", out[0].Value(), out[1].Value())
	// Output:
	// 0.2395, 1 right
}

func ExampleAccuracy() {
	logits := [][]float32{{2, 0}, {0, 1}, {3, 1}, {0, 5}}
	label := []int32{0, 1, 1, 1}
	fmt.Println(MustExecOnce(pureGo(), Accuracy, logits, label).Value())
	// Output: 0.75
}

// Examples that are masked count for nothing, whatever they are: the rest has the loss that it has alone, and their gradient is 0.
func TestMaskedCrossEntropy(t *testing.T) {
	masked := func(logits, label, mask *Node) *Node {
		l, _ := MaskedCrossEntropy(logits, label, mask)
		return l
	}
	for name, c := range cases {
		mask, nothing := make([]float64, len(c.label)), make([]float64, len(c.label))
		var logits [][]float64
		var label []int32
		right := 0.
		for i := range mask {
			if i%2 == 0 {
				mask[i] = 1
				logits, label = append(logits, c.logits[i]), append(label, c.label[i])
			}
		}
		for i, row := range logits {
			if slices.Index(row, slices.Max(row)) == int(label[i]) {
				right++
			}
		}
		want := naive(logits, label)
		if got := call3(t, masked, c.logits, c.label, mask).(float64); !(math.Abs(got-want) <= 1e-12*max(1, want)) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		accuracy := func(logits, label, mask *Node) *Node {
			_, a := MaskedCrossEntropy(logits, label, mask)
			return a
		}
		if got := call3(t, accuracy, c.logits, c.label, mask).(float64); math.Abs(got-right/float64(len(label))) > 1e-12 {
			t.Errorf("%s: accuracy %v of %v right", name, got, right)
		}
		if got := call3(t, masked, c.logits, c.label, nothing).(float64); got != 0 {
			t.Errorf("%s: of nothing %v", name, got)
		}
		gradient := func(logits, label, mask *Node) *Node { return Gradient(masked(logits, label, mask), logits)[0] }
		alone := func(logits, label *Node) *Node { return Gradient(CrossEntropy(logits, label), logits)[0] }
		got, each := call3(t, gradient, c.logits, c.label, mask).([][]float64), call(t, alone, logits, label).([][]float64)
		for i, row := range got {
			for j, v := range row {
				want := 0.
				if i%2 == 0 {
					want = each[i/2][j]
				}
				if !(math.Abs(v-want) <= 1e-12) {
					t.Errorf("%s: d/d logits[%d][%d] = %v, want %v", name, i, j, v, want)
				}
			}
		}
	}
	// A label that is none makes it NaN, unless it is masked.
	two := [][]float64{{1, 2}, {3, 4}}
	for _, c := range []struct {
		mask []float64
		nan  bool
	}{{[]float64{1, 0}, false}, {[]float64{0, 1}, true}} {
		if got := call3(t, masked, two, []int32{0, 7}, c.mask).(float64); math.IsNaN(got) != c.nan {
			t.Errorf("mask %v: %v", c.mask, got)
		}
	}
	_, err := CallOnce(open(t), masked, two, []int32{0, 1}, []float32{1, 1})
	if err == nil || !strings.Contains(err.Error(), "mask must be [2]") {
		t.Errorf("a mask of another dtype: %v", err)
	}
}
