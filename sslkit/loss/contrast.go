package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// NTXent is the normalised, temperature-scaled cross entropy of SimCLR (Chen et al. 2020, "A Simple Framework for
// Contrastive Learning of Visual Representations", Sec. 2.1, Eq. 1), averaged over all 2N rows as in Algorithm 1: each
// is to find its pair among the 2N-1 others. z is [2N, D] float32 or float64, rows i and i+N are a pair, of any length;
// temperature is tau, above 0; the result is a scalar of z's dtype.
//
// A row of zeros has the cosine 0 with all others. Panics with an error on other shapes, dtypes and temperatures.
func NTXent(z *Node, temperature float64) *Node {
	l, _ := NTXentWithAccuracy(z, temperature)
	return l
}

// NTXentWithAccuracy is [NTXent] and the fraction of the rows that find their pair, as [Accuracy].
func NTXentWithAccuracy(z *Node, temperature float64) (loss, accuracy *Node) {
	checkRows("NTXent", "z", z)
	checkTemperature("NTXent", temperature)
	g, n := z.Graph(), z.Shape().Dim(0)
	if n%2 != 0 {
		exceptions.Panicf("loss.NTXent: rows i and i+N of z are a pair, but %s has an odd number of rows", z.Shape())
	}
	z = unit(z)
	s := MulScalar(Einsum("id,jd->ij", z, z), 1/temperature)       // 2Nx2N
	logits := Where(Diagonal(g, n), Infinity(g, z.DType(), -1), s) // k != i
	i := Iota(g, shapes.Make(dtypes.Int32, n/2), 0)
	pair := Concatenate([]*Node{AddScalar(i, n/2), i}, 0)
	return CrossEntropy(logits, pair), Accuracy(logits, pair)
}

// InfoNCE is the loss of MoCo (He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning",
// Sec. 3.1, Eq. 1), averaged over N queries: each is to find its key among K others. q and k are [N, D], row i of k being
// the key of row i of q, queue is [K, D]; all are float32 or float64 with rows of length 1. Temperature is tau, above 0;
// the result is a scalar of q's dtype.
//
// Keys get gradients, too, unless they are stopped. Panics with an error on other shapes, dtypes and temperatures.
func InfoNCE(q, k, queue *Node, temperature float64) *Node {
	l, _ := InfoNCEWithAccuracy(q, k, queue, temperature)
	return l
}

// InfoNCEWithAccuracy is [InfoNCE] and the fraction of the queries that are nearer to their key than to all of the queue,
// a scalar without gradient. A tie is lost, so that equal features score 0.
func InfoNCEWithAccuracy(q, k, queue *Node, temperature float64) (loss, accuracy *Node) {
	checkRows("InfoNCE", "q", q)
	checkRows("InfoNCE", "queue", queue)
	checkTemperature("InfoNCE", temperature)
	if !k.Shape().Equal(q.Shape()) || queue.DType() != q.DType() || queue.Shape().Dim(1) != q.Shape().Dim(1) {
		exceptions.Panicf("loss.InfoNCE: q, k and queue must be [N, D], [N, D] and [K, D] of one dtype, got %s, %s and %s",
			q.Shape(), k.Shape(), queue.Shape())
	}
	q = MulScalar(q, 1/temperature)
	positive := ReduceSum(Mul(q, k), -1)      // N
	negative := Einsum("nd,kd->nk", q, queue) // NxK
	// The positive is kept apart, since to put it before a queue of 65,536 costs a quarter of the time and twice the memory.
	hardest := StopGradient(ReduceMax(negative, -1))
	won := GreaterThan(StopGradient(positive), hardest)
	most := Max(StopGradient(positive), hardest)
	sum := Add(Exp(Sub(positive, most)), ReduceSum(Exp(Sub(negative, InsertAxes(most, -1))), -1))
	return ReduceAllMean(Sub(Add(Log(sum), most), positive)), ReduceAllMean(ConvertDType(won, q.DType()))
}

// CLIP is the symmetric cross entropy of Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
// Supervision", Fig. 3: each of N images is to find its text, and each text its image, among the N of the batch. Row i of
// image [N, D] belongs to row i of text [N, D]; both are float32 or float64 with rows of length 1. The cosines are
// multiplied by logitScale, a scalar of the same dtype: exp(t) of the paper, so 1/temperature. The result is a scalar.
// Panics with an error on other shapes and dtypes.
func CLIP(image, text, logitScale *Node) *Node {
	checkRows("CLIP", "image", image)
	if !text.Shape().Equal(image.Shape()) || !logitScale.Shape().Equal(shapes.Make(image.DType())) {
		exceptions.Panicf("loss.CLIP: image, text and logitScale must be [N, D], [N, D] and a scalar of one dtype, got %s, %s and %s",
			image.Shape(), text.Shape(), logitScale.Shape())
	}
	logits := Mul(Einsum("id,jd->ij", image, text), logitScale) // NxN
	pair := Iota(image.Graph(), shapes.Make(dtypes.Int32, image.Shape().Dim(0)), 0)
	return DivScalar(Add(CrossEntropy(logits, pair), CrossEntropy(Transpose(logits, 0, 1), pair)), 2)
}

// DenseCorrespondence matches the positions of two views as DenseCL does (Wang et al. 2021, "Dense Contrastive Learning for
// Self-Supervised Visual Pre-Training", Sec. 3.4, Eq. 4): for each of S positions of query [N, S, C] the position in key
// [N, T, C] whose feature has the largest cosine with its own, the first among equals. Both are float32 or float64; the
// result is [N, S] int32 in [0, T), and has no gradient. Panics with an error on other shapes and dtypes.
func DenseCorrespondence(query, key *Node) *Node {
	q, k := query.Shape(), key.Shape()
	if q.Rank() != 3 || k.Rank() != 3 || !isFloat(query) || q.DType != k.DType || q.Dim(0) != k.Dim(0) || q.Dim(2) != k.Dim(2) ||
		q.Size()*k.Size() == 0 {
		exceptions.Panicf("loss.DenseCorrespondence: query and key must be [N, S, C] and [N, T, C], both float32 or float64, got %s and %s", q, k)
	}
	cosine := Einsum("nsc,ntc->nst", unit(StopGradient(query)), unit(StopGradient(key)))
	return ArgMax(cosine, -1)
}

// unit divides the rows of x by their length; rows of zeros stay. GoMLX's L2Normalize, alone, squares values that
// float32 cannot hold the square of: above 1e19 the row would come out as zeros.
func unit(x *Node) *Node {
	most := StopGradient(ReduceAndKeep(Abs(x), ReduceMax, -1))
	return L2Normalize(Div(x, Where(IsZero(most), OnesLike(most), most)), -1)
}

func checkRows(name, what string, x *Node) {
	if x.Rank() != 2 || !isFloat(x) || x.Shape().Size() == 0 {
		exceptions.Panicf("loss.%s: %s must be rows [N, D] of float32 or float64, at least one, got %s", name, what, x.Shape())
	}
}

func checkTemperature(name string, temperature float64) {
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		exceptions.Panicf("loss.%s: the temperature must be finite and above 0 (0.1 for example), got %g", name, temperature)
	}
}

func isFloat(x *Node) bool { return x.DType() == dtypes.Float32 || x.DType() == dtypes.Float64 }
