package view

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// CropResize cuts a rectangle out of each image of x [N, H, W, C] and resizes it to size by size: bilinear, half-pixel
// centres, and the crop's own edge is repeated, as if it had been cut out first. (It is torchvision's resized_crop with
// antialias off.) x is float32 or float64; top, left, height and width are [N] of x's dtype, in pixels, and
// may be fractions; pixel i covers [i, i+1]. Crops are to lie inside the image: what reaches beyond repeats its edge.
// It has gradients in x and in the rectangle.
func CropResize(x, top, left, height, width *Node, size int) *Node {
	n, _, _ := checkImages("CropResize", x)
	checkFloat("CropResize", x)
	if size < 1 {
		exceptions.Panicf("view.CropResize: size is %d; it must be at least 1", size)
	}
	for _, p := range []*Node{top, left, height, width} {
		if !p.Shape().Equal(shapes.Make(x.DType(), n)) {
			exceptions.Panicf("view.CropResize: top, left, height and width must be [%d] %s as the images %s, got %s",
				n, x.DType(), x.Shape(), p.Shape())
		}
	}
	return cut(x, top, left, height, width, nil, size, size)
}

// cut is CropResize to any height and width, and then a mirror image, left to right, where mirror [N] says so; nil is
// nowhere.
func cut(x, top, left, height, width, mirror *Node, toHeight, toWidth int) *Node {
	h, w := x.Shape().Dim(1), x.Shape().Dim(2)
	x = Einsum("nih,nhwc->niwc", taps(top, height, nil, toHeight, h), x)
	return Einsum("njw,niwc->nijc", taps(left, width, mirror, toWidth, w), x)
}

// taps returns the weights [N, size, length] of the source pixels along one side, in reverse order where mirror [N] says so.
func taps(start, extent, mirror *Node, size, length int) *Node {
	g, dtype := start.Graph(), start.DType()
	start, extent = InsertAxes(start, -1, -1), InsertAxes(extent, -1, -1) // Nx1x1
	centre := AddScalar(Iota(g, shapes.Make(dtype, 1, size, 1), 1), 0.5)
	if mirror != nil {
		n := start.Shape().Dim(0)
		centre = BroadcastToDims(centre, n, size, 1)
		centre = Where(mirror, AddScalar(Neg(centre), float64(size)), centre)
	}
	at := AddScalar(Mul(centre, DivScalar(extent, float64(size))), -0.5) // in the crop
	at = Min(MaxScalar(at, 0), MaxScalar(AddScalar(extent, -1), 0))      // its own edge
	at = ClipScalar(Add(at, start), 0, float64(length-1))                // Nxsizex1, in the image
	source := Iota(g, shapes.Make(dtype, 1, 1, length), 2)
	return MaxScalar(OneMinus(Abs(Sub(source, at))), 0)
}

// RandomResizedCrop cuts a rectangle out of each image of x [N, H, W, C], float32 or float64, and resizes it to size by size
// with [CropResize]. As in torchvision's, its area is an even share of the image's from minScale to maxScale, its width to
// its height evenly on a logarithmic scale from 3/4 to 4/3, both in whole pixels, and its place even among those within the
// image. Ten rectangles are drawn and the first that fits is taken; should none fit, the largest in the centre.
func RandomResizedCrop(size int, minScale, maxScale float64) Transform {
	return randomResizedCrop("RandomResizedCrop", size, minScale, maxScale, CropResize)
}

// randomRectangle is torchvision's RandomResizedCrop.get_params, [N] each.
func randomRectangle(scope *model.Scope, x *Node, minScale, maxScale float64) (top, left, height, width *Node) {
	const tries, narrow, wide = 10, 3. / 4, 4. / 3
	g, n, h, w := x.Graph(), x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	draw := func() *Node { return scope.RandomUniform(g, shapes.Make(x.DType(), n, tries)) }
	area := between(draw(), minScale*float64(h*w), maxScale*float64(h*w))
	ratio := Exp(between(draw(), math.Log(narrow), math.Log(wide)))
	widths, heights := Round(Sqrt(Mul(area, ratio))), Round(Sqrt(Div(area, ratio))) // Nx10
	fits := func(extent *Node, length int) *Node {
		return LogicalAnd(GreaterThan(extent, ConstAs(extent, 0)), LessOrEqual(extent, ConstAs(extent, length)))
	}
	fit := LogicalAnd(fits(widths, w), fits(heights, h))
	first := Equal(Iota(g, shapes.Make(dtypes.Int32, 1, tries), 1), InsertAxes(ArgMax(ConvertDType(fit, dtypes.Int32), -1), -1))
	first = LogicalAnd(first, fit)
	none := LogicalNot(LogicalAny(first, -1))
	// The largest in the centre, of the ratio nearest to the image's.
	centralW, centralH := float64(w), float64(h)
	switch inRatio := centralW / centralH; {
	case inRatio < narrow:
		centralH = math.RoundToEven(centralW / narrow)
	case inRatio > wide:
		centralW = math.RoundToEven(centralH * wide)
	}
	u := uniforms(scope, x, 2)
	place := func(u, extents *Node, central float64, length int) (start, extent *Node) {
		extent = ReduceSum(Where(first, extents, ZerosLike(extents)), -1)
		extent = Where(none, AddScalar(ZerosLike(extent), central), extent)
		free := AddScalar(Neg(extent), float64(length))
		start = Min(Floor(Mul(u, AddScalar(free, 1))), free) // u*(free+1) may round up to free+1
		return Where(none, Floor(MulScalar(free, 0.5)), start), extent
	}
	top, height = place(u[0], heights, centralH, h)
	left, width = place(u[1], widths, centralW, w)
	return top, left, height, width
}
