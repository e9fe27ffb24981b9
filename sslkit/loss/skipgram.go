package loss

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// SkipGram is the negative sampling of word2vec (Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their
// Compositionality", Eq. 4, with the other sign): each word of a text is to score high with the words about it, and low with words
// of the noise. Of each place, center [N, L, D] has v of its word, context [N, L, D] has v', and keep [N, L] is 1 where there is a
// word and 0 where not; noise [S, D] has v' of S drawn words, each of which counts negatives/S, so that there are as many negatives
// for each pair as in Eq. 4. All are float32 or float64. Words up to window places apart are pairs, of weight (window+1-distance) /
// window: what is to be expected where the window is drawn anew for each word, from 1 to window.
//
// The loss is the weighted mean over the pairs, and accuracy, without a gradient, the weighted mean of whether scores of pairs are
// above and scores of noise below 0, half of each; a score of 0 is half right. Both are scalars of center's dtype, 0 where there is
// no pair. Panics with an error on other shapes and dtypes.
func SkipGram(center, context, keep, noise *Node, window, negatives int) (loss, accuracy *Node) {
	s, o := center.Shape(), noise.Shape()
	if s.Rank() != 3 || !isFloat(center) || !context.Shape().Equal(s) || !keep.Shape().Equal(shapes.Make(s.DType, s.Dim(0), s.Dim(1))) ||
		o.Rank() != 2 || o.DType != s.DType || o.Dim(1) != s.Dim(2) || s.Size()*o.Size() == 0 {
		exceptions.Panicf("loss.SkipGram: center, context, keep and noise must be [N, L, D], [N, L, D], [N, L] and [S, D] of one float dtype, got %s, %s, %s and %s",
			s, context.Shape(), keep.Shape(), o)
	}
	if window < 1 || negatives < 1 {
		exceptions.Panicf("loss.SkipGram: a window of %d and %d negatives: both must be at least 1", window, negatives)
	}
	g, l := center.Graph(), s.Dim(1)
	pairs, sum, right := ZerosLike(keep), ScalarZero(g, s.DType), ScalarZero(g, s.DType) // NxL: the weight of each center's pairs
	for apart := 1; apart <= min(window, l-1); apart++ {
		weight := float64(window+1-apart) / float64(window)
		early, late := AxisRange(0, l-apart), AxisRangeToEnd(apart)
		none := Zeros(g, shapes.Make(s.DType, s.Dim(0), apart))
		for _, back := range []bool{false, true} {
			from, to := early, late
			if back {
				from, to = late, early
			}
			score := ReduceSum(Mul(SliceAxis(center, 1, from), SliceAxis(context, 1, to)), -1) // Nx(L-apart)
			both := MulScalar(Mul(SliceAxis(keep, 1, from), SliceAxis(keep, 1, to)), weight)
			sum, right = Add(sum, ReduceAllSum(Mul(both, logSigmoid(score)))), Add(right, ReduceAllSum(Mul(both, above(score))))
			place := []*Node{both, none}
			if back {
				place = []*Node{none, both}
			}
			pairs = Add(pairs, Concatenate(place, 1))
		}
	}
	scores := Neg(Einsum("nld,sd->nls", center, noise)) // NxLxS
	each := ReduceMean(logSigmoid(scores), -1)          // NxL
	sum = Add(sum, MulScalar(ReduceAllSum(Mul(pairs, each)), float64(negatives)))
	right = Add(right, ReduceAllSum(Mul(pairs, ReduceMean(above(scores), -1))))
	count := ReduceAllSum(pairs)
	count = Where(GreaterThan(count, ZerosLike(count)), count, OnesLike(count))
	return Neg(Div(sum, count)), DivScalar(Div(right, count), 2)
}

// logSigmoid of x, without overflow: min(x, 0) - log(1 + exp(-|x|)).
func logSigmoid(x *Node) *Node {
	return Sub(Where(LessThan(x, ZerosLike(x)), x, ZerosLike(x)), Log1p(Exp(Neg(Abs(x)))))
}

// above is 1 where x is above 0, a half at 0, else 0.
func above(x *Node) *Node { return StopGradient(DivScalar(AddScalar(Sign(x), 1), 2)) }
