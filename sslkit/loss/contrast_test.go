package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

func normal(n, d int, seed uint64) [][]float64 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	x := make([][]float64, n)
	for i := range x {
		for range d {
			x[i] = append(x[i], rnd.NormFloat64())
		}
	}
	return x
}

func dot(a, b []float64) float64 {
	var s float64
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// scaled multiplies all of x by a number.
func scaled(x [][]float64, by float64) [][]float64 {
	y := make([][]float64, len(x))
	for i, row := range x {
		for _, v := range row {
			y[i] = append(y[i], v*by)
		}
	}
	return y
}

// units divides the rows by their lengths; rows of zeros stay.
func units(x [][]float64) [][]float64 {
	y := make([][]float64, len(x))
	for i, row := range x {
		length := math.Sqrt(dot(row, row))
		if length == 0 {
			length = 1
		}
		y[i] = scaled([][]float64{row}, 1/length)[0]
	}
	return y
}

// find is -log of the share of one score among all.
func find(score float64, others []float64) float64 {
	return naive([][]float64{append([]float64{score}, others...)}, []int32{0})
}

// naiveNTXent is Algorithm 1 of SimCLR.
func naiveNTXent(z [][]float64, temperature float64) float64 {
	z = units(z)
	var total float64
	for i := range z {
		j := (i + len(z)/2) % len(z)
		var others []float64
		for k := range z {
			if k != i && k != j {
				others = append(others, dot(z[i], z[k])/temperature)
			}
		}
		total += find(dot(z[i], z[j])/temperature, others)
	}
	return total / float64(len(z))
}

func naiveInfoNCE(q, k, queue [][]float64, temperature float64) float64 {
	var total float64
	for i := range q {
		var others []float64
		for _, key := range queue {
			others = append(others, dot(q[i], key)/temperature)
		}
		total += find(dot(q[i], k[i])/temperature, others)
	}
	return total / float64(len(q))
}

func naiveCLIP(image, text [][]float64, scale float64) float64 {
	var total float64
	for _, way := range [][2][][]float64{{image, text}, {text, image}} {
		for i, a := range way[0] {
			var others []float64
			for j, b := range way[1] {
				if j != i {
					others = append(others, dot(a, b)*scale)
				}
			}
			total += find(dot(a, way[1][i])*scale, others)
		}
	}
	return total / float64(2*len(image))
}

// check compares a loss of matrices with what a naive loop makes of them, and its gradients with central differences.
// In float32, values within tolerance32 of the loss or of 1 and finite gradients are asked for. The case "random" runs on XLA, where
// there is one, the others on the backend that compiles at once.
func check(t *testing.T, name string, fn func(x []*Node) *Node, loop func(x [][][]float64) float64, tolerance32 float64, inputs ...[][]float64) {
	t.Helper()
	backend := pureGo()
	if name == "random" {
		backend = open(t)
	}
	exec := func(x []*Node) []*Node {
		l := fn(x)
		return append([]*Node{l}, Gradient(l, x...)...)
	}
	var single, double []any
	for _, x := range inputs {
		single, double = append(single, float32s(x)), append(double, x)
	}
	out, err := CallOnceN(backend, exec, double...)
	if err != nil {
		t.Fatal(err)
	}
	want := loop(inputs)
	// The gradients of a loss at a low temperature are sums of terms of 1/temperature; none here exceeds 100.
	if got := out[0].Value().(float64); !(math.Abs(got-want) <= 1e-10*max(1, math.Abs(want))) {
		t.Errorf("float64: got %v, want %v", got, want)
	}
	for n, x := range inputs {
		got := out[1+n].Value().([][]float64)
		for i, row := range x {
			var length float64
			for _, v := range row {
				length = max(length, math.Abs(v))
			}
			if length == 0 {
				continue // no direction, so no derivative
			}
			// A step of 1e-5 of the row: differences are good to about 1e-10, times the third derivative, over the row's length.
			h := 1e-5 * length
			for j, v := range row {
				row[j] = v + h
				up := loop(inputs)
				row[j] = v - h
				down := loop(inputs)
				row[j] = v
				if want := (up - down) / (2 * h); !(math.Abs(got[i][j]-want)*length <= 1e-5*max(1, math.Abs(want)*length)) {
					t.Errorf("d/d input %d [%d][%d] = %v, want %v", n, i, j, got[i][j], want)
				}
			}
		}
	}
	if out, err = CallOnceN(backend, exec, single...); err != nil {
		t.Fatal(err)
	}
	if got := float64(out[0].Value().(float32)); !(math.Abs(got-want) <= tolerance32*max(1, math.Abs(want))) {
		t.Errorf("float32: got %v, want %v", got, want)
	}
	for n := range inputs {
		for _, row := range out[1+n].Value().([][]float32) {
			for _, v := range row {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("the float32 gradient of input %d has %v", n, v)
				}
			}
		}
	}
}

