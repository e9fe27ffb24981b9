package sslkit

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

func tinyMoCoV3() *MoCoV3 {
	return &MoCoV3{Backbone: nn.ViT(1, 32, maePatch), View: view.Recipe{MinScale: 0.5, Flip: true}, Hidden: 16, Dim: 8, Momentum: 0.75, Temperature: 0.2, FreezePatch: true}
}

func TestMoCoV3Validate(t *testing.T) {
	convnet := tinyMoCoV3()
	convnet.Backbone, convnet.FreezePatch = nn.ResNet(8, 4), false
	for _, m := range []*MoCoV3{tinyMoCoV3(), SmallMoCoV3(nn.ViT(4, 96, 4)), PaperMoCoV3(nn.ViT(12, 768, 16)), convnet} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, tinyMoCoV3, map[string]func(*MoCoV3){
		"set freeze_patch to false": func(m *MoCoV3) { m.Backbone = nn.ResNet(8, 4) },
		"0 hidden units":            func(m *MoCoV3) { m.Hidden = 0 },
		"-1 dimensions":             func(m *MoCoV3) { m.Dim = -1 },
		"momentum NaN":              func(m *MoCoV3) { m.Momentum = math.NaN() },
		"temperature 0":             func(m *MoCoV3) { m.Temperature = 0 },
		"min_scale":                 func(m *MoCoV3) { m.View.MinScale = 2 },
		"a vit's width":             func(m *MoCoV3) { m.Backbone.Width = 33 },
	})
}

// mistakenMoCoV3 is MoCoV3 whose loss is changed, and whose key has a gradient where it says so.
type mistakenMoCoV3 struct {
	*MoCoV3
	change func(l *Node) *Node
}

func (m mistakenMoCoV3) Loss(scope *model.Scope, b Batch) *Node {
	return m.change(m.MoCoV3.Loss(scope, b))
}

// followMoCoV3 takes the last of four steps of m apart and names what is not as of says.
func followMoCoV3(t *testing.T, m Method, of *MoCoV3) (wrong []string) {
	t.Helper()
	before, got, after, images := paperRun(t, m, 4)
	bad := func(what string, is bool) {
		if is && !slices.Contains(wrong, what) {
			wrong = append(wrong, what)
		}
	}
	trailed(t, before, after, "/key", 1-(1-of.Momentum)*(math.Cos(math.Pi*3/4)+1)/2, bad)
	queries := func(scope *model.Scope, x *Node) (q, views *Node) {
		nn.SplitBatchNorm(scope, x.Graph(), 2)
		views = of.View.View(scope, Concatenate([]*Node{x, x}, 0))
		return L2Normalize(head(scope.In("predictor"), of.project(scope, views), of.Hidden, of.Dim), -1), views
	}
	rows, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		q, views := queries(scope, x[0])
		return []*Node{q, L2Normalize(of.project(scope.Store().Scope("/key"), views), -1)}
	}, images)
	q, k := rows[0], rows[1]
	n, want := len(q)/2, 0.0
	for i := range q {
		others := k[n:]
		if i >= n {
			others = k[:n]
		}
		var scores []float64
		for j := range others {
			if j != i%n {
				scores = append(scores, inner(q[i], others[j])/of.Temperature)
			}
		}
		want += 2 * of.Temperature * searchLoss(inner(q[i], others[i%n])/of.Temperature, scores) / float64(n)
	}
	bad("loss", math.Abs(got-want) > 1e-4) // float32 through norms of 16 rows
	descended(t, before, after, func(scope *model.Scope, x []*Node) *Node {
		q, _ := queries(scope, x[0])
		logits := DivScalar(Einsum("id,jd->ij", q, x[1]), of.Temperature) // 2Nx2N
		own := Add(Einsum("id,id->i", Slice(q, AxisRange(0, n)), Slice(x[1], AxisRange(n))), Einsum("id,id->i", Slice(q, AxisRange(n)), Slice(x[1], AxisRange(0, n))))
		all := Add(Log(ReduceSum(Exp(Slice(logits, AxisRange(0, n), AxisRange(n))), -1)), Log(ReduceSum(Exp(Slice(logits, AxisRange(n), AxisRange(0, n))), -1)))
		return MulScalar(ReduceAllMean(Sub(all, DivScalar(own, of.Temperature))), 2*of.Temperature)
	}, bad, images, float32s(k))
	patch := "/encoder/patch/dense/weights"
	bad("patch", apart(variable(t, before, patch), variable(t, after, patch)) != 0)
	return wrong
}

