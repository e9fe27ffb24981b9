package sslkit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

func tinyDINO() *DINO {
	return &DINO{Backbone: nn.ViT(1, 32, maePatch), View: view.Recipe{MinScale: 0.5, Flip: true}, SmallCrops: 1, SmallSize: 8, SmallMin: 0.2, SmallMax: 0.5,
		Hidden: 16, Bottleneck: 8, Dim: 12, Student: 0.1, Teacher: 0.07, WarmTeacher: 0.04, WarmEpochs: 3, Momentum: 0.75, Center: 0.9, Freeze: 1}
}

func TestDINOValidate(t *testing.T) {
	for _, m := range []*DINO{tinyDINO(), SmallDINO(nn.ViT(4, 96, 4)), PaperDINO(nn.ViT(12, 384, 16), 224)} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, tinyDINO, map[string]func(*DINO){
		"head of 0, 8 and 12":  func(m *DINO) { m.Hidden = 0 },
		"and 1 units":          func(m *DINO) { m.Dim = 1 },
		"momentum 2":           func(m *DINO) { m.Momentum = 2 },
		"center NaN":           func(m *DINO) { m.Center = math.NaN() },
		"temperature 0":        func(m *DINO) { m.Teacher = 0 },
		"temperature -1":       func(m *DINO) { m.WarmTeacher = -1 },
		"temperature NaN":      func(m *DINO) { m.Student = math.NaN() },
		"small_crops -1":       func(m *DINO) { m.SmallCrops = -1 },
		"warm_epochs -1":       func(m *DINO) { m.WarmEpochs = -1 },
		"freeze -1":            func(m *DINO) { m.Freeze = -1 },
		"of side 0":            func(m *DINO) { m.SmallSize = 0 },
		"of 0.6 to 0.5 of the": func(m *DINO) { m.SmallMin = 0.6 },
		"recipe's min_scale":   func(m *DINO) { m.View.MinScale = 2 },
		"a vit's width":        func(m *DINO) { m.Backbone.Width = 33 },
	})
}

// Small views go through the student alone: the teacher says what it does of "only the 2 global views".
// Reference: Caron et al. 2021, Sec. 3.1, Eq. 1 to 4; App. C; main_dino.py, DINOLoss.
func TestDINOStepIsEquation3(t *testing.T) {
	const n = 16
	warm := func() *DINO { // whose loss is not all but 0 at first
		m := tinyDINO()
		m.Student, m.Teacher, m.WarmTeacher = 0.5, 0.4, 0.2
		return m
	}
	m := warm()
	follow := func(m *DINO, of *DINO, steps int) (wrong []string) {
		t.Helper()
		before, got, after, images := paperRun(t, m, steps)
		bad := func(what string, is bool) {
			if is && !slices.Contains(wrong, what) {
				wrong = append(wrong, what)
			}
		}
		last := float64(steps - 1)
		trailed(t, before, after, "/teacher", 1-(1-of.Momentum)*(math.Cos(math.Pi*last/float64(steps))+1)/2, bad)
		out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			large, small := of.crops(scope, x[0])
			h := Concatenate([]*Node{nn.Pool(nn.Last(of.Encode(scope, large))), nn.Pool(nn.Last(of.Encode(scope, small)))}, 0)
			_, student := of.head(scope.In("head"), h, nil)
			slow := scope.Store().Scope("/teacher")
			_, teacher := of.head(slow.In("head"), nn.Pool(nn.Last(of.Encode(slow, large))), nil)
			return []*Node{student, teacher}
		}, images)
		center, next := variable(t, before, "/center")[0], variable(t, after, "/center")[0]
		// A step is an epoch: the teacher's temperature is 0.2, 0.3 and, from the third, 0.4.
		temperature := of.WarmTeacher + (of.Teacher-of.WarmTeacher)*min(last/float64(of.WarmEpochs-1), 1)
		want := 0.0
		mean := make([]float64, of.Dim)
		for i, row := range out[1] {
			told := make([]float64, of.Dim)
			for k, v := range row {
				told[k] = (v - center[k]) / temperature
				mean[k] += v / float64(len(out[1]))
			}
			for j, said := range out[0] {
				if j%n != i%n || j == i {
					continue
				}
				for k := range told {
					p := math.Exp(-searchLoss(told[k], slices.Delete(slices.Clone(told), k, k+1)))
					scaled := make([]float64, of.Dim)
					for o := range said {
						scaled[o] = said[o] / of.Student
					}
					want += p * searchLoss(scaled[k], slices.Delete(slices.Clone(scaled), k, k+1)) / (n * 4)
				}
			}
		}
		bad("loss", math.Abs(got-want) > 1e-5) // cosines in float32, over a temperature of 0.2
		for k := range mean {
			bad("center", math.Abs(next[k]-(of.Center*center[k]+(1-of.Center)*mean[k])) > 1e-5)
		}
		return wrong
	}
	for _, steps := range []int{2, 4} {
		if wrong := follow(m, m, steps); wrong != nil {
			t.Errorf("step %d: wrong %v", steps, wrong)
		}
	}
	still, sharp, slow := warm(), warm(), warm()
	still.Center, sharp.WarmEpochs, slow.Momentum = 1, 30, 0.99
	for want, of := range map[string]*DINO{"center": still, "loss": sharp, "momentum": slow} {
		if wrong := follow(m, of, 4); !slices.Contains(wrong, want) {
			t.Errorf("%s: wrong %v: this test would not tell", want, wrong)
		}
	}
}

