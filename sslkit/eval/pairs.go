package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/view"
)

// Pairs are features of two random views of the same images: rows i of A and B are a positive pair, all others
// negative ones. Both are [N][D].
type Pairs struct{ A, B [][]float32 }

// DrawPairs draws two views of each image of ds by transform, and reads each: read returns [N, D] float32. The random
// state of store moves on, and nothing else of it; the networks are in evaluation mode.
func DrawPairs(ctx context.Context, backend compute.Backend, store *model.Store, transform view.Transform,
	read func(scope *model.Scope, view *Node) *Node, ds train.Dataset) (Pairs, error) {
	encoder, err := sslkit.NewEncoder(backend, store, viewed{transform: transform, read: read}, func(maps []*Node) []*Node { return maps })
	if err != nil {
		return Pairs{}, err
	}
	defer encoder.Close()
	var sides [2][][]float32
	for i := range sides {
		features, err := encoder.Features(ctx, ds)
		if err != nil {
			return Pairs{}, fmt.Errorf("eval: drawing views of %s: %w", ds.Name(), err)
		}
		if features == nil {
			return Pairs{}, fmt.Errorf("eval: drawing views of %s: it is empty", ds.Name())
		}
		sides[i] = features[0]
	}
	return Pairs{sides[0], sides[1]}, nil
}

// viewed reads a random view of each image.
type viewed struct {
	sslkit.Method
	transform view.Transform
	read      func(scope *model.Scope, view *Node) *Node
}

func (v viewed) Encode(scope *model.Scope, image *Node) []*Node {
	return []*Node{v.read(scope, v.transform(scope, image))}
}

// Similarities returns the cosines of the N positive pairs, and of the N*(N-1) negative ones, A's rows with B's.
func (p Pairs) Similarities() (positive, negative []float64) {
	cosine := product(p.A, p.B)
	for i := range p.A {
		for j := range p.B {
			s := float64(cosine.Data[i*cosine.Stride+j])
			if i == j {
				positive = append(positive, s)
			} else {
				negative = append(negative, s)
			}
		}
	}
	return positive, negative
}

// Match is how often a row of A is nearer, by its cosine, to its own partner in B than to any other row, in [0, 1]: the
// accuracy of instance discrimination by these features, where chance is 1/N. Equals count as misses.
func (p Pairs) Match() float64 {
	positive, negative := p.Similarities()
	n, hits := len(p.A), 0
	for i, s := range positive {
		best := math.Inf(-1)
		for _, other := range negative[i*(n-1) : (i+1)*(n-1)] {
			best = max(best, other)
		}
		if s > best {
			hits++
		}
	}
	return float64(hits) / float64(n)
}

// Geometry returns loss.Alignment of the pairs and loss.Uniformity of A, both of the rows scaled to unit length (Wang &
// Isola, ICML 2020, Sec. 4.1).
func (p Pairs) Geometry(backend compute.Backend) (alignment, uniformity float64, err error) {
	both, err := CallOnceN(backend, func(a, b *Node) []*Node {
		a, b = L2Normalize(a, -1), L2Normalize(b, -1)
		return []*Node{loss.Alignment(a, b), loss.Uniformity(a)}
	}, p.A, p.B)
	if err != nil {
		return 0, 0, fmt.Errorf("eval: alignment and uniformity: %w", err)
	}
	read := func(t *tensors.Tensor) float64 { return shapes.ConvertTo[float64](t.Value()) }
	return read(both[0]), read(both[1]), nil
}

// Tolerance is the mean cosine of two rows of A whose labels are equal (Wang & Liu, CVPR 2021, Sec. 4.3): how alike the images of
// one class are made. Rows are scaled to unit length; without two of any class it is NaN.
func (p Pairs) Tolerance(label []int32) float64 {
	// The sum over pairs of one class is that of the class' rows, squared, less each row with itself.
	sums, count := make([][]float64, slices.Max(label)+1), make([]float64, slices.Max(label)+1)
	for i, row := range p.A {
		unit := make([]float64, len(row))
		for j, v := range row {
			unit[j] = float64(v)
		}
		floats.Scale(1/math.Max(floats.Norm(unit, 2), 1e-12), unit)
		if sum := sums[label[i]]; sum != nil {
			floats.Add(unit, sum)
		}
		sums[label[i]] = unit
		count[label[i]]++
	}
	total, pairs := 0.0, 0.0
	for class, sum := range sums {
		total += floats.Dot(sum, sum) - count[class]
		pairs += count[class] * (count[class] - 1)
	}
	if pairs == 0 {
		return math.NaN()
	}
	return total / pairs
}

// Correlations are those over the pairs of each feature of A, in rows, with each of B: [D][D], which Barlow Twins makes the identity
// (Zbontar et al. 2021, Eq. 2). As in [loss.BarlowTwins], 1e-5 is added to the biased variances, so that a feature that is the same for
// all images correlates with nothing.
func (p Pairs) Correlations() [][]float64 {
	normal := func(x [][]float32) *mat.Dense {
		out := mat.NewDense(len(x), len(x[0]), nil)
		for j := range x[0] {
			column := make([]float64, len(x))
			for i := range x {
				column[i] = float64(x[i][j])
			}
			mean, variance := stat.PopMeanVariance(column, nil)
			for i, v := range column {
				out.Set(i, j, (v-mean)/math.Sqrt(variance+1e-5))
			}
		}
		return out
	}
	var c mat.Dense
	c.Mul(normal(p.A).T(), normal(p.B))
	out := make([][]float64, len(p.A[0]))
	for i := range out {
		out[i] = mat.Row(nil, i, &c)
		for j := range out[i] {
			out[i][j] /= float64(len(p.A))
		}
	}
	return out
}

// NegativeWeights is how the gradient of InfoNCE is shared out among negatives of these similarities: the softmax of
// s/temperature over them (Wang & Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021, Sec. 3). The lower the
// temperature, the more of it the nearest negatives get. The temperature must be above 0.
func NegativeWeights(similarities []float64, temperature float64) ([]float64, error) {
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		return nil, fmt.Errorf("eval: temperature %g: it must be finite and above 0", temperature)
	}
	largest, sum := math.Inf(-1), 0.0
	for _, s := range similarities {
		largest = max(largest, s)
	}
	weights := make([]float64, len(similarities))
	for i, s := range similarities {
		weights[i] = math.Exp((s - largest) / temperature)
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights, nil
}

// ColorHistogram is the share of the pixels of each image of x [N, H, W, 3], floats in [0, 1], in each of bins^3 boxes of
// colours: [N, bins^3]. It has no gradient.
func ColorHistogram(x *Node, bins int) *Node {
	if x.Rank() != 4 || x.Shape().Dim(-1) != 3 || bins < 1 {
		exceptions.Panicf("eval.ColorHistogram: need images [N, H, W, 3] and at least one bin, got %s and %d", x.Shape(), bins)
	}
	g, d := x.Graph(), x.Shape().Dimensions
	box := ConvertDType(ClipScalar(MulScalar(StopGradient(x), float64(bins)), 0, float64(bins)-0.5), dtypes.Int32) // truncates
	place := ConstAs(box, [][][][]int32{{{{int32(bins * bins), int32(bins), 1}}}})
	index := Reshape(ReduceSum(Mul(box, place), -1), d[0], d[1]*d[2], 1) // NxHWx1
	boxes := Iota(g, shapes.Make(dtypes.Int32, 1, 1, bins*bins*bins), 2)
	return ReduceMean(ConvertDType(Equal(index, boxes), x.DType()), 1)
}
