package eval

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

// SegmentFit is how well the class of every pixel was found on the test set.
//
// The IoU of a class is the number of pixels that are of it and are said to be, divided by the number that are or are said to
// be, both counted over the whole test set, as in PASCAL VOC: not a mean over images.
type SegmentFit struct {
	MIoU     float64   `json:"miou"`               // mean of IoU, without -1
	Pixels   float64   `json:"pixels"`             // share of the pixels that are right
	IoU      []float64 `json:"iou"`                // of the background, then of each class; -1 of what neither is there nor is said to be
	Examples [][]uint8 `json:"examples,omitempty"` // what was said of the first test images, [H*W] each, as Scenes.Segments
}

// Segment trains a linear head, a 1x1 convolution whose logits are enlarged bilinearly to the image's size, on a map of the
// encoder that store holds, or with tune, on that of a copy which is trained along. The store stays as it is.
func (o DenseOptions) Segment(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method, train, test *Scenes, tune bool) (SegmentFit, error) {
	p, err := o.places(ctx, backend, store, m, train, test, tune)
	if err != nil {
		return SegmentFit{}, err
	}
	return o.segment(ctx, backend, p, train, test)
}

func (o DenseOptions) segment(ctx context.Context, backend compute.Backend, p places, train, test *Scenes) (SegmentFit, error) {
	rows, err := o.predict(ctx, backend, p, segmentHead{train})
	if err != nil {
		return SegmentFit{}, fmt.Errorf("eval: segmentation: %w", err)
	}
	said := make([][]uint8, len(rows))
	for i, row := range rows {
		said[i] = make([]uint8, len(row))
		for j, v := range row {
			said[i][j] = uint8(v)
		}
	}
	fit := MeanIoU(test.Segments, said, test.Classes)
	fit.Examples = said[:min(exemplary, len(said))]
	return fit, nil
}

// MeanIoU measures what was said of each image against the truth; both hold 0 for the background, or 1+class, for each pixel.
func MeanIoU(truth, said [][]uint8, classes int) SegmentFit {
	both, either := make([]float64, classes+1), make([]float64, classes+1)
	right, pixels := 0.0, 0.0
	for i := range truth {
		for j, t := range truth[i] {
			pixels++
			either[t]++
			if s := said[i][j]; s != t {
				either[s]++
			} else {
				both[t]++
				right++
			}
		}
	}
	fit := SegmentFit{Pixels: right / pixels, IoU: make([]float64, classes+1)}
	seen := 0.0
	for c := range fit.IoU {
		if fit.IoU[c] = -1; either[c] > 0 {
			fit.IoU[c] = both[c] / either[c]
			fit.MIoU += fit.IoU[c]
			seen++
		}
	}
	fit.MIoU /= seen
	return fit
}

// segmentHead classifies every pixel of the training scenes.
type segmentHead struct{ scenes *Scenes }

func (h segmentHead) build(scope *model.Scope, x *Node) *Node {
	x = nn.BatchNorm(scope.In("norm"), x)
	return enlarge(layers.Dense(scope, x, true, h.scenes.Classes+1), h.scenes.Height, h.scenes.Width) // NxHxWxK
}

func (h segmentHead) loss(scope *model.Scope, logits, index *Node) *Node {
	var all []uint8
	for _, s := range h.scenes.Segments {
		all = append(all, s...)
	}
	y := targets(scope, "segments", tensors.FromFlatDataAndDimensions(all, len(h.scenes.Segments), h.scenes.Height*h.scenes.Width), index)
	return loss.CrossEntropy(Reshape(logits, -1, h.scenes.Classes+1), Reshape(ConvertDType(y, dtypes.Int32), -1))
}

func (h segmentHead) read(logits *Node) *Node {
	return Reshape(ConvertDType(ArgMax(logits, -1), dtypes.Float32), logits.Shape().Dim(0), -1)
}

// enlarge resizes x [N, h, w, C] bilinearly to [N, H, W, C], with half-pixel centres; the edge is repeated. It is two matrix
// products since GoMLX's Interpolate has a wrong gradient on pure Go.
func enlarge(x *Node, height, width int) *Node {
	x = Einsum("ih,nhwc->niwc", ConstAs(x, taps(height, x.Shape().Dim(1))), x)
	return Einsum("jw,niwc->nijc", ConstAs(x, taps(width, x.Shape().Dim(2))), x)
}

// taps returns for each of n points of a line the weights of its length pixels.
func taps(n, length int) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		at := min(max((float64(i)+0.5)*float64(length)/float64(n)-0.5, 0), float64(length-1))
		out[i] = make([]float64, length)
		low := int(at)
		out[i][low] = 1 - (at - float64(low))
		if low+1 < length {
			out[i][low+1] = at - float64(low)
		}
	}
	return out
}
