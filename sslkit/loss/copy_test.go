package loss

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// clips is n sets of rows.
func clips(n, rows, d int, seed uint64) (x [][][]float64) {
	for i := range n {
		x = append(x, normal(rows, d, seed+uint64(i)))
	}
	return x
}

func palette(n, places, colors int, seed uint64) (c [][]int32) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		c = append(c, make([]int32, places))
		for j := range c[i] {
			c[i][j] = rnd.Int32N(int32(colors))
		}
	}
	return c
}

// naivePointers is Eq. 2.
func naivePointers(target, reference [][][]float64, near [][]bool, temperature float64) (a [][][]float64) {
	for n := range target {
		a = append(a, nil)
		for j, f := range target[n] {
			row, sum := make([]float64, len(reference[n])), 0.0
			for i, r := range reference[n] {
				if near == nil || near[j][i] {
					row[i] = math.Exp(dot(f, r) / temperature)
				}
				sum += row[i]
			}
			for i := range row {
				row[i] /= sum
			}
			a[n] = append(a[n], row)
		}
	}
	return a
}

// naiveCopied is Eq. 1 and 3.
func naiveCopied(a [][][]float64, from, to [][]int32, colors int) (loss, accuracy float64) {
	count := 0.0
	for n := range a {
		for j, row := range a[n] {
			y, known := make([]float64, colors), false
			for i, weight := range row {
				y[from[n][i]] += weight
				known = known || from[n][i] == to[n][j]
			}
			if !known {
				continue
			}
			count++
			loss -= math.Log(y[to[n][j]])
			best := 0
			for k := range y {
				if y[k] > y[best] {
					best = k
				}
			}
			if best == int(to[n][j]) {
				accuracy++
			}
		}
	}
	return loss / count, accuracy / count
}

var ring = [][]bool{{true, true, false, false, false}, {false, true, true, false, false}, {false, false, true, true, true}}

func TestPointers(t *testing.T) {
	target, reference := clips(2, 3, 4, 1), clips(2, 5, 4, 11)
	for _, near := range [][][]bool{nil, ring} {
		for _, temperature := range []float64{1, 0.5} {
			out, err := CallOnce(open(t), func(a, b *Node) *Node {
				var mask *Node
				if near != nil {
					mask = Const(a.Graph(), near)
				}
				return Pointers(a, b, mask, temperature)
			}, target, reference)
			if err != nil {
				t.Fatal(err)
			}
			want := naivePointers(target, reference, near, temperature)
			for n, frame := range out.Value().([][][]float64) {
				for j, row := range frame {
					for i, got := range row {
						if math.Abs(got-want[n][j][i]) > 1e-12 {
							t.Errorf("temperature %g, near %v: weight %d, %d, %d is %g, want %g", temperature, near != nil, n, j, i, got, want[n][j][i])
						}
					}
				}
			}
		}
	}
}

func TestCopiedColors(t *testing.T) {
	const colors = 4
	target, reference := clips(2, 6, 3, 1), clips(2, 5, 3, 11)
	from, to := palette(2, 5, colors, 1), palette(2, 6, colors, 2)
	from[0] = []int32{1, 1, 2, 0, 2} // shows no 3
	to[0][0], to[0][1] = 3, 1
	value := func() float64 {
		l, _ := naiveCopied(naivePointers(target, reference, nil, 1), from, to, colors)
		return l
	}
	build := func(x, r *Node) []*Node {
		l, accuracy := CopiedColors(Pointers(x, r, nil, 1), Const(x.Graph(), from), Const(x.Graph(), to), colors)
		return append([]*Node{l, accuracy}, Gradient(l, x, r)...)
	}
	out, err := CallOnceN(open(t), build, target, reference)
	if err != nil {
		t.Fatal(err)
	}
	want, right := naiveCopied(naivePointers(target, reference, nil, 1), from, to, colors)
	if got := out[0].Value().(float64); math.Abs(got-want) > 1e-12 {
		t.Errorf("loss %g, want %g", got, want)
	}
	if got := out[1].Value().(float64); math.Abs(got-right) > 1e-12 || right == 0 || right == 1 {
		t.Errorf("accuracy %g, want %g, neither 0 nor 1", got, right)
	}
	const h = 1e-5 // central differences: error about h^2, rounding about 1e-16/h
	for i, input := range [][][][]float64{target, reference} {
		gradient := out[2+i].Value().([][][]float64)
		for n := range input {
			for j := range input[n] {
				for d, x := range input[n][j] {
					input[n][j][d] = x + h
					up := value()
					input[n][j][d] = x - h
					down := value()
					input[n][j][d] = x
					if want := (up - down) / (2 * h); math.Abs(gradient[n][j][d]-want) > 1e-8 {
						t.Errorf("input %d: gradient[%d][%d][%d] = %g, want %g", i, n, j, d, gradient[n][j][d], want)
					}
				}
			}
		}
	}
}

