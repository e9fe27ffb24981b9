package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// cube are random values [n, l, p], the same for the same seed.
func cube(seed uint64, n, l, p int) []float64 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	x := make([]float64, n*l*p)
	for i := range x {
		x[i] = rnd.NormFloat64()
	}
	return x
}

func tensorOf[T float32 | float64](x []float64, dims ...int) *tensors.Tensor {
	y := make([]T, len(x))
	for i, v := range x {
		y[i] = T(v)
	}
	return tensors.FromFlatDataAndDimensions(y, dims...)
}

func callN(t *testing.T, fn func(in []*Node) []*Node, in ...any) []*tensors.Tensor {
	t.Helper()
	out, err := CallOnceN(open(t), fn, in...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func naiveMaskedMSE(pred, target, mask []float64, p int) float64 {
	var sum, hidden float64
	for i, m := range mask {
		if m == 1 {
			hidden++
			for k := i * p; k < (i+1)*p; k++ {
				sum += (pred[k] - target[k]) * (pred[k] - target[k]) / float64(p)
			}
		}
	}
	return sum / hidden
}

func TestMaskedMSE(t *testing.T) {
	const n, l, p, tolerance = 2, 4, 3, 1e-12
	pred, target := cube(1, n, l, p), cube(2, n, l, p)
	masked := func(in []*Node) []*Node { return []*Node{MaskedMSE(in[0], in[1], in[2])} }
	for name, mask := range map[string][]float64{
		"some": {1, 0, 0, 1, 0, 1, 1, 1},
		"one":  {0, 0, 0, 0, 0, 0, 1, 0},
		"all":  {1, 1, 1, 1, 1, 1, 1, 1},
	} {
		want := naiveMaskedMSE(pred, target, mask, p)
		in := []any{tensorOf[float64](pred, n, l, p), tensorOf[float64](target, n, l, p), tensorOf[float64](mask, n, l)}
		if got := callN(t, masked, in...)[0].Value().(float64); !(math.Abs(got-want) <= tolerance) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		in = []any{tensorOf[float32](pred, n, l, p), tensorOf[float32](target, n, l, p), tensorOf[float32](mask, n, l)}
		// float32 sums of 24 terms of about 2.
		if got := callN(t, masked, in...)[0].Value().(float32); !(math.Abs(float64(got)-want) <= 1e-5) {
			t.Errorf("%s: float32: got %v, want %v", name, got, want)
		}
	}
	in := []any{tensorOf[float64](pred, n, l, p), tensorOf[float64](target, n, l, p), tensorOf[float64](make([]float64, n*l), n, l)}
	if got := callN(t, masked, in...)[0].Value().(float64); !math.IsNaN(got) {
		t.Errorf("nothing hidden: got %v, want NaN", got)
	}
}

// central is the derivative of f by x[i].
func central(x []float64, i int, f func() float64) float64 {
	const h = 1e-5 // float64: errors of about 1e-10
	v := x[i]
	x[i] = v + h
	up := f()
	x[i] = v - h
	down := f()
	x[i] = v
	return (up - down) / (2 * h)
}

func TestMaskedMSEGradient(t *testing.T) {
	const n, l, p = 2, 3, 2
	pred, target, mask := cube(3, n, l, p), cube(4, n, l, p), []float64{1, 0, 1, 0, 0, 1}
	out := callN(t, func(in []*Node) []*Node { return Gradient(MaskedMSE(in[0], in[1], in[2]), in[0], in[1]) },
		tensorOf[float64](pred, n, l, p), tensorOf[float64](target, n, l, p), tensorOf[float64](mask, n, l))
	for k, x := range [][]float64{pred, target} {
		for i, got := range tensors.MustCopyFlatData[float64](out[k]) {
			want := central(x, i, func() float64 { return naiveMaskedMSE(pred, target, mask, p) })
			if !(math.Abs(got-want) <= 1e-8) {
				t.Errorf("input %d: derivative %d is %v, want %v", k, i, got, want)
			}
			if mask[i/p] == 0 && got != 0 {
				t.Errorf("input %d: a visible patch has the derivative %v", k, got)
			}
		}
	}
}

func naiveNormalize(x []float64, p int) []float64 {
	var out []float64
	for ; len(x) > 0; x = x[p:] {
		var mean, variance float64
		for _, v := range x[:p] {
			mean += v / float64(p)
		}
		for _, v := range x[:p] {
			variance += (v - mean) * (v - mean) / float64(p-1)
		}
		for _, v := range x[:p] {
			out = append(out, (v-mean)/math.Sqrt(variance+1e-6))
		}
	}
	return out
}

func TestNormalizePatches(t *testing.T) {
	const n, l, p = 2, 3, 4
	x := cube(5, n, l, p)
	copy(x, []float64{0.5, 0.5, 0.5, 0.5, 1, 1.001, 1, 1.001}) // of one colour; nearly so: the 1e-6 counts
	want := naiveNormalize(x, p)
	normalize := func(in []*Node) []*Node { return []*Node{NormalizePatches(in[0])} }
	for i, got := range tensors.MustCopyFlatData[float64](callN(t, normalize, tensorOf[float64](x, n, l, p))[0]) {
		if !(math.Abs(got-want[i]) <= 1e-12) {
			t.Errorf("value %d is %v, want %v", i, got, want[i])
		}
	}
	for i, got := range tensors.MustCopyFlatData[float32](callN(t, normalize, tensorOf[float32](x, n, l, p))[0]) {
		// The second patch differs by 1e-3 at 1: float32 holds such differences to 1e-4 of them.
		if !(math.Abs(float64(got)-want[i]) <= 1e-3) {
			t.Errorf("float32: value %d is %v, want %v", i, got, want[i])
		}
	}
}

// A patch's moments undo the normalisation.
func TestPatchMoments(t *testing.T) {
	x := cube(7, 2, 3, 4)
	out := callN(t, func(in []*Node) []*Node {
		mean, deviation := PatchMoments(in[0])
		return []*Node{Add(Mul(NormalizePatches(in[0]), deviation), mean)}
	}, tensorOf[float64](x, 2, 3, 4))
	for i, got := range tensors.MustCopyFlatData[float64](out[0]) {
		if !(math.Abs(got-x[i]) <= 1e-12) {
			t.Errorf("value %d is %v, want %v", i, got, x[i])
		}
	}
}

func TestNormalizePatchesGradient(t *testing.T) {
	const n, l, p = 1, 2, 4
	x, weight := cube(8, n, l, p), cube(9, n, l, p)
	out := callN(t, func(in []*Node) []*Node {
		return Gradient(ReduceAllSum(Mul(NormalizePatches(in[0]), in[1])), in[0])
	}, tensorOf[float64](x, n, l, p), tensorOf[float64](weight, n, l, p))
	for i, got := range tensors.MustCopyFlatData[float64](out[0]) {
		want := central(x, i, func() float64 {
			var sum float64
			for k, v := range naiveNormalize(x, p) {
				sum += weight[k] * v
			}
			return sum
		})
		if !(math.Abs(got-want) <= 1e-7) {
			t.Errorf("derivative %d is %v, want %v", i, got, want)
		}
	}
}

func TestReconstructRejects(t *testing.T) {
	x, m := [][][]float32{{{1, 2}, {3, 4}}}, [][]float32{{1, 0}}
	masked := func(in []*Node) []*Node { return []*Node{MaskedMSE(in[0], in[1], in[2])} }
	normalize := func(in []*Node) []*Node { return []*Node{NormalizePatches(in[0])} }
	for _, c := range []struct {
		fn   func(in []*Node) []*Node
		in   []any
		want string
	}{
		{masked, []any{m, m, m}, "MaskedMSE: pred must be [N, L, P] float"},
		{masked, []any{[][][]int32{{{1}}}, x, m}, "MaskedMSE: pred must be [N, L, P] float"},
		{masked, []any{x, m, m}, "target must be as pred"},
		{masked, []any{x, x, [][]float32{{1}}}, "one number for each patch"},
		{masked, []any{x, x, [][]float64{{1, 0}}}, "of its dtype"},
		{masked, []any{x, x, [][]bool{{true, false}}}, "of its dtype"},
		{normalize, []any{m}, "NormalizePatches: patches must be [N, L, P] float"},
		{normalize, []any{[][][]float32{{{1}, {2}}}}, "one value has no variance"},
	} {
		if _, err := CallOnceN(open(t), c.fn, c.in...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want one with %q", err, c.want)
		}
	}
}

func ExampleMaskedMSE() {
	pred := [][][]float32{{{0, 0}, {0, 0}, {0, 0}}}
	target := [][][]float32{{{9, 9}, {1, 3}, {2, 0}}}
	mask := [][]float32{{0, 1, 1}} // the first patch was seen: what is said of it does not count
	fmt.Println(MustExecOnce(pureGo(), func(in []*Node) *Node { return MaskedMSE(in[0], in[1], in[2]) }, pred, target, mask).Value())
	// Output: 3.5
}

func ExampleNormalizePatches() {
	patches := [][][]float32{{{0, 1, 2}, {10, 20, 30}, {0.5, 0.5, 0.5}}}
	fmt.Printf("%.2f\n", MustExecOnce(pureGo(), NormalizePatches, patches).Value())
	// Output: [[[-1.00 0.00 1.00] [-1.00 0.00 1.00] [0.00 0.00 0.00]]]
}

func ExamplePatchMoments() {
	patches := [][][]float32{{{0, 1, 2}, {10, 20, 30}}}
	moments := MustExecOnceN(pureGo(), func(x *Node) []*Node {
		mean, deviation := PatchMoments(x)
		return []*Node{mean, deviation}
	}, patches)
	fmt.Printf("%.2f %.2f\n", moments[0].Value(), moments[1].Value())
	// Output: [[[1.00] [20.00]]] [[[1.00] [10.00]]]
}
