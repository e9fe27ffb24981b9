package view

import (
	"math"
	"reflect"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

func TestHoles(t *testing.T) {
	const n, h, w, side = 3, 6, 5, 2
	top, left := [][]int32{{0, 4}, {2, 3}, {-1, 5}}, [][]int32{{0, 3}, {1, 2}, {4, 0}} // apart, overlapping, cut off
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, x := range []any{tensor(random[float32](n, h, w, 3)), tensor(random[float64](n, h, w, 1))} {
			out, err := CallOnce(backend, func(in []*Node) *Node { return ConvertDType(Holes(in[0], in[1], in[2], side), dtypes.Float64) }, x, top, left)
			if err != nil {
				t.Fatal(err)
			}
			want := blank[float64](n, h, w, 1)
			for i := range n {
				for k := range 2 {
					for r := int(top[i][k]); r < int(top[i][k])+side; r++ {
						for c := int(left[i][k]); c < int(left[i][k])+side; c++ {
							if r >= 0 && r < h && c >= 0 && c < w {
								*want.at(i, r, c, 0) = 1
							}
						}
					}
				}
			}
			sameImages(t, "holes", read[float64](t, out), want, 0)
		}
	})
}

func TestRandomHoles(t *testing.T) {
	const n, h, w, side, calls = 60, 5, 4, 2, 20
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		drawn := func(seed int64) []images[float32] {
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(seed); err != nil {
				t.Fatal(err)
			}
			exec := model.MustNewExec(backend, store, func(scope *model.Scope, x *Node) *Node { return RandomHoles(scope, x, 1, side) })
			defer exec.Finalize()
			var out []images[float32]
			for range calls {
				out = append(out, read[float32](t, exec.MustCall1(tensor(random[float32](n, h, w, 1)))))
			}
			return out
		}
		all := drawn(1)
		var at [h][w]int // of the upper left corner
		for _, x := range all {
			for i := range n {
				size, found := 0, false
				for r := range h {
					for c := range w {
						if *x.at(i, r, c, 0) == 1 {
							size++
							if !found {
								found = true
								at[r][c]++
							}
						}
					}
				}
				if size != side*side {
					t.Fatalf("a hole of %d pixels, want %d", size, side*side)
				}
			}
		}
		// 1200 draws of 12 places: 100 +- 9.6 each; 45 away is nearly 5 standard deviations.
		for r := range h - side + 1 {
			for c := range w - side + 1 {
				if math.Abs(float64(at[r][c])-n*calls/12.) > 45 {
					t.Errorf("%d of %d holes begin at (%d, %d)", at[r][c], n*calls, r, c)
				}
			}
		}
		if reflect.DeepEqual(all[0], all[1]) {
			t.Error("two calls drew the same")
		}
		if !reflect.DeepEqual(all, drawn(1)) {
			t.Error("the same seed drew others")
		}
	})
}

func TestHolesReject(t *testing.T) {
	x := tensor(random[float32](2, 4, 4, 1))
	at := func(corner any, side int) func(x *Node) *Node {
		return func(x *Node) *Node { c := Const(x.Graph(), corner); return Holes(x, c, c, side) }
	}
	for want, fn := range map[string]func(x *Node) *Node{
		"the side is 0":                at([][]int32{{0}, {0}}, 0),
		"corners must be [2, K] int32": at([][]int32{{0}}, 1),
		"view.Holes: corners":          at([][]float32{{0}, {0}}, 1),
		"5 holes of side 5":            transformed(func(scope *model.Scope, x *Node) *Node { return RandomHoles(scope, x, 5, 5) }),
		"0 holes of side 2":            transformed(func(scope *model.Scope, x *Node) *Node { return RandomHoles(scope, x, 0, 2) }),
	} {
		rejects(t, want, fn, x)
	}
	rejects(t, "pixels must be float", at([][]int32{{0}, {0}}, 1), tensor(numbered[uint8](2, 4, 4, 1)))
}
