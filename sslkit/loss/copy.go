package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Pointers are the weights by which each of P places of a frame copies from Q places of its reference frames: the softmax
// over these of the inner products of their features (Vondrick et al. 2018, "Tracking Emerges by Colorizing Videos", Sec. 3.1,
// Eq. 2), divided by temperature, which is 1 in training. target is [N, P, D] and reference [N, Q, D], both float32 or
// float64; the result is [N, P, Q] and its rows sum to 1. near, bool [P, Q] or nil, is where a place may copy from: some
// place for each. Panics with an error on other shapes, dtypes and temperatures.
func Pointers(target, reference, near *Node, temperature float64) *Node {
	checkTemperature("Pointers", temperature)
	t, r := target.Shape(), reference.Shape()
	if t.Rank() != 3 || r.Rank() != 3 || !isFloat(target) || r.DType != t.DType || r.Dim(0) != t.Dim(0) || r.Dim(2) != t.Dim(2) || t.Size()*r.Size() == 0 {
		exceptions.Panicf("loss.Pointers: target and reference must be [N, P, D] and [N, Q, D], both float32 or float64, got %s and %s", t, r)
	}
	logits := MulScalar(Einsum("npd,nqd->npq", target, reference), 1/temperature)
	if near != nil {
		if !near.Shape().Equal(shapes.Make(dtypes.Bool, t.Dim(1), r.Dim(1))) {
			exceptions.Panicf("loss.Pointers: near must be bool [%d, %d], got %s", t.Dim(1), r.Dim(1), near.Shape())
		}
		near = BroadcastToShape(InsertAxes(near, 0), shapes.Make(dtypes.Bool, logits.Shape().Dimensions...))
		logits = Where(near, logits, AddScalar(ZerosLike(logits), math.Inf(-1)))
	}
	return Softmax(logits, -1)
}

// CopiedColors is the cross entropy of colours that are copied (Vondrick et al. 2018, Sec. 3.2, Eq. 3, with y of Eq. 1): the
// mean of -log of the weight that each place has on references of its own colour, and the fraction of the places whose most
// likely colour is theirs, which has no gradient. pointers are those of [Pointers], [N, P, Q]; from [N, Q] and to [N, P] int32
// are the colours of references and places, in [0, colors).
//
// A colour that no reference shows cannot be copied: its loss would be infinite, and has no gradient. Such places are left out
// of both means; of no place at all both are 0. Panics with an error on other shapes and dtypes.
func CopiedColors(pointers, from, to *Node, colors int) (loss, accuracy *Node) {
	p, f, t := pointers.Shape(), from.Shape(), to.Shape()
	if p.Rank() != 3 || !isFloat(pointers) || f.DType != dtypes.Int32 || t.DType != dtypes.Int32 ||
		!f.Equal(shapes.Make(dtypes.Int32, p.Dim(0), p.Dim(2))) || !t.Equal(shapes.Make(dtypes.Int32, p.Dim(0), p.Dim(1))) {
		exceptions.Panicf("loss.CopiedColors: pointers, from and to must be [N, P, Q] float32 or float64, [N, Q] and [N, P] int32, got %s, %s and %s", p, f, t)
	}
	c, truth := OneHot(from, colors, p.DType), OneHot(to, colors, p.DType) // NxQxK, NxPxK
	y := Einsum("npq,nqk->npk", pointers, c)                               // NxPxK
	known := Einsum("nk,npk->np", ReduceMax(c, 1), truth)                  // 1 where it can be copied
	mean := func(x *Node) *Node {
		return Div(ReduceAllSum(Mul(x, known)), MaxScalar(ReduceAllSum(known), 1))
	}
	const least = 1e-30 // the weights of a softmax underflow
	right := Equal(ArgMax(StopGradient(y), -1), to)
	return Neg(mean(Log(MaxScalar(ReduceSum(Mul(y, truth), -1), least)))), mean(ConvertDType(right, p.DType))
}
