package eval

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

func TestMeanIoU(t *testing.T) {
	for name, c := range map[string]struct {
		truth, said  [][]uint8
		miou, pixels float64
		iou          []float64
	}{
		"perfect": {[][]uint8{{0, 1, 2, 3}}, [][]uint8{{0, 1, 2, 3}}, 1, 1, []float64{1, 1, 1, 1}},
		// 2 of 3 pixels that are or are said to be background; half of class 0; the others nowhere.
		"one wrong": {[][]uint8{{0, 0}, {1, 1}}, [][]uint8{{0, 0}, {0, 1}}, (2./3 + 0.5) / 2, 0.75, []float64{2. / 3, 0.5, -1, -1}},
		// Over the whole set, not a mean over images: class 0 has 1 of 4 pixels, though all of it in one image.
		"uneven images": {[][]uint8{{1, 0, 0, 0}, {1, 1, 1, 0}}, [][]uint8{{1, 0, 0, 0}, {0, 0, 0, 0}}, (4./7 + 0.25) / 2, 5. / 8, []float64{4. / 7, 0.25, -1, -1}},
		// What is not there but said to be counts with 0.
		"false alarm": {[][]uint8{{0, 0}}, [][]uint8{{0, 3}}, 0.25, 0.5, []float64{0.5, -1, -1, 0}},
		"all missed":  {[][]uint8{{0, 1}}, [][]uint8{{0, 0}}, 0.25, 0.5, []float64{0.5, 0, -1, -1}},
	} {
		got := MeanIoU(c.truth, c.said, 3)
		if math.Abs(got.MIoU-c.miou) > 1e-12 || math.Abs(got.Pixels-c.pixels) > 1e-12 || !slices.EqualFunc(got.IoU, c.iou, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Errorf("%s: %+v, want %g, %g and %v", name, got, c.miou, c.pixels, c.iou)
		}
	}
}

func TestEnlarge(t *testing.T) {
	// Half-pixel centres: PyTorch's interpolate(mode="bilinear", align_corners=False) of [0, 4] to 4 gives 0, 1, 3, 4.
	out, err := CallOnce(quickBackend(t), func(x *Node) *Node { return enlarge(x, 2, 4) }, [][][][]float64{{{{0}, {4}}, {{8}, {12}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tensors.MustCopyFlatData[float64](out), []float64{0, 1, 3, 4, 8, 9, 11, 12}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, c := range []struct{ n, length int }{{5, 2}, {7, 7}, {3, 8}, {9, 1}} {
		for i, row := range taps(c.n, c.length) {
			sum, at := 0.0, 0.0
			for j, v := range row {
				sum += v
				at += v * float64(j)
			}
			want := min(max((float64(i)+0.5)*float64(c.length)/float64(c.n)-0.5, 0), float64(c.length-1))
			if math.Abs(sum-1) > 1e-12 || math.Abs(at-want) > 1e-12 {
				t.Errorf("point %d of %d: weights %v", i, c.n, row)
			}
		}
	}
}