func same(n int) [][]float64 {
	x := make([][]float64, n)
	for i := range x {
		x[i] = []float64{1, 2, -2}
	}
	return x
}

func TestNTXent(t *testing.T) {
	zeros := normal(6, 3, 4)
	zeros[1], zeros[4] = make([]float64, 3), make([]float64, 3) // a pair
	zeros[2] = make([]float64, 3)                               // and one view of another
	mixed := normal(6, 3, 5)
	for i := range mixed {
		mixed[i] = scaled(mixed[i:i+1], math.Pow(10, float64(5*i-12)))[0]
	}
	for name, z := range map[string][][]float64{
		"random": normal(8, 5, 1), "one pair": normal(2, 3, 2), "two pairs": normal(4, 3, 3), "identical": same(6),
		"zeros": zeros, "lengths from 1e-12 to 1e13": mixed, "long": scaled(normal(4, 3, 6), 1e30), "short": scaled(normal(4, 3, 7), 1e-30),
	} {
		for _, temperature := range []float64{0.01, 0.5, 1} {
			t.Run(fmt.Sprint(name, " at ", temperature), func(t *testing.T) {
				// float32 rounds cosines at 1e-7; the temperature divides that.
				check(t, name, func(x []*Node) *Node { return NTXent(x[0], temperature) },
					func(x [][][]float64) float64 { return naiveNTXent(x[0], temperature) }, 1e-6/min(temperature, 1), z)
			})
		}
	}
}

func TestInfoNCE(t *testing.T) {
	q, k, queue := units(normal(3, 4, 1)), units(normal(3, 4, 2)), units(normal(5, 4, 3))
	zero := units(normal(3, 4, 4))
	zero[1] = make([]float64, 4)
	for name, x := range map[string][3][][]float64{
		"random": {q, k, queue}, "one of each": {q[:1], k[:1], queue[:1]}, "zero query": {zero, k, queue}, "zero keys": {q, zero, units(zero)},
		"identical": {units(same(2)), units(same(2)), units(same(4))}, "found": {q, units(q), queue}, "far": {q[:1], units(q[:1]), scaled(q[:1], -1)},
		"opposite": {q, scaled(q, -1), units(q)},
	} {
		for _, temperature := range []float64{0.01, 0.07, 1} {
			t.Run(fmt.Sprint(name, " at ", temperature), func(t *testing.T) {
				check(t, name, func(x []*Node) *Node { return InfoNCE(x[0], x[1], x[2], temperature) },
					func(x [][][]float64) float64 { return naiveInfoNCE(x[0], x[1], x[2], temperature) }, 1e-6/min(temperature, 1), x[:]...)
			})
		}
	}
}

func TestCLIP(t *testing.T) {
	a, b := units(normal(4, 3, 1)), units(normal(4, 3, 2))
	zero := units(normal(4, 3, 3))
	zero[2] = make([]float64, 3)
	for name, x := range map[string][2][][]float64{
		"random": {a, b}, "one pair": {a[:1], b[:1]}, "two pairs": {a[:2], b[:2]}, "identical": {units(same(3)), units(same(3))}, "zeros": {zero, b},
	} {
		for _, scale := range []float64{1, 1 / 0.07, 100} {
			t.Run(fmt.Sprint(name, " at ", scale), func(t *testing.T) {
				check(t, name, func(x []*Node) *Node { return CLIP(x[0], x[1], Reshape(x[2])) },
					func(x [][][]float64) float64 { return naiveCLIP(x[0], x[1], x[2][0][0]) }, 1e-6*max(scale, 1), x[0], x[1], [][]float64{{scale}})
			})
		}
	}
}

// With all features equal nothing tells the candidates apart: the loss is the logarithm of their number.
func TestContrastOfEqualFeatures(t *testing.T) {
	n := same(8)
	for _, temperature := range []float64{0.01, 0.1, 10} {
		out, err := CallOnceN(open(t), func(z *Node) []*Node {
			z = unit(z)
			l, accuracy := InfoNCEWithAccuracy(z, z, z, temperature)
			return []*Node{NTXent(z, temperature), l, accuracy}
		}, float32s(n))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{math.Log(7), math.Log(9), 0} {
			// A logit is 1/temperature, at which float32 rounds in the seventh digit.
			if got := float64(out[i].Value().(float32)); math.Abs(got-want) > 1e-7*max(10, 1/temperature) {
				t.Errorf("at %g: result %d is %g, want %g", temperature, i, got, want)
			}
		}
	}
}

