// Package loss has the losses of self-supervised learning as pure functions of nodes.
package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// CrossEntropy is the mean over N examples of -log softmax(logits)[label]: logits are [N, K] float32 or float64, label is
// [N] int32 in [0, K), the result is a scalar of logits' dtype.
//
// A label outside [0, K) makes the loss NaN, which stops a run, where GoMLX's own SparseCategoricalCrossEntropyLogits
// counts it as a perfect answer. A logit of -Inf (a class ruled out) is fine unless it is the label's.
// Panics with an error on other shapes and dtypes.
func CrossEntropy(logits, label *Node) *Node {
	checkClassify("CrossEntropy", logits, label)
	g, k := logits.Graph(), logits.Shape().Dim(1)
	class := Iota(g, shapes.Make(dtypes.Int32, 1, k), 1)
	hit := Equal(InsertAxes(label, -1), class) // NxK
	// Where, not a product with the one-hot label: 0 * -Inf is NaN.
	logp := LogSoftmax(logits)
	logp = ReduceSum(Where(hit, logp, ZerosLike(logp)), -1) // N
	known := LogicalAny(hit, -1)
	logp = Where(known, logp, AddScalar(ZerosLike(logp), math.NaN()))
	return Neg(ReduceAllMean(logp))
}

// MaskedCrossEntropy is [CrossEntropy] over those of the N examples where mask [N], of logits' dtype, is 1 and not 0, and the
// fraction of them whose largest logit is at the label, which has no gradient. Both are 0 where there are none. What the others'
// labels are does not matter.
func MaskedCrossEntropy(logits, label, mask *Node) (loss, accuracy *Node) {
	checkClassify("MaskedCrossEntropy", logits, label)
	g, n, k := logits.Graph(), logits.Shape().Dim(0), logits.Shape().Dim(1)
	if !mask.Shape().Equal(shapes.Make(logits.DType(), n)) {
		exceptions.Panicf("loss.MaskedCrossEntropy: mask must be [%d] of the dtype of logits %s, got %s", n, logits.Shape(), mask.Shape())
	}
	hit := Equal(InsertAxes(label, -1), Iota(g, shapes.Make(dtypes.Int32, 1, k), 1)) // NxK
	logp := LogSoftmax(logits)
	logp = ReduceSum(Where(hit, logp, ZerosLike(logp)), -1) // N
	logp = Where(LogicalAny(hit, -1), logp, AddScalar(ZerosLike(logp), math.NaN()))
	on := GreaterThan(mask, ZerosLike(mask)) // Where, not a product: an example that is none may have the loss NaN
	right := ConvertDType(Equal(ArgMax(StopGradient(logits), -1), label), logits.DType())
	mean := func(x *Node) *Node {
		return Div(ReduceAllSum(Where(on, x, ZerosLike(x))), MaxScalar(ReduceAllSum(mask), 1))
	}
	return Neg(mean(logp)), mean(right)
}

// Accuracy is the fraction of the N rows whose largest logit is at the label (the first one among equals): logits are
// [N, K] float32 or float64, label is [N] int32, the result is a scalar of logits' dtype in [0, 1]. It has no gradient.
// Panics with an error on other shapes and dtypes.
func Accuracy(logits, label *Node) *Node {
	checkClassify("Accuracy", logits, label)
	hit := Equal(ArgMax(StopGradient(logits), -1), label)
	return ReduceAllMean(ConvertDType(hit, logits.DType()))
}

func checkClassify(name string, logits, label *Node) {
	l := logits.Shape()
	if l.Rank() != 2 || l.DType != dtypes.Float32 && l.DType != dtypes.Float64 {
		exceptions.Panicf("loss.%s: logits must be [N, K] float32 or float64, got %s", name, l)
	}
	if s := label.Shape(); s.Rank() != 1 || s.DType != dtypes.Int32 || s.Dim(0) != l.Dim(0) {
		exceptions.Panicf("loss.%s: label must be [%d] int32, one for each row of logits %s, got %s", name, l.Dim(0), l, s)
	}
}
