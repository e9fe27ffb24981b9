package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// nin follows architectures/NetworkInNetwork.py of the authors' repository gidariss/FeatureLearningRotNet: blocks of a
// spatial and two 1x1 convolutions. The first two end in a pooling that halves height and width, and their maps are what
// comes out of it. There is no pooling after the third, as in the configuration of the CIFAR-10 results
// (use_avg_on_conv3 = False in CIFAR10_RotNet_NIN4blocks.py).
func nin(scope *model.Scope, x *Node, blocks, width int) []*Node {
	var maps []*Node
	for i := range blocks {
		kernel, second, third := 3, width, width
		switch i {
		case 0:
			kernel, second, third = 5, width*160/192, width*96/192
		case 1:
			kernel = 5
		}
		block := scope.In("block_%d", i+1)
		x = convNormReLU(block.In("layer_1"), x, width, kernel)
		x = convNormReLU(block.In("layer_2"), x, second, 1)
		x = convNormReLU(block.In("layer_3"), x, third, 1)
		switch i {
		case 0:
			x = maxPool(x)
		case 1:
			x = avgPool(x)
		}
		maps = append(maps, x)
	}
	return maps
}

func convNormReLU(scope *model.Scope, x *Node, channels, kernel int) *Node {
	x = Conv(scope.In("conv"), x, channels, kernel, 1, false)
	return relu(BatchNorm(scope.In("norm"), x))
}

// relu has the gradient 0 at 0, as PyTorch's, where GoMLX's has 1, and makes less work of it: 5 % of a training step of
// NIN(4, 24). A NaN passes, so that a run that diverges shows it.
func relu(x *Node) *Node {
	zeros := ZerosLike(x)
	return Where(LessOrEqual(x, zeros), zeros, x)
}
