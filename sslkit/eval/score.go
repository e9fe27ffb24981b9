package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
)

// Options is how an encoder is measured; every printed number carries it.
type Options struct {
	K           int        `json:"k"`                   // neighbours of k-NN, see KNN
	Temperature float64    `json:"temperature"`         // of k-NN
	Linear      Linear     `json:"linear"`              // at every stage
	NonLinear   *NonLinear `json:"nonlinear,omitempty"` // at its stage; nil: not measured
	Few         *FewShot   `json:"few,omitempty"`       // the linear probe of the last stage with few labels; nil: not measured
	Seed        int64      `json:"seed"`                // of what is random in the probes
	Cache       Cache      `json:"-"`                   // of the features
}

// Defaults is what Options start from; JSON is to be decoded over it.
func Defaults() Options {
	return Options{K: 20, Temperature: 0.07, Linear: Linear{Side: 1, L2: 1e-3, Iterations: 200}}
}

// Validate says what cannot be run; the zero Options cannot, see Defaults.
func (o Options) Validate() error {
	err := errors.Join(checkVote(o.K, o.Temperature), o.Linear.Validate())
	if o.NonLinear != nil {
		err = errors.Join(err, o.NonLinear.Validate())
	}
	if o.Few != nil {
		err = errors.Join(err, o.Few.Validate())
	}
	return err
}

// String is one line for the foot of a table.
func (o Options) String() string {
	s := fmt.Sprintf("k-NN: k=%d, T=%g, cosine, %s; linear probe: %s, standardised, L2 %g, L-BFGS to its end (at most %d iterations), %s",
		o.K, o.Temperature, grid(1), grid(o.Linear.Side), o.Linear.L2, o.Linear.Iterations, Labels{PerClass: o.Linear.PerClass})
	if p := o.NonLinear; p != nil {
		s += fmt.Sprintf("; non-linear probe: stage %d, %s, %d-%d-classes, %d epochs, last one, batch %d, learning rate %g, weight decay %g",
			p.Stage, grid(p.Side), p.Hidden, p.Hidden, p.Epochs, p.Batch, p.LearningRate, p.WeightDecay)
	}
	if f := o.Few; f != nil {
		s += fmt.Sprintf("; few labels: the linear probe of the last stage, mean of %d draws", f.Draws)
	}
	return s + fmt.Sprintf("; seed %d", o.Seed)
}

func grid(side int) string {
	switch side {
	case 0:
		return "whole map"
	case 1:
		return "map averaged"
	}
	return fmt.Sprintf("map averaged to %dx%d", side, side)
}

// Scores is what Evaluate measured. Accuracies are fractions.
type Scores struct {
	Options Options `json:"options"`
	Train   int     `json:"train"` // examples
	Test    int     `json:"test"`
	Classes int     `json:"classes"`
	Stages  []Stage `json:"stages"` // shallow to deep, at least one
	Few     []Few   `json:"few,omitempty"`
}

// Stage is the measure of one feature map.
type Stage struct {
	Stage         int      `json:"stage"`               // from 1
	Dims          int      `json:"dims"`                // of the pooled features, which k-NN and the last two figures have
	KNN           float64  `json:"knn"`                 // test accuracy
	Linear        float64  `json:"linear"`              // test accuracy
	LinearDims    int      `json:"linear_dims"`         // dimensions that the linear probe sees
	LinearTrain   float64  `json:"linear_train"`        // accuracy on the examples it was trained on
	NonLinear     *float64 `json:"nonlinear,omitempty"` // test accuracy
	FeatureStd    float64  `json:"feature_std"`         // of the test features, see FeatureStd
	EffectiveRank float64  `json:"effective_rank"`      // likewise
}

// Last is the deepest stage.
func (s Scores) Last() Stage { return s.Stages[len(s.Stages)-1] }

// Best is the stage with the highest linear accuracy, the first of equals. It is chosen by the test set: show it beside the
// others, and don't select by it.
func (s Scores) Best() Stage {
	best := s.Stages[0]
	for _, t := range s.Stages {
		if t.Linear > best.Linear {
			best = t
		}
	}
	return best
}

