// Package cluster groups features: k-means and whitening over slices, Sinkhorn-Knopp within a graph.
package cluster

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Sinkhorn returns the codes of a batch: how to spread B examples evenly over K prototypes so that scores and codes agree,
// with the entropy of the codes weighted by epsilon (Caron et al. 2020, Eq. 3 to 5; Cuturi 2013). scores are [B, K]
// float32 or float64, and so are the codes. Each iteration gives all prototypes, then all examples, the same weight.
//
// Rows of the codes sum to 1. Their columns sum to B/K only at convergence; 3 iterations come near enough (Sec. 3.1). A small
// epsilon makes hard codes and takes more iterations; the authors use 0.05 for scores that are cosines.
//
// It works on logarithms, so that no epsilon overflows, and has no gradient. It panics with an error on other shapes,
// epsilon <= 0 and iterations < 1.
func Sinkhorn(scores *Node, epsilon float64, iterations int) *Node {
	s := scores.Shape()
	if s.Rank() != 2 || s.Size() == 0 || s.DType != dtypes.Float32 && s.DType != dtypes.Float64 {
		exceptions.Panicf("cluster.Sinkhorn: scores must be [B, K] float32 or float64, got %s", s)
	}
	if !(epsilon > 0) || math.IsInf(epsilon, 1) {
		exceptions.Panicf("cluster.Sinkhorn: epsilon is %g; it must be finite and above 0, such as 0.05", epsilon)
	}
	if iterations < 1 {
		exceptions.Panicf("cluster.Sinkhorn: %d iterations; it takes at least 1, and 3 are usual", iterations)
	}
	q := DivScalar(StopGradient(scores), epsilon) // log Q, up to a constant
	for range iterations {
		q = LogSoftmax(q, 0)
		q = LogSoftmax(q, 1)
	}
	return Exp(q)
}
