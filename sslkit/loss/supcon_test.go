package loss

import (
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// naiveSupCon is Eq. 2 as it is written: for each anchor the mean over its positives of -log of their share among all others. As a
// mistake, inside, it is L_in of Eq. 3, with the mean inside of the logarithm.
func naiveSupCon(z [][]float64, label []int32, temperature float64, inside bool) (mean float64) {
	z = units(z)
	class := append(append([]int32{}, label...), label...)
	for i := range z {
		all, of, positives := 0.0, []float64{}, 0.0
		for a := range z {
			if a == i {
				continue
			}
			e := math.Exp(dot(z[i], z[a]) / temperature)
			all += e
			if class[a] == class[i] {
				of, positives = append(of, e), positives+1
			}
		}
		one, share := 0.0, 0.0
		for _, e := range of {
			one += -math.Log(e/all) / positives
			share += e / all / positives
		}
		if inside {
			one = -math.Log(share)
		}
		mean += one / float64(len(z))
	}
	return mean
}

func TestSupCon(t *testing.T) {
	zeros := normal(6, 3, 4)
	zeros[1], zeros[2] = make([]float64, 3), make([]float64, 3)
	for name, c := range map[string]struct {
		z     [][]float64
		label []int32
	}{
		"classes":   {normal(10, 5, 1), []int32{2, 0, 2, 2, 1}},
		"one class": {normal(6, 4, 2), []int32{3, 3, 3}},
		"apart":     {normal(6, 4, 3), []int32{2, 0, 1}},
		"identical": {same(6), []int32{0, 1, 0}},
		"zeros":     {zeros, []int32{0, 0, 1}},
		"long":      {scaled(normal(4, 3, 6), 1e30), []int32{0, 1}},
		"one image": {normal(2, 3, 8), []int32{5}},
	} {
		for _, temperature := range []float64{0.05, 0.5, 1} {
			t.Run(fmt.Sprint(name, " at ", temperature), func(t *testing.T) {
				// float32 rounds cosines at 1e-7; the temperature divides that.
				check(t, name, func(x []*Node) *Node { return SupCon(x[0], Const(x[0].Graph(), c.label), temperature) },
					func(x [][][]float64) float64 { return naiveSupCon(x[0], c.label, temperature, false) }, 1e-6/min(temperature, 1), c.z)
			})
		}
	}
}

// The mean over positives stands outside of the logarithm: L_out is not L_in, and by Jensen's inequality at least as large.
// Reference: Khosla et al. 2020, Sec. 3.2.2, Eq. 2 and 3 (numbers from memory).
func TestSupConMeanIsOutside(t *testing.T) {
	z, label := normal(10, 5, 1), []int32{2, 0, 2, 2, 1}
	out, in := naiveSupCon(z, label, 0.5, false), naiveSupCon(z, label, 0.5, true)
	got := supcon(t, z, label)
	if math.Abs(got-out) > 1e-12 || out < in+0.01 {
		t.Errorf("%v, want %v; with the mean inside it is %v", got, out, in)
	}
}

// Without two images of one class it is NT-Xent.
func TestSupConWithoutClasses(t *testing.T) {
	z := normal(8, 5, 1)
	want, err := CallOnce(pureGo(), func(z *Node) *Node { return NTXent(z, 0.5) }, z)
	if err != nil {
		t.Fatal(err)
	}
	if got := supcon(t, z, []int32{3, 1, 0, 2}); math.Abs(got-want.Value().(float64)) > 1e-12 {
		t.Errorf("%v, NT-Xent %v", got, want)
	}
	if got := supcon(t, z, []int32{3, 1, -1, 2}); !math.IsNaN(got) {
		t.Errorf("%v of an image without a label", got)
	}
}

func supcon(t *testing.T, z [][]float64, label []int32) float64 {
	t.Helper()
	out, err := CallOnce(pureGo(), func(z, label *Node) *Node { return SupCon(z, label, 0.5) }, z, label)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value().(float64)
}

func TestSupConRejects(t *testing.T) {
	z := [][]float32{{1, 0}, {0, 1}, {1, 1}, {2, 1}}
	for _, c := range []struct {
		z, label    any
		temperature float64
		want        string
	}{
		{z[:3], []int32{0}, 1, "[2N, D]"},
		{z, []int32{0}, 1, "[N] int32"},
		{z, []int64{0, 1}, 1, "[N] int32"},
		{z, [][]int32{{0}, {1}}, 1, "[N] int32"},
		{float32(1), []int32{0}, 1, "[N, D]"},
		{z, []int32{0, 1}, 0, "above 0"},
	} {
		_, err := CallOnce(pureGo(), func(z, label *Node) *Node { return SupCon(z, label, c.temperature) }, c.z, c.label)
		if err == nil || !strings.Contains(err.Error(), "loss.SupCon") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleSupCon() {
	views := [][]float32{{1, 0}, {0, 1}, {2, 0}, {0, 3}} // of images 0, 1, 0, 1
	for _, label := range [][]int32{{0, 1}, {0, 0}} {
		fmt.Printf("%.4f\n", MustExecOnce(pureGo(), func(z, label *Node) *Node { return SupCon(z, label, 0.5) }, views, label).Value())
	}
	// Output:
	// 0.2395
	// 1.5729
}
