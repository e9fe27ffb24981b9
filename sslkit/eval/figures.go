package eval

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// FeatureStd is the standard deviation of the L2-normalised features, averaged over dimensions (Chen & He, "Exploring
// Simple Siamese Representation Learning", CVPR 2021, Sec. 4.1 and Fig. 2). It is about 1/sqrt(D) for features spread over
// the sphere and 0 for collapsed ones. Rows of zeros stay zero. An empty set, or values that are not finite, is an error.
func FeatureStd(features [][]float32) (float64, error) {
	if err := checkFigure("FeatureStd", features); err != nil {
		return 0, err
	}
	d, n := len(features[0]), float64(len(features))
	rows, mean := unitRows(features), make([]float64, d)
	for i, v := range rows.Data {
		mean[i%d] += float64(v) / n
	}
	variance := make([]float64, d)
	for i, v := range rows.Data {
		off := float64(v) - mean[i%d]
		variance[i%d] += off * off / n
	}
	std := 0.0
	for _, v := range variance {
		std += math.Sqrt(v) / float64(d)
	}
	return std, nil
}

// EffectiveRank is the exponential of the entropy of the singular values, scaled to sum to 1, of the centred features
// (Roy & Vetterli, "The Effective Rank", EUSIPCO 2007, Eq. 5): D for features equally spread over D dimensions, 1 for
// features on a line, and also 1 for identical ones, which have no spread at all. RankMe (Garrido et al., ICML 2023,
// Eq. 1) is the same without centring; centred, a common offset, which no classifier cares about, does not count.
// An empty set, or values that are not finite, is an error.
func EffectiveRank(features [][]float32) (float64, error) {
	if err := checkFigure("EffectiveRank", features); err != nil {
		return 0, err
	}
	d, n := len(features[0]), len(features)
	x := mat.NewDense(n, d, nil)
	mean, scale := make([]float64, d), 0.0
	for _, row := range features {
		for j, v := range row {
			mean[j] += float64(v) / float64(n)
			scale = max(scale, math.Abs(float64(v)))
		}
	}
	for i, row := range features {
		for j, v := range row {
			x.Set(i, j, float64(v)-mean[j])
		}
	}
	// Eigenvalues of the smaller of X'X and XX' are the squared singular values.
	var gram mat.SymDense
	if n < d {
		gram.SymOuterK(1, x)
	} else {
		gram.SymOuterK(1, x.T())
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(&gram, false) {
		return 0, errors.New("eval: EffectiveRank: the eigenvalues of the covariance did not converge")
	}
	// Rounding of the float32 features leaves singular values of this size; their roots of rounded squares
	// would otherwise sum to something.
	const epsilon = 0x1p-23
	floor := epsilon * scale * math.Sqrt(float64(n))
	values, sum := eigen.Values(nil), 0.0
	for i, v := range values {
		values[i] = math.Sqrt(max(v, 0))
		if values[i] <= floor {
			values[i] = 0
		}
		sum += values[i]
	}
	entropy := 0.0
	for _, v := range values {
		if v > 0 {
			entropy -= v / sum * math.Log(v/sum)
		}
	}
	return math.Exp(entropy), nil
}

func checkFigure(name string, features [][]float32) error {
	if len(features) == 0 {
		return fmt.Errorf("eval: %s of no features", name)
	}
	if err := checkFeatures(features); err != nil {
		return fmt.Errorf("eval: %s: %w", name, err)
	}
	return nil
}
