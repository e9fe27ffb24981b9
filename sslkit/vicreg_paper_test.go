package sslkit

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

func paperVICReg() *VICReg {
	return &VICReg{Backbone: nn.ResNet(8, 4), View: toyView, Hidden: 16, Dim: 8, Invariance: 2.5, Variance: 2.5, Covariance: 0.1}
}

// mistakenVICReg is VICReg with a mistake.
type mistakenVICReg struct {
	*VICReg
	mistake string
}

func (m mistakenVICReg) Loss(scope *model.Scope, b Batch) *Node {
	x, n := twoViews(scope, b.Image, m.View, m.Other), b.Image.Shape().Dim(0)
	if m.mistake == "views in one norm" {
		nn.SplitBatchNorm(scope, x.Graph(), 1)
	}
	z := m.Project(scope, x)
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	Report("std", loss.FeatureStd(z))
	if m.mistake == "normalised" { // where the distance is "without any normalization", Sec. 4.1
		z = L2Normalize(z, -1)
	}
	one, two := Slice(z, AxisRange(0, n)), Slice(z, AxisRange(n))
	if m.mistake == "weights in another order" {
		return loss.VICReg(one, two, m.Covariance, m.Invariance, m.Variance)
	}
	return loss.VICReg(one, two, m.Invariance, m.Variance, m.Covariance)
}

// "The overall loss function is a weighted average of the invariance, variance and covariance terms", of both branches' embeddings.
// Reference: Bardes et al. 2022, Sec. 4.1, Eq. 6.
func TestVICRegStepIsAlgorithm1(t *testing.T) {
	check := func(m Method, of *VICReg) (wrong []string) {
		before, got, _, images := paperRun(t, m, 3)
		z, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			nn.SplitBatchNorm(scope, x[0].Graph(), 2)
			return []*Node{of.Project(scope, of.View.View(scope, Concatenate([]*Node{x[0], x[0]}, 0)))}
		}, images)
		n, d, want := len(z[0])/2, of.Dim, 0.0
		for k := range n {
			for j := range d {
				want += of.Invariance * math.Pow(z[0][k][j]-z[0][n+k][j], 2) / float64(n*d)
			}
		}
		for _, view := range [][][]float64{z[0][:n], z[0][n:]} {
			mean := make([]float64, d)
			for _, row := range view {
				for j, v := range row {
					mean[j] += v / float64(n)
				}
			}
			for i := range d {
				for j := range d {
					c := 0.0
					for _, row := range view {
						c += (row[i] - mean[i]) * (row[j] - mean[j]) / float64(n-1)
					}
					if i == j {
						want += of.Variance * max(0, 1-math.Sqrt(c+1e-4)) / float64(2*d)
					} else {
						want += of.Covariance * c * c / float64(d)
					}
				}
			}
		}
		if math.Abs(got-want) > 1e-4*max(1, want) { // float32, after 8 layers
			wrong = append(wrong, "loss")
		}
		return wrong
	}
	for mistake, want := range map[string]string{"": "", "normalised": "loss", "weights in another order": "loss", "views in one norm": "loss"} {
		m := paperVICReg()
		if wrong := check(mistakenVICReg{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
	if wrong := check(paperVICReg(), paperVICReg()); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
}

// "Without variance regularization the representations immediately collapse to a single vector", and [VICReg.Diagnose] says so.
// Reference: Bardes et al. 2022, App. D.4, Table 7.
func TestVICRegCollapsesWithoutVariance(t *testing.T) {
	if testing.Short() {
		t.Skip("trains twice")
	}
	train := func(variance float64) (float64, string) {
		m := paperVICReg()
		m.Variance = variance
		h, err := smallRun(t, m, 1).Pretrain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Reports["std"][len(h.Loss)-1], m.Diagnose(h)
	}
	with, fine := train(2.5)
	without, collapsed := train(0)
	t.Logf("deviation %.3f with the term, %.4f without", with, without)
	if !(with > 0.5) || fine != "" {
		t.Errorf("with the term the deviation is %.3f: %s", with, fine)
	}
	if !(without < 0.1) || !strings.Contains(collapsed, "collapsed") {
		t.Errorf("without the term the deviation is %.3f, diagnosed as %q", without, collapsed)
	}
}

func TestVICRegLearns(t *testing.T) { recognises(t, func() Method { return paperVICReg() }) }

func TestVICRegValidate(t *testing.T) {
	if err := VICRegDefault(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *VICReg { return VICRegDefault(nn.ResNet(8, 4)) }, map[string]func(*VICReg){
		"weights -1, 25, 1":   func(m *VICReg) { m.Invariance = -1 },
		"weights 25, NaN, 1":  func(m *VICReg) { m.Variance = math.NaN() },
		"weights 25, 25, +In": func(m *VICReg) { m.Covariance = math.Inf(1) },
		"0 hidden units":      func(m *VICReg) { m.Hidden = 0 },
		"dim of 0":            func(m *VICReg) { m.Dim = 0 },
	})
}
