package view

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// cuts draws k corners for each of n images, some of them outside of h by w.
func cuts(n, k, h, w int) (top, left [][]int32) {
	r := rand.New(rand.NewPCG(5, 6))
	for range n {
		var t, l []int32
		for range k {
			t, l = append(t, int32(r.IntN(h+4)-2)), append(l, int32(r.IntN(w+4)-2))
		}
		top, left = append(top, t), append(left, l)
	}
	return top, left
}

func TestCut(t *testing.T) {
	const n, h, w, k = 3, 6, 9, 4
	x := numbered[float32](n, h, w, 2)
	top, left := cuts(n, k, h, w)
	for _, size := range []int{1, 4, 6} {
		out, err := CallOnce(open(t), func(x, top, left *Node) *Node { return Cut(x, top, left, size) }, tensor(x), top, left)
		if err != nil {
			t.Fatal(err)
		}
		want := blank[float32](n*k, size, size, 2)
		for m := range n {
			for q := range k {
				i0 := min(max(int(top[m][q]), 0), h-size)
				j0 := min(max(int(left[m][q]), 0), w-size)
				for i := range size {
					for j := range size {
						for c := range 2 {
							*want.at(m*k+q, i, j, c) = *x.at(m, i0+i, j0+j, c)
						}
					}
				}
			}
		}
		if got := read[float32](t, out); !slices.Equal(got.pixel, want.pixel) {
			t.Errorf("size %d: got %v, want %v", size, got.pixel, want.pixel)
		}
	}
}

// Each pixel gets the gradients of all squares that show it.
func TestCutGradient(t *testing.T) {
	const n, h, w, k, size = 2, 5, 6, 3, 4
	top, left := cuts(n, k, h, w)
	weight := random[float64](n*k, size, size, 1)
	out, err := CallOnce(open(t), func(in []*Node) *Node {
		return Gradient(ReduceAllSum(Mul(Cut(in[0], in[1], in[2], size), in[3])), in[0])[0]
	}, tensor(random[float64](n, h, w, 1)), top, left, tensor(weight))
	if err != nil {
		t.Fatal(err)
	}
	want := blank[float64](n, h, w, 1)
	for m := range n {
		for q := range k {
			i0, j0 := min(max(int(top[m][q]), 0), h-size), min(max(int(left[m][q]), 0), w-size)
			for i := range size {
				for j := range size {
					*want.at(m, i0+i, j0+j, 0) += *weight.at(m*k+q, i, j, 0)
				}
			}
		}
	}
	for i, got := range read[float64](t, out).pixel {
		if !near(got, want.pixel[i], 1e-12) {
			t.Errorf("gradient of pixel %d is %v, want %v", i, got, want.pixel[i])
		}
	}
}

func TestCutRejects(t *testing.T) {
	x := tensor(numbered[float32](2, 3, 4, 1))
	cut := func(size int) func(p *Node) *Node {
		return func(p *Node) *Node { return Cut(ConstTensor(p.Graph(), x), p, p, size) }
	}
	rejects(t, "size is 0", cut(0), [][]int32{{1}, {1}})
	rejects(t, "size is 4", cut(4), [][]int32{{1}, {1}})
	rejects(t, "must be [2, K] int32", cut(2), []int32{1, 1})
	rejects(t, "must be [2, K] int32", cut(2), [][]int32{{1}})
	rejects(t, "must be [2, K] int32", cut(2), [][]int64{{1}, {1}})
	rejects(t, "images must be [N, H, W, C]", func(p *Node) *Node { return Cut(p, p, p, 1) }, [][]int32{{1}})
}
