package nn

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Transformer runs depth pre-norm blocks on x [N, L, D], float32 or float64: x += Attention(LayerNorm(x)), then
// x += MLP(LayerNorm(x)), where the attention has so many heads of D/heads dimensions each and the MLP one hidden layer of
// 4D with the exact GELU (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", Eq. 2 and 3). CLIP's blocks differ by
// a quicker GELU only. Where causal, no position sees a later one. There is no norm after the last block: that is the
// caller's, see [LayerNorm].
//
// Linear layers start Xavier-uniform, the one that makes queries, keys and values as a single matrix, with biases of 0, as
// in MAE's code (models_mae.py, _init_weights). The variables are the same on all backends, under "block_<i>".
//
// It panics with an error where heads does not divide D or a number is below 1.
func Transformer(scope *model.Scope, x *Node, depth, heads int, causal bool) *Node {
	x, _ = blocks(scope, x, depth, heads, seeing{causal: causal})
	return x
}

// TransformerOver is Transformer in which nothing sees the positions where there, bool [N, L], is false, nor do those teach
// anything to others: padding. At least one of each row must be there. In training so much of what each layer adds is dropped at
// random, and the rest is scaled up (Vaswani et al. 2017, "Attention Is All You Need", Sec. 5.4); the weights of the attention are
// left whole.
func TransformerOver(scope *model.Scope, x, there *Node, depth, heads int, causal bool, dropout float64) *Node {
	x, _ = blocks(scope, x, depth, heads, seeing{there: there, causal: causal, dropout: dropout})
	return x
}

// seeing is what positions of a transformer see, and what is seen of them.
type seeing struct {
	there   *Node // bool [N, L], nil where all are
	causal  bool
	looked  bool // the weights of the last block are wanted
	dropout float64
	scale   float64 // initial gain of each channel of what a layer adds, see [LayerScale]; 0: there is none
}

// mask tells which of L positions each sees: bool, as broad as it needs to be of [N, heads, L, L], nil for all.
func (s seeing) mask(g *Graph, l int) *Node {
	var mask *Node
	if s.causal {
		mask = Reshape(LowerTriangular(g, l), 1, 1, l, l)
	}
	if s.there == nil {
		return mask
	}
	n := s.there.Shape().Dim(0)
	there := BroadcastToDims(Reshape(s.there, n, 1, 1, l), n, 1, l, l)
	if mask == nil {
		return there
	}
	return LogicalAnd(there, BroadcastToDims(mask, n, 1, l, l))
}

// blocks is Transformer, and where looked at, what the last block attends to: [N, heads, L, L], from each position (in rows, which
// sum to 1) to each.
func blocks(scope *model.Scope, x *Node, depth, heads int, see seeing) (y, weights *Node) {
	checkTokens("Transformer", x)
	d := x.Shape().Dim(2)
	if depth < 1 || heads < 1 || d%heads != 0 {
		exceptions.Panicf("nn.Transformer: depth %d, %d heads of %d dimensions: all must be at least 1 and the heads equal in size",
			depth, heads, d)
	}
	if s := x.Shape(); see.there != nil && !see.there.Shape().Equal(shapes.Make(dtypes.Bool, s.Dim(0), s.Dim(1))) {
		exceptions.Panicf("nn.Transformer: what is there of %s must be told as bool [N, L], got %s", s, see.there.Shape())
	}
	scope = scope.WithInitializer(initializer.XavierUniformFn(scope))
	for i := range depth {
		see := see
		see.looked = see.looked && i == depth-1
		block := scope.In("block_%d", i+1)
		h := LayerNorm(block.In("norm_1"), x)
		h, weights = attend(block.In("attention"), h, heads, see)
		x = Add(x, Dropout(block, LayerScale(block.In("scale_1"), h, see.scale), see.dropout))
		h = LayerNorm(block.In("norm_2"), x)
		h = activation.Gelu(Dense(block.In("mlp_1"), h, true, 4*d)) // NxLx4D
		h = LayerScale(block.In("scale_2"), Dense(block.In("mlp_2"), h, true, d), see.scale)
		x = Add(x, Dropout(block, h, see.dropout))
	}
	return x, weights
}

