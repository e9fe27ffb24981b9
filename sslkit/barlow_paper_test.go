package sslkit

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

func paperBarlow() *BarlowTwins {
	return &BarlowTwins{Backbone: nn.ResNet(8, 4), View: toyView, Hidden: 16, Dim: 8, Lambda: 0.05}
}

// correlations of the features of two matrices over their rows.
func correlations(a, b [][]float64) [][]float64 {
	normal := func(z [][]float64) [][]float64 {
		out := make([][]float64, len(z))
		for j := range z[0] {
			var mean, variance float64
			for _, row := range z {
				mean += row[j] / float64(len(z))
			}
			for _, row := range z {
				variance += (row[j] - mean) * (row[j] - mean) / float64(len(z))
			}
			for i, row := range z {
				out[i] = append(out[i], (row[j]-mean)/math.Sqrt(variance+1e-5))
			}
		}
		return out
	}
	a, b = normal(a), normal(b)
	c := make([][]float64, len(a[0]))
	for i := range c {
		c[i] = make([]float64, len(c))
		for k := range a {
			for j := range c {
				c[i][j] += a[k][i] * b[k][j] / float64(len(a))
			}
		}
	}
	return c
}

// mistakenBarlow is Barlow Twins with a mistake.
type mistakenBarlow struct {
	*BarlowTwins
	mistake string
}

func (m mistakenBarlow) Loss(scope *model.Scope, b Batch) *Node {
	x, n := twoViews(scope, b.Image, m.View, m.Other), b.Image.Shape().Dim(0)
	if m.mistake == "views in one norm" {
		nn.SplitBatchNorm(scope, x.Graph(), 1)
	}
	z := m.Project(scope, x)
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	one, two := Slice(z, AxisRange(0, n)), Slice(z, AxisRange(n))
	switch m.mistake {
	case "one view twice":
		two = one
	case "features for examples": // correlations over the features of two images, which is contrast
		one, two = Transpose(one, 0, 1), Transpose(two, 0, 1)
	}
	return loss.BarlowTwins(one, two, m.Lambda)
}

// The loss compares "the cross-correlation matrix computed between the outputs of the two identical networks along the batch
// dimension" with the identity. Reference: Zbontar et al. 2021, Sec. 2.1, Eq. 1 and 2.
func TestBarlowTwinsStepIsAlgorithm1(t *testing.T) {
	check := func(m Method, of *BarlowTwins) (wrong []string) {
		before, got, _, images := paperRun(t, m, 3)
		z, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			nn.SplitBatchNorm(scope, x[0].Graph(), 2)
			return []*Node{of.Project(scope, of.View.View(scope, Concatenate([]*Node{x[0], x[0]}, 0)))}
		}, images)
		n, want := len(z[0])/2, 0.0
		for i, row := range correlations(z[0][:n], z[0][n:]) {
			for j, c := range row {
				if i == j {
					want += (1 - c) * (1 - c)
				} else {
					want += of.Lambda * c * c
				}
			}
		}
		if math.Abs(got-want) > 1e-4*max(1, want) { // 64 correlations in float32, after 8 layers
			wrong = append(wrong, "loss")
		}
		return wrong
	}
	for mistake, want := range map[string]string{"": "", "one view twice": "loss", "features for examples": "loss", "views in one norm": "loss"} {
		m := paperBarlow()
		if wrong := check(mistakenBarlow{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
	if wrong := check(paperBarlow(), paperBarlow()); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
}

// The redundancy reduction term "decorrelates the different vector components of the embedding": without it, features repeat each other.
// Reference: Zbontar et al. 2021, Sec. 2.1.
func TestBarlowTwinsReducesRedundancy(t *testing.T) {
	if testing.Short() {
		t.Skip("trains twice")
	}
	redundancy := func(lambda float64) (off float64) {
		m := paperBarlow()
		m.Lambda = lambda
		r := smallRun(t, m, 1)
		if _, err := r.Pretrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		index := make([]int, 64)
		for i := range index {
			index[i] = 1000 + i
		}
		z, _ := training(t, r.Store, func(scope *model.Scope, x []*Node) []*Node { return []*Node{m.Project(scope, x[0])} }, waves{s: 12}.images(index))
		for i, row := range correlations(z[0], z[0]) {
			for j, c := range row {
				if i != j {
					off += c * c / float64(m.Dim*(m.Dim-1))
				}
			}
		}
		return off
	}
	with, without := redundancy(0.5), redundancy(0)
	t.Logf("mean squared correlation of two features: %.3f with the term, %.3f without", with, without)
	if !(with < without/2) {
		t.Errorf("mean squared correlation of two features: %.3f with the term, %.3f without", with, without)
	}
}

func TestBarlowTwinsLearns(t *testing.T) { recognises(t, func() Method { return paperBarlow() }) }

func TestBarlowTwinsValidate(t *testing.T) {
	if err := BarlowTwinsDefault(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *BarlowTwins { return BarlowTwinsDefault(nn.ResNet(8, 4)) }, map[string]func(*BarlowTwins){
		"lambda is NaN":  func(m *BarlowTwins) { m.Lambda = math.NaN() },
		"lambda is -1":   func(m *BarlowTwins) { m.Lambda = -1 },
		"0 hidden units": func(m *BarlowTwins) { m.Hidden = 0 },
		"dim of 0":       func(m *BarlowTwins) { m.Dim = 0 },
	})
}
