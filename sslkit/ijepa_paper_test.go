package sslkit

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// tinyIJEPA has two blocks of 2x1 of 3x3 patches, or more of larger images.
func tinyIJEPA() *IJEPA {
	return &IJEPA{Backbone: nn.ViT(1, 32, maePatch), Blocks: 2, Scale: 0.22, Aspect: 2, Depth: 1, Width: 32, Momentum: 0.75}
}

func TestIJEPAValidate(t *testing.T) {
	for _, m := range []*IJEPA{tinyIJEPA(), SmallIJEPA(nn.ViT(4, 96, 4)), PaperIJEPA(nn.ViT(12, 768, 16))} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, tinyIJEPA, map[string]func(*IJEPA){
		`only the backbone "vit" can, not "nin"`: func(m *IJEPA) { m.Backbone = nn.NIN(3, 24) },
		"0 blocks":                               func(m *IJEPA) { m.Blocks = 0 },
		"scale NaN":                              func(m *IJEPA) { m.Scale = math.NaN() },
		"scale 1 ":                               func(m *IJEPA) { m.Scale = 1 },
		"aspect 0.5":                             func(m *IJEPA) { m.Aspect = 0.5 },
		"depth 0":                                func(m *IJEPA) { m.Depth = 0 },
		"width 48":                               func(m *IJEPA) { m.Width = 48 },
		"momentum 1.1":                           func(m *IJEPA) { m.Momentum = 1.1 },
		"min_scale -1":                           func(m *IJEPA) { m.MinScale = -1 },
		"a vit's width":                          func(m *IJEPA) { m.Backbone.Width = 33 },
	})
	m := tinyIJEPA()
	m.Blocks = 5
	r := &Run{Method: m, Backend: goBackend(t), Train: waves{n: 4, s: 12, batch: 4}, Epochs: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.1)}}
	if _, err := r.Pretrain(t.Context()); err == nil || !strings.Contains(err.Error(), "leave ijepa no context") {
		t.Errorf("error %v with five blocks of two of nine patches", err)
	}
}

// "we randomly sample M (possibly overlapping) blocks from the target representations", and "we remove any overlapping regions from
// the context block". Reference: Assran et al. 2023, Sec. 3, "Targets" and "Context".
func TestIJEPABlocks(t *testing.T) {
	const images, grid = 60, 7
	m := SmallIJEPA(nn.ViT(1, 32, maePatch))
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	x := tensors.FromFlatDataAndDimensions(make([]float32, images*grid*grid), images, grid*grid, 1)
	out, _ := training(t, store, func(scope *model.Scope, x []*Node) []*Node {
		context, blocks := m.blocks(scope, x[0])
		return []*Node{ConvertDType(context, dtypes.Float32), ConvertDType(blocks, dtypes.Float32)}
	}, x)
	forms, corners, firsts := map[[2]int]int{}, map[int]bool{}, map[float64]bool{}
	for n := range images {
		context, blocks := out[0][n], out[1][n]
		k := len(blocks) / m.Blocks
		if len(context) != grid*grid-len(blocks) || k != 8 {
			t.Fatalf("%d patches of context and blocks of %d", len(context), k)
		}
		firsts[context[0]] = true
		seen := slices.Clone(context)
		slices.Sort(seen)
		if len(slices.Compact(seen)) != len(context) || seen[0] < 0 || seen[len(context)-1] >= grid*grid {
			t.Errorf("image %d: context %v", n, context)
		}
		for _, patch := range context {
			if slices.Contains(blocks, patch) {
				t.Errorf("image %d: patch %g is of the context and of a block", n, patch)
			}
		}
		for block := range slices.Chunk(blocks, k) {
			top, left := int(block[0])/grid, int(block[0])%grid
			bottom, right := int(block[k-1])/grid, int(block[k-1])%grid
			form := [2]int{bottom - top + 1, right - left + 1}
			forms[form]++
			corners[int(block[0])] = true
			for i, patch := range block {
				if want := (top+i/form[1])*grid + left + i%form[1]; form[0]*form[1] != k || int(patch) != want {
					t.Errorf("image %d: block %v is no rectangle of %v", n, block, form)
					break
				}
			}
		}
	}
	if len(forms) != 2 || forms[[2]int{2, 4}] < 60 || forms[[2]int{4, 2}] < 60 { // of 240: half each, give or take 8
		t.Errorf("blocks of %v", forms)
	}
	if len(corners) < 25 || len(firsts) < 20 { // of 33 places a block begins at, and of 49 patches
		t.Errorf("%d places of blocks, %d first patches of contexts", len(corners), len(firsts))
	}
}

