package sslkit

import (
	"math"
	"math/cmplx"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func paperLeJEPA() *LeJEPA {
	return &LeJEPA{Backbone: nn.ResNet(8, 4), View: toyView, Views: 3, Hidden: 16, Dim: 6, Lambda: 0.1, Directions: 12}
}

// mistakenLeJEPA is LeJEPA with a mistake.
type mistakenLeJEPA struct {
	*LeJEPA
	mistake string
}

func (m mistakenLeJEPA) Loss(scope *model.Scope, b Batch) *Node {
	is := func(mistake string) bool { return m.mistake == mistake }
	n := b.Image.Shape().Dim(0)
	z := m.Project(scope, m.View.View(scope, Concatenate(slices.Repeat([]*Node{b.Image}, m.Views), 0)))
	directions := scope.RandomNormal(z.Graph(), shapes.Make(z.DType(), m.Directions, m.Dim))
	each := Reshape(z, m.Views, n, m.Dim)
	mean := ReduceAndKeep(each, ReduceMean, 0)
	far := loss.SIGReg(z, directions) // of all views at once
	if !is("views at once") {
		far = ZerosLike(far)
		for _, one := range views(z, n) {
			if is("of unit rows") {
				one = L2Normalize(one, -1)
			}
			far = Add(far, DivScalar(loss.SIGReg(one, directions), float64(m.Views)))
		}
	}
	if is("to the first view") {
		mean = Slice(each, AxisRange(0, 1))
	}
	lambda := m.Lambda
	if is("weights turned round") {
		lambda = 1 - lambda
	}
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	Report("std", loss.FeatureStd(z))
	Report("sigreg", far)
	return Add(MulScalar(far, lambda), MulScalar(ReduceAllMean(Square(Sub(each, mean))), 1-lambda))
}

// The loss is "sigreg_loss * cfg.lamb + inv_loss * (1 - cfg.lamb)", where inv_loss is "(proj.mean(0) - proj).square().mean()" and
// SIGReg that of each view, along one draw of directions, in the mean.
// Reference: rbalestr-lab/lejepa, MINIMAL.md, "The Code".
func TestLeJEPAStepIsTheAuthors(t *testing.T) {
	check := func(m Method, of *LeJEPA) (wrong []string) {
		before, got, _, images := paperRun(t, m, 3)
		out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			z := of.Project(scope, of.View.View(scope, Concatenate(slices.Repeat([]*Node{x[0]}, of.Views), 0)))
			return []*Node{z, scope.RandomNormal(x[0].Graph(), shapes.Make(dtypes.Float32, of.Directions, of.Dim))}
		}, images)
		z, directions, n := out[0], out[1], len(out[0])/of.Views
		apart, far := 0.0, 0.0
		for i := range n {
			for j := range of.Dim {
				mean := 0.0
				for v := range of.Views {
					mean += z[v*n+i][j] / float64(of.Views)
				}
				for v := range of.Views {
					apart += math.Pow(z[v*n+i][j]-mean, 2) / float64(len(z)*of.Dim)
				}
			}
		}
		for v := range of.Views {
			for _, a := range directions {
				a = unitRow(a)
				for k := -16; k <= 16; k++ { // 17 points in [0, 3], and as many below
					at, weight := 3*float64(k)/16, 3.0/16
					if k == -16 || k == 16 {
						weight /= 2
					}
					var phi complex128
					for i := range n {
						phi += cmplx.Exp(complex(0, at*inner(z[v*n+i], a))) / complex(float64(n), 0)
					}
					normal := math.Exp(-at * at / 2)
					far += weight * normal * math.Pow(cmplx.Abs(phi-complex(normal, 0)), 2) * float64(n) / float64(of.Views*of.Directions)
				}
			}
		}
		if want := of.Lambda*far + (1-of.Lambda)*apart; math.Abs(got-want) > 1e-4*max(1, want) { // float32, after 8 layers
			wrong = append(wrong, "loss")
		}
		return wrong
	}
	if wrong := check(paperLeJEPA(), paperLeJEPA()); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
	for mistake, want := range map[string]string{"": "", "views at once": "loss", "of unit rows": "loss", "to the first view": "loss", "weights turned round": "loss"} {
		m := paperLeJEPA()
		if wrong := check(mistakenLeJEPA{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
}

// SIGReg is all that keeps the embeddings apart: without it they are the same, and [LeJEPA.Diagnose] says so.
func TestLeJEPACollapsesWithoutSIGReg(t *testing.T) {
	if testing.Short() {
		t.Skip("trains twice")
	}
	train := func(lambda float64) (float64, string) {
		m := paperLeJEPA()
		m.Lambda, m.Views = lambda, 2
		r := smallRun(t, m, 1)
		r.Optimizer = optim.SGD{Rate: optim.CosineWarmup(0.2, 8, 96), Momentum: 0.9}
		h, err := r.Pretrain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Reports["std"][len(h.Loss)-1], m.Diagnose(h)
	}
	with, fine := train(0.1)
	without, collapsed := train(0)
	t.Logf("deviation %.3f with SIGReg, %.4f without", with, without)
	if !(with > 0.5) || fine != "" {
		t.Errorf("with SIGReg the deviation is %.3f: %s", with, fine)
	}
	if !(without < 0.1) || !strings.Contains(collapsed, "collapsed") {
		t.Errorf("without SIGReg the deviation is %.3f, diagnosed as %q", without, collapsed)
	}
}

func TestLeJEPALearns(t *testing.T) { recognises(t, func() Method { return paperLeJEPA() }) }

// What a collapsed batch pays: embeddings that are all 0.
func TestLeJEPAGuessLoss(t *testing.T) {
	m := paperLeJEPA()
	zeros := make([][]float64, 16)
	for i := range zeros {
		zeros[i] = make([]float64, m.Dim)
	}
	out, err := CallOnce(goBackend(t), func(z *Node) *Node { return loss.SIGReg(z, OnesLike(z)) }, zeros)
	if err != nil {
		t.Fatal(err)
	}
	if want := m.Lambda * out.Value().(float64); math.Abs(m.GuessLoss(16)-want) > 1e-3*want {
		t.Errorf("%g, want %g", m.GuessLoss(16), want)
	}
}

func TestLeJEPAValidate(t *testing.T) {
	if err := LeJEPADefault(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *LeJEPA { return LeJEPADefault(nn.ResNet(8, 4)) }, map[string]func(*LeJEPA){
		"makes 1 views":   func(m *LeJEPA) { m.Views = 1 },
		"0 directions":    func(m *LeJEPA) { m.Directions = 0 },
		"lambda NaN":      func(m *LeJEPA) { m.Lambda = math.NaN() },
		"lambda 1.5":      func(m *LeJEPA) { m.Lambda = 1.5 },
		"0 hidden units":  func(m *LeJEPA) { m.Hidden = 0 },
		"unknown backbon": func(m *LeJEPA) { m.Backbone.Arch = "vgg" },
	})
}