// Weights that underflow, and colours that no reference has, must not end a run.
func TestCopiedColorsStaysFinite(t *testing.T) {
	for what, to := range map[string][][]int32{"underflow": {{1}}, "nothing to copy": {{2}}} {
		out, err := CallOnceN(pureGo(), func(x *Node) []*Node {
			g := x.Graph()
			a := Pointers(x, Const(g, [][][]float32{{{200}, {-200}}}), nil, 1)
			l, accuracy := CopiedColors(a, Const(g, [][]int32{{0, 1}}), Const(g, to), 3)
			return []*Node{l, accuracy, ReduceAllSum(Gradient(l, x)[0])}
		}, [][][]float32{{{1}}})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			if f := float64(v.Value().(float32)); math.IsNaN(f) || math.IsInf(f, 0) {
				t.Errorf("%s: output %d is %g", what, i, f)
			}
		}
		if got := out[0].Value().(float32); what == "nothing to copy" && got != 0 {
			t.Errorf("%s: the loss is %g, want 0", what, got)
		}
	}
}

func TestCopyRejects(t *testing.T) {
	f, c := [][][]float32{{{1}, {2}}}, [][]int32{{0, 1}}
	for want, build := range map[string]func(f, c *Node) *Node{
		"temperature must be": func(f, c *Node) *Node { return Pointers(f, f, nil, 0) },
		"[N, P, D]":           func(f, c *Node) *Node { return Pointers(f, c, nil, 1) },
		"near must be bool":   func(f, c *Node) *Node { return Pointers(f, f, Const(f.Graph(), []bool{true}), 1) },
		"[N, P, Q]": func(f, c *Node) *Node {
			l, _ := CopiedColors(f, c, c, 2)
			return l
		},
	} {
		err := exceptions.TryCatch[error](func() { MustExecOnce(pureGo(), build, f, c) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func ExamplePointers() {
	target := [][][]float32{{{1, 0}, {0, 1}}}            // two places
	reference := [][][]float32{{{3, 0}, {0, 3}, {0, 0}}} // look like the first, the second and neither
	a := MustExecOnce(pureGo(), func(t, r *Node) *Node { return Pointers(t, r, nil, 1) }, target, reference)
	fmt.Printf("%.2f\n", a.Value())
	// Output: [[[0.91 0.05 0.05] [0.05 0.91 0.05]]]
}

func ExampleCopiedColors() {
	pointers := [][][]float32{{{0.9, 0.1}, {0.6, 0.4}}}
	from, to := [][]int32{{5, 2}}, [][]int32{{5, 2}}
	l := MustExecOnce(pureGo(), func(a, from, to *Node) *Node {
		l, _ := CopiedColors(a, from, to, 16)
		return l
	}, pointers, from, to)
	fmt.Printf("%.4f\n", l.Value()) // -(ln 0.9 + ln 0.4) / 2
	// Output: 0.5108
}
