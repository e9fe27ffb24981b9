package nn

import (
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// ChannelDense connects all positions of a feature map x [N, h, w, C] with each other, in each channel apart: its result has
// the shape of x, and C*(h*w)^2 weights ("channel-wise fully-connected layer", Pathak et al. 2016, "Context Encoders",
// Sec. 3.1). The scope gets "weights" [C, h*w, h*w], normal of variance 1/(h*w), and "biases" [h*w, C], zero.
func ChannelDense(scope *model.Scope, x *Node) *Node {
	checkImage("ChannelDense", x)
	d := x.Shape().Dimensions
	n, l, c := d[0], d[1]*d[2], d[3]
	normal := initializer.RandomNormalFn(scope, 1/math.Sqrt(float64(l)))
	weights := scope.WithInitializer(normal).VariableWithShape("weights", shapes.Make(x.DType(), c, l, l)).NodeValue(x.Graph())
	biases := scope.WithInitializer(initializer.Zero).VariableWithShape("biases", shapes.Make(x.DType(), l, c)).NodeValue(x.Graph())
	y := products(scope, func(xs []*Node) *Node { return Einsum("nlc,clm->nmc", xs[0], xs[1]) }, Reshape(x, n, l, c), weights)
	return Reshape(Add(y, InsertAxes(biases, 0)), d...)
}

// Decoder paints [N, side, side, channels] from a feature map x [N, h, h, C]: after a layer of 3x3 convolution, batch norm and
// ReLU it doubles the map and applies another one until the map has that side, which must be h times a power of two. The last
// of these layers has width channels, those before it twice as many for each doubling to come. A linear layer makes the
// pixels, unbounded, and starts with weights of deviation 0.02, near 0, as in DCGAN.
//
// Doubling repeats pixels: an up-convolution "can be understood as upsampling followed by convolution" (Pathak et al. 2016,
// Sec. 3.1). GoMLX's transposed convolution has no gradient.
func Decoder(scope *model.Scope, x *Node, side, width, channels int) *Node {
	checkImage("Decoder", x)
	h := x.Shape().Dim(1)
	doublings := 0
	for h<<doublings < side {
		doublings++
	}
	if h != x.Shape().Dim(2) || h<<doublings != side || width < 1 || channels < 1 {
		exceptions.Panicf("nn.Decoder: a square map must double to the side %d, with a width and channels of at least 1, got %s, %d and %d",
			side, x.Shape(), width, channels)
	}
	x = convNormReLU(scope.In("layer_1"), x, width<<doublings, 3)
	for i := range doublings {
		x = convNormReLU(scope.In("layer_%d", i+2), double(x), width<<(doublings-1-i), 3)
	}
	scope = scope.In("pixels")
	return Dense(scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02)), x, true, channels)
}

// double repeats each pixel of x [N, h, w, C] in a square of 2x2.
func double(x *Node) *Node {
	d := x.Shape().Dimensions
	x = BroadcastToDims(InsertAxes(x, 2, 3), d[0], d[1], 2, d[2], 2, d[3])
	return Reshape(x, d[0], 2*d[1], 2*d[2], d[3])
}

// Critic tells images x [N, H, W, C] apart, one logit each: [N]. It is the discriminator of DCGAN (Radford et al. 2016,
// Sec. 3): convolutions of stride 2 in place of pooling until the map is 4x4 or smaller, of width channels and twice as many
// each time, batch norm but for the first one, leaky ReLUs of slope 0.2, and a linear layer.
func Critic(scope *model.Scope, x *Node, width int) *Node {
	checkImage("Critic", x)
	for i := 0; max(x.Shape().Dim(1), x.Shape().Dim(2)) > 4; i++ {
		layer := scope.In("layer_%d", i+1)
		x = Conv(layer.In("conv"), x, width<<i, 5, 2, i == 0)
		if i > 0 {
			x = BatchNorm(layer.In("norm"), x)
		}
		x = Where(GreaterThan(x, ZerosLike(x)), x, MulScalar(x, 0.2))
	}
	return Squeeze(Dense(scope, Reshape(x, x.Shape().Dim(0), -1), true, 1), -1)
}
