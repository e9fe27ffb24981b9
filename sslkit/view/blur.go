package view

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// GaussianBlur blurs each image of x [N, H, W, C], float32 or float64, with its own kernel: that of torchvision, kernel by
// kernel pixels, odd, weighted by the normal density of standard deviation sigma, [N] of x's dtype and above 0, in pixels;
// the weights sum to 1. Beyond its edge the image is reflected, the edge itself not repeated, so half the kernel has
// to be smaller than the image. It has gradients in the image and in sigma.
func GaussianBlur(x *Node, kernel int, sigma *Node) *Node {
	n, h, w := checkImages("GaussianBlur", x)
	checkFloat("GaussianBlur", x)
	checkKernel("GaussianBlur", kernel)
	if kernel/2 >= min(h, w) {
		exceptions.Panicf("view.GaussianBlur: a kernel of %d reflects %d pixels at each edge, which images %s do not have; take one of at most %d",
			kernel, kernel/2, x.Shape(), 2*min(h, w)-1)
	}
	if !sigma.Shape().Equal(shapes.Make(x.DType(), n)) {
		exceptions.Panicf("view.GaussianBlur: sigma must be [%d] %s, one for each of the images %s, got %s", n, x.DType(), x.Shape(), sigma.Shape())
	}
	at := AddScalar(Iota(x.Graph(), shapes.Make(x.DType(), 1, kernel), 1), float64(-(kernel / 2)))
	weight := Exp(MulScalar(Square(Div(at, InsertAxes(sigma, -1))), -0.5))
	weight = Div(weight, ReduceAndKeep(weight, ReduceSum, 1)) // Nxkernel
	return weigh(weigh(x, weight, 1), weight, 2)
}

// weigh sums the neighbours of each pixel along an axis, with the weights [N, kernel]. Up to 9 pixels this is as fast as a
// product with a matrix for each image, or faster: by 2.5 times at 3.
func weigh(x, weight *Node, axis int) *Node {
	size, kernel := x.Shape().Dim(axis), weight.Shape().Dim(1)
	pixel := func(i int) *Node { return SliceAxis(x, axis, AxisElem(i)) }
	var padded []*Node
	for i := kernel / 2; i > 0; i-- {
		padded = append(padded, pixel(i))
	}
	padded = append(padded, x)
	for i := range kernel / 2 {
		padded = append(padded, pixel(size-2-i))
	}
	wide := Concatenate(padded, axis)
	var sum *Node
	for i := range kernel {
		term := Mul(InsertAxes(SliceAxis(weight, 1, AxisElem(i)), -1, -1), SliceAxis(wide, axis, AxisRange(i, i+size)))
		if sum != nil {
			term = Add(sum, term)
		}
		sum = term
	}
	return sum
}

// RandomBlur applies [GaussianBlur] to each image with probability p, sigma drawn evenly from [sigmaMin, sigmaMax).
func RandomBlur(p float64, kernel int, sigmaMin, sigmaMax float64) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		checkImages("RandomBlur", x)
		checkFloat("RandomBlur", x)
		checkProbability("RandomBlur", p)
		if !(sigmaMin > 0 && sigmaMin <= sigmaMax) {
			exceptions.Panicf("view.RandomBlur: sigma is from %g to %g; it must be above 0", sigmaMin, sigmaMax)
		}
		sigma := between(uniforms(scope, x, 1)[0], sigmaMin, sigmaMax)
		return Where(chance(scope, x, p), GaussianBlur(x, kernel, sigma), x)
	}
}

func checkKernel(name string, kernel int) {
	if kernel < 1 || kernel%2 == 0 {
		exceptions.Panicf("view.%s: the kernel is %d; it must be odd and at least 1", name, kernel)
	}
}
