package view

import (
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

func patchify(patch int) func(x *Node) *Node {
	return func(x *Node) *Node { return Patchify(x, patch) }
}

func TestPatchify(t *testing.T) {
	const n, s, c, p = 2, 6, 3, 2
	x := numbered[uint8](n, s, s, c)
	out, err := CallOnce(open(t), patchify(p), tensor(x))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{n, 9, p * p * c}; !slices.Equal(out.Shape().Dimensions, want) {
		t.Fatalf("shape %s, want %v", out.Shape(), want)
	}
	var want []uint8
	for k := range n {
		for l := range 9 {
			for i := range p * p * c {
				want = append(want, *x.at(k, l/3*p+i/c/p, l%3*p+i/c%p, i%c))
			}
		}
	}
	if got := tensors.MustCopyFlatData[uint8](out); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUnpatchify(t *testing.T) {
	for _, patch := range []int{1, 2, 3, 6} {
		x := numbered[float32](2, 6, 6, 2)
		back := apply(t, x, func(x *Node) *Node { return Unpatchify(Patchify(x, patch), patch) })
		if !slices.Equal(back.pixel, x.pixel) {
			t.Errorf("patches of %d: pixels moved", patch)
		}
	}
}

func TestPatchifyGradient(t *testing.T) {
	// It permutes, so the gradient of the sum of weights times values is the weights, put back.
	x := random[float64](2, 4, 4, 2)
	weight := random[float64](2, 4, 4, 2)
	out, err := CallOnce(open(t), func(w, x *Node) *Node {
		return Gradient(ReduceAllSum(Mul(Patchify(w, 2), Patchify(x, 2))), x)[0]
	}, tensor(weight), tensor(x))
	if err != nil {
		t.Fatal(err)
	}
	if got := read[float64](t, out); !slices.Equal(got.pixel, weight.pixel) {
		t.Errorf("got %v, want %v", got.pixel, weight.pixel)
	}
}

func TestPatchifyRejects(t *testing.T) {
	square := tensor(numbered[float32](2, 6, 6, 1))
	rejects(t, "their side must be a multiple", patchify(4), square)
	rejects(t, "patches of 0 pixels", patchify(0), square)
	rejects(t, "images must be square", patchify(1), tensor(numbered[float32](2, 6, 4, 1)))
	unpatchify := func(patch int) func(x *Node) *Node { return func(x *Node) *Node { return Unpatchify(x, patch) } }
	rejects(t, "3 patches are no square grid", unpatchify(1), [][][]float32{{{1}, {2}, {3}}})
	rejects(t, "want [N, L, 2*2*C]", unpatchify(2), [][][]float32{{{1}, {2}, {3}, {4}}})
	rejects(t, "want [N, L, 1*1*C]", unpatchify(1), [][]float32{{1}})
}
