package sslkit

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func paperBYOL() *BYOL {
	return &BYOL{Backbone: nn.ResNet(8, 4), View: toyView, Hidden: 16, Dim: 8, Predictor: true, Momentum: 0.75}
}

// mistakenBYOL is BYOL with a mistake.
type mistakenBYOL struct {
	*BYOL
	mistake string
}

func (m mistakenBYOL) Loss(scope *model.Scope, b Batch) *Node {
	is := func(mistake string) bool { return m.mistake == mistake }
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	x := twoViews(scope, b.Image, m.View, m.Other)
	if is("views in one norm") {
		nn.SplitBatchNorm(scope, g, 1)
	}
	z := m.Project(scope, x)
	p := m.mlp(scope.In("predictor"), z)
	if is("no predictor") {
		p = z
	}
	var target *model.Scope
	switch {
	case is("constant momentum"), is("no EMA"):
		target = scope.In("target")
		target.VariableWithValue("steps", float32(0)).SetTrainable(false)
		momentum := m.Momentum
		if is("no EMA") {
			momentum = 1
		}
		nn.EMA(target.At("encoder"), scope.At("encoder"), g, momentum)
		nn.EMA(target.At("projector"), scope.At("projector"), g, momentum)
	default:
		target = m.follow(scope, g)
	}
	if is("gradient to the target") && scope.IsTraining(g) {
		for v := range target.IterVariables() {
			if fast := scope.Store().GetVariable(strings.TrimPrefix(v.Path(), "/target")); fast != nil && fast.Trainable {
				// The value is what follow made it, the gradient that of a mixture.
				v.SetNodeValue(Add(v.NodeValue(g), MulScalar(Sub(fast.NodeValue(g), StopGradient(fast.NodeValue(g))), 0.25)))
			}
		}
	}
	t := m.Project(target, x)
	nn.Freeze(target)
	if !is("targets of the same view") {
		t = Concatenate([]*Node{Slice(t, AxisRange(n)), Slice(t, AxisRange(0, n))}, 0)
	}
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	far := MulScalar(ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(t, -1)), -1), -2)
	switch {
	case is("gradient to the target"):
		return MulScalar(AddScalar(ReduceAllMean(far), 2), 2)
	case is("one order"):
		return AddScalar(ReduceAllMean(Slice(StopGradient(far), AxisRange(0, n))), 2)
	case is("not normalised"):
		return MulScalar(ReduceAllMean(ReduceSum(Square(Sub(p, StopGradient(t))), -1)), 2)
	}
	return AddScalar(MulScalar(loss.NegativeCosine(p, t), 4), 4)
}

// followBYOL takes a step of m apart and names what is not as of says.
func followBYOL(t *testing.T, m Method, of *BYOL) (wrong []string) {
	t.Helper()
	const steps = 5
	before, got, after, images := paperRun(t, m, steps)
	bad := func(what string, is bool) {
		if is && !slices.Contains(wrong, what) {
			wrong = append(wrong, what)
		}
	}
	n := images.Shape().Dim(0)
	// "after each training step", Eq. 1, so of the last but one here, number 3 of 5.
	tau := 1 - (1-of.Momentum)*(math.Cos(math.Pi*(steps-2)/steps)+1)/2
	for v := range before.Scope("/target").IterVariables() {
		q := before.GetVariable(strings.TrimPrefix(v.Path(), "/target"))
		if q == nil || !q.Trainable {
			continue
		}
		slow, fast := tensors.MustCopyFlatData[float32](v.MustValue()), tensors.MustCopyFlatData[float32](q.MustValue())
		for i := range slow {
			slow[i] = float32(tau*float64(slow[i]) + (1-tau)*float64(fast[i]))
		}
		moved := tensors.FromFlatDataAndDimensions(slow, v.Shape().Dimensions...)
		bad("momentum", apart(matrix(t, moved), variable(t, after, v.Path())) > 1e-6)
		bad("to be trained", after.GetVariable(v.Path()).Trainable)
		if err := v.SetValue(moved); err != nil {
			t.Fatal(err)
		}
	}
	views := func(scope *model.Scope, x *Node) *Node {
		nn.SplitBatchNorm(scope, x.Graph(), 2)
		return of.View.View(scope, Concatenate([]*Node{x, x}, 0))
	}
	embedded, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		x[0] = views(scope, x[0])
		return []*Node{of.mlp(scope.In("predictor"), of.Project(scope, x[0])), of.Project(scope.In("target"), x[0])}
	}, images)
	p, target := embedded[0], slices.Concat(embedded[1][n:], embedded[1][:n])
	want := 0.0
	for i := range p {
		want += (2 - 2*inner(unitRow(p[i]), unitRow(target[i]))) / float64(n) // Eq. 2
	}
	bad("loss", math.Abs(got-want) > 1e-4) // features of about 1 went through 8 layers in float32

	// What the online network learnt, at a rate of 0.1, is what it learns where targets are numbers.
	var paths []string
	gradients, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		p := of.mlp(scope.In("predictor"), of.Project(scope, views(scope, x[0])))
		l := MulScalar(ReduceAllMean(ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(x[1], -1)), -1)), -4)
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(l.Graph()) {
				paths = append(paths, v.Path())
			}
		}
		return scope.BuildTrainableVariablesGradientsGraph(l)
	}, images, float32s(target))
	for i, path := range paths {
		was, is := variable(t, before, path), variable(t, after, path)
		for r := range was {
			for c := range was[r] {
				// A difference of weights of about 1 in float32, over the rate.
				bad("gradient", math.Abs((was[r][c]-is[r][c])/0.1-gradients[i][r][c]) > 1e-5*max(1, math.Abs(was[r][c]))+1e-3*math.Abs(gradients[i][r][c]))
			}
		}
	}
	return wrong
}

