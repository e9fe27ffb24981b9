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

func paperMoCo() *MoCo {
	return &MoCo{Backbone: nn.ResNet(8, 4), View: toyView, MLP: true, Dim: 8, Queue: 48, Momentum: 0.75, Temperature: 0.2, Split: 1}
}

// mistakenMoCo is MoCo with a mistake.
type mistakenMoCo struct {
	*MoCo
	mistake string
}

func (m mistakenMoCo) Loss(scope *model.Scope, b Batch) *Node {
	is := func(mistake string) bool { return m.mistake == mistake }
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	nn.SplitBatchNorm(scope, g, m.Split)
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0))
	q := m.Project(scope, Slice(x, AxisRange(0, n)))
	key := scope.In("key")
	ema := func() {
		for _, part := range []string{"encoder", "head"} {
			nn.EMA(key.At("%s", part), scope.At("%s", part), g, m.Momentum)
			if is("gradient to the key") && scope.IsTraining(g) {
				for v := range scope.At("%s", part).IterVariables() {
					if k := key.Store().GetVariable("/key" + v.Path()); v.Trainable {
						// The value is what EMA made it, the gradient that of the mixture.
						k.SetNodeValue(Add(k.NodeValue(g), MulScalar(Sub(v.NodeValue(g), StopGradient(v.NodeValue(g))), 1-m.Momentum)))
					}
				}
			}
		}
	}
	if !is("EMA after the key forward") {
		ema()
	}
	xk := Slice(x, AxisRange(n))
	var k *Node
	if is("not shuffled") {
		k = m.Project(key, xk)
	} else {
		k = nn.Shuffled(scope, xk, func(x *Node) *Node { return m.Project(key, x) })
	}
	if is("EMA after the key forward") {
		ema()
	}
	if !is("gradient to the key") {
		k = StopGradient(k)
	}
	enqueued := k
	if is("queue not normalised") {
		enqueued = MulScalar(k, 2)
	}
	queue := nn.Queue(scope.In("queue"), enqueued, m.Queue)
	if is("enqueue before the loss") {
		queue = Concatenate([]*Node{k, Slice(queue, AxisRange(0, m.Queue-n))}, 0)
	}
	l, accuracy := loss.InfoNCEWithAccuracy(q, k, queue, m.Temperature)
	if is("no positive in the denominator") {
		negatives := MulScalar(Einsum("nd,kd->nk", q, queue), 1/m.Temperature)
		l = ReduceAllMean(Sub(Log(ReduceSum(Exp(negatives), -1)), MulScalar(ReduceSum(Mul(q, k), -1), 1/m.Temperature)))
	}
	Report("accuracy", accuracy)
	Report("projection_std", loss.FeatureStd(q))
	return l
}

// followMoCo takes a step of m apart and names what is not as of says.
func followMoCo(t *testing.T, m Method, of *MoCo) (wrong []string) {
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

	// θ_k ← m θ_k + (1 - m) θ_q, Eq. 2.
	for v := range before.Scope("/key").IterVariables() {
		q := before.GetVariable(strings.TrimPrefix(v.Path(), "/key"))
		if !q.Trainable {
			continue
		}
		slow, fast := tensors.MustCopyFlatData[float32](v.MustValue()), tensors.MustCopyFlatData[float32](q.MustValue())
		for i := range slow {
			slow[i] = float32(of.Momentum)*slow[i] + float32(1-of.Momentum)*fast[i]
		}
		moved := tensors.FromFlatDataAndDimensions(slow, v.Shape().Dimensions...)
		bad("momentum", apart(matrix(t, moved), variable(t, after, v.Path())) > 1e-6)
		if err := v.SetValue(moved); err != nil {
			t.Fatal(err)
		}
	}
	embedded, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		views := of.View.View(scope, Concatenate([]*Node{x[0], x[0]}, 0))
		return []*Node{of.Project(scope, Slice(views, AxisRange(0, n))), of.Project(scope.In("key"), Slice(views, AxisRange(n)))}
	}, images)
	q, k := embedded[0], embedded[1]
	// Features of about 1 went through 8 layers in float32, the keys in another order.
	bad("keys", apart(queue[:n], k) > 1e-4)
	bad("loss", math.Abs(got-infoNCE(q, k, old, of.Temperature)) > 1e-4)

	// What the query learnt, at a rate of 0.1, is what it learns where keys are numbers.
	var paths []string
	gradients, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		views := of.View.View(scope, Concatenate([]*Node{x[0], x[0]}, 0))
		l := loss.InfoNCE(of.Project(scope, Slice(views, AxisRange(0, n))), x[1], x[2], of.Temperature)
		paths = nil
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(l.Graph()) {
				paths = append(paths, v.Path())
			}
		}
		return scope.BuildTrainableVariablesGradientsGraph(l)
	}, images, float32s(k), float32s(old))
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