// attend is attention.SelfAttention of GoMLX with UseQKVProjection, in value and in its variables, but with the heads before
// the positions: in GoMLX's order XLA transposes the scores and their gradients. On the CPU a training step of SmallMAE
// takes 5 % less time. The weights are nil unless they are looked at.
func attend(scope *model.Scope, x *Node, heads int, see seeing) (y, weights *Node) {
	n, l, d := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	scope = scope.In("MultiHeadAttention")
	in := scope.In("qkv")
	variable := func(name string, dims ...int) *Node {
		return in.VariableWithShape(name, shapes.Make(x.DType(), dims...)).NodeValue(x.Graph())
	}
	projection, biasQ, biasK, biasV := variable("weights_qkv", d, 3*d), variable("biases_q", d), variable("biases_k", d), variable("biases_v", d)
	split := func(x *Node) *Node { return TransposeAllAxes(Reshape(x, n, l, heads, d/heads), 0, 2, 1, 3) }
	if mixed(scope, x) && !see.looked { // what is looked at is no training
		qkv := products(scope, func(xs []*Node) *Node { return DotProduct(xs[0], xs[1]) }, Reshape(x, n*l, d), projection) // NLx3D
		qkv = Add(qkv, InsertAxes(Concatenate([]*Node{biasQ, biasK, biasV}, 0), 0))
		part := func(i int) *Node { return split(Slice(qkv, AxisRange(), AxisRange(i*d, (i+1)*d))) }
		y = mixedAttention(scope, part(0), part(1), part(2), see)
	} else {
		q, k, v := attention.QKVProjection(x, projection, biasQ, biasK, biasV, d, d) // NxLxD
		o := attention.CoreOptions{UseCausalMask: see.causal, WantCoefficients: see.looked}
		if see.there != nil { // one mask of both: GoMLX takes no other beside its causal one
			o.UseCausalMask, o.AttentionMask = false, BroadcastToDims(see.mask(x.Graph(), l), n, heads, l, l)
		}
		y, weights = attention.Core(split(q), split(k), split(v), attention.LayoutBHSD, o)
	}
	return Dense(scope.In("output"), Reshape(TransposeAllAxes(y, 0, 2, 1, 3), n, l, d), true, d), weights
}

// mixedAttention is attention.Core of q, k, v [N, heads, L, D] with products in bfloat16 and a softmax in float32.
func mixedAttention(scope *model.Scope, q, k, v *Node, see seeing) *Node {
	l, d := q.Shape().Dim(2), q.Shape().Dim(3)
	scores := products(scope, func(xs []*Node) *Node { return Einsum("nhqd,nhkd->nhqk", xs[0], xs[1]) }, MulScalar(q, 1/math.Sqrt(float64(d))), k)
	seen := see.mask(q.Graph(), l)
	if seen != nil {
		seen = BroadcastToDims(seen, scores.Shape().Dimensions...)
	}
	return products(scope, func(xs []*Node) *Node { return Einsum("nhqk,nhkd->nhqd", xs[0], xs[1]) }, MaskedSoftmax(scores, seen, -1), v)
}

// LayerNorm normalises x [..., D], float32 or float64, over its last axis (Ba et al. 2016, "Layer Normalization", Eq. 4)
// with the biased variance plus 1e-6, as in ViT's and MAE's code. The scope gets "gain" (1) and "offset" (0), both [D].
// Building it sets them to be trained: who freezes them does so afterwards.
func LayerNorm(scope *model.Scope, x *Node) *Node {
	if x.Rank() < 2 || !x.DType().IsFloat() {
		exceptions.Panicf("nn.LayerNorm: need floats [N, ..., D], got %s", x.Shape())
	}
	return norm.LayerNorm(scope, x, -1).Epsilon(1e-6).Done()
}

// LayerScale multiplies each channel of x [..., D] with a gain that is learnt and begins as told (Touvron et al. 2021, "Going Deeper
// with Image Transformers", Sec. 2; 1e-5 in DINOv2). The scope gets "gain" [D]. With a gain of 0 it is x.
func LayerScale(scope *model.Scope, x *Node, gain float64) *Node {
	if gain == 0 {
		return x
	}
	begin := initializer.BroadcastTensorToShape(tensors.FromScalar(gain))
	v := scope.WithInitializer(begin).VariableWithShape("gain", shapes.Make(x.DType(), x.Shape().Dim(-1)))
	return Mul(x, ExpandLeftToRank(v.NodeValue(x.Graph()), x.Rank()))
}

// Dropout sets so much of x to 0 in training, and divides the rest by what is left of it (Srivastava et al. 2014, "Dropout: A Simple
// Way to Prevent Neural Networks from Overfitting"); otherwise, and with a rate of 0, it is x.
func Dropout(scope *model.Scope, x *Node, rate float64) *Node {
	if !(rate >= 0 && rate < 1) {
		exceptions.Panicf("nn.Dropout: a rate of %g is not in [0, 1)", rate)
	}
	return layers.DropoutStatic(scope, x, rate)
}

func checkTokens(name string, x *Node) {
	if x.Rank() != 3 || !x.DType().IsFloat() {
		exceptions.Panicf("nn.%s: need float tokens [N, L, D], got %s", name, x.Shape())
	}
}
