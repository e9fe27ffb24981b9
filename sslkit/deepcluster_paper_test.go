package sslkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// tinyDeepCluster is small enough for a test on the pure Go backend.
func tinyDeepCluster() *DeepCluster {
	return &DeepCluster{
		Backbone: nn.NIN(3, 6), Clusters: 5, PCA: 4, Iterations: 10,
		View: view.Recipe{MinScale: 0.5, Flip: true},
	}
}

// runDeepCluster has 3 epochs of 8 of 70 images, and all that must come back with a checkpoint.
func runDeepCluster(t *testing.T, m Method, dir string) *Run {
	return &Run{
		Method: m, Backend: goBackend(t), Train: toyData{n: 70, s: 8, batch: 8}, Epochs: 3, Seed: 1, Dir: dir,
		Optimizer: optim.SGD{Rate: optim.Constant(0.05), Momentum: 0.9, WeightDecay: 1e-3},
	}
}

func TestDeepClusterValidate(t *testing.T) {
	if err := DeepClusterV1(nn.NIN(3, 24)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, tinyDeepCluster, map[string]func(*DeepCluster){
		"got 1":              func(m *DeepCluster) { m.Clusters = 1 },
		"to -1 dimensions":   func(m *DeepCluster) { m.PCA = -1 },
		"classifier_rate -1": func(m *DeepCluster) { m.ClassifierRate = -1 },
		"0 iterations":       func(m *DeepCluster) { m.Iterations = 0 },
		"min_scale":          func(m *DeepCluster) { m.View.MinScale = 2 },
		"multiple of 6":      func(m *DeepCluster) { m.Backbone.Width = 7 },
	})
}

// values are a variable's, as float64.
func values(t *testing.T, store *model.Store, path string) []float64 {
	t.Helper()
	v := store.GetVariable(path)
	if v == nil {
		t.Fatalf("no variable %s", path)
	}
	var out []float64
	for _, x := range tensors.MustCopyFlatData[float32](v.MustValue()) {
		out = append(out, float64(x))
	}
	return out
}

// At the start of an epoch "there is no correspondence between two consecutive cluster assignments. Hence, the final
// classification layer learned for an assignment becomes irrelevant for the following one and thus needs to be
// re-initialized", in the release with normals of deviation 0.01, zero biases and an optimizer of its own.
// Reference: Caron et al. 2020 (SwAV) on this method; facebookresearch/deepcluster, main.py.
func TestDeepClusterBeginsEachEpochWithANewClassifier(t *testing.T) {
	m := tinyDeepCluster()
	r := runDeepCluster(t, m, "")
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	before := variables(t, r.Store)
	if deviation(values(t, r.Store, "/sgd/classifier/weights")) == 0 || deviation(values(t, r.Store, "/sgd/classifier/biases")) == 0 {
		t.Fatal("the optimizer has no memory of the classifier: this test would not notice that it was kept")
	}
	if err := m.StartEpoch(r, 3); err != nil {
		t.Fatal(err)
	}
	// 6 x 5 draws: their deviation is within 40 % of that of the distribution but for 3 in 1000 seeds.
	if w := values(t, r.Store, "/classifier/weights"); math.Abs(deviation(w)-0.01) > 0.004 {
		t.Errorf("weights of deviation %g, want about 0.01", deviation(w))
	}
	for _, path := range []string{"/classifier/biases", "/sgd/classifier/weights", "/sgd/classifier/biases"} {
		if v := values(t, r.Store, path); slices.ContainsFunc(v, func(x float64) bool { return x != 0 }) {
			t.Errorf("%s is %v, want 0", path, v)
		}
	}
	for path, value := range variables(t, r.Store) {
		if !strings.Contains(path, "/classifier/") && !strings.HasPrefix(path, "/clusters/") && value != before[path] {
			t.Errorf("%s changed", path)
		}
	}
	first := fmt.Sprint(values(t, r.Store, "/classifier/weights"))
	if err := m.StartEpoch(r, 4); err != nil {
		t.Fatal(err)
	}
	if second := fmt.Sprint(values(t, r.Store, "/classifier/weights")); first == second {
		t.Error("two epochs began with the same classifier")
	}
}

