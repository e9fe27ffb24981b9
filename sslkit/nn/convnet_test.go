package nn

import (
	"reflect"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
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
		got := outline(t, model.NewStore(), shapes.Make(dtypes.Float32, c.image...), c.backbone.Stages)
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
