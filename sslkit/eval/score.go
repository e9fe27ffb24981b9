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
	Label       string     `json:"label,omitempty"`     // of which kind the labels are, where the data have several; "": the first
	Seed        int64      `json:"seed"`                // of what is random in the probes
	Turn        int        `json:"turn,omitempty"`      // quarters of a circle by which all images are turned before they are encoded, 0 to 3
	Cache       Cache      `json:"-"`                   // of the features

	// Groups tells for each test example what it is of, where those of one go right or wrong together, such as crops of one
	// photo: errors are then over these. Nil: each example is its own.
	Groups []int32 `json:"-"`
}

// Defaults is what Options start from; JSON is to be decoded over it.
func Defaults() Options {
	return Options{K: 20, Temperature: 0.07, Linear: Linear{Side: 1, Folds: 3, Iterations: 200}}
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
	if o.Turn < 0 || o.Turn > 3 {
		err = errors.Join(err, fmt.Errorf("eval: images turned by %d quarters: choose 0 to 3", o.Turn))
	}
	return err
}

// String is one line for the foot of a table.
func (o Options) String() string {
	l2 := fmt.Sprintf("L2 %g", o.Linear.L2)
	if folds := o.Linear.Folds; folds > 0 {
		all := L2Grid()
		l2 = fmt.Sprintf("L2 of %d from %.0e to %.0f by %d-fold cross-validation within the training labels", len(all), all[len(all)-1], all[0], folds)
	}
	s := fmt.Sprintf("k-NN: k=%d, T=%g, cosine, %s; linear probe: %s, standardised, %s, L-BFGS to its end (at most %d iterations), %s",
		o.K, o.Temperature, grid(1), grid(o.Linear.Side), l2, o.Linear.Iterations, Labels{PerClass: o.Linear.PerClass})
	if p := o.NonLinear; p != nil {
		s += fmt.Sprintf("; non-linear probe: stage %d, %s, %d-%d-classes, features of unchanged images (the paper's code shifts and mirrors them), "+
			"%d epochs, last one, batch %d, learning rate %g, weight decay %g", p.Stage, grid(p.Side), p.Hidden, p.Hidden, p.Epochs, p.Batch, p.LearningRate, p.WeightDecay)
	}
	if f := o.Few; f != nil {
		s += fmt.Sprintf("; few labels: the linear probe of the last stage, mean of %d draws", f.Draws)
	}
	if o.Turn > 0 {
		s += fmt.Sprintf("; images turned by %d degrees", 90*o.Turn)
	}
	if o.Label != "" {
		s += "; labels: " + o.Label
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
	Tally
	Stages []Stage `json:"stages"` // shallow to deep, at least one
	Few    []Few   `json:"few,omitempty"`
}

// Stage is the measure of one feature map.
type Stage struct {
	Stage         int      `json:"stage"`               // from 1
	Dims          int      `json:"dims"`                // of the pooled features, which k-NN and the last two figures have
	KNN           float64  `json:"knn"`                 // test accuracy
	Linear        float64  `json:"linear"`              // test accuracy
	LinearDims    int      `json:"linear_dims"`         // dimensions that the linear probe sees
	LinearTrain   float64  `json:"linear_train"`        // accuracy on the examples it was trained on
	LinearL2      float64  `json:"linear_l2,omitempty"` // its penalty, given or chosen
	NonLinear     *float64 `json:"nonlinear,omitempty"` // test accuracy
	FeatureStd    float64  `json:"feature_std"`         // of the test features, see FeatureStd
	EffectiveRank float64  `json:"effective_rank"`      // likewise

	// Of the three accuracies, the mean over classes and the error over test examples, see Tested.
	KNNTested       Tested `json:"knn_tested,omitzero"`
	LinearTested    Tested `json:"linear_tested,omitzero"`
	NonLinearTested Tested `json:"nonlinear_tested,omitzero"`
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
	b.WriteString("            accuracy of        over classes, of          linear       features'\n" +
		"stage dims  k-NN linear non-l.  k-NN linear non-l.   train      L2    std    rank\n")
	for _, t := range s.Stages {
		nonlinear, balanced := "-", "-"
		if t.NonLinear != nil {
			nonlinear, balanced = fmt.Sprintf("%.1f", 100**t.NonLinear), fmt.Sprintf("%.1f", 100*t.NonLinearTested.Balanced)
		}
		fmt.Fprintf(&b, "%5d %4d %5.1f  %5.1f  %5s %5.1f  %5.1f  %5s   %5.1f %7.2g  %5.3f  %6.1f\n", t.Stage, t.Dims, 100*t.KNN, 100*t.Linear, nonlinear,
			100*t.KNNTested.Balanced, 100*t.LinearTested.Balanced, balanced, 100*t.LinearTrain, t.LinearL2, t.FeatureStd, t.EffectiveRank)
	}
	if s.Counts != nil {
		c := fmt.Sprintf("%.1f", 100*s.Commonest())
		fmt.Fprintf(&b, "commonest  %5s  %5s  %5s   (its share of the test examples: always to answer the commonest class)\n", c, c, c)
	}
	if e := s.error(); e > 0 {
		of := "examples"
		if s.Groups > 0 {
			of = "photos"
		}
		fmt.Fprintf(&b, "standard error over the test %s: at most %.1f\n", of, 100*e)
	}
	for _, f := range s.Few {
		fmt.Fprintf(&b, "linear, last stage, %v (%d): %.1f, over draws ± %.1f\n", f.Labels, f.Examples, 100*f.Test.Mean, 100*f.Test.Std)
	}
	fmt.Fprintf(&b, "accuracy in %%; %v; std is 1/sqrt D = %.3f at most; %v\n", s.Tally, 1/math.Sqrt(float64(s.Last().Dims)), s.Options)
	return b.String()
}

// error is the largest of the accuracies' errors over test examples.
func (s Scores) error() float64 {
	e := 0.0
	for _, t := range s.Stages {
		e = max(e, t.KNNTested.Error, t.LinearTested.Error, t.NonLinearTested.Error)
	}
	return e
}

// Evaluate measures every stage of the encoder that store holds. The datasets yield every example once, in the order of
// their labels: uint8 images [N, H, W, C], or what else m encodes, and the indices 0, 1, 2, ... as int32 [N], which are checked.
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
	splitFeatures := func(split string, ds train.Dataset, labels, groups []int32) (stageSets, error) {
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
		return o.unpack(features, labels, groups), nil
	}
	train, err := splitFeatures("training", trainDS, trainLabels, nil)
	if err != nil {
		return Scores{}, err
	}
	test, err := splitFeatures("test", testDS, testLabels, o.Groups)
	if err != nil {
		return Scores{}, err
	}

	s := Scores{Options: o, Tally: Count(trainLabels, testLabels, classes, o.Groups)}
	s.Options.Cache, s.Options.Groups = Cache{}, nil
	for i := range train.pooled {
		t, err := measure(train.pooled[i], test.pooled[i], classes, o.K, o.Temperature)
		if err != nil {
			return Scores{}, fmt.Errorf("stage %d: %w", i+1, err)
		}
		fit, err := o.Linear.Fit(ctx, backend, train.grid[i], test.grid[i], classes, o.Seed)
		if err != nil {
			return Scores{}, fmt.Errorf("stage %d: %w", i+1, err)
		}
		t.Stage, t.Linear, t.LinearTrain, t.LinearDims, t.LinearL2 = i+1, fit.Test, fit.Train, len(train.grid[i].Features[0]), fit.L2
		t.LinearTested = fit.Tested
		if o.NonLinear != nil && o.NonLinear.Stage == i+1 {
			fit, err := o.NonLinear.Fit(ctx, backend, train.block, test.block, classes, o.Seed)
			if err != nil {
				return Scores{}, fmt.Errorf("stage %d: %w", i+1, err)
			}
			t.NonLinear, t.NonLinearTested = &fit.Test, fit.Tested
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
		t, err := measure(Set{train[i], trainLabels, nil}, Set{test[i], testLabels, nil}, classes, o.K, o.Temperature)
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
	t.KNNTested = Compare(KNN(train.Features, train.Labels, test.Features, k, classes, temperature), test.Labels, test.Groups)
	t.KNN = t.KNNTested.Test
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

func (o Options) unpack(features [][][]float32, labels, groups []int32) (s stageSets) {
	if o.NonLinear != nil {
		last := len(features) - 1
		s.block = Set{features[last], labels, groups}
		features = features[:last]
	}
	for _, f := range features {
		s.pooled = append(s.pooled, Set{f, labels, groups})
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
