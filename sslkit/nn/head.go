package nn

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Last returns the deepest of the feature maps.
func Last(maps []*Node) *Node { return maps[len(maps)-1] }

// Pool averages a feature map [N, h, w, C] over its positions: [N, C].
func Pool(x *Node) *Node {
	checkImage("Pool", x)
	return ReduceMean(x, 1, 2)
}

// MLP maps x [N, D] to [N, dims[0]], ..., [N, dims[last]] by linear layers with biases, with a ReLU between each two:
// MLP(scope, x, classes) is a linear classifier, MLP(scope, h, 2048, 128) SimCLR's projection head.
//
// Layer i keeps "weights" and "biases" under "linear_<i>/dense", from scope's initializer; the default is He's normal of
// variance 2/D for weights and zero for biases.
func MLP(scope *model.Scope, x *Node, dims ...int) *Node {
	if x.Rank() != 2 || len(dims) == 0 {
		exceptions.Panicf("nn.MLP: need features [N, D] and the size of at least one layer, got %s and %v", x.Shape(), dims)
	}
	for i, d := range dims {
		if i > 0 {
			x = relu(x)
		}
		x = Dense(scope.In("linear_%d", i+1), x, true, d)
	}
	return x
}

// NormMLP is MLP with a [BatchNorm] after each layer, under "linear_<i>/norm", in place of its bias: the projection head of
// google-research/simclr, whose last norm has no offset to train.
func NormMLP(scope *model.Scope, x *Node, dims ...int) *Node {
	if x.Rank() != 2 || len(dims) == 0 {
		exceptions.Panicf("nn.NormMLP: need features [N, D] and the size of at least one layer, got %s and %v", x.Shape(), dims)
	}
	for i, d := range dims {
		if i > 0 {
			x = relu(x)
		}
		layer := scope.In("linear_%d", i+1)
		norm := layer.In("norm")
		x = BatchNorm(norm, Dense(layer, x, false, d))
		if i == len(dims)-1 {
			norm.GetVariable("offset").SetTrainable(false)
		}
	}
	return x
}
