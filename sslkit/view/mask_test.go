package view

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

func pureGo(t *testing.T) compute.Backend {
	t.Helper()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// orders draws masks for n images of l patches, calls times.
func orders(t *testing.T, backend compute.Backend, seed int64, n, l, calls int) [][][]int32 {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		t.Fatal(err)
	}
	exec := model.MustNewExec(backend, store, func(scope *model.Scope, g *Graph) *Node {
		return RandomMask(scope, Zeros(g, shapes.Make(dtypes.Float32, n, l, 2)))
	})
	defer exec.Finalize()
	var out [][][]int32
	for range calls {
		out = append(out, exec.MustCall1().Value().([][]int32))
	}
	return out
}

func TestRandomMask(t *testing.T) {
	for _, backend := range []compute.Backend{pureGo(t), open(t)} {
		t.Run(backend.Name(), func(t *testing.T) {
			const n, l, calls = 50, 9, 8
			drawn := orders(t, backend, 1, n, l, calls)
			var at [l][l]int // how often each patch is at each place
			for _, images := range drawn {
				for _, order := range images {
					sorted := slices.Sorted(slices.Values(order))
					for i, patch := range order {
						if sorted[i] != int32(i) {
							t.Fatalf("%v is no permutation", order)
						}
						at[patch][i]++
					}
				}
			}
			// 400 draws of 9 places: 44 +- 6.3 each; 30 away is nearly 5 standard deviations.
			for patch := range l {
				for i, times := range at[patch] {
					if math.Abs(float64(times)-n*calls/float64(l)) > 30 {
						t.Errorf("patch %d comes %d. in %d of %d draws", patch, i, times, n*calls)
					}
				}
			}
			different := map[string]bool{}
			for _, order := range drawn[0] {
				different[fmt.Sprint(order)] = true
			}
			if len(different) < n-2 { // of 9! orders, two images share one with probability 0.003
				t.Errorf("%d images share %d orders", n, len(different))
			}
			if reflect.DeepEqual(drawn[0], drawn[1]) {
				t.Error("two calls drew the same")
			}
			if again := orders(t, backend, 1, n, l, calls); !reflect.DeepEqual(drawn, again) {
				t.Error("the same seed drew others")
			}
		})
	}
}

// Of 64 float32 draws two are equal in one of 8000 images: it must be a permutation all the same.
func TestArgsort(t *testing.T) {
	for _, backend := range []compute.Backend{pureGo(t), open(t)} {
		got := MustExecOnce(backend, argsort, [][]float32{{0.5, 0.1, 0.9, 0.3}, {0.5, 0.1, 0.5, 0.1}}).Value()
		if want := [][]int32{{1, 3, 0, 2}, {1, 3, 0, 2}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", backend.Name(), got, want)
		}
	}
}

func TestHidden(t *testing.T) {
	for _, c := range []struct {
		n     int
		ratio float64
		want  int
	}{{64, 0.75, 48}, {49, 0.75, 37}, {49, 0.9, 44}, {196, 0.75, 147}, {4, 0, 0}, {4, 1, 4}} {
		if got := Hidden(c.n, c.ratio); got != c.want {
			t.Errorf("Hidden(%d, %g) = %d, want %d", c.n, c.ratio, got, c.want)
		}
	}
}

func TestRanks(t *testing.T) {
	for _, backend := range []compute.Backend{pureGo(t), open(t)} {
		got := MustExecOnce(backend, Ranks, [][]int32{{2, 0, 3, 1}, {0, 1, 2, 3}}).Value()
		if want := [][]int32{{1, 3, 0, 2}, {0, 1, 2, 3}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", backend.Name(), got, want)
		}
	}
}

func TestPick(t *testing.T) {
	x := [][][]float64{{{1, 2}, {3, 4}, {5, 6}}, {{7, 8}, {9, 10}, {11, 12}}}
	index := [][]int32{{2, 0}, {1, 1}}
	for _, backend := range []compute.Backend{pureGo(t), open(t)} {
		out := MustExecOnceN(backend, func(x, index *Node) []*Node {
			y := Pick(x, index)
			shared := Pick(Slice(x, AxisRange(0, 1)), index)
			return []*Node{y, shared, Gradient(ReduceAllSum(Square(y)), x)[0]}
		}, x, index)
		for i, want := range []any{
			[][][]float64{{{5, 6}, {1, 2}}, {{9, 10}, {9, 10}}},
			[][][]float64{{{5, 6}, {1, 2}}, {{3, 4}, {3, 4}}},
			// Twice the values, for each time that they were picked.
			[][][]float64{{{2, 4}, {0, 0}, {10, 12}}, {{0, 0}, {36, 40}, {0, 0}}},
		} {
			if got := out[i].Value(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, want %v", backend.Name(), got, want)
			}
		}
	}
}

func TestMaskRejects(t *testing.T) {
	rejects(t, "view.RandomMask: patches must be floats [N, L, D]", func(x *Node) *Node {
		return RandomMask(model.NewStore().RootScope(), x)
	}, []float32{1})
	rejects(t, "view.Ranks: places of patches must be [N, K] int32", Ranks, []int32{1})
	rejects(t, "view.Ranks: places of patches must be [N, K] int32", Ranks, [][]int64{{1}})
	rejects(t, "other than the 2 images", func(x *Node) *Node {
		return Pick(x, Const(x.Graph(), [][]int32{{0}, {0}, {0}}))
	}, [][][]float32{{{1}}, {{2}}})
}

// Where it is true comes first, in any order; the rest follows.
func TestRandomOrder(t *testing.T) {
	among := [][]bool{{false, true, true, false, true}, {false, false, false, false, false}, {true, true, true, true, true}}
	store := model.NewStore()
	exec := model.MustNewExec(pureGo(t), store, RandomOrder)
	defer exec.Finalize()
	first := map[int32]int{}
	for range 300 {
		order := exec.MustCall1(among).Value().([][]int32)
		for i, row := range order {
			sorted := slices.Sorted(slices.Values(row))
			count := 0
			for _, is := range among[i] {
				if is {
					count++
				}
			}
			for k, place := range row {
				if sorted[k] != int32(k) || among[i][place] != (k < count) {
					t.Fatalf("the order of %v is %v", among[i], row)
				}
			}
		}
		first[order[0][0]]++
	}
	for _, place := range []int32{1, 2, 4} {
		if n := first[place]; math.Abs(float64(n)-100) > 33 { // four deviations of 100 of 300
			t.Errorf("place %d comes first %d times of 300, want 100", place, n)
		}
	}
	if _, err := model.CallOnce(pureGo(t), store, RandomOrder, [][]float32{{1}}); err == nil {
		t.Error("floats are ordered")
	}
}
