package sslkit

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

const inpaintImages, inpaintSide = 4, 16

func tinyInpainting() *ContextEncoder {
	return &ContextEncoder{Backbone: nn.ResNet(8, 2), Overlap: 1, Seen: 10, Rec: 0.999, Adv: 0.001, CriticRate: 0.1, Decoder: 2, Critic: 2}
}

// anywhere is tinyInpainting with random holes.
func anywhere() *ContextEncoder {
	m := tinyInpainting()
	m.Holes, m.Overlap, m.Seen = 1, 0, 1
	return m
}

func TestInpaintingValidate(t *testing.T) {
	for _, m := range []*ContextEncoder{tinyInpainting(), anywhere(), SemanticInpainting(nn.ResNet(8, 16)), InpaintingFeatures(nn.NIN(3, 24))} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, tinyInpainting, map[string]func(*ContextEncoder){
		"-1 holes with an overlap of 1": func(m *ContextEncoder) { m.Holes = -1 },
		"only the central hole":         func(m *ContextEncoder) { m.Holes = 1 },
		"an overlap of -1":              func(m *ContextEncoder) { m.Overlap = -1 },
		"rec 0, adv 0":                  func(m *ContextEncoder) { m.Rec, m.Adv = 0, 0 },
		"seen NaN":                      func(m *ContextEncoder) { m.Seen = math.NaN() },
		"adv -1":                        func(m *ContextEncoder) { m.Adv = -1 },
		"must be finite":                func(m *ContextEncoder) { m.Rec = math.Inf(1) },
		"a decoder of width 0":          func(m *ContextEncoder) { m.Decoder = 0 },
		"a critic of width 0":           func(m *ContextEncoder) { m.Critic = 0 },
		"and rate 0":                    func(m *ContextEncoder) { m.CriticRate = 0 },
		"6n+2":                          func(m *ContextEncoder) { m.Backbone.Depth = 9 },
	})
	alone := tinyInpainting()
	alone.Adv, alone.Critic, alone.CriticRate = 0, 0, 0
	if err := alone.Validate(); err != nil || !slices.Equal(alone.Reports(), []string{"l2", "psnr"}) {
		t.Errorf("without an adversary: %v, reports %v", err, alone.Reports())
	}
}

// What depends on the images' side is said when the step is built.
func TestInpaintingRejectsImages(t *testing.T) {
	for want, c := range map[string]struct{ side, overlap int }{
		"multiple of 4 and at least 8":       {18, 1},
		"at least 8, got":                    {4, 0},
		"an overlap of 4 leaves nothing of ": {16, 4},
	} {
		m := tinyInpainting()
		m.Overlap = c.overlap
		r := &Run{Method: m, Backend: goBackend(t), Train: toyData{n: 4, s: c.side, batch: 2}, Epochs: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.1)}}
		if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for _, side := range []int{8, 20, 28} {
		r := &Run{Method: tinyInpainting(), Backend: goBackend(t), Train: toyData{n: 4, s: side, batch: 2}, Epochs: 1, Optimizer: optim.AdamW{Rate: optim.Constant(1e-3)}}
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Errorf("side %d: %v", side, err)
		}
	}
}

func inpaintPixels(c int) *tensors.Tensor {
	rnd := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, inpaintImages*inpaintSide*inpaintSide*c)
	for i := range x {
		x[i] = rnd.Float32()
	}
	return tensors.FromFlatDataAndDimensions(x, inpaintImages, inpaintSide, inpaintSide, c)
}

// stage calls fn on images in training mode, on a store that it shares.
type stage struct {
	t       *testing.T
	backend compute.Backend
	store   *model.Store
}

// newStage has the variables of m, as they are drawn.
func newStage(t *testing.T, m *ContextEncoder) stage {
	t.Helper()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	s := stage{t, goBackend(t), store}
	s.call(func(scope *model.Scope, x *Node) []*Node { return []*Node{m.Loss(scope, Batch{Image: x})} }, inpaintPixels(1))
	return s
}