// attracted makes a mistake: what the target encoder says has the gradient of the context encoder.
type attracted struct{ *IJEPA }

func (m attracted) Loss(scope *model.Scope, b Batch) *Node {
	patches := view.Patchify(nn.Centre(b.Image), m.Backbone.Patch)
	context, blocks := m.blocks(scope, patches)
	pred := m.predict(scope, patches, context, blocks)
	target := m.target(scope, b.Image)
	fast := nn.Last(m.Backbone.Stages(scope.At("encoder"), b.Image))
	fast = Reshape(fast, target.Shape().Dimensions...)
	target = Add(target, Sub(fast, StopGradient(fast)))
	Report("projection_std", ZerosLike(ReduceAllMean(pred)))
	Report("explained", ZerosLike(ReduceAllMean(pred)))
	d := Abs(Sub(pred, view.Pick(target, blocks)))
	near := MinScalar(d, 1)
	return ReduceAllMean(Mul(near, Sub(d, MulScalar(near, 0.5))))
}

// followIJEPA takes the last of four steps of m apart and names what is not as of says.
func followIJEPA(t *testing.T, m Method, of *IJEPA) (wrong []string) {
	t.Helper()
	before, got, after, images := paperRun(t, m, 4)
	bad := func(what string, is bool) {
		if is && !slices.Contains(wrong, what) {
			wrong = append(wrong, what)
		}
	}
	trailed(t, before, after, "/target", of.Momentum+(1-of.Momentum)*3/4, bad)
	parts, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		patches := view.Patchify(nn.Centre(x[0]), maePatch)
		context, blocks := of.blocks(scope, patches)
		pred := of.predict(scope, patches, context, blocks)
		h := nn.Last(of.Backbone.Stages(scope.Store().Scope("/target").At("encoder"), x[0]))
		return []*Node{pred, ConvertDType(blocks, dtypes.Float32), h}
	}, images)
	pred, blocks, h := parts[0], parts[1], parts[2]
	var sum float64
	target := make([][]float64, len(pred))
	for i, p := range pred {
		n, k := i/len(blocks[0]), i%len(blocks[0])
		row := slices.Clone(h[n*9+int(blocks[n][k])])
		var mean, variance float64
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(len(row))
		}
		for j := range row {
			row[j] = (row[j] - mean) / math.Sqrt(variance+1e-5)
			d := math.Abs(p[j] - row[j])
			if d < 1 {
				sum += d * d / 2
			} else {
				sum += d - 0.5
			}
		}
		target[i] = row
	}
	bad("loss", math.Abs(got-sum/float64(len(pred)*len(pred[0]))) > 1e-5) // float32 through two blocks
	descended(t, before, after, func(scope *model.Scope, x []*Node) *Node {
		patches := view.Patchify(nn.Centre(x[0]), maePatch)
		context, blocks := of.blocks(scope, patches)
		p := of.predict(scope, patches, context, blocks)
		d := Abs(Sub(p, Reshape(x[1], p.Shape().Dimensions...)))
		return ReduceAllMean(Where(LessThan(d, OnesLike(d)), MulScalar(Square(d), 0.5), AddScalar(d, -0.5)))
	}, bad, images, float32s(target))
	return wrong
}

// trailed checks that each parameter under slow has become the mean, by the momentum, of what it was and of its namesake without
// slow, and gives it that value in before.
func trailed(t *testing.T, before, after *model.Store, slow string, momentum float64, bad func(what string, is bool)) {
	t.Helper()
	for v := range before.Scope(slow).IterVariables() {
		fast := before.GetVariable(strings.TrimPrefix(v.Path(), slow))
		if strings.HasSuffix(v.Path(), "/mean") || strings.HasSuffix(v.Path(), "/variance") || !fast.Trainable {
			continue
		}
		to := tensors.MustCopyFlatData[float32](v.MustValue())
		for i, f := range tensors.MustCopyFlatData[float32](fast.MustValue()) {
			to[i] = float32(momentum*float64(to[i]) + (1-momentum)*float64(f))
		}
		value := tensors.FromFlatDataAndDimensions(to, v.Shape().Dimensions...)
		bad("momentum", apart(matrix(t, value), variable(t, after, v.Path())) > 1e-6)
		bad("trainable", after.GetVariable(v.Path()).Trainable)
		if err := v.SetValue(value); err != nil {
			t.Fatal(err)
		}
	}
}