// The last layer is frozen for the first epochs, and has directions alone; what the teacher has is never trained.
// Reference: Caron et al. 2021, App. C; main_dino.py, cancel_gradients_last_layer and norm_last_layer.
func TestDINOFreezesTheLastLayer(t *testing.T) {
	m := tinyDINO()
	r := &Run{Method: m, Backend: goBackend(t), Train: waves{n: 32, s: 12, batch: 16}, Epochs: 2, Seed: 1,
		Optimizer: optim.AdamW{Rate: optim.Constant(0.01), WeightDecay: 0.1}}
	var directions [][][]float64
	r.Progress = func(p Progress) {
		rows := variable(t, r.Store, "/head/last")
		for i := range rows {
			rows[i] = unitRow(rows[i])
		}
		directions = append(directions, rows)
	}
	if _, err := r.Pretrain(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Two steps an epoch. A decay rounds in float32.
	if d := apart(directions[0], directions[1]); d > 1e-6 {
		t.Errorf("in the first epoch directions move by %g", d)
	}
	if d := apart(directions[1], directions[2]); d < 1e-4 {
		t.Errorf("in the second epoch directions move by %g", d)
	}
	for v := range r.Store.Scope("/teacher").IterVariables() {
		if v.Trainable {
			t.Errorf("%s is trained", v.Path())
		}
	}
	if r.Store.GetVariable("/center").Trainable {
		t.Error("the center is trained")
	}
	x := [][]float32{{1, 2, 3}, {-3, 2, 1}}
	out, _ := training(t, r.Store, func(scope *model.Scope, x []*Node) []*Node {
		tripled := scope.Store().Scope("/head").GetVariable("last")
		features := Concatenate(slices.Repeat([]*Node{x[0]}, 11), 1)
		features = Slice(features, AxisRange(), AxisRange(0, 32))
		_, once := m.head(scope.At("head"), features, nil)
		tripled.SetNodeValue(MulScalar(tripled.NodeValue(x[0].Graph()), 3))
		_, again := m.head(scope.At("head"), features, nil)
		return []*Node{once, again}
	}, x)
	if d := apart(out[0], out[1]); d > 1e-6 {
		t.Errorf("the length of the last layer's rows changes what is said by %g", d)
	}
}

// "centering prevents one dimension to dominate but encourages collapse to the uniform distribution, while the sharpening has the
// opposite effect": without it the teacher says the same of all images, and that is named.
// Reference: Caron et al. 2021, Sec. 3.1, "Avoiding collapse", and Sec. 5.3.
func TestDINONamesItsCollapse(t *testing.T) {
	train := func(center float64) (History, string) {
		m := tinyDINO()
		m.Center, m.WarmEpochs, m.Teacher, m.Freeze, m.SmallCrops = center, 0, 0.04, 0, 0
		ds := waves{n: 64, s: 12, batch: 16}
		r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: 6, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01)}}
		h, err := r.Pretrain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("center %g: loss %.3f, %v", center, h.Loss, h.Reports)
		return h, m.Diagnose(h)
	}
	// The bars are far from what is measured, 0.9 and 1e-11.
	if h, _ := train(0.9); h.Reports["entropy"][5] < 0.3 {
		t.Errorf("with centring one output dominates: %v", h.Reports)
	}
	if h, said := train(1); h.Reports["entropy"][5] > 0.01 || !strings.Contains(said, "the same of all images") {
		t.Errorf("without centring: %q, %v", said, h.Reports)
	}
	healthy := History{Loss: []float64{1}, Reports: map[string][]float64{"entropy": {2}, "teacher_entropy": {1}}}
	if said := tinyDINO().Diagnose(healthy); said != "" {
		t.Errorf("of a teacher that tells images apart: %q", said)
	}
	if said := tinyDINO().Diagnose(History{}); said != "" {
		t.Errorf("before the first epoch: %q", said)
	}
}

func TestDINOTemperature(t *testing.T) {
	for _, c := range []struct {
		epochs int
		want   []float32 // numpy.linspace(0.04, 0.07, epochs), then 0.07
	}{{0, []float32{.07, .07, .07}}, {1, []float32{.04, .07, .07}}, {3, []float32{.04, .055, .07, .07}}} {
		m := tinyDINO()
		m.WarmEpochs = c.epochs
		got := MustExecOnce(goBackend(t), func(g *Graph) *Node {
			return m.temperature(Iota(g, shapes.Make(dtypes.Float32, len(c.want)), 0))
		}).Value().([]float32)
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-7 {
				t.Errorf("%d epochs: %v, want %v", c.epochs, got, c.want)
				break
			}
		}
	}
}

func TestDINOResumesExactly(t *testing.T) { goesOn(t, tinyDINO()) }
