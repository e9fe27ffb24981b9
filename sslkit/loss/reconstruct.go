package loss

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// MaskedMSE is the squared error of pred [N, L, P] against target [N, L, P], averaged over the hidden patches only: mask is
// [N, L], 1 where a patch is hidden and 0 where it is not, and all are of one dtype, float32 or float64. (He et al. 2022,
// "Masked Autoencoders Are Scalable Vision Learners", Sec. 3, "Reconstruction target"; models_mae.py, forward_loss.)
//
// The result is a scalar of that dtype: NaN where nothing is hidden, which stops a run. Panics with an error on other
// shapes and dtypes.
func MaskedMSE(pred, target, mask *Node) *Node {
	checkPatches("MaskedMSE: pred", pred)
	if !target.Shape().Equal(pred.Shape()) {
		exceptions.Panicf("loss.MaskedMSE: target must be as pred, %s, got %s", pred.Shape(), target.Shape())
	}
	if s := mask.Shape(); s.DType != pred.DType() || s.Rank() != 2 || s.Dim(0) != pred.Shape().Dim(0) || s.Dim(1) != pred.Shape().Dim(1) {
		exceptions.Panicf("loss.MaskedMSE: mask must have one number for each patch of %s, of its dtype, got %s", pred.Shape(), s)
	}
	each := ReduceMean(Square(Sub(pred, target)), -1) // NxL
	return Div(ReduceAllSum(Mul(each, mask)), ReduceAllSum(mask))
}

// NormalizePatches takes from each patch of patches [N, L, P], float32 or float64, its mean and divides by the root of
// its unbiased variance plus 1e-6 (He et al. 2022, Sec. 3, "normalized pixel values of each masked patch";
// models_mae.py, forward_loss, where torch.var divides by P-1). A patch of one colour becomes 0.
//
// It needs P of at least 2, and panics with an error on other shapes and dtypes.
func NormalizePatches(patches *Node) *Node {
	mean, deviation := PatchMoments(patches)
	return Div(Sub(patches, mean), deviation)
}

// PatchMoments returns what [NormalizePatches] takes off and divides by: the mean and the root of the unbiased variance
// plus 1e-6 of each patch, [N, L, 1] both.
func PatchMoments(patches *Node) (mean, deviation *Node) {
	checkPatches("NormalizePatches: patches", patches)
	p := patches.Shape().Dim(2)
	if p < 2 {
		exceptions.Panicf("loss.NormalizePatches: a patch of one value has no variance, got %s", patches.Shape())
	}
	mean = ReduceAndKeep(patches, ReduceMean, -1)
	variance := ReduceAndKeep(Square(Sub(patches, mean)), ReduceSum, -1)
	return mean, Sqrt(AddScalar(DivScalar(variance, float64(p-1)), 1e-6))
}

func checkPatches(name string, x *Node) {
	if t := x.DType(); x.Rank() != 3 || x.Shape().Size() == 0 || t != dtypes.Float32 && t != dtypes.Float64 {
		exceptions.Panicf("loss.%s must be [N, L, P] float32 or float64, none of them 0, got %s", name, x.Shape())
	}
}