func TestContrastAccuracy(t *testing.T) {
	z := [][]float32{{1, 0}, {0, 1}, {1, 0.1}, {1, -0.2}} // rows 0 and 2 find each other; 1 and 3 do not
	out, err := CallOnceN(open(t), func(z *Node) []*Node {
		l, accuracy := NTXentWithAccuracy(z, 0.5)
		return []*Node{accuracy, l, NTXent(z, 0.5)}
	}, z)
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Value().(float32); got != 0.5 || out[1].Value() != out[2].Value() {
		t.Errorf("NTXent: accuracy %v, want 0.5; losses %v", got, out[1:])
	}
	q := [][]float32{{1, 0}, {0, 1}, {0, -1}, {-1, 0}}
	k := [][]float32{{1, 0}, {0.6, 0.8}, {0, -1}, {0, 1}}
	queue := [][]float32{{0.6, 0.8}, {-0.8, 0.6}} // the second query's key ties with the first of the queue; the last is lost
	out, err = CallOnceN(open(t), func(q, k, queue *Node) []*Node {
		l, accuracy := InfoNCEWithAccuracy(q, k, queue, 0.2)
		return []*Node{accuracy, l, InfoNCE(q, k, queue, 0.2)}
	}, q, k, queue)
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Value().(float32); got != 0.5 || out[1].Value() != out[2].Value() {
		t.Errorf("InfoNCE: accuracy %v, want 0.5; losses %v", got, out[1:])
	}
}