// String is a table with its settings.
func (s Scores) String() string {
	var b strings.Builder
	b.WriteString("stage  dims   k-NN  linear  (train)  non-linear  feature std (1/sqrt D)  effective rank\n")
	for _, t := range s.Stages {
		nonlinear := "-"
		if t.NonLinear != nil {
			nonlinear = fmt.Sprintf("%.1f", 100**t.NonLinear)
		}
		fmt.Fprintf(&b, "%5d %5d  %5.1f   %5.1f  (%5.1f)  %10s  %11.3f     (%.3f)  %14.1f\n", t.Stage, t.Dims,
			100*t.KNN, 100*t.Linear, 100*t.LinearTrain, nonlinear, t.FeatureStd, 1/math.Sqrt(float64(t.Dims)), t.EffectiveRank)
	}
	for _, f := range s.Few {
		fmt.Fprintf(&b, "linear, last stage, %v (%d): %.1f, over draws ± %.1f\n", f.Labels, f.Examples, 100*f.Test.Mean, 100*f.Test.Std)
	}
	fmt.Fprintf(&b, "accuracy in %%, %d training and %d test examples, %d classes; %s\n", s.Train, s.Test, s.Classes, s.Options)
	return b.String()
}

// Evaluate measures every stage of the encoder that store holds. The datasets yield every example once, in the order of
// their labels: uint8 images [N, H, W, C], and the indices 0, 1, 2, ... as int32 [N], which are checked.
//
// Each split is encoded once, in evaluation mode; the probes are trained on the training features only, and their final
// accuracy is reported. The store stays as it is. It must hold the encoder already: see RandomInit for one that has learnt
// nothing.
func Evaluate(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method,
	trainDS, testDS train.Dataset, trainLabels, testLabels []int32, classes int, o Options) (Scores, error) {
	if err := o.Validate(); err != nil {
		return Scores{}, err
	}
	if err := checkSplits(trainLabels, testLabels, classes); err != nil {
		return Scores{}, err
	}
	encoder, err := sslkit.NewEncoder(backend, store, m, o.read)
	if err != nil {
		return Scores{}, err
	}
	defer encoder.Close()
	splitFeatures := func(split string, ds train.Dataset, labels []int32) (stageSets, error) {
		name := fmt.Sprintf("%s, linear %d", split, o.Linear.Side)
		if o.NonLinear != nil {
			name += fmt.Sprintf(", stage %d non-linear %d", o.NonLinear.Stage, o.NonLinear.Side)
		}
		features, err := o.Cache.Features(name, func() ([][][]float32, error) {
			return extract(ctx, encoder, ds, split, len(labels))
		})
		if err != nil {
			return stageSets{}, err
		}
		return o.unpack(features, labels), nil
	}
	train, err := splitFeatures("training", trainDS, trainLabels)
	if err != nil {
		return Scores{}, err
	}
	test, err := splitFeatures("test", testDS, testLabels)
	if err != nil {
		return Scores{}, err
	}

	s := Scores{Options: o, Train: len(trainLabels), Test: len(testLabels), Classes: classes}
	for i := range train.pooled {
		t, err := measure(train.pooled[i], test.pooled[i], classes, o.K, o.Temperature)
		if err != nil {
			return Scores{}, fmt.Errorf("stage %d: %w", i+1, err)
		}
		fit, err := o.Linear.Fit(ctx, backend, train.grid[i], test.grid[i], classes, o.Seed)
		if err != nil {
			return Scores{}, fmt.Errorf("stage %d: %w", i+1, err)
		}
		t.Stage, t.Linear, t.LinearTrain, t.LinearDims = i+1, fit.Test, fit.Train, len(train.grid[i].Features[0])
		if o.NonLinear != nil && o.NonLinear.Stage == i+1 {
			fit, err := o.NonLinear.Fit(ctx, backend, train.block, test.block, classes, o.Seed)
			if err != nil {
				return Scores{}, fmt.Errorf("stage %d: %w", i+1, err)
			}
			t.NonLinear = &fit.Test
		}
		s.Stages = append(s.Stages, t)
	}
	if o.Few != nil {
		last := len(train.grid) - 1
		s.Few, err = o.Few.Fit(ctx, backend, o.Linear, train.grid[last], test.grid[last], classes, o.Seed)
	}
	return s, err
}

// Live measures an encoder that reads Pooled, for sslkit.Run.Monitor: "knn" (test accuracy with the k and temperature of
// Defaults), "feature_std" and "effective_rank" of the last stage, and "knn_1", "knn_2", ... of each. The datasets are as
// for Evaluate.
func Live(ctx context.Context, encoder *sslkit.Encoder, trainDS, testDS train.Dataset, trainLabels, testLabels []int32, classes int) (map[string]float64, error) {
	if err := checkSplits(trainLabels, testLabels, classes); err != nil {
		return nil, err
	}
	train, err := extract(ctx, encoder, trainDS, "training", len(trainLabels))
	if err != nil {
		return nil, err
	}
	test, err := extract(ctx, encoder, testDS, "test", len(testLabels))
	if err != nil {
		return nil, err
	}
	o := Defaults()
	figures := make(map[string]float64)
	for i := range train {
		t, err := measure(Set{train[i], trainLabels}, Set{test[i], testLabels}, classes, o.K, o.Temperature)
		if err != nil {
			return nil, err
		}
		figures[fmt.Sprintf("knn_%d", i+1)] = t.KNN
		figures["knn"], figures["feature_std"], figures["effective_rank"] = t.KNN, t.FeatureStd, t.EffectiveRank
	}
	return figures, nil
}

