package view

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// AdjustBrightness multiplies each image of x by its factor, at least 0, and clips to [0, 1].
//
// This and all below are torchvision's functional API on float tensors: x is [N, H, W, 3] or [N, H, W, 1], float32 or
// float64, in [0, 1]; factor is [N] of x's dtype, one for each image. As there, an image of one channel has a brightness and
// a contrast, and what is about colour leaves it alone. They have gradients in the image and in the factor.
func AdjustBrightness(x, factor *Node) *Node {
	p, f := checkAdjust("AdjustBrightness", x, factor)
	return join(blend(p, nil, f))
}

// AdjustContrast moves each image of x away from the mean of its [Grayscale] by its factor, at least 0, and clips to [0, 1]:
// 0 is flat, 1 the image itself. An image of one channel has the mean of its pixels. Shapes as for [AdjustBrightness].
func AdjustContrast(x, factor *Node) *Node {
	p, f := checkAdjust("AdjustContrast", x, factor)
	return join(blend(p, mean(luma(p)), f))
}

// AdjustSaturation moves each pixel of x away from its [Grayscale] by the image's factor, at least 0, and clips to [0, 1]: 0
// is gray, 1 the image itself. Images of one channel stay as they are. Shapes as for [AdjustBrightness].
func AdjustSaturation(x, factor *Node) *Node {
	p, f := checkAdjust("AdjustSaturation", x, factor)
	if len(p) == 1 {
		return x
	}
	return join(blend(p, luma(p), f))
}

// AdjustHue turns the hue of each image of x by its factor, in [-0.5, 0.5]: half a turn of the colour wheel of HSV either
// way. Images of one channel stay as they are. Shapes as for [AdjustBrightness].
//
// A gray pixel stays as it is. There the derivatives, which jump, are set to something finite. (Of float64 images
// torchvision computes the hue in float32; this does not.)
func AdjustHue(x, factor *Node) *Node {
	p, f := checkAdjust("AdjustHue", x, factor)
	if len(p) == 1 {
		return x
	}
	return join(turnHue(p, f))
}

// Grayscale makes all three channels of x [N, H, W, 3], float32 or float64, 0.2989 R + 0.587 G + 0.114 B. Images of one
// channel stay as they are.
func Grayscale(x *Node) *Node {
	p := checkColours("Grayscale", x)
	if len(p) == 1 {
		return x
	}
	y := luma(p)
	return join([]*Node{y, y, y})
}

// Solarize inverts the values of x [N, H, W, C], float32 or float64 in [0, 1], that reach the threshold: v becomes 1-v.
func Solarize(x *Node, threshold float64) *Node {
	checkImages("Solarize", x)
	checkFloat("Solarize", x)
	return Where(GreaterOrEqual(x, ConstAs(x, threshold)), OneMinus(x), x)
}

// planes are the channels of x, [N, H, W] each, so that arithmetic between them runs along rows.
func planes(x *Node) []*Node {
	p := make([]*Node, x.Shape().Dim(-1))
	for c := range p {
		p[c] = Squeeze(SliceAxis(x, -1, AxisElem(c)), -1)
	}
	return p
}

func join(p []*Node) *Node { return Stack(p, -1) }

// luma is the gray of a pixel, [N, H, W].
func luma(p []*Node) *Node {
	if len(p) == 1 {
		return p[0]
	}
	return Add(Add(MulScalar(p[0], 0.2989), MulScalar(p[1], 0.587)), MulScalar(p[2], 0.114))
}

// mean is that of each image of a plane, [N, 1, 1].
func mean(plane *Node) *Node { return ReduceAndKeep(plane, ReduceMean, 1, 2) }

// blend is f*p + (1-f)*with, clipped to [0, 1]: torchvision's _blend. f is [N, 1, 1]; with broadcasts to a plane, nil is
// black. At 0 and at 1 the gradient passes, as PyTorch's, where that of GoMLX's ClipScalar is 0 at 1.
func blend(p []*Node, with, f *Node) []*Node {
	y := make([]*Node, len(p))
	for i := range p {
		y[i] = Mul(f, p[i])
		if with != nil {
			y[i] = Add(y[i], Mul(OneMinus(f), with))
		}
		y[i] = unit(y[i])
	}
	return y
}

func unit(x *Node) *Node {
	zeros, ones := ZerosLike(x), OnesLike(x)
	return Where(LessThan(x, zeros), zeros, Where(GreaterThan(x, ones), ones, x))
}

// turnHue is torchvision's _rgb2hsv, a turn and _hsv2rgb without the way over the saturation: of the hue h, in sixths of a
// turn, red lacks unit(2-|h-3|), green unit(|h-2|-1) and blue unit(|h-4|-1) of the chroma c to be as bright as v.
func turnHue(p []*Node, f *Node) []*Node {
	r, g, b := p[0], p[1], p[2]
	v := Max(r, Max(g, b))
	c := Sub(v, Min(r, Min(g, b)))
	constant := func(value float64) *Node { return AddScalar(ZerosLike(v), value) }
	isRed, isGreen := Equal(v, r), Equal(v, g)
	from := Where(isRed, constant(0), Where(isGreen, constant(2), constant(4)))
	towards := Where(isRed, Sub(g, b), Where(isGreen, Sub(b, r), Sub(r, g)))
	// A gray has no hue: divided by 1, neither it nor its gradient is NaN.
	h := Add(from, Div(towards, Where(Equal(c, ZerosLike(c)), OnesLike(c), c)))
	h = Add(h, MulScalar(f, 6))
	h = Sub(h, MulScalar(StopGradient(Floor(MulScalar(h, 1./6))), 6)) // in [0, 6)
	lack := func(part *Node) *Node { return Sub(v, Mul(c, unit(part))) }
	from3, from2, from4 := Abs(AddScalar(h, -3)), Abs(AddScalar(h, -2)), Abs(AddScalar(h, -4))
	return []*Node{lack(Neg(AddScalar(from3, -2))), lack(AddScalar(from2, -1)), lack(AddScalar(from4, -1))}
}

func checkColours(name string, x *Node) []*Node {
	checkImages(name, x)
	checkFloat(name, x)
	if c := x.Shape().Dim(3); c != 1 && c != 3 {
		exceptions.Panicf("view.%s: images must have 1 or 3 channels, got %s", name, x.Shape())
	}
	return planes(x)
}

// checkAdjust returns the planes of x, and factor as [N, 1, 1].
func checkAdjust(name string, x, factor *Node) (p []*Node, f *Node) {
	p = checkColours(name, x)
	if n := x.Shape().Dim(0); !factor.Shape().Equal(shapes.Make(x.DType(), n)) {
		exceptions.Panicf("view.%s: factor must be [%d] %s, one for each of the images %s, got %s", name, n, x.DType(), x.Shape(), factor.Shape())
	}
	return p, InsertAxes(factor, -1, -1)
}
