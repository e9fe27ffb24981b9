package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

// NonLinear is a probe of one block with the network of RotNet's: three fully connected layers on its flattened map, the first
// two followed by batch norm and ReLU (Gidaris, Singh & Komodakis, "Unsupervised Representation Learning by Predicting Image
// Rotations", ICLR 2018, Sec. 4.1). Features go in as they are: the first batch norm scales them.
//
// It is trained by sslkit.Run with SGD, Nesterov momentum 0.9 and a learning rate divided by 5 after 40, 80 and 90 % of the
// epochs, with less than in the authors' code: there each epoch has its own shifted and mirrored images, the last rate is
// kept for 50 epochs more, and of all epochs the best by the test set is reported. Here the features of the images as they
// are are kept, which takes one pass through the encoder in place of a hundred, and the last epoch is reported.
type NonLinear struct {
	Stage        int     `json:"stage"`         // which feature map, from 1; ConvB2 is 2
	Side         int     `json:"side"`          // maps are average-pooled to at most side x side, see Grid; 0, the paper's: not at all
	Hidden       int     `json:"hidden"`        // width of the first two layers
	Epochs       int     `json:"epochs"`        // passes over the training set
	Batch        int     `json:"batch"`         // clamped to the training set
	LearningRate float64 `json:"learning_rate"` // the first one
	WeightDecay  float64 `json:"weight_decay"`  // not of batch norms and biases
}

// DefaultNonLinear has the width, batch, weight decay and rates of the authors' code for CIFAR-10
// (CIFAR10_MultLayerClassifier_on_RotNet_NIN4blocks_Conv2_feats); see [NonLinear] for what differs.
func DefaultNonLinear(stage int) NonLinear {
	return NonLinear{Stage: stage, Hidden: 200, Epochs: 50, Batch: 128, LearningRate: 0.1, WeightDecay: 5e-4}
}

// Validate says what cannot be run.
func (p NonLinear) Validate() error {
	switch {
	case p.Stage < 1:
		return fmt.Errorf("eval: non-linear probe of stage %d; stages count from 1", p.Stage)
	case p.Side < 0:
		return fmt.Errorf("eval: non-linear probe of maps of side %d, want at least 0", p.Side)
	case p.Hidden < 1 || p.Epochs < 1:
		return fmt.Errorf("eval: non-linear probe of width %d for %d epochs, want at least 1 of both", p.Hidden, p.Epochs)
	case p.Batch < 2:
		return fmt.Errorf("eval: non-linear probe with batches of %d, want at least 2: batch norm needs them", p.Batch)
	case !(p.LearningRate > 0) || math.IsInf(p.LearningRate, 1):
		return fmt.Errorf("eval: non-linear probe with learning rate %g, want a finite one above 0", p.LearningRate)
	case !(p.WeightDecay >= 0) || math.IsInf(p.WeightDecay, 1):
		return fmt.Errorf("eval: non-linear probe with weight decay %g, want a finite one of at least 0", p.WeightDecay)
	}
	return nil
}

// Fit trains the probe on train and measures it on test. The parameters and the order of examples follow from seed. A
// cancelled context stops it with [sslkit.ErrInterrupted].
func (p NonLinear) Fit(ctx context.Context, backend compute.Backend, train, test Set, classes int, seed int64) (Fit, error) {
	if err := p.Validate(); err != nil {
		return Fit{}, err
	}
	if err := checkPair(train, test, classes); err != nil {
		return Fit{}, err
	}
	if len(train.Features) < 2 {
		return Fit{}, errors.New("eval: non-linear probe of one training example: batch norm needs at least 2")
	}
	rows := rowData{train.Features, min(p.Batch, len(train.Features)), seed}
	m := &head{p.Hidden, classes, train.Labels}
	run := sslkit.Run{Method: m, Backend: backend, Train: rows, Optimizer: p.optimizer(rows.Steps()), Epochs: p.Epochs, Seed: seed}
	if _, err := run.Pretrain(ctx); err != nil {
		return Fit{}, fmt.Errorf("eval: training the non-linear probe: %w", err)
	}
	measure := func(s Set) (Tested, error) {
		scores, err := sslkit.Features(ctx, backend, run.Store, m, rowData{s.Features, rows.batch, 0},
			func(scores []*Node) []*Node { return scores })
		if err != nil {
			return Tested{}, fmt.Errorf("eval: testing the non-linear probe: %w", err)
		}
		return Compare(argmax(scores[0]), s.Labels, s.Groups), nil
	}
	trained, err := measure(train)
	if err != nil {
		return Fit{}, err
	}
	fit := Fit{Train: trained.Test, Examples: len(train.Features)}
	fit.Tested, err = measure(test)
	return fit, err
}

func (p NonLinear) optimizer(steps int) optim.SGD {
	var at []int
	for _, percent := range []int{40, 80, 90} {
		if drop := p.Epochs * percent / 100 * steps; drop > 0 && (len(at) == 0 || drop > at[len(at)-1]) {
			at = append(at, drop)
		}
	}
	return optim.SGD{Rate: optim.Steps(p.LearningRate, 0.2, at...), Momentum: 0.9, WeightDecay: p.WeightDecay, Nesterov: true}
}

// head is the probe as a method: its images are rows of features [N, D], its only feature map the scores [N, K].
type head struct {
	hidden, classes int
	labels          []int32
}

func (m *head) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	return loss.CrossEntropy(m.Encode(scope, b.Image)[0], labelsOf(scope, m.labels, b.Index))
}

func (m *head) Encode(scope *model.Scope, x *Node) []*Node {
	for i := range 2 {
		s := scope.In("layer_%d", i+1)
		x = layers.Dense(fanOut(s, m.hidden), x, false, m.hidden) // NxH
		x = activation.Relu(nn.BatchNorm(s.In("norm"), x))
	}
	return []*Node{layers.Dense(fanOut(scope.In("layer_3"), m.classes), x, true, m.classes)} // NxK
}

// fanOut draws weights as the authors' code does, from a normal distribution of variance 2/outputs.
func fanOut(scope *model.Scope, outputs int) *model.Scope {
	return scope.WithInitializer(initializer.RandomNormalFn(scope, math.Sqrt(2/float64(outputs))))
}

// rowData is cached features as a dataset: shuffled without the last, smaller batch for training, in order for testing.
type rowData struct {
	rows  [][]float32
	batch int
	seed  int64
}

func (d rowData) Name() string { return "features" }
func (d rowData) Steps() int   { return len(d.rows) / d.batch }

func (d rowData) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	order := rand.New(rand.NewPCG(uint64(d.seed), uint64(epoch))).Perm(len(d.rows))
	return d.batches(order[skip*d.batch : d.Steps()*d.batch])
}

func (d rowData) Iter() iter.Seq2[train.Batch, error] {
	order := make([]int, len(d.rows))
	for i := range order {
		order[i] = i
	}
	return d.batches(order)
}

func (d rowData) batches(order []int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for rest := order; len(rest) > 0; {
			n := min(d.batch, len(rest))
			index := make([]int32, n)
			flat := make([]float32, 0, n*len(d.rows[0]))
			for i, at := range rest[:n] {
				index[i] = int32(at)
				flat = append(flat, d.rows[at]...)
			}
			rest = rest[n:]
			x := tensors.FromFlatDataAndDimensions(flat, n, len(d.rows[0]))
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x, tensors.FromFlatDataAndDimensions(index, n)}}, nil) {
				return
			}
		}
	}
}