func (s stage) call(fn func(scope *model.Scope, x *Node) []*Node, x any) [][]float32 {
	s.t.Helper()
	out, err := model.CallOnceN(s.backend, s.store, func(scope *model.Scope, x *Node) []*Node {
		scope.Store().SetTraining(x.Graph(), true)
		return fn(scope, x)
	}, x)
	if err != nil {
		s.t.Fatal(err)
	}
	var flat [][]float32
	for _, o := range out {
		flat = append(flat, tensors.MustCopyFlatData[float32](o))
	}
	return flat
}

// parameters are copies of the values of all trained variables.
func (s stage) parameters() map[string][]float32 {
	values := make(map[string][]float32)
	for v := range s.store.IterVariables() {
		if v.Trainable && v.DType() == dtypes.Float32 {
			values[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
		}
	}
	return values
}

func (s stage) set(values map[string][]float32) {
	for path, value := range values {
		v := s.store.GetVariable(path)
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(slices.Clone(value), v.Shape().Dimensions...)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func sigmoidLoss(logit float64, real bool) float64 { // -log D or -log(1-D)
	if real {
		logit = -logit
	}
	return math.Log1p(math.Exp(logit))
}

// "L = lambda_rec L_rec + lambda_adv L_adv", with weights of 0.999 and 0.001; the adversary's part is log(D(x)) + log(1 -
// D(F((1 - M) x))) for the critic, and for the other "maximize log(D(G(z)))", of the release. Reference: Pathak et al. 2016, Eq. 2
// and 3, Sec. 5.1; train.lua, fDx and fGx.
func TestPaperInpaintingLosses(t *testing.T) {
	for name, m := range map[string]*ContextEncoder{"central": tinyInpainting(), "anywhere": anywhere()} {
		s := newStage(t, m)
		out := s.call(func(scope *model.Scope, x *Node) []*Node {
			joint := m.Loss(scope, Batch{Image: x})
			players := m.Optimizer(optim.SGD{Rate: optim.Constant(1)}).(optim.Players)
			set, _ := model.GetGraphParam(x.Graph(), turnKey)
			turn := set.(*turn)
			report := func(name string) *Node { v, _ := model.GetGraphParam(x.Graph(), reportKey(name)); return v.(*Node) }
			critic := players[0].Loss(scope, x.Graph())
			score := func(logits *Node) *Node {
				return Sub(SliceAxis(logits, 1, AxisElem(1)), SliceAxis(logits, 1, AxisElem(0)))
			}
			return []*Node{joint, critic, turn.painted, m.region(x), score(turn.real), score(turn.fake),
				report("l2"), report("psnr"), report("critic"), MulScalar(turn.l2, 1), players[1].Loss(scope, x.Graph())}
		}, inpaintPixels(1))
		painted, truth, real, fake := out[2], out[3], out[4], out[5]
		var adversary, critic, right float64
		for i := range inpaintImages {
			critic += (sigmoidLoss(float64(real[i]), true) + sigmoidLoss(float64(fake[i]), false)) / inpaintImages
			adversary += sigmoidLoss(float64(fake[i]), true) / inpaintImages
			if real[i] > 0 {
				right += 0.5 / inpaintImages
			}
			if fake[i] <= 0 {
				right += 0.5 / inpaintImages
			}
		}
		if name == "central" {
			const side, overlap = inpaintSide / 2, 1
			var l2, inside float64
			for i := range painted {
				row, col, weight := i/side%side, i%side, 10.
				e := float64(painted[i]) - (2*float64(truth[i]) - 1)
				if row >= overlap && row < side-overlap && col >= overlap && col < side-overlap {
					weight = 1
					inside += e * e / 4 / float64(inpaintImages*(side-2*overlap)*(side-2*overlap))
				}
				l2 += weight * e * e / float64(len(painted))
			}
			closeTo32(t, name+": l2", out[9], l2)
			closeTo32(t, name+": report l2", out[6], inside)
			closeTo32(t, name+": report psnr", out[7], -10*math.Log10(inside))
		}
		closeTo32(t, name+": joint loss", out[0], 0.999*float64(out[9][0])+0.001*adversary)
		closeTo32(t, name+": generator's loss, before the critic has moved", out[10], float64(out[0][0]))
		closeTo32(t, name+": critic's loss", out[1], critic)
		closeTo32(t, name+": accuracy", out[8], right)
	}
}

// closeTo32 allows for the rounding of float32 through some hundred terms.
func closeTo32(t *testing.T, what string, got []float32, want float64) {
	t.Helper()
	if !(math.Abs(float64(got[0])-want) <= 1e-5*max(1, math.Abs(want))) {
		t.Errorf("%s is %g, want %g", what, got[0], want)
	}
}

// "The missing region in the masked input image is filled with constant mean value": nothing of what was hidden reaches the
// network, by the fill neither, and holes are as Fig. 3 has them: a square in the centre, or squares "covering up to 1/4 of the
// image". Reference: Pathak et al. 2016, Sec. 3.3 and 4.
func TestPaperInpaintingHides(t *testing.T) {
	blocks := anywhere()
	blocks.Holes = 4
	for name, m := range map[string]*ContextEncoder{"central": tinyInpainting(), "anywhere": anywhere(), "blocks": blocks} {
		s := newStage(t, m)
		draw := s.call(func(scope *model.Scope, x *Node) []*Node { return []*Node{m.Hide(scope, x)} }, inpaintPixels(1))[0]
		hidden := tensors.FromFlatDataAndDimensions(slices.Clone(draw), inpaintImages, inpaintSide, inpaintSide, 1)
		pixels := tensors.MustCopyFlatData[float32](inpaintPixels(1))
		changed := slices.Clone(pixels)
		for i := range changed {
			if draw[i] == 1 {
				changed[i] = 1 - changed[i]
			}
		}
		see := func(pixels []float32) (masked, completed []float32) {
			x := tensors.FromFlatDataAndDimensions(slices.Clone(pixels), inpaintImages, inpaintSide, inpaintSide, 1)
			out, err := model.CallOnceN(s.backend, s.store, func(scope *model.Scope, x, hidden *Node) []*Node {
				a, b := m.Inpaint(scope, x, hidden)
				return []*Node{a, b}
			}, x, hidden)
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
		}
		masked, completed := see(pixels)
		other, otherCompleted := see(changed)
		if !slices.Equal(masked, other) || !slices.Equal(completed, otherCompleted) {
			t.Errorf("%s: what is painted depends on what was hidden", name)
		}
		const size = inpaintSide * inpaintSide
		for i := range inpaintImages {
			var mean, area float64
			for k := i * size; k < (i+1)*size; k++ {
				mean, area = mean+float64(pixels[k]*(1-draw[k])), area+float64(draw[k])
			}
			mean /= size - area
			if want := map[string]float64{"central": 36, "anywhere": 64}[name]; want > 0 && area != want || area > size/4 || area < size/16 {
				t.Errorf("%s: a hole of %g of %d pixels", name, area, size)
			}
			for k := i * size; k < (i+1)*size; k++ {
				row, col := k/inpaintSide%inpaintSide, k%inpaintSide
				if central := row >= 5 && row < 11 && col >= 5 && col < 11; name == "central" && (draw[k] == 1) != central {
					t.Fatalf("pixel (%d, %d) is hidden: %g", row, col, draw[k])
				}
				switch {
				case draw[k] == 0 && (masked[k] != pixels[k] || completed[k] != pixels[k]):
					t.Fatalf("%s: a pixel that is seen changed", name)
				case draw[k] == 1 && math.Abs(float64(masked[k])-mean) > 1e-6: // float32 sums
					t.Fatalf("%s: filled with %g, want the mean of the rest, %g", name, masked[k], mean)
				case completed[k] < 0 || completed[k] > 1:
					t.Fatalf("%s: painted %g", name, completed[k])
				}
			}
		}
		if name != "central" && slices.Equal(draw[:size], draw[size:2*size]) && slices.Equal(draw[:size], draw[2*size:3*size]) {
			t.Errorf("%s: three images have the same holes", name)
		}
	}
}

// The painted centre lies where it was cut out.
func TestInpaintingPaintsInPlace(t *testing.T) {
	m := tinyInpainting()
	s := newStage(t, m)
	hidden := s.call(func(scope *model.Scope, x *Node) []*Node { return []*Node{m.Hide(scope, x)} }, inpaintPixels(1))[0]
	out, err := model.CallOnceN(s.backend, s.store, func(scope *model.Scope, x, hidden *Node) []*Node {
		_, completed := m.Inpaint(scope, x, hidden)
		return []*Node{m.region(completed), m.paint(scope.Store().RootScope(), x, hidden)}
	}, inpaintPixels(1), tensors.FromFlatDataAndDimensions(slices.Clone(hidden), inpaintImages, inpaintSide, inpaintSide, 1))
	if err != nil {
		t.Fatal(err)
	}
	got, painted := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	const side = inpaintSide / 2
	for i, v := range got {
		if row, col := i/side%side, i%side; row > 0 && row < side-1 && col > 0 && col < side-1 && math.Abs(float64(v-(painted[i]+1)/2)) > 1e-6 {
			t.Fatalf("pixel (%d, %d) of the centre is %g, want %g", row, col, v, (painted[i]+1)/2)
		}
	}
}

// step takes one step of m from the parameters that s has and returns how each has moved.
func (s stage) step(m *ContextEncoder, o optim.SGD) map[string][]float32 {
	before := s.parameters()
	s.call(func(scope *model.Scope, x *Node) []*Node {
		l := m.Loss(scope, Batch{Image: x})
		m.Optimizer(o).UpdateGraph(scope, x.Graph(), l)
		return []*Node{l}
	}, inpaintPixels(1))
	moved := s.parameters()
	for path, value := range moved {
		for i := range value {
			value[i] -= before[path][i]
		}
	}
	return moved
}

// gradients of the loss that fn builds, by the parameters that s has.
func (s stage) gradients(m *ContextEncoder, fn func(scope *model.Scope, t *turn) *Node) map[string][]float32 {
	var paths []string
	out := s.call(func(scope *model.Scope, x *Node) []*Node {
		m.Loss(scope, Batch{Image: x})
		set, _ := model.GetGraphParam(x.Graph(), turnKey)
		l := fn(scope, set.(*turn))
		var leaves []*Node
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(x.Graph()) {
				paths, leaves = append(paths, v.Path()), append(leaves, v.NodeValue(x.Graph()))
			}
		}
		return Gradient(l, leaves...)
	}, inpaintPixels(1))
	g := make(map[string][]float32)
	for i, path := range paths {
		g[path] = out[i]
	}
	return g
}

// "(1) Update D network: maximize log(D(x)) + log(1 - D(G(z)))", then "(2) Update G network: maximize log(D(G(z)))": the critic moves
// against its own loss, at a tenth of the rate, and nothing else does; encoder and decoder then move against the joint loss, with
// the critic that has moved: "learningRate = (opt.wtl2>0 and opt.wtl2<1) and opt.lr*10 or opt.lr". (The release saves a pass: it
// sends the gradient through the critic's new weights but with activations of the old ones.)
// Reference: Pathak et al. 2016, Sec. 3.2 and 5.1; train.lua.
func TestPaperInpaintingTakesTurns(t *testing.T) {
	m := tinyInpainting()
	m.Rec, m.Adv = 0.5, 0.5 // so that the critic can be seen in the other's steps
	const rate = 1.
	s := newStage(t, m)
	start := s.parameters()
	critic := s.gradients(m, func(_ *model.Scope, t *turn) *Node {
		return m.Optimizer(optim.SGD{}).(optim.Players)[0].Loss(nil, t.real.Graph())
	})
	joint := func(_ *model.Scope, t *turn) *Node { return m.joint(t, t.fake) }
	old := s.gradients(m, joint)
	// By hand: first the critic, then the gradient against it.
	moved := make(map[string][]float32)
	for path, g := range critic {
		if strings.HasPrefix(path, "/critic") {
			moved[path] = slices.Clone(start[path])
			for i := range g {
				moved[path][i] -= 0.1 * rate * g[i]
			}
		}
	}
	s.set(moved)
	next := s.gradients(m, joint)
	s.set(start)
	got := s.step(m, optim.SGD{Rate: optim.Constant(rate)})

	turns := 0.
	for path, d := range got {
		want := next[path]
		if strings.HasPrefix(path, "/critic") {
			want = slices.Clone(critic[path])
			for i := range want {
				want[i] *= 0.1
			}
		}
		for i := range d {
			// Differences of float32 parameters of up to about 3.
			if !(math.Abs(float64(d[i]+rate*want[i])) <= 2e-6+1e-4*math.Abs(float64(want[i]))) {
				t.Errorf("%s moved by %g, want %g", path, d[i], -rate*want[i])
				break
			}
			if !strings.HasPrefix(path, "/critic") {
				turns = max(turns, math.Abs(float64(next[path][i]-old[path][i])))
			}
		}
	}
	if turns < 1e-4 {
		t.Errorf("the critic's move changes the other's gradient by %g: nothing was tested", turns)
	}
	for path := range start {
		if !strings.HasPrefix(path, "/encoder/") && !strings.HasPrefix(path, "/decoder/") && !strings.HasPrefix(path, "/critic/") {
			t.Errorf("%s belongs to nobody", path)
		}
	}
}

// Without an adversary there is no critic to depend on; with a weight of 0 on its part, one that is there does not count.
func TestInpaintingWithoutAdversary(t *testing.T) {
	m := tinyInpainting()
	s := newStage(t, m)
	painter := func(s stage, m *ContextEncoder) map[string][]float32 {
		g := s.gradients(m, func(_ *model.Scope, t *turn) *Node { return m.joint(t, t.fake) })
		maps.DeleteFunc(g, func(path string, _ []float32) bool { return strings.HasPrefix(path, "/critic") })
		return g
	}
	differ := func(a, b map[string][]float32) bool { return !maps.EqualFunc(a, b, slices.Equal) }
	with := painter(s, m)
	noAdversary := *m
	read := func() map[string][]float32 {
		g := s.gradients(m, func(_ *model.Scope, t *turn) *Node { noAdversary.Adv = 0; return noAdversary.joint(t, t.fake) })
		maps.DeleteFunc(g, func(path string, _ []float32) bool { return strings.HasPrefix(path, "/critic") })
		return g
	}
	without := read()
	other := make(map[string][]float32)
	for path, value := range s.parameters() {
		if strings.HasPrefix(path, "/critic") {
			other[path] = slices.Clone(value)
			for i := range value {
				other[path][i] += float32(math.Sin(float64(i)))
			}
		}
	}
	s.set(other)
	if differ(without, read()) {
		t.Error("with a weight of 0 the critic bends the gradient of encoder and decoder")
	}
	if !differ(with, painter(s, m)) {
		t.Error("with an adversary another critic changes nothing")
	}
	alone := *m
	alone.Adv = 0
	for path := range newStage(t, &alone).parameters() {
		if strings.HasPrefix(path, "/critic") {
			t.Errorf("without an adversary there is %s", path)
		}
	}
	if o := (optim.SGD{Rate: optim.Constant(1)}); alone.Optimizer(&o) != any(&o) {
		t.Error("without an adversary there are players")
	}
}

// The gradient of the joint loss by the first layer and the last, by finite differences: through tanh, decoder, bottleneck,
// encoder, and the critic.
func TestInpaintingGradient(t *testing.T) {
	m := tinyInpainting()
	m.Rec, m.Adv = 1, 1
	s := newStage(t, m)
	joint := func(_ *model.Scope, t *turn) *Node { return m.joint(t, t.fake) }
	gradients := s.gradients(m, joint)
	value := func() float64 {
		return float64(s.call(func(scope *model.Scope, x *Node) []*Node { return []*Node{m.Loss(scope, Batch{Image: x})} }, inpaintPixels(1))[0][0])
	}
	for _, path := range []string{"/encoder/stem/conv/weights", "/decoder/bottleneck/weights", "/decoder/bottleneck/biases", "/decoder/layer_1/conv/weights", "/decoder/pixels/dense/biases", "/critic/layer_1/conv/weights"} {
		start, g := s.parameters()[path], gradients[path]
		if g == nil {
			t.Fatalf("no gradient by %s", path)
		}
		// Along the gradient itself the slope is its length. In float32 the loss, of about 5, is good to 1e-6.
		var length float64
		for _, v := range g {
			length += float64(v) * float64(v)
		}
		length = math.Sqrt(length)
		step := 2e-3
		along := func(sign float64) float64 {
			moved := slices.Clone(start)
			for i := range moved {
				moved[i] += float32(sign * step * float64(g[i]) / length)
			}
			s.set(map[string][]float32{path: moved})
			return value()
		}
		slope := (along(1) - along(-1)) / (2 * step)
		s.set(map[string][]float32{path: start})
		if !(math.Abs(slope-length) <= 0.02*length+1e-3) {
			t.Errorf("%s: slope %g along a gradient of length %g", path, slope, length)
		}
	}
}

// A run with two players that was stopped goes on exactly: the moments, the count of updates, the rates.
func TestInpaintingResumesExactly(t *testing.T) {
	run := func(dir string) *Run {
		m := anywhere()
		m.Flip = true
		return &Run{Method: m, Backend: goBackend(t), Train: toyData{n: 16, s: 8, batch: 4}, Epochs: 2, Seed: 1, Dir: dir,
			Optimizer: optim.AdamW{Rate: optim.CosineWarmup(2e-3, 2, 8), Beta1: 0.5}}
	}
	whole := run("")
	want, err := whole.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := run(dir)
	if _, err := r.Pretrain(stopAfter(r, 4)); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	r = run(dir)
	got, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := variables(t, r.Store), variables(t, whole.Store); !maps.Equal(a, b) || len(a) == 0 {
		for path := range b {
			if a[path] != b[path] {
				t.Errorf("%s differs from the uninterrupted run's", path)
			}
		}
	}
	for _, name := range whole.Method.(Reporter).Reports() {
		if !slices.Equal(got.Reports[name], want.Reports[name]) || len(want.Reports[name]) != 2 {
			t.Errorf("%s %v, uninterrupted %v", name, got.Reports[name], want.Reports[name])
		}
	}
}

// The hole of the toy images, which have a bright bar above, is painted better than with the best single colour.
func TestInpaintingLearns(t *testing.T) {
	m := tinyInpainting()
	m.Decoder = 4
	r := &Run{Method: m, Backend: goBackend(t), Train: toyData{n: 96, s: 12, batch: 12}, Epochs: 8, Seed: 1,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-2, 0, 64), Beta1: 0.5}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// Rows 4 to 7 are hidden, of which none is in the bar, rows 1 to 3: noise of a variance of (80/255)^2/12, or 0.0082.
	l2, noise := h.Reports["l2"], math.Pow(80./255, 2)/12
	if last := l2[len(l2)-1]; !(last < 1.3*noise) || !(last < 0.5*l2[0]) {
		t.Errorf("squared error %v, want it to come near the noise, %.4f", l2, noise)
	}
	for name, values := range h.Reports {
		for _, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s is %v", name, values)
			}
		}
	}
}

// Images of one colour are painted without a NaN.
func TestInpaintingOfNothing(t *testing.T) {
	for _, colour := range []float32{0, 1} {
		for _, m := range []*ContextEncoder{tinyInpainting(), anywhere()} {
			s := newStage(t, m)
			x := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{colour}, inpaintImages*inpaintSide*inpaintSide), inpaintImages, inpaintSide, inpaintSide, 1)
			for _, moved := range s.call(func(scope *model.Scope, x *Node) []*Node {
				l := m.Loss(scope, Batch{Image: x})
				m.Optimizer(optim.AdamW{Rate: optim.Constant(0.01)}).UpdateGraph(scope, x.Graph(), l)
				return []*Node{l}
			}, x) {
				if v := float64(moved[0]); math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("colour %g: loss %g", colour, v)
				}
			}
			for path, value := range s.parameters() {
				if slices.ContainsFunc(value, func(v float32) bool { return math.IsNaN(float64(v)) }) {
					t.Errorf("colour %g: %s is NaN", colour, path)
				}
			}
		}
	}
}