func TestDenseCorrespondence(t *testing.T) {
	const n, s, u, c = 3, 4, 5, 6
	query, key := normal(n*s, c, 1), normal(n*u, c, 2)
	copy(key[2], scaled(query[1:2], 0.01)[0]) // the right match is the shortest
	copy(key[u+3], scaled(key[u+1:u+2], 1e25)[0])
	query[5] = make([]float64, c) // no direction: all cosines are 0
	var want [n][s]int32
	for i := range n {
		for p, q := range units(query)[i*s : (i+1)*s] {
			best := math.Inf(-1)
			for j, k := range units(key)[i*u : (i+1)*u] {
				if cosine := dot(q, k); cosine > best+1e-9 {
					best, want[i][p] = cosine, int32(j)
				}
			}
		}
	}
	for name, x := range map[string][]any{"float64": {query, key}, "float32": {float32s(query), float32s(key)}} {
		out, err := CallOnce(open(t), func(q, k *Node) *Node {
			return DenseCorrespondence(Reshape(q, n, s, c), Reshape(k, n, u, c))
		}, x...)
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Value().([][]int32); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if want[0][1] != 2 {
		t.Errorf("the planted match was not found: %v", want)
	}
}

func TestContrastRejects(t *testing.T) {
	rows, other := [][]float32{{1, 0}, {0, 1}}, [][]float32{{1, 0, 0}}
	one := float32(1)
	for name, c := range map[string]struct {
		fn   func(x []*Node) *Node
		x    []any
		want string
	}{
		"NTXent/odd":   {func(x []*Node) *Node { return NTXent(x[0], 1) }, []any{other}, "odd number"},
		"NTXent/rank":  {func(x []*Node) *Node { return NTXent(x[0], 1) }, []any{one}, "[N, D]"},
		"NTXent/dtype": {func(x []*Node) *Node { return NTXent(x[0], 1) }, []any{[][]int32{{1}, {2}}}, "[N, D]"},
		"NTXent/0":     {func(x []*Node) *Node { return NTXent(x[0], 0) }, []any{rows}, "above 0"},
		"NTXent/-1":    {func(x []*Node) *Node { return NTXent(x[0], -1) }, []any{rows}, "above 0"},
		"NTXent/NaN":   {func(x []*Node) *Node { return NTXent(x[0], math.NaN()) }, []any{rows}, "got NaN"},
		"NTXent/Inf":   {func(x []*Node) *Node { return NTXent(x[0], math.Inf(1)) }, []any{rows}, "finite"},

		"InfoNCE/0":     {func(x []*Node) *Node { return InfoNCE(x[0], x[0], x[0], 0) }, []any{rows}, "above 0"},
		"InfoNCE/NaN":   {func(x []*Node) *Node { return InfoNCE(x[0], x[0], x[0], math.NaN()) }, []any{rows}, "got NaN"},
		"InfoNCE/key":   {func(x []*Node) *Node { return InfoNCE(x[0], x[1], x[0], 1) }, []any{rows, other}, "[N, D], [N, D] and [K, D]"},
		"InfoNCE/queue": {func(x []*Node) *Node { return InfoNCE(x[0], x[0], x[1], 1) }, []any{rows, other}, "[N, D], [N, D] and [K, D]"},

		"CLIP/text":  {func(x []*Node) *Node { return CLIP(x[0], x[1], x[2]) }, []any{rows, other, one}, "of one dtype"},
		"CLIP/scale": {func(x []*Node) *Node { return CLIP(x[0], x[0], x[0]) }, []any{rows}, "a scalar"},

		"DenseCorrespondence": {func(x []*Node) *Node { return DenseCorrespondence(x[0], x[0]) }, []any{rows}, "[N, S, C]"},

		"Alignment":  {func(x []*Node) *Node { return Alignment(x[0], x[1]) }, []any{rows, other}, "one shape"},
		"Uniformity": {func(x []*Node) *Node { return Uniformity(x[0]) }, []any{other}, "two rows"},
		"FeatureStd": {func(x []*Node) *Node { return FeatureStd(x[0]) }, []any{one}, "[N, D]"},
	} {
		// CallOnce hangs on a panic that is not an error.
		_, err := CallOnce(open(t), c.fn, c.x...)
		of, _, _ := strings.Cut(name, "/")
		if err == nil || !strings.Contains(err.Error(), "loss."+of) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
}

func ExampleNTXent() {
	views := [][]float32{{1, 0}, {0, 1}, {2, 0}, {0, 3}} // of images 0, 1, 0, 1
	for _, temperature := range []float64{1, 0.1} {
		l := MustExecOnce(pureGo(), func(z *Node) *Node { return NTXent(z, temperature) }, views)
		fmt.Printf("%.4f\n", l.Value())
	}
	// Output:
	// 0.5514
	// 0.0001
}

func ExampleNTXentWithAccuracy() {
	views := [][]float32{{1, 0}, {0, 1}, {1, 0.1}, {1, -0.2}}
	accuracy := MustExecOnce(pureGo(), func(z *Node) *Node {
		_, accuracy := NTXentWithAccuracy(z, 0.5)
		return accuracy
	}, views)
	fmt.Println(accuracy.Value())
	// Output: 0.5
}

func ExampleInfoNCE() {
	q := [][]float32{{1, 0}}
	k := [][]float32{{0.8, 0.6}}
	queue := [][]float32{{0, 1}, {0.6, 0.8}, {-1, 0}}
	l := MustExecOnce(pureGo(), func(q, k, queue *Node) *Node { return InfoNCE(q, k, queue, 0.2) }, q, k, queue)
	fmt.Printf("%.4f, of %.4f by chance\n", l.Value(), math.Log(4))
	// Output: 0.3267, of 1.3863 by chance
}

func ExampleInfoNCEWithAccuracy() {
	q := [][]float32{{1, 0}, {0, 1}}
	k := [][]float32{{0.8, 0.6}, {0.8, 0.6}}
	queue := [][]float32{{0.6, 0.8}, {-1, 0}}
	accuracy := MustExecOnce(pureGo(), func(q, k, queue *Node) *Node {
		_, accuracy := InfoNCEWithAccuracy(q, k, queue, 0.2)
		return accuracy
	}, q, k, queue)
	fmt.Println(accuracy.Value())
	// Output: 0.5
}

func ExampleCLIP() {
	image := [][]float32{{1, 0}, {0, 1}}
	text := [][]float32{{0.8, 0.6}, {0.6, 0.8}}
	for _, scale := range []float32{1, 10} {
		fmt.Printf("%.4f\n", MustExecOnce(pureGo(), CLIP, image, text, scale).Value())
	}
	// Output:
	// 0.5981
	// 0.1269
}

func ExampleDenseCorrespondence() {
	one := [][][]float32{{{1, 0}, {0, 1}, {1, 1}}}
	two := [][][]float32{{{0, 5}, {3, 3}, {2, 0}}}
	fmt.Println(MustExecOnce(pureGo(), DenseCorrespondence, one, two).Value())
	// Output: [[2 0 1]]
}
