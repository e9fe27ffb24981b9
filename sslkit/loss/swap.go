package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SwAV is the swapped prediction of Caron et al. 2020, Sec. 3: the code of each view is predicted from the scores of all
// others (Eq. 1 and 2; Eq. 6 of Sec. 3.2 with more views than codes). It is the mean over the first len(codes) views i,
// all other views v and the N examples of
//
//	-sum_k codes[i][k] * log softmax(scores[v] / temperature)[k]
//
// scores and codes are [N, K] each, float32 or float64, of the same N images in this order; rows of codes sum to 1. The
// result is a scalar. Codes are to have no gradient, as those of cluster.Sinkhorn: here they have the one of the formula.
// Panics with an error on other shapes, fewer than two views, no codes or more codes than views, and temperature <= 0.
func SwAV(scores []*Node, codes []*Node, temperature float64) *Node {
	if len(scores) < 2 || len(codes) < 1 || len(codes) > len(scores) {
		exceptions.Panicf("loss.SwAV: scores of %d views and codes of %d; it takes two views, and codes of the first ones", len(scores), len(codes))
	}
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		exceptions.Panicf("loss.SwAV: temperature is %g; it must be finite and above 0, such as 0.1", temperature)
	}
	s := scores[0].Shape()
	if s.Rank() != 2 || s.Size() == 0 || s.DType != dtypes.Float32 && s.DType != dtypes.Float64 {
		exceptions.Panicf("loss.SwAV: scores must be [N, K] float32 or float64, got %s", s)
	}
	var sum *Node
	for v, score := range scores {
		if !score.Shape().Equal(s) {
			exceptions.Panicf("loss.SwAV: scores of view %d are %s, those of view 0 %s", v, score.Shape(), s)
		}
		logp := LogSoftmax(DivScalar(score, temperature)) // NxK
		for i, code := range codes {
			if !code.Shape().Equal(s) {
				exceptions.Panicf("loss.SwAV: codes of view %d are %s, the scores %s", i, code.Shape(), s)
			}
			if i == v {
				continue
			}
			term := ReduceAllSum(Mul(code, logp))
			if sum != nil {
				term = Add(sum, term)
			}
			sum = term
		}
	}
	return DivScalar(sum, -float64(s.Dim(0)*len(codes)*(len(scores)-1)))
}
