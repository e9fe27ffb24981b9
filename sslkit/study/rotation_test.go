package study

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

// What the method is for: features that tell classes apart better than random ones do, be the norms of these fitted to the
// images or not. With a mistake in it the task cannot be solved, and shows it. (The features of so short a run don't: also a
// network that is fed noise for labels learns filters that k-NN finds better than random ones.)
func TestRotationBeatsRandomInit(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for most of a minute")
	}
	if !onBest(t) {
		return
	}
	backend, choice, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	if choice.Kind == "go" {
		t.Skip("takes minutes in pure Go")
	}
	c, err := recipe.Rotation(sslkit.Smoke, "fashion-mnist-10k")
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch = 1000, 1000, 1, 32 // 31 steps
	m := c.Method.(*sslkit.Rotation)
	m.Backbone = nn.NIN(3, 24)
	b := bench{c, backend, nil, nil}
	b.train, b.test = opened(t, c)

	var learned, pretext, random, fitted []float64
	for seed := range int64(3) {
		trained, solved := b.trained(t, m, seed)
		learned, pretext = append(learned, b.knn(t, trained)), append(pretext, solved)
		store := b.untrained(t, m, seed)
		random = append(random, b.knn(t, store))
		in, err := data.Batches(b.train, data.Options{Batch: 250, Shuffle: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := eval.FitNorms(t.Context(), backend, store, m, in); err != nil {
			t.Fatal(err)
		}
		fitted = append(fitted, b.knn(t, store))
	}
	_, wrong := b.trained(t, mistaken{m}, 0)
	got := eval.Summarize(learned)
	t.Logf("k-NN on block %d: rotation %v, random init %v, norms fitted %v; pretext task %v, with labels mixed up %.3f", ProbedBlock, got,
		eval.Summarize(random), eval.Summarize(fitted), eval.Summarize(pretext), wrong)
	for name, values := range map[string][]float64{"random init": random, "random, norms fitted": fitted} {
		base := eval.Summarize(values)
		if gain := got.Mean - base.Mean; !(gain > math.Hypot(got.Std, base.Std)) {
			t.Errorf("rotation %v does not beat %s %v by more than the spread", got, name, base)
		}
	}
	// Chance is 1/4, and 31 steps of 128 copies measure it to 0.007; solved, it is above 0.5 in the mean over the epoch.
	if least := slices.Min(pretext); least < 0.45 || wrong > 0.3 {
		t.Errorf("the pretext task is solved to %.3f, and with its labels mixed up to %.3f", pretext, wrong)
	}
}

// mistaken is rotation with a mistake that compiles and trains: the copies come image by image, and the labels angle by
// angle.
type mistaken struct{ *sslkit.Rotation }

func (m mistaken) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	x := m.Rotate(b.Image) // KNxHxWxC
	d, k := x.Shape().Dimensions, len(m.Angles)
	n := d[0] / k
	x = Reshape(TransposeAllAxes(Reshape(x, k, n, d[1], d[2], d[3]), 1, 0, 2, 3, 4), d...)
	y := Reshape(Iota(x.Graph(), shapes.Make(dtypes.Int32, k, n), 0), d[0])
	logits := layers.Dense(scope.In("classifier"), nn.Pool(nn.Last(m.Encode(scope, x))), true, k)
	sslkit.Report("accuracy", loss.Accuracy(logits, y))
	return loss.CrossEntropy(logits, y)
}

// bench compares encoders with nothing around them, so that little is compiled.
type bench struct {
	sslkit.Config
	backend     compute.Backend
	train, test data.Source
}

// trained returns the encoder, and the accuracy on the pretext task over the last epoch.
func (b bench) trained(t *testing.T, m sslkit.Method, seed int64) (*model.Store, float64) {
	t.Helper()
	loader, err := data.Batches(b.train, data.Options{Batch: b.Batch, Seed: seed, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &sslkit.Run{Method: m, Backend: b.backend, Train: loader, Optimizer: b.Optimizer.Build(loader.Steps(), b.Epochs), Epochs: b.Epochs, Seed: seed}
	history, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r.Store, history.Reports["accuracy"][b.Epochs-1]
}

func (b bench) untrained(t *testing.T, m sslkit.Method, seed int64) *model.Store {
	t.Helper()
	in, err := runs.InOrder(b.train)
	if err != nil {
		t.Fatal(err)
	}
	store, err := eval.RandomInit(context.Background(), b.backend, m, in.Loader, seed)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// knn is the accuracy at the probed block on the test images.
func (b bench) knn(t *testing.T, store *model.Store) float64 {
	t.Helper()
	read := func(src data.Source) ([][]float32, []int32) {
		in, err := runs.InOrder(src)
		if err != nil {
			t.Fatal(err)
		}
		features, err := sslkit.Features(context.Background(), b.backend, store, b.Method, in.Loader,
			func(maps []*Node) []*Node { return []*Node{nn.Pool(maps[ProbedBlock-1])} })
		if err != nil {
			t.Fatal(err)
		}
		return features[0], in.Labels
	}
	train, trainLabels := read(b.train)
	test, testLabels := read(b.test)
	hits := 0
	for i, class := range eval.KNN(train, trainLabels, test, 20, 10, 0.07) {
		if class == testLabels[i] {
			hits++
		}
	}
	return float64(hits) / float64(len(test))
}
