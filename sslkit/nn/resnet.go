package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// resnet is a 3x3 layer, without pooling after it, and 3 stages of n basic blocks, of width, 2*width and 4*width channels.
// The second and third stage halve the height and width. Shortcuts have no parameters: "On this dataset we use
// identity shortcuts in all cases (i.e., option A)" (He et al. 2016, Sec. 4.2).
func resnet(scope *model.Scope, x *Node, n, width int) []*Node {
	x = convNormReLU(scope.In("stem"), x, width, 3) // NxHxWxw
	var maps []*Node
	for i := range 3 {
		stage := scope.In("stage_%d", i+1)
		for j := range n {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			x = basicBlock(stage.In("block_%d", j+1), x, width<<i, stride, padded)
		}
		maps = append(maps, x)
	}
	return maps
}

// imageNetBlocks are those of each of the four stages of the networks that He et al. 2016 made for ImageNet (Table 1).
var imageNetBlocks = map[string][]int{"resnet18": {2, 2, 2, 2}, "resnet34": {3, 4, 6, 3}, "resnet50": {3, 4, 6, 3}}

// imageNetResNet is a stem and 4 stages of blocks, of width to 8*width channels, of bottlenecks four times as many, all but the
// first of which halve the height and width. Where that changes the shape, shortcuts are projections: option B, as in torchvision's.
// The stem is a 3x3 layer, or the paper's 7x7 layer and max pooling, which halve the height and width each.
func imageNetResNet(scope *model.Scope, x *Node, b Backbone) []*Node {
	width := b.Width
	if b.Stem != "" {
		stem := scope.In("stem")
		x = maxPool(relu(BatchNorm(stem.In("norm"), Conv(stem.In("conv"), x, width, 7, 2, false)))) // NxH/4xW/4xw
	} else {
		x = convNormReLU(scope.In("stem"), x, width, 3) // NxHxWxw
	}
	var maps []*Node
	for i, n := range imageNetBlocks[b.Arch] {
		stage := scope.In("stage_%d", i+1)
		for j := range n {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			block := stage.In("block_%d", j+1)
			if b.Arch == "resnet50" {
				x = bottleneck(block, x, width<<i, stride)
			} else {
				x = basicBlock(block, x, width<<i, stride, projected(3))
			}
		}
		maps = append(maps, x)
	}
	return maps
}

// shortcut brings x to so many channels, and every stride-th row and column.
type shortcut func(scope *model.Scope, x *Node, channels, stride int) *Node

// basicBlock is Fig. 2 with two 3x3 layers, batch norm "right after each convolution and before activation" (Sec. 3.4).
func basicBlock(scope *model.Scope, x *Node, channels, stride int, past shortcut) *Node {
	y := Conv(scope.In("conv_1"), x, channels, 3, stride, false)
	y = relu(BatchNorm(scope.In("norm_1"), y))
	y = Conv(scope.In("conv_2"), y, channels, 3, 1, false)
	y = BatchNorm(scope.In("norm_2"), y)
	return relu(Add(y, past(scope, x, channels, stride)))
}

// bottleneck is Fig. 5, right: 1x1, 3x3 and 1x1 layers, the last of four times the channels. The stride is that of the 3x3 layer, as in
// torchvision's since Goyal et al. 2017, "Accurate, Large Minibatch SGD", Sec. 5.1; the paper's is that of the first.
func bottleneck(scope *model.Scope, x *Node, channels, stride int) *Node {
	y := Conv(scope.In("conv_1"), x, channels, 1, 1, false)
	y = relu(BatchNorm(scope.In("norm_1"), y))
	y = Conv(scope.In("conv_2"), y, channels, 3, stride, false)
	y = relu(BatchNorm(scope.In("norm_2"), y))
	y = Conv(scope.In("conv_3"), y, 4*channels, 1, 1, false)
	y = BatchNorm(scope.In("norm_3"), y)
	return relu(Add(y, projected(4)(scope, x, 4*channels, stride)))
}

// padded is option A of Sec. 3.3: identity "with extra zero entries padded for increasing dimensions", and with a
// stride of 2 where the sizes differ.
func padded(_ *model.Scope, x *Node, channels, stride int) *Node {
	x = window(window(x, 1, 0, 1, stride), 2, 0, 1, stride)
	if more := channels - x.Shape().Dim(-1); more > 0 {
		zeros := x.Shape().Clone()
		zeros.Dimensions[3] = more
		x = Concatenate([]*Node{x, Zeros(x.Graph(), zeros)}, -1)
	}
	return x
}

// projected is option B: a 1x1 layer where the shapes differ, the block's layer of this number.
func projected(number int) shortcut {
	return func(scope *model.Scope, x *Node, channels, stride int) *Node {
		if stride == 1 && x.Shape().Dim(-1) == channels {
			return x
		}
		return BatchNorm(scope.In("norm_%d", number), Conv(scope.In("conv_%d", number), x, channels, 1, stride, false))
	}
}
