package loss

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SoftCrossEntropy is the mean over N examples of -weight * sum_q target_q log softmax(logits)_q: logits [N, K] are finite, target
// [N, K] are distributions, weight is [N], all of one dtype, float32 or float64. The result is a scalar of it. (Zhang et al. 2016,
// "Colorful Image Colorization", Eq. 2, with the mean in place of the sum.) It panics with an error on other shapes and dtypes.
func SoftCrossEntropy(logits, target, weight *Node) *Node {
	checkFloats("SoftCrossEntropy: logits", logits, 2)
	if !target.Shape().Equal(logits.Shape()) {
		exceptions.Panicf("loss.SoftCrossEntropy: target must be as logits, %s, got %s", logits.Shape(), target.Shape())
	}
	checkFloats("SoftCrossEntropy: weight", weight, 1)
	if weight.DType() != logits.DType() || weight.Shape().Dim(0) != logits.Shape().Dim(0) {
		exceptions.Panicf("loss.SoftCrossEntropy: weight must have one number for each row of logits %s, of its dtype, got %s", logits.Shape(), weight.Shape())
	}
	return Neg(ReduceAllMean(Mul(weight, ReduceSum(Mul(target, LogSoftmax(logits)), -1))))
}

// Rebalance is the weight of each of K classes, so that rare ones are not drowned: 1 over a mixture of their prior [K], float32 or
// float64, a distribution, with the share lambda, in (0, 1], of the uniform one, and scaled to a mean of 1 under the prior. A
// lambda of 1 weights all classes alike, with 1. (Zhang et al. 2016, Eq. 4; their lambda is 0.5.)
func Rebalance(prior *Node, lambda float64) *Node {
	checkFloats("Rebalance: prior", prior, 1)
	if !(lambda > 0 && lambda <= 1) {
		exceptions.Panicf("loss.Rebalance: lambda %g; it must be in (0, 1]: with 0, a class that never occurs has no finite weight", lambda)
	}
	w := Reciprocal(AddScalar(MulScalar(prior, 1-lambda), lambda/float64(prior.Shape().Dim(0))))
	return Div(w, ReduceAllSum(Mul(prior, w)))
}

func checkFloats(name string, x *Node, rank int) {
	if x.Rank() != rank || x.Shape().Size() == 0 || !x.DType().IsFloat() {
		exceptions.Panicf("loss.%s must be floats of rank %d, none of its axes 0, got %s", name, rank, x.Shape())
	}
}
