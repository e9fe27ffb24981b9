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
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

func paperSimSiam() *SimSiam {
	return &SimSiam{Backbone: nn.ResNet(8, 4), View: toyView, Layers: 2, Dim: 16, Hidden: 4}
}

// mistakenSimSiam is SimSiam with a mistake.
type mistakenSimSiam struct {
	*SimSiam
	mistake string
}

func (m mistakenSimSiam) Loss(scope *model.Scope, b Batch) *Node {
	is := func(mistake string) bool { return m.mistake == mistake }
	n := b.Image.Shape().Dim(0)
	x := twoViews(scope, b.Image, m.View, view.Recipe{})
	if is("views in one norm") {
		nn.SplitBatchNorm(scope, x.Graph(), 1)
	}
	z := m.Project(scope, x)
	p := m.predict(scope, z)
	if is("no predictor") {
		p = z
	}
	other := z
	if !is("of the same view") {
		other = Concatenate([]*Node{Slice(z, AxisRange(n)), Slice(z, AxisRange(0, n))}, 0)
	}
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	cosine := ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(other, -1)), -1)
	switch {
	case is("no stop-gradient"):
		return Neg(ReduceAllMean(cosine))
	case is("one order"):
		return loss.NegativeCosine(Slice(p, AxisRange(0, n)), Slice(other, AxisRange(0, n)))
	case is("not normalised"):
		return Neg(ReduceAllMean(ReduceSum(Mul(p, StopGradient(other)), -1)))
	}
	return loss.NegativeCosine(p, other)
}

// followSimSiam takes a step of m apart and names what is not as of says.
func followSimSiam(t *testing.T, m Method, of *SimSiam) (wrong []string) {
	t.Helper()
	before, got, after, images := paperRun(t, m, 3)
	project := func(scope *model.Scope, x *Node) *Node {
		nn.SplitBatchNorm(scope, x.Graph(), 2)
		return of.Project(scope, of.View.View(scope, Concatenate([]*Node{x, x}, 0)))
	}
	out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		z := project(scope, x[0])
		return []*Node{z, of.predict(scope, z)}
	}, images)
	n := len(out[0]) / 2
	z, p := slices.Concat(out[0][n:], out[0][:n]), out[1]
	want := 0.0
	for i := range p {
		want -= inner(unitRow(p[i]), unitRow(z[i])) / float64(2*n) // Eq. 1 and 4: 1/2 D(p1, z2) + 1/2 D(p2, z1)
	}
	if math.Abs(got-want) > 1e-4 { // features of about 1 went through 8 layers in float32
		wrong = append(wrong, "loss")
	}
	// What was learnt, at a rate of 0.1, is what is learnt where z is numbers.
	var paths []string
	gradients, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		p := of.predict(scope, project(scope, x[0]))
		l := Neg(ReduceAllMean(ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(x[1], -1)), -1)))
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(l.Graph()) {
				paths = append(paths, v.Path())
			}
		}
		return scope.BuildTrainableVariablesGradientsGraph(l)
	}, images, float32s(z))
	for i, path := range paths {
		was, is := variable(t, before, path), variable(t, after, path)
		for r := range was {
			for c := range was[r] {
				// A difference of weights of about 1 in float32, over the rate.
				if math.Abs((was[r][c]-is[r][c])/0.1-gradients[i][r][c]) > 1e-5*max(1, math.Abs(was[r][c]))+1e-3*math.Abs(gradients[i][r][c]) {
					return append(wrong, "gradient")
				}
			}
		}
	}
	return wrong
}