// The release's train makes "an optimizer for the last fc layer" anew each epoch, of the rate of the network's and without its
// momentum: one that keeps nothing, and whose first step is as long as its rate says, whatever the network's is.
// Reference: facebookresearch/deepcluster, main.py, optimizer_tl.
func TestDeepClusterClassifierHasItsOwnOptimizer(t *testing.T) {
	run := func(classifier, network float64) *model.Store { // one step
		m := tinyDeepCluster()
		m.ClassifierRate = classifier
		r := runDeepCluster(t, m, "")
		r.Train, r.Epochs = toyData{n: 8, s: 8, batch: 8}, 1
		r.Optimizer = optim.SGD{Rate: optim.Constant(network), Momentum: 0.9, WeightDecay: 1e-3}
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Fatal(err)
		}
		return r.Store
	}
	store := run(0.2, 0.05)
	if store.GetVariable("/sgd/classifier/weights") != nil {
		t.Error("the classifier's optimizer has a memory")
	}
	if store.GetVariable("/sgd/encoder/block_1/layer_1/conv/weights") == nil {
		t.Error("the network's optimizer has none")
	}
	const path = "/classifier/weights"
	near, far, further := values(t, store, path), values(t, run(0.4, 0.05), path), values(t, run(0.6, 0), path)
	moved := 0.0
	for i := range near {
		if a, b := far[i]-near[i], further[i]-far[i]; math.Abs(a-b) > 1e-6 { // float32 weights of some 0.1
			t.Fatalf("weight %d moves by %g more for 0.2 of the rate, and by %g for as much again", i, a, b)
		}
		moved = max(moved, math.Abs(far[i]-near[i]))
	}
	if moved < 1e-3 {
		t.Errorf("the classifier moves by %g: this test would not notice a rate", moved)
	}
}

// "PCA-reduced to 256 dimensions" of 4096: without a number half of them, and never more than there are.
// Reference: Caron et al. 2018, Sec. 3.3.
func TestDeepClusterWhitensFewerDimensions(t *testing.T) {
	labels := func(pca int) []int32 {
		m := tinyDeepCluster() // of 6 features
		m.PCA = pca
		r := runDeepCluster(t, m, "")
		r.Epochs = 1
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Fatal(err)
		}
		return m.Labels(r.Store)
	}
	if half := labels(0); !slices.Equal(half, labels(3)) || slices.Equal(half, labels(6)) {
		t.Error("a pca of 0 is not one of half of the features, or clusters as one of all")
	}
}

func deviation(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

// Each image has a label, but those that the loader leaves out of the epoch, and clusters weigh alike.
func TestDeepClusterLabels(t *testing.T) {
	m := tinyDeepCluster()
	r := runDeepCluster(t, m, "")
	r.Epochs = 2
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	labels, weights := m.Labels(r.Store), values(t, r.Store, "/clusters/weights")
	seen := make(map[int32]bool)
	for batch, err := range r.Train.Epoch(1, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range tensors.MustCopyFlatData[int32](batch.Inputs[1]) {
			seen[i] = true
		}
	}
	if len(seen) != 64 || len(labels) < 70 {
		t.Fatalf("%d images in an epoch, %d labels", len(seen), len(labels))
	}
	total := make(map[int32]float64)
	for i, y := range labels {
		if seen[int32(i)] != (y >= 0) || y >= int32(m.Clusters) {
			t.Errorf("image %d, of the epoch: %v, has label %d", i, seen[int32(i)], y)
		}
		if y >= 0 {
			total[y] += weights[i]
		}
	}
	for y, w := range total {
		if want := 64 / float64(len(total)); math.Abs(w-want) > 1e-4 { // float32 sums
			t.Errorf("cluster %d weighs %g, want %g", y, w, want)
		}
	}
	if got := h.Reports["clusters"][1]; got != float64(len(total)) {
		t.Errorf("%g clusters reported, there are %d", got, len(total))
	}
}

// To sample images from the clusters evenly "is equivalent to weight the contribution of an input to the loss function in
// Eq. 1 by the inverse of the size of its assigned cluster": the loss of all images is the mean over the clusters of the
// mean loss of their members.
// Reference: Caron et al. 2018, Sec. 3.1, Eq. 1; Sec. 3.3, trivial parametrization.
func TestDeepClusterLossIsThatOfEvenSampling(t *testing.T) {
	const n, k = 6, 3
	m := &DeepCluster{Backbone: nn.NIN(3, 6), Clusters: k, PCA: 4, Iterations: 1} // trained on the images as they are
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	labels := []int32{-1, 2, 0, 2, 2, 0, 2}
	index := []int32{6, 2, 1, 5, 4, 3} // 0 is left out, cluster 1 is empty
	weights := []float32{0, 0.75, 1.5, 0.75, 0.75, 1.5, 0.75}
	classifier := []float32{.3, -.2, .1, .5, .9, -.4, .2, .2, -.6, 0, .3, .3, -.1, .8, .2, .5, -.5, .1}
	if err := errors.Join(
		set(store, "/clusters/labels", labels, 7), set(store, "/clusters/weights", weights, 7),
		set(store, "/clusters/nmi", []float32{0}), set(store, "/clusters/used", []float32{2}),
		set(store, "/classifier/weights", classifier, 6, k), set(store, "/classifier/biases", []float32{.1, 0, -.2}, k)); err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, x, index *Node) []*Node {
		scope.Store().SetTraining(x.Graph(), true)
		l := m.Loss(scope, Batch{Image: x, Index: index})
		return []*Node{l, nn.Pool(nn.Last(m.Encode(scope, x)))}
	}, symmetric(n, 8), index)
	if err != nil {
		t.Fatal(err)
	}
	sum, size := make([]float64, k), make([]float64, k)
	for i, h := range out[1].Value().([][]float32) {
		logits, total := []float64{.1, 0, -.2}, 0.0
		for c := range logits {
			for j, v := range h {
				logits[c] += float64(v) * float64(classifier[j*k+c])
			}
			total += math.Exp(logits[c])
		}
		y := labels[index[i]]
		sum[y] += math.Log(total) - logits[y]
		size[y]++
	}
	want := (sum[0]/size[0] + sum[2]/size[2]) / 2
	if got := float64(out[0].Value().(float32)); math.Abs(got-want) > 1e-5 { // float32
		t.Errorf("loss %g, want %g", got, want)
	}
}

