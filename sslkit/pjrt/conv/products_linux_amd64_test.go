//go:build cgo && !noxla

package conv_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// A batched is products of matrices of m by k and k by n, of each of a batch.
type batched struct {
	batch            []int
	m, k, n          int
	turnedA, turnedB bool
}

func (s batched) String() string {
	return fmt.Sprintf("%v of %dx%d by %dx%d, turned %v %v", s.batch, s.m, s.k, s.k, s.n, s.turnedA, s.turnedB)
}

func (s batched) dims(turned bool, rows, cols int) []int {
	if turned {
		rows, cols = cols, rows
	}
	return append(append([]int(nil), s.batch...), rows, cols)
}

func (s batched) multiply(a, b *Node) *Node {
	axes, r := make([]int, len(s.batch)), len(s.batch)
	for i := range axes {
		axes[i] = i
	}
	inner := [2]int{r + 1, r}
	if s.turnedA {
		inner[0] = r
	}
	if s.turnedB {
		inner[1] = r + 1
	}
	return Dot(a, b).General([]int{inner[0]}, axes, []int{inner[1]}, axes)
}

// product is a * b by its definition, in float64.
func (s batched) product(a, b []float32) (c []float32) {
	at := func(x []float32, rows, cols, i, j int, turned bool) float64 {
		if turned {
			return float64(x[j*rows+i])
		}
		return float64(x[i*cols+j])
	}
	for len(a) > 0 {
		for i := range s.m {
			for j := range s.n {
				sum := 0.0
				for l := range s.k {
					sum += at(a, s.m, s.k, i, l, s.turnedA) * at(b, s.k, s.n, l, j, s.turnedB)
				}
				c = append(c, float32(sum))
			}
		}
		a, b = a[s.m*s.k:], b[s.k*s.n:]
	}
	return c
}

// products computes all in one program, of arguments a and b of each.
func products(t testing.TB, backend compute.Backend, all []batched, in []any, rewrite func(string) (string, int)) (results [][]float32, calls int) {
	t.Helper()
	return calculate(t, backend, in, rewrite, func(in []*Node) (out []*Node) {
		for i, s := range all {
			out = append(out, s.multiply(in[2*i], in[2*i+1]))
		}
		return out
	})
}

func TestProducts(t *testing.T) {
	backend := open(t)
	var all []batched
	for turned := range 4 {
		for _, s := range []batched{
			{batch: []int{4, 3}, m: 16, k: 32, n: 16}, {batch: []int{32}, m: 7, k: 5, n: 40}, {batch: []int{2, 2, 2}, m: 1, k: 1, n: 8},
			{batch: []int{9, 1}, m: 33, k: 100, n: 120}, {batch: []int{64}, m: 64, k: 64, n: 24},
		} {
			s.turnedA, s.turnedB = turned&1 > 0, turned&2 > 0
			all = append(all, s)
		}
	}
	left := []batched{ // what XLA does
		{batch: []int{7}, m: 8, k: 8, n: 8}, {batch: []int{8}, m: 8, k: 8, n: 12}, {batch: []int{8}, m: 8, k: 136, n: 128},
	}
	var in []any
	for i, s := range append(all, left...) {
		in = append(in, random(uint64(2*i), s.dims(s.turnedA, s.m, s.k)...), random(uint64(2*i+1), s.dims(s.turnedB, s.k, s.n)...))
	}
	got, calls := products(t, backend, append(all, left...), in, conv.Rewrite)
	if calls != len(all) {
		t.Errorf("%d calls of kernels, want %d", calls, len(all))
	}
	for i, s := range append(all, left...) {
		a, b := tensors.MustCopyFlatData[float32](in[2*i].(*tensors.Tensor)), tensors.MustCopyFlatData[float32](in[2*i+1].(*tensors.Tensor))
		if d := apart(got[i], s.product(a, b)); !(d <= tolerance) {
			t.Errorf("%v: %g away, relative to the largest value", s, d)
		}
	}
	if err := conv.Refused(); err != nil {
		t.Error(err)
	}

	before := conv.UseLanes(8)
	defer conv.UseLanes(before)
	narrow, _ := products(t, backend, all, in[:2*len(all)], conv.Rewrite)
	for i, s := range all {
		for j, v := range narrow[i] {
			if math.Float32bits(v) != math.Float32bits(got[i][j]) {
				t.Fatalf("%v: value %d is %v with vectors of 8, and %v of %d", s, j, v, got[i][j], before)
			}
		}
	}

	// A kernel that takes a matrix the wrong way round is found.
	one := batched{batch: []int{8}, m: 16, k: 16, n: 16, turnedB: true}
	a, b := random(1, 8, 16, 16), random(2, 8, 16, 16)
	wrong, calls := products(t, backend, []batched{one}, []any{a, b}, func(program string) (string, int) {
		out, n := conv.Rewrite(program)
		return strings.Replace(out, "turned_b = 1", "turned_b = 0", 1), n
	})
	want := one.product(tensors.MustCopyFlatData[float32](a), tensors.MustCopyFlatData[float32](b))
	if d := apart(wrong[0], want); calls != 1 || d < 0.1 {
		t.Errorf("a matrix the wrong way round: %g away, %d calls", d, calls)
	}
}

// Attention as the networks write it, and its gradients, have XLA's values.
func TestAttention(t *testing.T) {
	backend := open(t)
	in := []any{random(1, 5, 2, 24, 16), random(2, 5, 2, 24, 16), random(3, 5, 2, 24, 16)}
	attend := func(rewrite func(string) (string, int)) (results [][]float32, calls int) {
		return calculate(t, backend, in, rewrite, func(in []*Node) []*Node {
			y := Einsum("bhqk,bhkd->bhqd", Softmax(MulScalar(Einsum("bhqd,bhkd->bhqk", in[0], in[1]), 0.25)), in[2])
			return append(Gradient(weighted(y), in...), y)
		})
	}
	want, _ := attend(xlas)
	got, calls := attend(conv.Rewrite)
	if calls != 6 {
		t.Errorf("%d calls of kernels, want 2 forward and 4 of gradients", calls)
	}
	for i, name := range []string{"gradient to the queries", "to the keys", "to the values", "result"} {
		if d := apart(got[i], want[i]); !(d <= tolerance) {
			t.Errorf("%s: %g from XLA's, relative to the largest value", name, d)
		}
	}
}
