package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/view"
)

// Tracking says how labels of a clip's first frame are carried through it: each place of a frame copies from the places of
// earlier frames that look alike (Vondrick et al., "Tracking Emerges by Colorizing Videos", ECCV 2018, Sec. 3.3).
type Tracking struct {
	Previous    int     `json:"previous"`    // frames just before, with what was copied to them, beside the first, which has the truth
	Radius      int     `json:"radius"`      // in those, places so many rows and columns away or less; 0: all
	Temperature float64 `json:"temperature"` // T; below 1 it trusts the most alike places more than training did
}

// TrackingDefaults is what a Tracking starts from; JSON is to be decoded over it. Previous and Temperature are the paper's.
func TrackingDefaults() Tracking { return Tracking{Previous: 3, Temperature: 0.5} }

// Validate says what cannot be run; the zero Tracking cannot.
func (o Tracking) Validate() error {
	if o.Previous < 0 || o.Radius < 0 {
		return fmt.Errorf("eval: tracking from %d frames before within %d places: neither may be negative", o.Previous, o.Radius)
	}
	if !(o.Temperature > 0) || math.IsInf(o.Temperature, 1) {
		return fmt.Errorf("eval: temperature %g: it must be finite and above 0, such as 0.5", o.Temperature)
	}
	return nil
}

// String says where labels are copied from.
func (o Tracking) String() string {
	if o.Radius == 0 {
		return fmt.Sprintf("first frame and %d before, anywhere, temperature %g", o.Previous, o.Temperature)
	}
	return fmt.Sprintf("first frame, anywhere, and %d before, within %d places, temperature %g", o.Previous, o.Radius, o.Temperature)
}

// Embedder makes of images [N, H, W, C] in [0, 1] the features of their places, [N, h, w, D], whose inner products say how
// alike two places look.
type Embedder func(scope *model.Scope, image *Node) *Node

// Pixels is the Embedder that knows nothing but colours, or with grey lightness: a place's features are its cell of 4x4 pixels
// in Lab, about 0 to 1, as a direction: a 1 is appended and the length made 10, so that inner products are those of a
// Gaussian of the differences.
func Pixels(grey bool) Embedder {
	return func(_ *model.Scope, image *Node) *Node {
		x := AddScalar(MulScalar(view.Lightness(image), 2), -1)
		if !grey {
			x = Concatenate([]*Node{x, DivScalar(SliceAxis(view.RGBToLab(image), -1, AxisRangeToEnd(1)), 50)}, -1)
		}
		const cell = 4
		p := DivScalar(view.Patchify(x, cell), cell) // NxPx(16C): its square is a mean over pixels
		one := p.Shape().Clone()
		one.Dimensions[2] = 1
		p = MulScalar(L2Normalize(Concatenate([]*Node{p, Ones(p.Graph(), one)}, -1), -1), 10)
		return Reshape(p, p.Shape().Dim(0), image.Shape().Dim(1)/cell, image.Shape().Dim(2)/cell, -1)
	}
}

// Propagate carries labels of the first frames, [N, h*w, K], on: to [N, T, h*w, K] by the features f [N, T, h, w, D] of all
// frames, all of one float type. What is carried is a mixture of what is copied (Eq. 1), for K classes a distribution. The
// first frame keeps its labels.
func (o Tracking) Propagate(f, first *Node) *Node {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	if f.Rank() != 5 || first.Rank() != 3 || first.Shape().Dim(1) != f.Shape().Dim(2)*f.Shape().Dim(3) {
		exceptions.Panicf("eval.Propagate: need features [N, T, h, w, D] and labels [N, h*w, K], got %s and %s", f.Shape(), first.Shape())
	}
	n, t, h, w := f.Shape().Dim(0), f.Shape().Dim(1), f.Shape().Dim(2), f.Shape().Dim(3)
	frame := func(i int) *Node { return Reshape(SliceAxis(f, 1, AxisElem(i)), n, h*w, -1) }
	labels := []*Node{first} // NxPxK each
	for i := 1; i < t; i++ {
		features, values := []*Node{frame(0)}, []*Node{first}
		for j := max(1, i-o.Previous); j < i; j++ {
			features, values = append(features, frame(j)), append(values, labels[j])
		}
		a := loss.Pointers(frame(i), Concatenate(features, 1), o.near(f.Graph(), h, w, len(features)), o.Temperature)
		labels = append(labels, Einsum("npq,nqk->npk", a, Concatenate(values, 1)))
	}
	return Stack(labels, 1)
}