// A step is Eq. 2 of both orders, "We symmetrize the loss [...] by separately feeding v' to the online network and v to the target
// network", with "stop-gradient" of the target, whose parameters move by Eq. 1 with τ = 1 - (1 - τ_base)(cos(πk/K) + 1)/2.
// Reference: Grill et al. 2020, Sec. 3.1, Eq. 1 and 2, and Sec. 3.3.
func TestBYOLStepIsTheAlgorithm(t *testing.T) {
	for mistake, want := range map[string]string{
		"": "", "one order": "loss", "not normalised": "loss", "targets of the same view": "loss", "no predictor": "loss", "views in one norm": "loss",
		"gradient to the target": "gradient", "constant momentum": "momentum", "no EMA": "momentum",
	} {
		m := paperBYOL()
		if wrong := followBYOL(t, mistakenBYOL{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
	if wrong := followBYOL(t, paperBYOL(), paperBYOL()); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
}

// Without the predictor the representation collapses (a paraphrase): with it the projections stay apart.
// Reference: Grill et al. 2020, Sec. 5, and Table 5b (its number from memory).
func TestBYOLCollapsesWithoutPredictor(t *testing.T) {
	if testing.Short() {
		t.Skip("trains twice")
	}
	std := func(predictor bool) float64 {
		m := paperBYOL()
		m.Predictor, m.Momentum = predictor, 0.5
		r := smallRun(t, m, 1)
		r.Optimizer = optim.SGD{Rate: optim.Constant(0.2), Momentum: 0.9}
		h, err := r.Pretrain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Reports["projection_std"][len(h.Loss)-1]
	}
	with, without := std(true), std(false)
	t.Logf("%.4f with the predictor, %.4f without", with, without)
	if !(with > 0.1 && without < with/3) { // 8 dimensions: 0.35 is even
		t.Errorf("the projections spread by %.3f with the predictor and %.3f without", with, without)
	}
}

func TestBYOLLearns(t *testing.T) {
	recognises(t, func() Method { m := paperBYOL(); m.Momentum = 0.9; return m })
}

// The target, and where τ is on its way to 1, are restored.
func TestBYOLResumesExactly(t *testing.T) { resumes(t, paperBYOL(), "/target/") }

func TestBYOLValidate(t *testing.T) {
	backbone := nn.ResNet(8, 4)
	if err := BYOLDefault(backbone).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *BYOL { return BYOLDefault(backbone) }, map[string]func(*BYOL){
		"momentum NaN":     func(m *BYOL) { m.Momentum = math.NaN() },
		"momentum 1.5":     func(m *BYOL) { m.Momentum = 1.5 },
		"0 hidden units":   func(m *BYOL) { m.Hidden = 0 },
		"dim of 0":         func(m *BYOL) { m.Dim = 0 },
		"hue is 1":         func(m *BYOL) { m.View.Hue = 1 },
		"min_scale is -1":  func(m *BYOL) { m.Other.MinScale = -1 },
		"unknown backbone": func(m *BYOL) { m.Backbone.Arch = "" },
	})
}

// smallRun trains on 128 gratings for 12 epochs of 8 steps.
func smallRun(t *testing.T, m Method, seed int64) *Run {
	r := contrastiveRun(t, m, "", 128, 12)
	r.Train, r.Seed = waves{n: 128, s: 12, batch: 16}, seed
	r.Optimizer = optim.SGD{Rate: optim.CosineWarmup(0.05, 8, 96), Momentum: 0.9, WeightDecay: 1e-4}
	return r
}

// recognises asks for an encoder that tells which view of 64 images that it has not seen is of which, by the features of another
// view of each, and better than an untrained one: by more than a standard error, which is 4 of 128.
func recognises(t *testing.T, method func() Method) {
	t.Helper()
	if testing.Short() {
		t.Skip("trains twice")
	}
	index := make([]int, 64)
	for i := range index {
		index[i] = 1000 + i
	}
	var before, after int
	for seed := range int64(2) {
		r := smallRun(t, method(), 1+seed)
		if _, err := r.Pretrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		untrained, err := NewStore(1 + seed)
		if err != nil {
			t.Fatal(err)
		}
		right := func(store *model.Store) (right int) {
			h, _ := training(t, store, func(scope *model.Scope, x []*Node) []*Node {
				x[0] = toyView.View(scope, Concatenate([]*Node{x[0], x[0]}, 0))
				return []*Node{nn.Pool(nn.Last(r.Method.Encode(scope, x[0])))}
			}, waves{s: 12}.images(index))
			for i, one := range h[0][:64] {
				best, at := -2.0, -1
				for j, other := range h[0][64:] {
					if c := inner(unitRow(one), unitRow(other)); c > best {
						best, at = c, j
					}
				}
				if at == i {
					right++
				}
			}
			return right
		}
		before, after = before+right(untrained), after+right(r.Store)
	}
	t.Logf("%d of 128 images recognised untrained, %d trained", before, after)
	if after < before+5 {
		t.Errorf("%d of 128 images recognised untrained, %d trained", before, after)
	}
}

// resumes asks for a run that is stopped and resumed to end as one that is not, and for what is under frozen not to be trained.
func resumes(t *testing.T, m Method, frozen string) {
	t.Helper()
	seen := 0
	for path, value := range resumesExactly(t, m) {
		if strings.HasPrefix(path, frozen) {
			if seen++; !strings.HasPrefix(value, "false") {
				t.Errorf("%s is to be trained", path)
			}
		}
	}
	if seen == 0 {
		t.Errorf("there is nothing under %s", frozen)
	}
}
