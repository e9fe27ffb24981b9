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
