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
	"github.com/sslkit/lab/sslkit/view"
)

func paperSimSiam() *SimSiam {
	return &SimSiam{Backbone: nn.ResNet(8, 4), View: toyView, Layers: 2, Dim: 16, Hidden: 8}
}

// mistakenSimSiam is SimSiam with a mistake.
type mistakenSimSiam struct {
	*SimSiam
	mistake string
}

func (m mistakenSimSiam) Loss(scope *model.Scope, b Batch) *Node {
	n := b.Image.Shape().Dim(0)
	x := twoViews(scope, b.Image, m.View, view.Recipe{})
	if m.mistake == "views in one norm" {
		nn.SplitBatchNorm(scope, x.Graph(), 1)
	}
	z := m.Project(scope, x)
	p := m.predict(scope.In("predictor"), z)
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	if m.mistake == "no predictor" {
		p = z
	}
	if m.mistake != "target of the same view" {
		z = Concatenate([]*Node{Slice(z, AxisRange(n)), Slice(z, AxisRange(0, n))}, 0)
	}
	if m.mistake == "not normalised" {
		return Neg(ReduceAllMean(ReduceSum(Mul(p, StopGradient(z)), -1)))
	}
	return loss.NegativeCosine(p, z)
}

// "Our minimalist [...] symmetrized loss": D(p1, stopgrad(z2))/2 + D(p2, stopgrad(z1))/2, the minus cosine of a prediction and of
// the other view's projection. "The encoder on x2 receives no gradient from z2 in the first term, but it receives
// gradients from p2 in the second term". Reference: Chen & He 2021, Sec. 3, Eq. 1 to 4, and Algorithm 1.
func TestSimSiamStepIsAlgorithm1(t *testing.T) {
	check := func(m Method, of *SimSiam) (wrong []string) {
		before, got, after, images := paperRun(t, m, 3)
		project := func(scope *model.Scope, x *Node) (p, z *Node) {
			nn.SplitBatchNorm(scope, x.Graph(), 2)
			z = of.Project(scope, of.View.View(scope, Concatenate([]*Node{x, x}, 0)))
			return of.predict(scope.In("predictor"), z), z
		}
		out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			p, z := project(scope, x[0])
			return []*Node{p, z}
		}, images)
		p, n := out[0], len(out[0])/2
		target, want := slices.Concat(out[1][n:], out[1][:n]), 0.0
		for i := range p {
			want -= inner(unitRow(p[i]), unitRow(target[i])) / float64(2*n)
		}
		if math.Abs(got-want) > 1e-4 { // features of about 1 went through 8 layers in float32
			wrong = append(wrong, "loss")
		}
		// What was learnt, at a rate of 0.1, is what is learnt where the other view's projections are numbers.
		var paths []string
		gradients, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			p, _ := project(scope, x[0])
			l := Neg(ReduceAllMean(ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(x[1], -1)), -1)))
			paths = nil
			for v := range scope.IterVariables() {
				if v.Trainable && v.InUseByGraph(l.Graph()) {
					paths = append(paths, v.Path())
				}
			}
			return scope.BuildTrainableVariablesGradientsGraph(l)
		}, images, float32s(target))
		off := 0.0
		for i, path := range paths {
			was, is := variable(t, before, path), variable(t, after, path)
			for r := range was {
				for c := range was[r] {
					// A difference of weights of about 1 in float32, over the rate.
					d := math.Abs((was[r][c]-is[r][c])/0.1 - gradients[i][r][c])
					off = max(off, d-1e-5*max(1, math.Abs(was[r][c]))-1e-3*math.Abs(gradients[i][r][c]))
				}
			}
		}
		if off > 0 {
			wrong = append(wrong, "gradient")
		}
		return wrong
	}
	for mistake, want := range map[string]string{"views in one norm": "loss", "no predictor": "loss", "target of the same view": "loss", "not normalised": "loss"} {
		m := paperSimSiam()
		if wrong := check(mistakenSimSiam{m, mistake}, m); !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
	if wrong := check(paperSimSiam(), paperSimSiam()); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
	through := paperSimSiam()
	through.Gradient = true
	if wrong := check(through, through); !slices.Equal(wrong, []string{"gradient"}) {
		t.Errorf("without stop-gradient: wrong %v, want the gradient alone", wrong)
	}
}

func TestSimSiamLearns(t *testing.T) { recognises(t, func() Method { return paperSimSiam() }) }

func TestSimSiamValidate(t *testing.T) {
	backbone := nn.ResNet(8, 4)
	if err := SimSiamCIFAR(backbone).Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(m *SimSiam){
		"0 layers":         func(m *SimSiam) { m.Layers = 0 },
		"0 hidden units":   func(m *SimSiam) { m.Hidden = 0 },
		"dim of 0":         func(m *SimSiam) { m.Dim = 0 },
		"unknown backbone": func(m *SimSiam) { m.Backbone.Arch = "" },
	} {
		m := SimSiamCIFAR(backbone)
		if change(m); m.Validate() == nil || !strings.Contains(m.Validate().Error(), want) {
			t.Errorf("error %v, want one with %q", m.Validate(), want)
		}
	}
	if !slices.Equal(SimSiamCIFAR(backbone).Reports(), []string{"projection_std"}) {
		t.Error("what names a collapse is not reported")
	}
}
