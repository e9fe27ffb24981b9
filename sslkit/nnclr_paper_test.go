package sslkit

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func paperNNCLR() *NNCLR {
	return &NNCLR{Backbone: nn.ResNet(8, 4), View: toyView, Hidden: 16, Dim: 8, Predictor: 16, Queue: 48, Temperature: 0.2}
}

// mistakenNNCLR is NNCLR with a mistake.
type mistakenNNCLR struct {
	*NNCLR
	mistake string
}

func (m mistakenNNCLR) Loss(scope *model.Scope, b Batch) *Node {
	is := func(mistake string) bool { return m.mistake == mistake }
	x, n := twoViews(scope, b.Image, m.View, view.Recipe{}), b.Image.Shape().Dim(0)
	z := m.Project(scope, x)
	p := L2Normalize(m.predict(scope.In("predictor"), z), -1)
	raw := z
	z = L2Normalize(z, -1)
	Report("projection_std", loss.FeatureStd(z))
	first := func(x *Node) *Node { return Slice(x, AxisRange(0, n)) }
	second := func(x *Node) *Node { return Slice(x, AxisRange(n)) }
	keys := StopGradient(first(z))
	switch {
	case is("queue not normalised"):
		keys = StopGradient(first(raw))
	case is("predictions in the queue"):
		keys = StopGradient(first(p))
	}
	support := nn.Queue(scope.In("queue"), keys, m.Queue)
	if is("enqueue before the loss") {
		support = Concatenate([]*Node{keys, Slice(support, AxisRange(0, m.Queue-n))}, 0)
	}
	near := nearest(z, support)
	switch {
	case is("no neighbour"): // SimCLR with a predictor
		near = StopGradient(z)
	case is("gradient to the neighbour"):
		near = Add(near, Sub(z, StopGradient(z)))
	}
	target := p
	if is("no predictor") {
		target = z
	}
	one, found := m.search(first(near), second(target))
	two, _ := m.search(second(near), first(target))
	if is("its own prediction") {
		one, _ = m.search(first(near), first(target))
		two, _ = m.search(second(near), second(target))
	}
	Report("accuracy", found)
	return DivScalar(Add(one, two), 2)
}

// followNNCLR takes a step of m apart and names what is not as of says.
func followNNCLR(t *testing.T, m Method, of *NNCLR) (wrong []string) {
	t.Helper()
	before, got, after, images := paperRun(t, m, 5)
	bad := func(what string, is bool) {
		if is && !slices.Contains(wrong, what) {
			wrong = append(wrong, what)
		}
	}
	n := images.Shape().Dim(0)
	old, queue := variable(t, before, "/queue/keys"), variable(t, after, "/queue/keys")
	for _, key := range append(slices.Clone(old), queue...) {
		bad("length", math.Abs(inner(key, key)-1) > 1e-5)
	}
	bad("order", apart(queue[n:], old[:len(old)-n]) != 0)
	bad("to be trained", after.GetVariable("/queue/keys").Trainable)
	views := func(scope *model.Scope, x *Node) *Node {
		nn.SplitBatchNorm(scope, x.Graph(), 2)
		return of.View.View(scope, Concatenate([]*Node{x, x}, 0))
	}
	embedded, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		z := of.Project(scope, views(scope, x[0]))
		return []*Node{z, of.predict(scope.In("predictor"), z)}
	}, images)
	z, p := embedded[0], embedded[1]
	var near [][]float64
	for i := range z {
		best := slices.MaxFunc(old, func(a, b []float64) int {
			if inner(unitRow(z[i]), a) < inner(unitRow(z[i]), b) {
				return -1
			}
			return 1
		})
		near = append(near, best)
		z[i], p[i] = unitRow(z[i]), unitRow(p[i])
	}
	bad("keys", apart(queue[:n], z[:n]) > 1e-4) // features of about 1 went through 8 layers in float32
	want := 0.0
	for i := range near {
		view := p[n:] // of the first views' neighbours, the second views' predictions
		if i >= n {
			view = p[:n]
		}
		var others []float64
		for k := range n {
			if k != i%n {
				others = append(others, inner(near[i], view[k])/of.Temperature)
			}
		}
		want += searchLoss(inner(near[i], view[i%n])/of.Temperature, others) / float64(2*n)
	}
	bad("loss", math.Abs(got-want) > 1e-4)

	// What the network learnt, at a rate of 0.1, is what it learns where the neighbours are numbers.
	var paths []string
	gradients, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		p := L2Normalize(of.predict(scope.In("predictor"), of.Project(scope, views(scope, x[0]))), -1)
		one, _ := of.search(Slice(x[1], AxisRange(0, n)), Slice(p, AxisRange(n)))
		two, _ := of.search(Slice(x[1], AxisRange(n)), Slice(p, AxisRange(0, n)))
		l := DivScalar(Add(one, two), 2)
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(l.Graph()) {
				paths = append(paths, v.Path())
			}
		}
		return scope.BuildTrainableVariablesGradientsGraph(l)
	}, images, float32s(near))
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

// The positive of a view is the nearest neighbour of its embedding in the support set, both views take part, and the support set is
// updated with the batch's embeddings at the end of each step (a paraphrase; the numbers are from memory).
// Reference: Dwibedi et al. 2021, Sec. 3.2, Eq. 2 and 3, and Algorithm 1.
func TestNNCLRStepIsAlgorithm1(t *testing.T) {
	for mistake, want := range map[string]string{
		"": "", "queue not normalised": "length", "predictions in the queue": "keys", "enqueue before the loss": "loss", "no neighbour": "loss",
		"gradient to the neighbour": "gradient", "no predictor": "loss", "its own prediction": "loss",
	} {
		m := paperNNCLR()
		if wrong := followNNCLR(t, mistakenNNCLR{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
	if wrong := followNNCLR(t, paperNNCLR(), paperNNCLR()); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
	bare := paperNNCLR()
	bare.Predictor = 0
	if wrong := followNNCLR(t, bare, bare); wrong != nil {
		t.Errorf("without a prediction head: wrong %v", wrong)
	}
}

func TestNNCLRLearns(t *testing.T) { recognises(t, func() Method { return paperNNCLR() }) }

// The support set is restored.
func TestNNCLRResumesExactly(t *testing.T) { resumes(t, paperNNCLR(), "/queue/") }

func TestNNCLRValidate(t *testing.T) {
	if err := NNCLRDefault(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *NNCLR { return NNCLRDefault(nn.ResNet(8, 4)) }, map[string]func(*NNCLR){
		"temperature 0":   func(m *NNCLR) { m.Temperature = 0 },
		"queue is 0":      func(m *NNCLR) { m.Queue = 0 },
		"predictor -1":    func(m *NNCLR) { m.Predictor = -1 },
		"0 hidden units":  func(m *NNCLR) { m.Hidden = 0 },
		"dim of 0":        func(m *NNCLR) { m.Dim = 0 },
		"min_scale is -1": func(m *NNCLR) { m.View.MinScale = -1 },
	})
}
