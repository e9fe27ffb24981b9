package loss

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Inpainting is the mean over all values of weight * (pred-target)^2: pred and target are [N, H, W, C], hidden is [N, H, W, 1],
// 1 where a pixel was hidden, of weight 1, and 0 where it was not, of weight seen, at least 0. All are of one dtype, float32 or
// float64, and so is the result, a scalar.
//
// With seen 0 it is Pathak et al. 2016, "Context Encoders", Eq. 1, but for its mean, which is over all pixels and not over the
// hidden ones; with 10 it is what the authors' train.lua descends where a central hole is painted with a border around it.
//
// Panics with an error on other shapes and dtypes.
func Inpainting(pred, target, hidden *Node, seen float64) *Node {
	s := pred.Shape()
	if s.Rank() != 4 || s.Size() == 0 || s.DType != dtypes.Float32 && s.DType != dtypes.Float64 {
		exceptions.Panicf("loss.Inpainting: pred must be [N, H, W, C] float32 or float64, none of them 0, got %s", s)
	}
	if !target.Shape().Equal(s) {
		exceptions.Panicf("loss.Inpainting: target must be as pred, %s, got %s", s, target.Shape())
	}
	mask := s.Clone()
	mask.Dimensions[3] = 1
	if !hidden.Shape().Equal(mask) {
		exceptions.Panicf("loss.Inpainting: hidden must be %s for images %s, got %s", mask, s, hidden.Shape())
	}
	if !(seen >= 0) {
		exceptions.Panicf("loss.Inpainting: the weight of seen pixels is %g; it must be at least 0", seen)
	}
	weight := AddScalar(MulScalar(hidden, 1-seen), seen)
	return ReduceAllMean(Mul(weight, Square(Sub(pred, target))))
}