// near is where each of h by w places may copy from in so many frames, [P, frames*P]: of the first, anywhere.
func (o Tracking) near(g *Graph, h, w, frames int) *Node {
	if o.Radius == 0 {
		return nil
	}
	mask := make([][]bool, h*w)
	for p := range mask {
		mask[p] = make([]bool, frames*h*w)
		for i := range mask[p] {
			q := i % (h * w)
			away := max(p/w-q/w, q/w-p/w, p%w-q%w, q%w-p%w)
			mask[p][i] = i < h*w || away <= o.Radius
		}
	}
	return Const(g, mask)
}

// Carried is what a clip's first frame became in the frames after it: T frames of H by W pixels, and maps of Rows by Columns
// places.
type Carried struct {
	T, H, W, Rows, Columns int
	Masks                  []uint8        // [T*H*W]: 0 background, 1+k object k
	Points                 [][][2]float64 // [T][K]: row and column, in pixels, of the middle of object k as the first frame shows it
	Colors, Truth          []float32      // [T*Rows*Columns*2]: ab as copied, and as it is
}

// Carry tracks what truth, [T*H*W] for each clip of ds, shows in its first frame; the rest of truth is not looked at, and where it
// is all 0 colours are carried alone. ds yields uint8 [N, T, H, W, 3]. An embed of nil stands for nothing moving at all: the
// identity. Parameters that the store lacks are initialised.
func Carry(ctx context.Context, backend compute.Backend, store *model.Store, embed Embedder, ds train.Dataset, truth [][]uint8, o Tracking) ([]Carried, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	objects := 1 // one that is nowhere, if nobody knows of any
	for _, ids := range truth {
		objects = max(objects, int(slices.Max(ids)))
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, clip, id *Node) []*Node { return o.carry(scope, embed, clip, id, objects) })
	if err != nil {
		return nil, sslkit.Explain("eval: tracking", err)
	}
	defer exec.Finalize()
	var out []Carried
	for batch, err := range ds.Iter() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, sslkit.Explain("eval: tracking through "+ds.Name(), err)
		}
		d := batch.Inputs[0].Shape().Dimensions
		if len(d) != 5 || len(out)+d[0] > len(truth) || len(truth[len(out)]) != d[1]*d[2]*d[3] {
			return nil, fmt.Errorf("eval: tracking needs clips [N, T, H, W, 3] and the truth of each, got %s and that of %d", batch.Inputs[0].Shape(), len(truth))
		}
		part := truth[len(out) : len(out)+d[0]]
		var first []int32
		for _, ids := range part {
			for _, id := range ids[:d[2]*d[3]] {
				first = append(first, int32(id))
			}
		}
		results, err := exec.Call(batch.Inputs[0], tensors.FromFlatDataAndDimensions(first, d[0], d[2], d[3]))
		if err != nil {
			return nil, sslkit.Explain("eval: tracking through "+ds.Name(), err)
		}
		carried := carriedOf(d, results)
		for i := range carried {
			still := d[1] // frames that are the first one
			if embed != nil {
				still = 1
			}
			for t := range still {
				copy(carried[i].Masks[t*d[2]*d[3]:], part[i][:d[2]*d[3]])
			}
		}
		out = append(out, carried...)
		if err := batch.Finalize(); err != nil {
			return nil, fmt.Errorf("eval: releasing a batch: %w", err)
		}
	}
	if len(out) != len(truth) {
		return nil, fmt.Errorf("eval: the truth of %d clips for %d of %s", len(truth), len(out), ds.Name())
	}
	return out, nil
}

// carry builds masks [N, T, H, W] int32 and, on the map, points [N, T, h, w, K], colours and their truth [N, T, h, w, 2]. id
// [N, H, W] is that of the first frame.
func (o Tracking) carry(scope *model.Scope, embed Embedder, clip, id *Node, objects int) []*Node {
	d := clip.Shape().Dimensions
	n, t, height, width, h, w := d[0], d[1], d[2], d[3], d[2]/4, d[3]/4
	x := DivScalar(ConvertDType(sslkit.Frames(clip), dtypes.Float32), 255)
	var f *Node
	if embed != nil {
		f = embed(scope, x)
		h, w = f.Shape().Dim(1), f.Shape().Dim(2)
		f = Reshape(f, n, t, h, w, -1)
	}
	ab := Reshape(sslkit.Chroma(x, h, w), n, t, h*w, 2)
	shown := OneHot(id, 1+objects, dtypes.Float32)                                                               // NxHxWx(1+K)
	masks := Reshape(ReduceMean(Reshape(shown, n, h, height/h, w, width/w, 1+objects), 2, 4), n, h*w, 1+objects) // NxPx(1+K)
	points := middles(SliceAxis(shown, -1, AxisRangeToEnd(1)), h, w)                                             // NxPxK
	labels := Concatenate([]*Node{masks, points, Squeeze(SliceAxis(ab, 1, AxisElem(0)), 1)}, -1)
	if embed != nil {
		labels = o.Propagate(f, labels) // NxTxPx(1+K+K+2)
	} else {
		labels = BroadcastToDims(InsertAxes(labels, 1), n, t, h*w, 2*objects+3)
	}
	masks = Reshape(SliceAxis(labels, -1, AxisRangeFromStart(1+objects)), n*t, h, w, 1+objects)
	masks = ArgMax(Interpolate(masks, -1, height, width, -1).Bilinear().Done(), -1)
	grid := func(x *Node) *Node { return Reshape(x, n, t, h, w, -1) }
	return []*Node{Reshape(masks, n, t, height, width), grid(SliceAxis(labels, -1, AxisRange(1+objects, 1+2*objects))),
		grid(SliceAxis(labels, -1, AxisRangeToEnd(1+2*objects))), grid(ab)}
}