func float32s(x [][]float64) (y [][]float32) {
	for _, row := range x {
		y = append(y, nil)
		for _, v := range row {
			y[len(y)-1] = append(y[len(y)-1], float32(v))
		}
	}
	return y
}

// "The parameters θ_k are updated by" Eq. 2 alone, also where layer norms make themselves trainable when they are built: the
// optimizer has no moments of the key's encoder, and with m = 1 nothing of it changes, bit by bit.
// Reference: He et al. 2020, Sec. 3.2, Eq. 2.
func TestKeyOfViTIsFrozen(t *testing.T) {
	vit := paperMoCo()
	vit.Backbone = nn.ViT(2, 32, 4)
	if wrong := followMoCo(t, vit, vit); wrong != nil {
		t.Errorf("moco: wrong %v", wrong)
	}
	still := *vit
	still.Momentum = 1
	dense := &DenseCL{Backbone: vit.Backbone, View: toyView, Dim: 8, Queue: 48, Momentum: 1, Temperature: 0.2, Lambda: 0.5, Split: 1}
	for name, m := range map[string]Method{"moco": &still, "densecl": dense} {
		r := &Run{Method: m, Backend: goBackend(t), Train: waves{n: 16, s: 12, batch: 16}, Epochs: 3, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01), WeightDecay: 0.1}}
		var first, last map[string]string
		r.Progress = func(p Progress) {
			if last = variables(t, r.Store); first == nil {
				first = last
			}
		}
		if _, err := r.Pretrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys := 0
		for path, value := range last {
			switch {
			case strings.HasPrefix(path, "/key/"):
				keys++
				if value != first[path] || !strings.HasPrefix(value, "false") {
					t.Errorf("%s: %s has changed, or is to be trained", name, path)
				}
			case strings.Contains(path, "/key/"):
				t.Errorf("%s: there is %s", name, path)
			case strings.HasPrefix(path, "/encoder/") && value == first[path]:
				t.Errorf("%s: %s has not changed", name, path)
			}
		}
		if keys < 20 {
			t.Errorf("%s: %d variables of keys", name, keys)
		}
	}
}

