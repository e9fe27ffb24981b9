package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
)

const mixedKey = "mixed_precision"

// MixedPrecision makes what is built under scope in graph g, from now on, convolve and multiply matrices of float32 in
// bfloat16: [Conv], [Dense], what is made of them, and [Transformer]. Their results are float32 again, as are parameters,
// norms, softmax, and all that is built with other functions, such as losses (Micikevicius et al. 2018, "Mixed Precision
// Training", Sec. 3, with bfloat16, which needs no scaling of the loss).
func MixedPrecision(scope *model.Scope, g *Graph) { scope.SetGraphParam(g, mixedKey, true) }

func mixed(scope *model.Scope, x *Node) bool {
	return x.DType() == dtypes.Float32 && model.GetGraphParamOr(scope, x.Graph(), mixedKey, false)
}

// products are f of xs in float32, computed in bfloat16 under [MixedPrecision].
func products(scope *model.Scope, f func(xs []*Node) *Node, xs ...*Node) *Node {
	if !mixed(scope, xs[0]) {
		return f(xs)
	}
	half := make([]*Node, len(xs))
	for i, x := range xs {
		half[i] = ConvertDType(x, dtypes.BFloat16)
	}
	return ConvertDType(f(half), dtypes.Float32)
}

// Dense is a linear layer from x [..., D] to [..., dim], with biases or without: layers.Dense of GoMLX, whose variables "weights"
// [D, dim] and "biases" [dim] it keeps under "dense", and which it is but under [MixedPrecision].
func Dense(scope *model.Scope, x *Node, bias bool, dim int) *Node {
	if !mixed(scope, x) {
		return layers.Dense(scope, x, bias, dim)
	}
	scope = scope.In("dense")
	g, d := x.Graph(), x.Shape().Clone().Dimensions
	in := d[len(d)-1]
	weights := scope.VariableWithShape("weights", shapes.Make(x.DType(), in, dim)).NodeValue(g)
	y := products(scope, func(xs []*Node) *Node { return DotProduct(xs[0], xs[1]) }, Reshape(x, -1, in), weights)
	d[len(d)-1] = dim
	y = Reshape(y, d...)
	if bias {
		y = Add(y, ExpandLeftToRank(scope.VariableWithShape("biases", shapes.Make(x.DType(), dim)).NodeValue(g), len(d)))
	}
	return y
}
