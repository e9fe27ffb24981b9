package view

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// CropResize cuts a rectangle out of each image of x [N, H, W, C] and resizes it to size by size: bilinear, half-pixel
// centres, and the crop's own edge is repeated, as if it had been cut out first. (It is torchvision's resized_crop with
// antialias off.) x is float32 or float64; top, left, height and width are [N] of x's dtype, in pixels, and
// may be fractions; pixel i covers [i, i+1]. Crops are to lie inside the image: what reaches beyond repeats its edge.
// It has gradients in x and in the rectangle.
func CropResize(x, top, left, height, width *Node, size int) *Node {
	n, h, w := checkImages("CropResize", x)
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
	x = Einsum("nih,nhwc->niwc", taps(top, height, size, h), x)
	return Einsum("njw,niwc->nijc", taps(left, width, size, w), x)
}

// taps returns the weights [N, size, length] of the source pixels along one side.
func taps(start, extent *Node, size, length int) *Node {
	g, dtype := start.Graph(), start.DType()
	start, extent = InsertAxes(start, -1, -1), InsertAxes(extent, -1, -1) // Nx1x1
	centre := AddScalar(Iota(g, shapes.Make(dtype, 1, size, 1), 1), 0.5)
	at := AddScalar(Mul(centre, DivScalar(extent, float64(size))), -0.5) // in the crop
	at = Min(MaxScalar(at, 0), MaxScalar(AddScalar(extent, -1), 0))      // its own edge
	at = ClipScalar(Add(at, start), 0, float64(length-1))                // Nxsizex1, in the image
	source := Iota(g, shapes.Make(dtype, 1, 1, length), 2)
	return MaxScalar(OneMinus(Abs(Sub(source, at))), 0)
}