// measure fills in what pooled features tell without training.
func measure(train, test Set, classes, k int, temperature float64) (t Stage, err error) {
	if err := checkPair(train, test, classes); err != nil {
		return t, err
	}
	t.Dims = len(train.Features[0])
	t.KNN = accuracy(KNN(train.Features, train.Labels, test.Features, k, classes, temperature), test.Labels)
	if t.FeatureStd, err = FeatureStd(test.Features); err != nil {
		return t, err
	}
	t.EffectiveRank, err = EffectiveRank(test.Features)
	return t, err
}

func checkSplits(trainLabels, testLabels []int32, classes int) error {
	if len(trainLabels) == 0 || len(testLabels) == 0 {
		return fmt.Errorf("eval: %d training and %d test labels: both sets must have some", len(trainLabels), len(testLabels))
	}
	if err := checkLabels("training", trainLabels, len(trainLabels), classes); err != nil {
		return err
	}
	return checkLabels("test", testLabels, len(testLabels), classes)
}

// read lists all features that the measures need, in the order that unpack knows: so images are encoded once.
func (o Options) read(maps []*Node) []*Node {
	out := Pooled(maps)
	if o.Linear.Side != 1 {
		out = append(out, Grid(o.Linear.Side)(maps)...)
	}
	if p := o.NonLinear; p != nil {
		if p.Stage > len(maps) {
			panic(fmt.Errorf("eval: non-linear probe of stage %d, but the encoder has %d", p.Stage, len(maps)))
		}
		out = append(out, Grid(p.Side)(maps[p.Stage-1:p.Stage])...)
	}
	return out
}

// stageSets is the features of one split.
type stageSets struct {
	pooled, grid []Set // a stage each
	block        Set   // of the non-linear probe
}

func (o Options) unpack(features [][][]float32, labels []int32) (s stageSets) {
	if o.NonLinear != nil {
		last := len(features) - 1
		s.block = Set{features[last], labels}
		features = features[:last]
	}
	for _, f := range features {
		s.pooled = append(s.pooled, Set{f, labels})
	}
	s.grid = s.pooled
	if o.Linear.Side != 1 {
		s.pooled, s.grid = s.pooled[:len(features)/2], s.pooled[len(features)/2:]
	}
	return s
}

// extract encodes the n examples of ds, and makes sure of two things that would otherwise go unnoticed and give wrong
// numbers: that the examples come in the order of their labels, and that the encoder isn't a random one.
func extract(ctx context.Context, e *sslkit.Encoder, ds train.Dataset, split string, n int) ([][][]float32, error) {
	before := e.Store.NumVariables()
	features, err := e.Features(ctx, &inOrder{Dataset: ds})
	if err != nil {
		return nil, err
	}
	if added := e.Store.NumVariables() - before; added > 0 {
		return nil, fmt.Errorf("eval: the store lacks %d variables of the encoder, which are random now: load the checkpoint of this very method "+
			"and backbone, or take the store of RandomInit", added)
	}
	if features == nil {
		return nil, fmt.Errorf("eval: the %s set %s is empty", split, ds.Name())
	}
	if got := len(features[0]); got != n {
		return nil, fmt.Errorf("eval: the %s set %s yields %d examples, but there are %d labels: let it keep its last batch", split, ds.Name(), got, n)
	}
	return features, nil
}

// inOrder passes batches on whose indices go on counting where the last ones stopped.
type inOrder struct {
	train.Dataset
	next int32
}

func (d *inOrder) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.Dataset.Iter() {
			if err == nil {
				err = d.check(batch)
			}
			if !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

func (d *inOrder) check(batch train.Batch) error {
	if len(batch.Inputs) < 2 {
		return fmt.Errorf("eval: %s yields no indices beside its images", d.Name())
	}
	index, err := tensors.CopyFlatData[int32](batch.Inputs[1])
	if err != nil {
		return fmt.Errorf("eval: reading indices: %w", err)
	}
	for _, i := range index {
		if i != d.next {
			return fmt.Errorf("eval: %s yields example %d where %d is due: evaluate without shuffling", d.Name(), i, d.next)
		}
		d.next++
	}
	return nil
}