// A step is Algorithm 1: the key encoder moves first, keys have no gradient, they are compared with the K keys of earlier
// batches, and only then "the current mini-batch is enqueued to the dictionary, and the oldest mini-batch in the queue is
// removed". Reference: He et al. 2020, Sec. 3.1, Eq. 1, Sec. 3.2, Eq. 2 and Algorithm 1.
func TestMoCoStepIsAlgorithm1(t *testing.T) {
	linear, still := paperMoCo(), paperMoCo()
	linear.MLP, still.Momentum = false, 0 // m = 0, the paper's ablation in Sec. 4.1
	for name, m := range map[string]*MoCo{"v2": paperMoCo(), "v1": linear, "momentum 0": still} {
		if wrong := followMoCo(t, m, m); wrong != nil {
			t.Errorf("%s: wrong %v", name, wrong)
		}
	}
	for mistake, want := range map[string]string{
		"":                     "",
		"not shuffled":         "", // matters with split batch norms only, see below
		"queue not normalised": "length", "enqueue before the loss": "loss", "no positive in the denominator": "loss",
		"EMA after the key forward": "keys", "gradient to the key": "gradient",
	} {
		m := paperMoCo()
		if wrong := followMoCo(t, mistakenMoCo{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
}

// The algorithm begins with "f_k.params = f_q.params"; "no gradient to keys" changes f_k from there.
// Reference: He et al. 2020, Algorithm 1.
func TestMoCoKeyStartsAsQuery(t *testing.T) {
	m := paperMoCo()
	m.Momentum = 1 // so that nothing moves it
	before, _, after, _ := paperRun(t, m, 2)
	trained := 0
	for v := range before.Scope("/key").IterVariables() {
		path := strings.TrimPrefix(v.Path(), "/key")
		if strings.HasSuffix(path, "/mean") || strings.HasSuffix(path, "/variance") {
			if apart(variable(t, before, v.Path()), variable(t, after, v.Path())) == 0 {
				t.Errorf("%s follows nothing", v.Path())
			}
			continue
		}
		if apart(variable(t, before, v.Path()), variable(t, after, v.Path())) != 0 {
			t.Errorf("%s was trained", v.Path())
		}
		if q := variable(t, after, path); apart(q, variable(t, before, path)) != 0 {
			trained++
		}
		if v.Trainable {
			t.Errorf("%s is to be trained", v.Path())
		}
	}
	if trained == 0 {
		t.Error("the query encoder learnt nothing")
	}
	// The first step already moved the query; begin again.
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	_, store = training(t, store, func(scope *model.Scope, x []*Node) []*Node {
		scope.Store().SetTraining(x[0].Graph(), false)
		return []*Node{m.Loss(scope, Batch{Image: x[0]})}
	}, waves{s: 12}.images([]int{0, 1, 2, 3}))
	if err := m.Start(&Run{Store: store}); err != nil {
		t.Fatal(err)
	}
	for v := range store.Scope("/key").IterVariables() {
		if path := strings.TrimPrefix(v.Path(), "/key"); apart(variable(t, store, path), variable(t, store, v.Path())) != 0 {
			t.Errorf("%s is not %s", v.Path(), path)
		}
	}
}

// "This ensures the batch statistics used to compute a query and its positive key come from two different subsets", where
// without, "the intra-batch communication among samples (caused by BN) leaks information".
// Reference: He et al. 2020, Sec. 3.3, "Shuffling BN".
func TestMoCoShufflesBatchNorm(t *testing.T) {
	const n, changed = 16, 5
	images := waves{s: 12}.images([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	other := waves{s: 12}.images([]int{0, 1, 2, 3, 4, 99, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	// reached lists which queries and which keys of the batch another image in one place changes.
	reached := func(m Method, of *MoCo) (queries, keys []int) {
		before, _, _, _ := paperRun(t, m, 2)
		q := func(x *tensors.Tensor) [][]float64 {
			out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
				nn.SplitBatchNorm(scope, x[0].Graph(), of.Split)
				return []*Node{of.Project(scope, x[0])}
			}, x)
			return out[0]
		}
		k := func(x *tensors.Tensor) [][]float64 {
			_, after := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
				return []*Node{m.Loss(scope, Batch{Image: x[0]})}
			}, x)
			return variable(t, after, "/queue/keys")[:n]
		}
		differ := func(a, b [][]float64) (rows []int) {
			for i := range a {
				if apart(a[i:i+1], b[i:i+1]) != 0 {
					rows = append(rows, i)
				}
			}
			return rows
		}
		return differ(q(images), q(other)), differ(k(images), k(other))
	}
	split := paperMoCo()
	split.Split = 4
	queries, keys := reached(split, split)
	if !slices.Equal(queries, []int{4, 5, 6, 7}) {
		t.Errorf("image %d reaches queries %v, want those of its group", changed, queries)
	}
	if len(keys) != 4 || !slices.Contains(keys, changed) || slices.Equal(keys, queries) {
		t.Errorf("image %d reaches keys %v, want 4, with it and not those of its query's group", changed, keys)
	}
	if queries, keys = reached(mistakenMoCo{split, "not shuffled"}, split); !slices.Equal(keys, queries) {
		t.Errorf("not shuffled: image %d reaches keys %v and queries %v: this test would not notice the leak", changed, keys, queries)
	}
	whole := paperMoCo()
	if queries, keys = reached(whole, whole); len(queries) != n || len(keys) != n {
		t.Errorf("not split: image %d reaches queries %v and keys %v, want all", changed, queries, keys)
	}
}

// v2 replaces "the fc head in MoCo with a 2-layer MLP head (hidden layer [...], with ReLU)".
// Reference: Chen et al. 2020 (v2), Sec. 3.
func TestMoCoHead(t *testing.T) {
	for _, m := range []*MoCo{MoCoV1(nn.ResNet(8, 4)), MoCoV2(nn.ResNet(8, 4))} {
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		_, store = training(t, store, func(scope *model.Scope, x []*Node) []*Node { return []*Node{m.Project(scope, x[0])} }, waves{s: 12}.images([]int{0, 1}))
		var got []string
		for v := range store.Scope("/head").IterVariables() {
			got = append(got, v.Shape().String())
		}
		slices.Sort(got)
		want := []string{"(Float32)[128]", "(Float32)[16 128]"}
		if m.MLP {
			want = []string{"(Float32)[128]", "(Float32)[16 128]", "(Float32)[16 16]", "(Float32)[16]"}
		}
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], ", ", " ")
		}
		if !slices.Equal(got, want) {
			t.Errorf("MLP %v: the head has %v, want %v", m.MLP, got, want)
		}
	}
}