// The loss is D(p1, stopgrad(z2))/2 + D(p2, stopgrad(z1))/2, with D the negative cosine similarity, where z2 "is treated as a constant".
// Reference: Chen & He 2021, Sec. 3, Eq. 1 to 4 and Algorithm 1.
func TestSimSiamStepIsAlgorithm1(t *testing.T) {
	for _, layers := range []int{1, 3} {
		m := paperSimSiam()
		m.Layers = layers
		if wrong := followSimSiam(t, m, m); wrong != nil {
			t.Errorf("%d layers: wrong %v", layers, wrong)
		}
	}
	for mistake, want := range map[string]string{
		"": "", "no stop-gradient": "gradient", "no predictor": "loss", "of the same view": "loss", "one order": "loss", "not normalised": "loss",
		"views in one norm": "loss",
	} {
		m := paperSimSiam()
		if wrong := followSimSiam(t, mistakenSimSiam{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
}

// "Without stop-gradient, the optimizer quickly finds a degenerated solution and reaches the minimum possible loss of -1", and the
// standard deviation of z/|z| is near 0, where with it "the std value is near 1/sqrt(d)".
// The history says so. Reference: Chen & He 2021, Sec. 4.1 and Fig. 2.
func TestSimSiamCollapsesWithoutStopGradient(t *testing.T) {
	if testing.Short() {
		t.Skip("trains twice")
	}
	run := func(mistake string) (l, std float64, said string) {
		m := paperSimSiam()
		m.Free = mistake == "no stop-gradient"
		r := smallRun(t, m, 1)
		r.Optimizer = optim.SGD{Rate: optim.Constant(2), Momentum: 0.9}
		h, err := r.Pretrain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Loss[len(h.Loss)-1], h.Reports["projection_std"][len(h.Loss)-1], m.Diagnose(h)
	}
	l, with, said := run("")
	t.Logf("a loss of %.3f and a spread of %.4f with stop-gradient", l, with)
	if !(with > 0.125 && said == "") { // 16 dimensions: 0.25 is even
		t.Errorf("with stop-gradient the spread is %.4f, and it is said: %s", with, said)
	}
	l, without, said := run("no stop-gradient")
	t.Logf("a loss of %.3f and a spread of %.4f without", l, without)
	if !(without < with/4 && l < -0.99 && strings.HasPrefix(said, "collapse: ")) {
		t.Errorf("without, a loss of %.3f and a spread of %.4f, and it is said: %s", l, without, said)
	}
}

func TestSimSiamLearns(t *testing.T) {
	recognises(t, func() Method { return paperSimSiam() })
}

func TestSimSiamResumesExactly(t *testing.T) { resumesExactly(t, paperSimSiam()) }

// "The projection MLP (in f) has BN applied to each fully-connected (fc) layer, including its output fc." "The prediction MLP (h) has BN
// applied to its hidden fc layers. Its output fc does not have BN". Reference: Chen & He 2021, Sec. 3, "Baseline settings".
func TestSimSiamHeads(t *testing.T) {
	_, _, store, _ := paperRun(t, paperSimSiam(), 1)
	var got []string
	for v := range store.IterVariables() {
		if v.Trainable && (strings.HasPrefix(v.Path(), "/head/") || strings.HasPrefix(v.Path(), "/predictor/")) {
			got = append(got, v.Path())
		}
	}
	slices.Sort(got)
	if want := []string{
		"/head/linear_1/dense/weights", "/head/linear_1/norm/offset", "/head/linear_1/norm/scale",
		"/head/linear_2/dense/weights", "/head/linear_2/norm/offset", "/head/linear_2/norm/scale",
		"/predictor/hidden/dense/weights", "/predictor/norm/offset", "/predictor/norm/scale",
		"/predictor/out/dense/biases", "/predictor/out/dense/weights",
	}; !slices.Equal(got, want) {
		t.Errorf("the heads train %v, want %v", got, want)
	}
}

func TestSimSiamValidate(t *testing.T) {
	backbone := nn.ResNet(8, 4)
	for want, change := range map[string]func(m *SimSiam){
		"":                 func(*SimSiam) {},
		"0 layers":         func(m *SimSiam) { m.Layers = 0 },
		"0 hidden units":   func(m *SimSiam) { m.Hidden = 0 },
		"dim of 0":         func(m *SimSiam) { m.Dim = 0 },
		"hue is 1":         func(m *SimSiam) { m.View.Hue = 1 },
		"unknown backbone": func(m *SimSiam) { m.Backbone.Arch = "" },
	} {
		for _, m := range []*SimSiam{SimSiamDefault(backbone), SimSiamCIFAR(backbone)} {
			change(m)
			if err := m.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		}
	}
}
