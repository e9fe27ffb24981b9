package sslkit

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/cluster"
	"github.com/sslkit/lab/sslkit/view"
)

// Chroma is the mean ab of images x [N, H, W, 3] in each of h by w cells: [N, h*w, 2]. They divide H and W.
func Chroma(x *Node, h, w int) *Node {
	d := x.Shape().Dimensions
	if d[1]%h != 0 || d[2]%w != 0 {
		exceptions.Panicf("sslkit: images of %dx%d pixels have no %dx%d cells of equal size: choose a multiple", d[1], d[2], h, w)
	}
	ab := SliceAxis(view.RGBToLab(x), -1, AxisRange(1, 3))
	return Reshape(ReduceMean(Reshape(ab, d[0], h, d[1]/h, w, d[2]/w, 2), 2, 4), d[0], h*w, 2)
}

// quantize is the cluster that is nearest to the colour of each of h by w cells of images x [N, H, W, 3]: [N, h*w] int32.
func (m *VideoColorization) quantize(scope *model.Scope, x *Node, h, w int) *Node {
	centers := scope.At("colors").WithInitializer(initializer.Zero).
		VariableWithShape("centers", shapes.Make(x.DType(), m.Colors, 2)).SetTrainable(false).NodeValue(x.Graph())
	away := Sub(InsertAxes(Chroma(x, h, w), 2), Reshape(centers, 1, 1, m.Colors, 2)) // NxPxKx2
	return ArgMin(ReduceSum(Square(away), -1), -1)
}

// Start clusters the colours of cells of 4 by 4 pixels, which is how large those of the maps are with the usual backbones: some
// of each of the first batches.
func (m *VideoColorization) Start(r *Run) error {
	exec, err := NewExec(r.Backend, func(x *Node) *Node {
		x = Frames(floatImage(x))
		return Chroma(x, x.Shape().Dim(1)/4, x.Shape().Dim(2)/4)
	})
	if err != nil {
		return err
	}
	defer exec.Finalize()
	const batches, each = 16, 1500
	var rows [][]float32
	for batch, err := range r.Train.Epoch(0, 0) {
		if err != nil {
			return err
		}
		out, err := exec.Call1(batch.Inputs[0])
		if err != nil {
			return fmt.Errorf("reading colours: %w", err)
		}
		if err := batch.Finalize(); err != nil {
			return fmt.Errorf("releasing a batch: %w", err)
		}
		ab := tensors.MustCopyFlatData[float32](out)
		for i := range min(each, len(ab)/2) {
			at := i * (len(ab) / 2) / min(each, len(ab)/2)
			rows = append(rows, ab[2*at:2*at+2])
		}
		if len(rows) >= batches*each {
			break
		}
	}
	if len(rows) < m.Colors {
		return fmt.Errorf("%d colors of %d cells: choose fewer", m.Colors, len(rows))
	}
	_, centers, _ := cluster.KMeans(rows, cluster.ChooseApart(rows, m.Colors, uint64(r.Seed)), 50)
	var flat []float32
	for _, c := range centers {
		flat = append(flat, c...)
	}
	return set(r.Store, "/colors/centers", flat, m.Colors, 2)
}