// The clusters are in the store, so a run that is resumed within an epoch goes on with them; at an epoch's end it clusters as it
// would have.
func TestDeepClusterResumesExactly(t *testing.T) {
	whole := runDeepCluster(t, tinyDeepCluster(), "")
	want, err := whole.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{10, 15} { // within an epoch, and at the end of one
		dir := t.TempDir()
		r := runDeepCluster(t, tinyDeepCluster(), dir)
		if _, err := r.Pretrain(stopAfter(r, step)); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped after step %d: error %v, want ErrInterrupted", step, err)
		}
		r = runDeepCluster(t, tinyDeepCluster(), dir)
		got, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		sameRun(t, r, got, whole, want)
	}
}

// "The NMI between the clusters at epoch t-1 and t" measures how stable they are, and grows.
// Reference: Caron et al. 2018, Sec. 4.1, Fig. 2b.
func TestDeepClusterReports(t *testing.T) {
	r := runDeepCluster(t, tinyDeepCluster(), "")
	r.Train = grays{toyData{n: 400, s: 8, batch: 10}, 5}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// Of five grays each is a cluster, in each epoch; the indices 0 to 9 come again with the same images.
	if got := fmt.Sprintf("%.3f", h.Reports["nmi"]); got != "[0.000 1.000 1.000]" {
		t.Errorf("NMI %s, want nothing before the first epoch, then the same clusters", got)
	}
	if got := h.Reports["clusters"]; got[2] != 5 {
		t.Errorf("clusters %v, want 5", got)
	}
	if got := h.Reports["accuracy"]; got[2] < 0.9 {
		t.Errorf("accuracy %v on five grays", got)
	}
}

// unindexed yields images alone.
type unindexed struct{ toyData }

func (d unindexed) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.toyData.Epoch(epoch, skip) {
			batch.Inputs = batch.Inputs[:1]
			if !yield(batch, err) {
				return
			}
		}
	}
}

func TestDeepClusterRejects(t *testing.T) {
	for want, change := range map[string]func(r *Run){
		"65 clusters of 64 images": func(r *Run) { r.Method.(*DeepCluster).Clusters = 65 },
		"pca to 7 dimensions of 6": func(r *Run) { r.Method.(*DeepCluster).PCA = 7 },
		"have no indices":          func(r *Run) { r.Train = unindexed{r.Train.(toyData)} },
	} {
		r := runDeepCluster(t, tinyDeepCluster(), "")
		change(r)
		if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node {
		return tinyDeepCluster().Loss(scope, Batch{Image: x, Index: Const(x.Graph(), []int32{0})})
	}, symmetric(1, 8))
	if err == nil || !strings.Contains(err.Error(), "StartEpoch") {
		t.Errorf("error %v without clusters, want StartEpoch named", err)
	}
}

func TestDeepClusterConfigIsPlain(t *testing.T) {
	m, back := DeepClusterV1(nn.ResNet(8, 16)), &DeepCluster{}
	text, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, back)
	}
	if err != nil || fmt.Sprint(m) != fmt.Sprint(back) {
		t.Errorf("%s became %v, error %v", text, back, err)
	}
}
