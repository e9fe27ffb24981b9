package nn

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Each block has three convolutional layers; pooling follows the first two. Reference: Sec. 3.1 and the authors' code,
// where 32x32 images give blocks of 16x16, 8x8, 8x8 and 8x8 positions.
func TestPaperNINShapes(t *testing.T) {
	for _, c := range []struct {
		backbone Backbone
		image    []int
		want     [][]int
	}{
		{NIN(4, 192), []int{5, 32, 32, 3}, [][]int{{5, 16, 16, 96}, {5, 8, 8, 192}, {5, 8, 8, 192}, {5, 8, 8, 192}}},
		{NIN(3, 48), []int{5, 28, 28, 1}, [][]int{{5, 14, 14, 24}, {5, 7, 7, 48}, {5, 7, 7, 48}}},
		{NIN(5, 6), []int{1, 9, 9, 1}, [][]int{{1, 5, 5, 3}, {1, 3, 3, 6}, {1, 3, 3, 6}, {1, 3, 3, 6}, {1, 3, 3, 6}}},
	} {
		got := outline(t, goBackend(t), model.NewStore(), shapes.Make(dtypes.Float32, c.image...), c.backbone.Stages)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v on %v: got %v, want %v", c.backbone, c.image, got, c.want)
		}
	}
}

func TestPaperNINParameters(t *testing.T) {
	conv := 25*3*192 + 192*160 + 160*96 + // block 1
		25*96*192 + 2*192*192 +
		2*(9*192*192+2*192*192) // blocks 3 and 4
	norm := 2 * (192 + 160 + 96 + 9*192)
	if trained, running := count(t, NIN(4, 192), 3); trained != conv+norm || running != norm {
		t.Errorf("got %d and %d parameters, want %d and %d", trained, running, conv+norm, norm)
	}
	// A quarter of the width: 48, 40 and 24 channels.
	conv = 25*48 + 48*40 + 40*24 + 25*24*48 + 2*48*48 + 9*48*48 + 2*48*48
	norm = 2 * (48 + 40 + 24 + 6*48)
	if trained, running := count(t, NIN(3, 48), 1); trained != conv+norm || running != norm {
		t.Errorf("a quarter: got %d and %d parameters, want %d and %d", trained, running, conv+norm, norm)
	}
}

// Block 1 ends in max pooling and block 2 in average pooling, and no other block pools: of maps that are 1 everywhere, the
// maximum is 1, and the average sees the zeros of the padding. Reference: Sec. 3.1 and the authors' code.
func TestPaperNINPooling(t *testing.T) {
	store := newStore(t, 1)
	maps := func(scope *model.Scope, x *Node) *Node {
		var rows []*Node
		for _, m := range NIN(3, 6).Stages(scope, x) {
			rows = append(rows, Reshape(SliceAxis(m, -1, AxisElem(0)), -1)) // the first channel
		}
		return Concatenate(rows, 0)
	}
	x := random[float32](1, 8, 8, 1)
	run(t, goBackend(t), store, false, maps, x)
	for path, values := range map[string][]float64{
		"/block_1/layer_3/norm/": make([]float64, 3),
		"/block_2/layer_3/norm/": make([]float64, 6),
		"/block_3/layer_3/norm/": make([]float64, 6),
	} {
		set(t, store, path+"scale", values)
		for i := range values {
			values[i] = 1
		}
		set(t, store, path+"offset", values)
	}
	want := slices.Concat(slices.Repeat([]float64{1}, 16), []float64{4. / 9, 6. / 9, 6. / 9, 1}, slices.Repeat([]float64{1}, 4))
	near(t, "maps", flat(t, run(t, goBackend(t), store, false, maps, x)), want, 1e-6)
}

func TestReLU(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		both := func(_ *model.Scope, x *Node) *Node {
			y := relu(x)
			return Stack([]*Node{y, Gradient(ReduceAllSum(MulScalar(y, 3)), x)[0]}, 0)
		}
		nan := float32(math.NaN())
		got := flat(t, run(t, backend, model.NewStore(), true, both, tensors.FromValue([]float32{-1, 0, 2, nan})))
		if !math.IsNaN(got[3]) {
			t.Errorf("NaN becomes %v: a run that diverges would not show it", got[3])
		}
		near(t, "values", got[:3], []float64{0, 0, 2}, 0)
		near(t, "gradients", got[4:7], []float64{0, 0, 3}, 0)
	})
}