// "loss = ctr(q1, k2) + ctr(q2, k1)", of the batch's keys, times "2 * tau"; the key's encoder is a moving average,
// and the momentum rises to 1 by a cosine; keys have no gradient.
// Reference: Chen et al. 2021, Algorithm 1, Eq. 1 and App. A.
func TestMoCoV3StepIsAlgorithm1(t *testing.T) {
	m := tinyMoCoV3()
	if wrong := followMoCoV3(t, m, m); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
	half := mistakenMoCoV3{m, func(l *Node) *Node { return MulScalar(l, 1/(2*m.Temperature)) }}
	if wrong := followMoCoV3(t, half, m); !slices.Contains(wrong, "loss") || !slices.Contains(wrong, "gradient") {
		t.Errorf("without 2 tau: wrong %v: this test would not tell", wrong)
	}
	constant := tinyMoCoV3()
	constant.Momentum = 1
	if wrong := followMoCoV3(t, constant, m); !slices.Contains(wrong, "momentum") {
		t.Errorf("with another momentum: wrong %v: this test would not tell", wrong)
	}
	// "we explore freezing the patch projection layer during training. In other words, we use a fixed random patch projection layer to
	// embed the patches, which is not learned."
	// Reference: Sec. 4.2, "A trick for improving stability".
	trained := tinyMoCoV3()
	trained.FreezePatch = false
	if wrong := followMoCoV3(t, trained, m); !slices.Contains(wrong, "patch") {
		t.Errorf("with a trained patch embedding: wrong %v: this test would not tell", wrong)
	}
}

// Heads are of three and two layers with batch norms, the last of which has no parameters to train.
// Reference: Chen et al. 2021, App. A, "MLP heads"; moco/builder.py, _build_mlp.
func TestMoCoV3Heads(t *testing.T) {
	_, _, store, _ := paperRun(t, tinyMoCoV3(), 2)
	for scope, layers := range map[string]int{"/head": 3, "/predictor": 2, "/key/head": 3} {
		var weights, gains, trained int
		for v := range store.Scope(scope).IterVariables() {
			switch {
			case strings.HasSuffix(v.Path(), "/weights"):
				weights++
			case strings.HasSuffix(v.Path(), "/scale"):
				gains++
				if v.Trainable {
					trained++
				}
			}
		}
		want := layers - 1
		if scope == "/key/head" {
			want = 0
		}
		if weights != layers || gains != layers || trained != want {
			t.Errorf("%s: %d layers, %d norms, %d of which are trained", scope, weights, gains, trained)
		}
	}
}

func TestMoCoV3ResumesExactly(t *testing.T) { goesOn(t, tinyMoCoV3()) }

func TestMoCoV3Learns(t *testing.T) {
	const epochs = 10
	m := tinyMoCoV3()
	m.Hidden = 32
	h, err := contrastiveRunOf(t, m, epochs).Pretrain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accuracy, spread := h.Reports["accuracy"][epochs-1], h.Reports["projection_std"][epochs-1]
	t.Logf("loss %.3f of %.3f for a guess, accuracy %.3f", h.Loss, m.GuessLoss(16), h.Reports["accuracy"])
	if !(h.Loss[epochs-1] < m.GuessLoss(16)) || accuracy < 0.25 || spread < 0.1 { // of 1/16 and at most 1/sqrt 8
		t.Errorf("loss %.3f, accuracy %.3f, spread %.3f", h.Loss[epochs-1], accuracy, spread)
	}
}

// contrastiveRunOf trains m by AdamW on gratings.
func contrastiveRunOf(t *testing.T, m Method, epochs int) *Run {
	ds := waves{n: 128, s: 12, batch: 16}
	return &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-3, 4, epochs*ds.Steps()), WeightDecay: 0.05}}
}
