package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

// FineTune goes on training an encoder on labels, with a linear classifier on its pooled last feature map (Chen et al. 2020,
// SimCLR, App. B.5; He et al. 2022, MAE, App. A.1). Stages before From are frozen: neither their parameters nor the running
// statistics of their batch norms change, and it is by these statistics that they normalise, in training too.
//
// It is trained by AdamW, for networks with and without batch norm alike, with a cosine after a warm-up of a tenth. One
// setting for all rows of a table is tuned for none of them: with a search, each may come out higher.
type FineTune struct {
	From        int     `json:"from"`   // the first stage that is trained, from 1; 1: the whole encoder
	Epochs      int     `json:"epochs"` // passes over the labelled examples
	Steps       int     `json:"steps"`  // but at least so many updates: over few examples there are more passes
	Batch       int     `json:"batch"`  // of the training set that Fit gets, which has at least as many examples
	Rate        float64 `json:"rate"`   // at its peak
	WeightDecay float64 `json:"weight_decay"`
	Pad         int     `json:"pad"`             // shift images by up to so many pixels
	Flip        bool    `json:"flip"`            // mirror half of the images
	Label       string  `json:"label,omitempty"` // of which kind the labels are, see Options.Label

	Groups   []int32               `json:"-"` // of the test examples, see Options.Groups
	Dir      string                `json:"-"` // of checkpoints, to go on after an interruption; "": none
	Progress func(sslkit.Progress) `json:"-"`
}

// DefaultFineTune is for small images and networks, and minutes.
func DefaultFineTune() FineTune {
	return FineTune{From: 1, Epochs: 3, Steps: 60, Batch: 64, Rate: 1e-3, WeightDecay: 0.05, Pad: 2, Flip: true}
}

// Validate says what cannot be run.
func (p FineTune) Validate() error {
	switch {
	case p.From < 1:
		return fmt.Errorf("eval: fine-tuning from stage %d; stages count from 1", p.From)
	case p.Epochs < 1 || p.Steps < 0:
		return fmt.Errorf("eval: fine-tuning for %d epochs and at least %d steps, want at least 1 and 0", p.Epochs, p.Steps)
	case p.Batch < 2:
		return fmt.Errorf("eval: fine-tuning with batches of %d, want at least 2: batch norm needs them", p.Batch)
	case !(p.Rate > 0) || math.IsInf(p.Rate, 1):
		return fmt.Errorf("eval: fine-tuning with rate %g, want a finite one above 0 (1e-3 is the default)", p.Rate)
	case !(p.WeightDecay >= 0) || math.IsInf(p.WeightDecay, 1):
		return fmt.Errorf("eval: fine-tuning with weight decay %g, want a finite one of at least 0", p.WeightDecay)
	case p.Pad < 0:
		return fmt.Errorf("eval: fine-tuning with pad %d, want at least 0", p.Pad)
	}
	return nil
}

// String is one line for the foot of a table.
func (p FineTune) String() string {
	s := "fine-tuning: all stages"
	if p.From > 1 {
		s = fmt.Sprintf("fine-tuning: from stage %d", p.From)
	}
	return fmt.Sprintf("%s, %d epochs and at least %d steps, last one, batch %d, AdamW, rate %g, weight decay %g, shifts of %d pixels, flips %t",
		s, p.Epochs, p.Steps, p.Batch, p.Rate, p.WeightDecay, p.Pad, p.Flip)
}

// Fit trains a copy of m's encoder, which is of this backbone and which store holds under /encoder, as all methods keep theirs,
// and measures it on test; the store stays as it is. Train yields the labelled examples, shuffled, with their indices in trainLabels, and test its examples
// in the order of testLabels. The classifier, the views and the order follow from seed. Fit.Train is the accuracy on the views
// of the last epoch. A cancelled context stops it with [sslkit.ErrInterrupted].
func (p FineTune) Fit(ctx context.Context, backend compute.Backend, store *model.Store, encoder sslkit.Method, backbone nn.Backbone,
	trainDS sslkit.Dataset, testDS train.Dataset, trainLabels, testLabels []int32, classes int, seed int64) (Fit, error) {
	if err := p.Validate(); err != nil {
		return Fit{}, err
	}
	if err := checkSplits(trainLabels, testLabels, classes); err != nil {
		return Fit{}, err
	}
	if backbone.Input() != nn.Images { // of which there are no such views
		p.Pad, p.Flip = 0, false
	}
	m := &tuned{Supervised: &Supervised{Backbone: backbone, Classes: classes, Pad: p.Pad, Flip: p.Flip, Labels: trainLabels, encoder: encoder}, from: store}
	if err := m.Validate(); err != nil {
		return Fit{}, err
	}
	parts := backbone.Parts()
	if p.From > len(parts) {
		return Fit{}, fmt.Errorf("eval: fine-tuning from stage %d, but the encoder has %d", p.From, len(parts))
	}
	for _, part := range parts[:p.From-1] {
		m.frozen = append(m.frozen, part...)
	}
	steps := trainDS.Steps()
	if steps < 1 {
		return Fit{}, errors.New("eval: fine-tuning: the training set is smaller than a batch")
	}
	epochs := max(p.Epochs, (p.Steps+steps-1)/steps)
	run := sslkit.Run{Method: m, Backend: backend, Train: trainDS, Epochs: epochs, Seed: seed, Dir: p.Dir, Save: 20 * time.Second, Progress: p.Progress,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(p.Rate, epochs*steps/10, epochs*steps), WeightDecay: p.WeightDecay}}
	h, err := run.Pretrain(ctx)
	if err != nil {
		return Fit{}, fmt.Errorf("eval: fine-tuning: %w", err)
	}
	fit := Fit{Examples: len(trainLabels), Train: h.Reports["accuracy"][epochs-1]}
	fit.Tested, err = m.Test(ctx, backend, run.Store, testDS, testLabels, p.Groups)
	return fit, err
}

// tuned is supervised training that starts from an encoder, of which parts may be frozen.
type tuned struct {
	*Supervised
	from   *model.Store
	frozen []string // scopes of the encoder
}

// Loss is that of Supervised, with the frozen parts in evaluation mode.
func (m *tuned) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	encoder := scope.At("encoder")
	for _, part := range m.frozen {
		nn.StillBatchNorm(encoder.At("%s", part), b.Example().Graph())
	}
	l := m.Supervised.Loss(scope, b)
	for _, part := range m.frozen { // afterwards: layer norm makes itself trainable when it is built
		nn.Freeze(encoder.At("%s", part))
	}
	return l
}

// Start copies the encoder.
func (m *tuned) Start(r *sslkit.Run) error {
	if err := sslkit.CopyEncoder(r.Store, m.from); err != nil {
		return fmt.Errorf("eval: %w", err)
	}
	return nil
}