// middles marks the mean place of what shown [N, H, W, K] is 1 for, shared out among the nearest of h by w places: [N, h*w, K].
// These are the keypoints of Sec. 3.3, which may lie between places.
func middles(shown *Node, h, w int) *Node {
	d := shown.Shape().Dimensions
	area := MaxScalar(ReduceSum(shown, 1, 2), 1) // NxK
	hat := func(axis, cells int) *Node {
		size := d[axis]
		line := shapes.Make(shown.DType(), 1, size, 1)
		at := DivScalar(AddScalar(Iota(shown.Graph(), line, 1), 0.5), float64(size)/float64(cells)) // of pixels, in cells
		mean := Div(ReduceSum(Mul(ReduceSum(shown, 3-axis), at), 1), area)                          // NxK
		mean = ClipScalar(AddScalar(mean, -0.5), 0, float64(cells-1))
		cell := Iota(shown.Graph(), shapes.Make(shown.DType(), 1, cells, 1), 1)
		return MaxScalar(OneMinus(Abs(Sub(InsertAxes(mean, 1), cell))), 0) // NxcellsxK
	}
	return Reshape(Mul(InsertAxes(hat(1, h), 2), InsertAxes(hat(2, w), 1)), d[0], h*w, d[3])
}

// carriedOf takes the results of carry apart; d is the shape of the clips.
func carriedOf(d []int, results []*tensors.Tensor) []Carried {
	masks, points := tensors.MustCopyFlatData[int32](results[0]), tensors.MustCopyFlatData[float32](results[1])
	colors, truth := tensors.MustCopyFlatData[float32](results[2]), tensors.MustCopyFlatData[float32](results[3])
	grid := results[1].Shape().Dimensions
	out := make([]Carried, d[0])
	for i := range out {
		c := &out[i]
		c.T, c.H, c.W, c.Rows, c.Columns = d[1], d[2], d[3], grid[2], grid[3]
		for _, id := range masks[i*len(masks)/d[0] : (i+1)*len(masks)/d[0]] {
			c.Masks = append(c.Masks, uint8(id))
		}
		c.Colors, c.Truth = colors[i*len(colors)/d[0]:(i+1)*len(colors)/d[0]], truth[i*len(truth)/d[0]:(i+1)*len(truth)/d[0]]
		for t := range c.T {
			frame := points[(i*c.T+t)*c.Rows*c.Columns*grid[4]:]
			c.Points = append(c.Points, nil)
			for k := range grid[4] {
				c.Points[t] = append(c.Points[t], c.peak(frame, k, grid[4]))
			}
		}
	}
	return out
}

// peak is where channel k of a map [Rows*Columns*channels] is largest, in pixels: the mean place of the largest cell and those
// around it.
func (c *Carried) peak(m []float32, k, channels int) [2]float64 {
	at := func(row, column int) float64 { return float64(m[(row*c.Columns+column)*channels+k]) }
	best := [2]int{}
	for row := range c.Rows {
		for column := range c.Columns {
			if at(row, column) > at(best[0], best[1]) {
				best = [2]int{row, column}
			}
		}
	}
	var sum, y, x float64
	for row := max(best[0]-1, 0); row <= min(best[0]+1, c.Rows-1); row++ {
		for column := max(best[1]-1, 0); column <= min(best[1]+1, c.Columns-1); column++ {
			sum, y, x = sum+at(row, column), y+at(row, column)*float64(row), x+at(row, column)*float64(column)
		}
	}
	if sum == 0 {
		return [2]float64{}
	}
	cell := [2]float64{float64(c.H) / float64(c.Rows), float64(c.W) / float64(c.Columns)}
	return [2]float64{(y/sum+0.5)*cell[0] - 0.5, (x/sum+0.5)*cell[1] - 0.5}
}
