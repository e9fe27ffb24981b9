package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Predictive is the InfoNCE of contrastive predictive coding (van den Oord et al. 2018, "Representation Learning with Contrastive
// Predictive Coding", Eq. 4): each prediction is to find what came among all that came. Row i of p [M, D], which is W_k c_t, belongs
// to row i of z [M, D], which is z_{t+k}; scores are their inner products as they are (Eq. 3), without a temperature and of rows of
// any length. Both are float32 or float64, and so is valid [M]: where it is 0 there is nothing, neither a prediction nor something
// to be found. The result is the mean over what is valid, a scalar of p's dtype; 0 where nothing is.
//
// Panics with an error on other shapes and dtypes.
func Predictive(p, z, valid *Node) *Node {
	l, _ := PredictiveWithAccuracy(p, z, valid, nil)
	return l
}

// PredictiveWithAccuracy is [Predictive], and the fraction of the valid predictions whose highest score is what came, which has no
// gradient. among, bool [M, M] or nil, says which of the others, a column each, a prediction is to tell apart.
func PredictiveWithAccuracy(p, z, valid, among *Node) (loss, accuracy *Node) {
	checkRows("Predictive", "p", p)
	m := p.Shape().Dim(0)
	if !z.Shape().Equal(p.Shape()) || !valid.Shape().Equal(shapes.Make(p.DType(), m)) {
		exceptions.Panicf("loss.Predictive: p, z and valid must be [M, D], [M, D] and [M] of one dtype, got %s, %s and %s", p.Shape(), z.Shape(), valid.Shape())
	}
	square := shapes.Make(dtypes.Bool, m, m)
	if among != nil && !among.Shape().Equal(square) {
		exceptions.Panicf("loss.Predictive: among must be %s, got %s", square, among.Shape())
	}
	own := Diagonal(p.Graph(), m)
	open := BroadcastToShape(InsertAxes(GreaterThan(valid, ZerosLike(valid)), 0), square)
	if among != nil {
		open = LogicalAnd(open, among)
	}
	scores := Einsum("id,jd->ij", p, z)                                                                // MxM
	scores = Where(LogicalOr(open, own), scores, AddScalar(ZerosLike(scores), math.Inf(-1)))           // its own has a finite logarithm in any case
	each := Neg(ReduceSum(Where(own, LogSoftmax(scores), ZerosLike(scores)), -1))                      // M
	right := Equal(ArgMax(StopGradient(scores), -1), Iota(p.Graph(), shapes.Make(dtypes.Int32, m), 0)) // M
	mean := func(x *Node) *Node { return Div(ReduceAllSum(Mul(x, valid)), MaxScalar(ReduceAllSum(valid), 1)) }
	return mean(each), mean(ConvertDType(right, p.DType()))
}
