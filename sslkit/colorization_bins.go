package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/view"
)

// Prior is the share of each bin in the places of one epoch of training images, smoothed with a Gaussian kernel of Sigma (Zhang et al.
// 2016, Sec. 2.2). What the kernel would put where there is no bin goes to the others: the sum stays 1.
func (m *Colorization) Prior(r *Run) ([]float32, error) {
	count, err := NewExec(r.Backend, func(x *Node) *Node {
		bin := view.NearestBin(m.colours(floatImage(x)))
		return ReduceSum(OneHot(Reshape(bin, -1), view.Bins, dtypes.Float32), 0) // Q
	})
	if err != nil {
		return nil, fmt.Errorf("counting colours: %w", err)
	}
	defer count.Finalize()
	var total float64
	counts := make([]float64, view.Bins)
	for batch, err := range r.Train.Epoch(0, 0) {
		if err != nil {
			return nil, err
		}
		out, err := count.Call1(batch.Inputs[0])
		if err != nil {
			return nil, fmt.Errorf("counting colours: %w", err)
		}
		for q, n := range tensors.MustCopyFlatData[float32](out) {
			counts[q] += float64(n)
			total += float64(n)
		}
	}
	smooth := make([]float32, view.Bins)
	for q, n := range smoothed(counts, m.Sigma) {
		smooth[q] = float32(n / total)
	}
	return smooth, nil
}

// smoothed spreads what each bin has over all bins by a Gaussian kernel of their distances.
func smoothed(counts []float64, sigma float64) []float64 {
	centers, out := view.BinCenters(), make([]float64, len(counts))
	for q, c := range centers {
		var sum float64
		kernel := make([]float64, len(centers))
		for p, d := range centers {
			kernel[p] = math.Exp(-(math.Pow(c[0]-d[0], 2) + math.Pow(c[1]-d[1], 2)) / (2 * sigma * sigma))
			sum += kernel[p]
		}
		for p, k := range kernel {
			out[p] += counts[q] * k / sum
		}
	}
	return out
}

// prior is the variable that Start sets, uniform until then, and part of the checkpoint.
func (m *Colorization) prior(scope *model.Scope, g *Graph) *Node {
	uniform := func(g *Graph, s shapes.Shape) *Node { return AddScalar(Zeros(g, s), 1./view.Bins) }
	v := scope.In("bins").WithInitializer(uniform).VariableWithShape("prior", shapes.Make(dtypes.Float32, view.Bins))
	return v.SetTrainable(false).NodeValue(g) // on every build, since checkpoints do not keep it
}

// places is the size of the grid of places of images [N, H, W, C].
func (m *Colorization) places(image *Node) (h, w int) {
	h, w = image.Shape().Dim(1), image.Shape().Dim(2)
	if h%m.Stride != 0 || w%m.Stride != 0 {
		exceptions.Panicf("sslkit: places of %d pixels a side do not tile images %s: choose another stride", m.Stride, image.Shape())
	}
	return h / m.Stride, w / m.Stride
}

// colours are the mean a and b of each place of x [N, H, W, 3]: [N, h, w, 2].
func (m *Colorization) colours(x *Node) *Node {
	if x.Rank() != 4 || x.Shape().Dim(3) != 3 {
		exceptions.Panicf("sslkit: colorization learns from images with colours, [N, H, W, 3], got %s", x.Shape())
	}
	h, w := m.places(x)
	ab := SliceAxis(view.RGBToLab(x), -1, AxisRange(1))
	return ReduceMean(Reshape(ab, -1, h, m.Stride, w, m.Stride, 2), 2, 4)
}

// report reports how near pred is to the colours ab [N, h, w, 2] of images x, whose bins are nearest [N, h, w].
func (m *Colorization) report(pred, ab, nearest, x *Node) {
	pred = StopGradient(pred)
	bin, mean := nearest, pred
	if m.Regression {
		bin = view.NearestBin(pred)
	} else {
		bin, mean = ArgMax(pred, -1), view.AnnealedMean(pred, m.Temperature)
	}
	Report("accuracy", ReduceAllMean(ConvertDType(Equal(bin, nearest), x.DType())))
	Report("ab_error", ReduceAllMean(Sqrt(ReduceSum(Square(Sub(mean, ab)), -1))))
	mse := ReduceMean(Square(Sub(m.Paint(x, pred, m.Temperature), x)), 1, 2, 3) // N
	Report("psnr", MulScalar(ReduceAllMean(Log(MaxScalar(mse, 1e-10))), -10/math.Ln10))
}

// hypercolumn brings maps [N, ?, ?, ?] to h by w positions and joins their channels.
func hypercolumn(maps []*Node, h, w int) *Node {
	columns := make([]*Node, len(maps))
	for i, x := range maps {
		columns[i] = resampled(x, h, w)
	}
	return Concatenate(columns, -1)
}

// resampled resizes x [N, H, W, C] to h by w with linear interpolation between the centres of pixels, over the pixels that a new one
// covers where it shrinks. By matrix products, since the gradient of GoMLX's Interpolate is wrong on the pure Go backend.
func resampled(x *Node, h, w int) *Node {
	for i, size := range []int{h, w} {
		if old := x.Shape().Dim(1 + i); old != size {
			x = Einsum([]string{"ij,njwc->niwc", "ij,nhjc->nhic"}[i], ConstAs(x, tents(old, size)), x)
		}
	}
	return x
}

// tents are the weights of old samples in new ones: [size][old], of sum 1 each.
func tents(old, size int) [][]float64 {
	weights, wide := make([][]float64, size), max(1, float64(old)/float64(size))
	for i := range weights {
		var sum float64
		at := (float64(i)+0.5)*float64(old)/float64(size) - 0.5
		for j := range old {
			weights[i] = append(weights[i], max(0, 1-math.Abs(float64(j)-at)/wide))
			sum += weights[i][j]
		}
		for j := range old {
			weights[i][j] /= sum
		}
	}
	return weights
}
