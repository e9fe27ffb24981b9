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

const studentT, teacherT = 0.1, 0.04

// naiveDINO is the loop of DINOLoss in main_dino.py, of student [views][N][K] and teacher [views][N][K]. A mistake leaves out
// what its name says.
func naiveDINO(student, teacher [][][]float64, center []float64, studentT, teacherT float64, mistake string) float64 {
	total, terms := 0.0, 0
	for iq, q := range teacher {
		for v, s := range student {
			if v == iq && mistake != "other views only" {
				continue
			}
			for n := range s {
				told, sum, logsum := make([]float64, len(center)), 0.0, 0.0
				for k := range told {
					x := q[n][k]
					if mistake != "centring" {
						x -= center[k]
					}
					if mistake == "sharpening" {
						x *= teacherT / studentT
					}
					told[k] = math.Exp(x / teacherT)
					sum += told[k]
					logsum += math.Exp(s[n][k] / studentT)
				}
				for k := range told {
					total -= told[k] / sum * (s[n][k]/studentT - math.Log(logsum)) / float64(len(s))
				}
			}
			terms++
		}
	}
	return total / float64(terms)
}

// dinoCase draws outputs in [-1, 1], as cosines are.
func dinoCase(views, taught, n, k int) (student, teacher [][][]float64, center []float64) {
	rnd := rand.New(rand.NewPCG(uint64(views), uint64(n)))
	draw := func() float64 { return 2*rnd.Float64() - 1 }
	outputs := func(count int) [][][]float64 {
		out := make([][][]float64, count)
		for v := range out {
			out[v] = make([][]float64, n)
			for i := range out[v] {
				for range k {
					out[v][i] = append(out[v][i], draw())
				}
			}
		}
		return out
	}
	student, teacher = outputs(views), outputs(taught)
	for range k {
		center = append(center, draw()/2)
	}
	return student, teacher, center
}

func dino(student, teacher, center *Node) *Node {
	return DINO(apart(student), apart(teacher), center, studentT, teacherT)
}

