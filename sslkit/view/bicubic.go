package view

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// CropResizeBicubic is [CropResize] with Pillow's bicubic filter: Keys' kernel with a = -0.5, as wide as the pixels of the result
// where it shrinks. The rectangles are in whole pixels and inside the image, of which nothing beyond them is seen. What the filter
// overshoots is cut to [0, 1], once: Pillow rounds and cuts to 8 bits after each of the two axes.
func CropResizeBicubic(x, top, left, height, width *Node, size int) *Node {
	n, h, w := checkImages("CropResizeBicubic", x)
	checkFloat("CropResizeBicubic", x)
	if size < 1 {
		exceptions.Panicf("view.CropResizeBicubic: size is %d; it must be at least 1", size)
	}
	for _, p := range []*Node{top, left, height, width} {
		if !p.Shape().Equal(shapes.Make(x.DType(), n)) {
			exceptions.Panicf("view.CropResizeBicubic: top, left, height and width must be [%d] %s as the images %s, got %s",
				n, x.DType(), x.Shape(), p.Shape())
		}
	}
	x = Einsum("nih,nhwc->niwc", cubicTaps(top, height, size, h), x)
	return ClipScalar(Einsum("njw,niwc->nijc", cubicTaps(left, width, size, w), x), 0, 1)
}

// cubicTaps returns the weights [N, size, length] of the source pixels along one side.
func cubicTaps(start, extent *Node, size, length int) *Node {
	g, dtype := start.Graph(), start.DType()
	start, extent = InsertAxes(start, -1, -1), InsertAxes(extent, -1, -1) // Nx1x1
	scale := DivScalar(extent, float64(size))
	centre := Add(start, Mul(AddScalar(Iota(g, shapes.Make(dtype, 1, size, 1), 1), 0.5), scale)) // Nxsizex1
	source := AddScalar(Iota(g, shapes.Make(dtype, 1, 1, length), 2), 0.5)
	weights := cubic(Div(Abs(Sub(source, centre)), MaxScalar(scale, 1))) // Nxsizexlength
	inside := LogicalAnd(GreaterThan(source, start), LessThan(source, Add(start, extent)))
	weights = Mul(weights, ConvertDType(inside, dtype))
	return Div(weights, ReduceAndKeep(weights, ReduceSum, -1))
}

// cubic is the kernel at the distance d: 1 at 0, and 0 at 1 and from 2 on.
func cubic(d *Node) *Node {
	const a = -0.5
	square := Square(d)
	near := AddScalar(Mul(square, AddScalar(MulScalar(d, a+2), -(a+3))), 1)
	far := MulScalar(AddScalar(Mul(AddScalar(Mul(AddScalar(d, -5), d), 8), d), -4), a)
	return Where(LessThan(d, ConstAs(d, 1)), near, Where(LessThan(d, ConstAs(d, 2)), far, ZerosLike(d)))
}

// RandomResizedCropBicubic is [RandomResizedCrop] with [CropResizeBicubic].
func RandomResizedCropBicubic(size int, minScale, maxScale float64) Transform {
	return randomResizedCrop("RandomResizedCropBicubic", size, minScale, maxScale, CropResizeBicubic)
}

func randomResizedCrop(name string, size int, minScale, maxScale float64, resize func(x, top, left, height, width *Node, size int) *Node) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		checkImages(name, x)
		checkFloat(name, x)
		if !(minScale > 0 && minScale <= maxScale && maxScale <= 1) {
			exceptions.Panicf("view.%s: areas from %g to %g of the image's; they must be above 0 and at most 1", name, minScale, maxScale)
		}
		top, left, height, width := randomRectangle(scope, x, minScale, maxScale)
		return resize(x, top, left, height, width, size)
	}
}
