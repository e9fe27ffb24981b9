package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

func gaussian(n, d int, shape func(row []float64)) [][]float32 {
	rnd := rand.New(rand.NewPCG(3, 4))
	out := make([][]float32, n)
	for i := range out {
		row := make([]float64, d)
		for j := range row {
			row[j] = rnd.NormFloat64()
		}
		shape(row)
		out[i] = make([]float32, d)
		for j, v := range row {
			out[i][j] = float32(v)
		}
	}
	return out
}

func TestFigures(t *testing.T) {
	const n, d = 4000, 16
	same := func([]float64) {}
	for _, test := range []struct {
		name      string
		x         [][]float32
		std, rank float64
		tolerance float64 // relative
	}{
		// The spectrum of a finite sample isn't flat (Marchenko-Pastur): rank and std are off by about d/n.
		{"isotropic", gaussian(n, d, same), 1 / math.Sqrt(d), d, 0.01},
		{"isotropic, scaled", gaussian(n, d, func(r []float64) {
			for j := range r {
				r[j] *= 1e-6
			}
		}), 1 / math.Sqrt(d), d, 0.01},
		{"isotropic, more dimensions than rows", gaussian(8, 4000, same), 0.01427, 7, 0.01}, // std E[chi_7]/sqrt(8*4000); centring takes one rank
		{"two of 16 dimensions", gaussian(n, d, func(r []float64) { clear(r[2:]) }), 2 * math.Sqrt(0.5) / d, 2, 0.01},
		{"a line", gaussian(n, d, func(r []float64) {
			x := r[0]
			for j := range r {
				r[j] = x * float64(j+1)
			}
		}), math.NaN(), 1, 0.001},
		{"a line far from the origin", gaussian(n, d, func(r []float64) {
			x := r[0]
			for j := range r {
				r[j] = 1000 + 100*x
			}
		}), 0, 1, 0.001},
		{"identical rows", gaussian(n, d, func(r []float64) {
			for j := range r {
				r[j] = float64(j) + 0.1
			}
		}), 0, 1, 1e-6},
		{"zero rows", gaussian(n, d, func(r []float64) { clear(r) }), 0, 1, 0},
		{"one row", gaussian(1, d, same), 0, 1, 0},
	} {
		std, err := FeatureStd(test.x)
		if err != nil {
			t.Fatal(err)
		}
		if !math.IsNaN(test.std) && math.Abs(std-test.std) > test.tolerance*test.std+1e-7 {
			t.Errorf("%s: std %g, want %g", test.name, std, test.std)
		}
		rank, err := EffectiveRank(test.x)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(rank-test.rank) > test.tolerance*test.rank {
			t.Errorf("%s: effective rank %g, want %g", test.name, rank, test.rank)
		}
	}
}

// Two axes of unequal spread: singular values in proportion 3:1 have the entropy of (3/4, 1/4).
func TestEffectiveRankByHand(t *testing.T) {
	x := [][]float32{{3, 0}, {-3, 0}, {0, 1}, {0, -1}}
	got, err := EffectiveRank(x)
	if err != nil {
		t.Fatal(err)
	}
	want := math.Exp(-0.75*math.Log(0.75) - 0.25*math.Log(0.25))
	if math.Abs(got-want) > 1e-12 {
		t.Errorf("%g, want %g", got, want)
	}
}

func TestFiguresRefuse(t *testing.T) {
	for name, figure := range map[string]func([][]float32) (float64, error){"FeatureStd": FeatureStd, "EffectiveRank": EffectiveRank} {
		_, err := figure(nil)
		wantError(t, name, err, name, "no features")
		_, err = figure([][]float32{{1, float32(math.Inf(-1))}})
		wantError(t, name, err, name, "not finite")
		_, err = figure([][]float32{{1, 2}, {1}})
		wantError(t, name, err, name, "example 1 have 1 dimensions")
	}
}