// callDINO is the loss, and its gradient in each input.
func callDINO(t *testing.T, student, teacher [][][]float64, center []float64, narrow bool) []*tensors.Tensor {
	t.Helper()
	out, err := CallOnceN(pureGo(), func(in []*Node) []*Node {
		if narrow {
			for i := range in {
				in[i] = ConvertDType(in[i], dtypes.Float32)
			}
		}
		l := dino(in[0], in[1], in[2])
		return append([]*Node{l}, Gradient(l, in...)...)
	}, student, teacher, center)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDINO(t *testing.T) {
	for _, c := range [][4]int{{2, 2, 3, 4}, {6, 2, 4, 3}, {3, 1, 2, 5}, {2, 2, 1, 1}} {
		student, teacher, center := dinoCase(c[0], c[1], c[2], c[3])
		want := naiveDINO(student, teacher, center, studentT, teacherT, "")
		if got := callDINO(t, student, teacher, center, false)[0].Value().(float64); math.Abs(got-want) > 1e-12*max(1, want) {
			t.Errorf("%v: %v, want %v", c, got, want)
		}
		// float32 rounds at 6e-8 of terms of up to 1/0.04, and these go through an exponential.
		if got := float64(callDINO(t, student, teacher, center, true)[0].Value().(float32)); math.Abs(got-want) > 1e-4 {
			t.Errorf("%v, float32: %v, want %v", c, got, want)
		}
		for _, mistake := range []string{"centring", "sharpening", "other views only"} {
			if wrong := naiveDINO(student, teacher, center, studentT, teacherT, mistake); c[3] > 1 && math.Abs(wrong-want) < 1e-3 {
				t.Errorf("%v: without %s it is %v: this test would not tell", c, mistake, wrong)
			}
		}
	}
	student, teacher, center := dinoCase(4, 2, 6, 5)
	got := call(t, func(s, q *Node) *Node { return dino(s, q, Const(s.Graph(), center)) }, student, teacher).(float64)
	if want := naiveDINO(student, teacher, center, studentT, teacherT, ""); math.Abs(got-want) > 1e-12*want {
		t.Errorf("on the best backend: %v, want %v", got, want)
	}
}

// "we apply a stop-gradient (sg) operator on the teacher to propagate gradients only through the student".
// Reference: Caron et al. 2021, Fig. 2.
func TestDINOGradient(t *testing.T) {
	student, teacher, center := dinoCase(3, 2, 2, 3)
	out := callDINO(t, student, teacher, center, false)
	for i, name := range []string{"teacher", "center"} {
		for _, d := range tensors.MustCopyFlatData[float64](out[2+i]) {
			if d != 0 {
				t.Errorf("%s has the gradient %v", name, d)
			}
		}
	}
	got, at := tensors.MustCopyFlatData[float64](out[1]), 0
	for v := range student {
		for n := range student[v] {
			for k, old := range student[v][n] {
				const h = 1e-5 // central differences in float64: error about h^2/T^3, rounding about 1e-16*|loss|/h
				student[v][n][k] = old + h
				up := naiveDINO(student, teacher, center, studentT, teacherT, "")
				student[v][n][k] = old - h
				down := naiveDINO(student, teacher, center, studentT, teacherT, "")
				student[v][n][k] = old
				if want := (up - down) / (2 * h); math.Abs(got[at]-want) > 1e-6 {
					t.Errorf("view %d: gradient %v, want %v", v, got[at], want)
				}
				at++
			}
		}
	}
}

func TestDINORejects(t *testing.T) {
	a, b, c := [][]float32{{1, 2}}, [][]float32{{1, 2, 3}}, []float32{0, 0}
	for _, x := range []struct {
		fn   func(in []*Node) *Node
		in   []any
		want string
	}{
		{func(in []*Node) *Node { return DINO(in[:1], in[1:2], in[2], 0.1, 0.04) }, []any{a, a, c}, "the student has 1 views"},
		{func(in []*Node) *Node { return DINO(in[:2], nil, in[2], 0.1, 0.04) }, []any{a, a, c}, "the teacher 0"},
		{func(in []*Node) *Node { return DINO(in[:2], []*Node{in[0], in[0], in[1]}, in[2], 0.1, 0.04) }, []any{a, a, c}, "the teacher 3"},
		{func(in []*Node) *Node { return DINO(in[:2], in[1:2], in[2], 0, 0.04) }, []any{a, a, c}, "temperatures are 0 and 0.04"},
		{func(in []*Node) *Node { return DINO(in[:2], in[1:2], in[2], 0.1, math.NaN()) }, []any{a, a, c}, "and NaN"},
		{func(in []*Node) *Node { return DINO(in[:2], in[:1], in[2], 0.1, 0.04) }, []any{a, b, c}, "the student's view 1"},
		{func(in []*Node) *Node { return DINO([]*Node{in[0], in[0]}, in[1:2], in[2], 0.1, 0.04) }, []any{a, b, c}, "the teacher's view 0"},
		{func(in []*Node) *Node { return DINO(in[:2], in[1:2], in[0], 0.1, 0.04) }, []any{a, a, c}, "center must be [K]"},
		{func(in []*Node) *Node { return DINO(in[:2], in[1:2], in[2], 0.1, 0.04) }, []any{c, c, c}, "must be [N, K]"},
		{func(in []*Node) *Node { return DINO(in[:2], in[1:2], in[2], 0.1, 0.04) }, []any{[][]int32{{1}}, [][]int32{{1}}, c}, "must be [N, K]"},
	} {
		_, err := CallOnceN(pureGo(), func(in []*Node) []*Node { return []*Node{x.fn(in)} }, x.in...)
		if err == nil || !strings.Contains(err.Error(), "loss.DINO") || !strings.Contains(err.Error(), x.want) {
			t.Errorf("error %v, want one with %q", err, x.want)
		}
	}
}

func ExampleDINO() {
	first := [][]float32{{.9, .1}, {.2, .8}} // two images, two outputs
	second := [][]float32{{.8, .3}, {.1, .7}}
	distil := func(a, b *Node) *Node {
		center := Const(a.Graph(), []float32{.5, .5})
		return DINO([]*Node{a, b}, []*Node{a, b}, center, 0.1, 0.04)
	}
	fmt.Printf("%.4f\n", MustExecOnce(pureGo(), distil, first, second).Value())
	// Output: 0.0030
}