// descended checks that the step, of plain SGD at a rate of 0.1, followed the gradient of this loss, where targets are numbers.
func descended(t *testing.T, before, after *model.Store, l func(scope *model.Scope, x []*Node) *Node, bad func(what string, is bool), inputs ...any) {
	t.Helper()
	var paths []string
	gradients, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		l := l(scope, x)
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(l.Graph()) {
				paths = append(paths, v.Path())
			}
		}
		return scope.BuildTrainableVariablesGradientsGraph(l)
	}, inputs...)
	if len(paths) == 0 {
		t.Fatal("nothing is trained")
	}
	for i, path := range paths {
		was, is := variable(t, before, path), variable(t, after, path)
		for r := range was {
			for c := range was[r] {
				// A difference of weights of about 1 in float32, over the rate.
				bad("gradient", math.Abs((was[r][c]-is[r][c])/0.1-gradients[i][r][c]) > 1e-5*max(1, math.Abs(was[r][c]))+1e-3*math.Abs(gradients[i][r][c]))
			}
		}
	}
}

// "the target blocks are obtained by masking the output of the target-encoder", whose parameters are an exponential moving average with a
// momentum that rises linearly, here in place of the loss's gradient; the distance is of every block's patches.
// Reference: Assran et al. 2023, Sec. 3, "Targets" and "Loss", and App. A.1 (the rise from memory).
func TestIJEPAStepIsThePapers(t *testing.T) {
	m := tinyIJEPA()
	if wrong := followIJEPA(t, m, m); wrong != nil {
		t.Errorf("wrong %v", wrong)
	}
	if wrong := followIJEPA(t, attracted{m}, m); !slices.Equal(wrong, []string{"gradient"}) {
		t.Errorf("with a gradient to the target: wrong %v: this test would not tell", wrong)
	}
	constant := tinyIJEPA()
	constant.Momentum = 0.9375 // of the last step
	if wrong := followIJEPA(t, m, constant); !slices.Contains(wrong, "momentum") {
		t.Errorf("with another momentum: wrong %v: this test would not tell", wrong)
	}
}

// What is in the blocks does not reach the context: the predictor is told the places alone.
// Reference: Assran et al. 2023, Sec. 3, "Prediction".
func TestIJEPAKnowsNothingOfTheBlocks(t *testing.T) {
	m := tinyIJEPA()
	m.Blocks, m.Scale = 1, 0.5
	store, _, _, _ := paperRun(t, m, 2)
	context, blocks := make([][]int32, maeImages), make([][]int32, maeImages)
	for n, order := range shuffled() {
		context[n], blocks[n] = order[:8], order[8:]
	}
	pred := func(pixels []float32, blocks [][]int32) [][]float64 {
		out, _ := training(t, store, func(scope *model.Scope, x []*Node) []*Node {
			return []*Node{m.predict(scope, view.Patchify(nn.Centre(x[0]), maePatch), x[1], x[2])}
		}, maeTensor(pixels), context, blocks)
		return out[0]
	}
	was := pred(maePixels(), blocks)
	if d := apart(was, pred(repaint(maePixels(), 8, maePatches), blocks)); d != 0 {
		t.Errorf("the blocks' patches change what is predicted of them by %g", d)
	}
	if d := apart(was, pred(repaint(maePixels(), 0, 8), blocks)); d < 1e-4 {
		t.Errorf("the context changes what is predicted by %g", d)
	}
	if d := apart(was, pred(maePixels(), context)); d < 1e-4 {
		t.Errorf("the places change what is predicted by %g", d)
	}
}

// goesOn stops a run of m in its second epoch of three, and goes on.
func goesOn(t *testing.T, m Method) History {
	t.Helper()
	run := func(dir string) *Run {
		ds := waves{n: 32, s: 12, batch: 8}
		return &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: 3, Seed: 1, Dir: dir,
			Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-3, 2, 3*ds.Steps()), WeightDecay: 0.05}}
	}
	whole := run("")
	want, err := whole.Pretrain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := run(t.TempDir())
	if _, err := r.Pretrain(stopAfter(r, 6)); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	r = run(r.Dir)
	got, err := r.Pretrain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sameRun(t, r, got, whole, want)
	t.Logf("loss %.3f, reports %v", want.Loss, want.Reports)
	return want
}

func TestIJEPAResumesExactly(t *testing.T) {
	h := goesOn(t, tinyIJEPA())
	if !(h.Loss[2] < h.Loss[0]) || h.Reports["projection_std"][2] < 0.01 {
		t.Errorf("loss %.3f, spread of the targets %.3f", h.Loss, h.Reports["projection_std"])
	}
}
