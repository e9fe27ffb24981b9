package sslkit

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Batch is what one step may look at. It has no labels: a Method cannot cheat.
type Batch struct {
	Image *Node // [N, H, W, C] float32 in [0, 1]; clips are [N, T, H, W, C]; nil where the examples are texts
	Index *Node // [N] int32, position of the example in the dataset
	Text  *Node // [N, L] int32 tokens, nil without captions
}

// Example is what the encoder reads: the images or clips, or the texts where these are the examples.
func (b Batch) Example() *Node {
	if b.Image == nil {
		return b.Text
	}
	return b.Image
}

// Method is one self-supervised algorithm, written as its paper's algorithm box.
// Both functions build graphs: they panic with an error on what cannot be built.
type Method interface {
	// Loss builds one training step, from the batch to the scalar to minimise.
	Loss(scope *model.Scope, b Batch) *Node
	// Encode builds the part that is kept: feature maps [N, h, w, C], shallow to deep, of images or clips as in Batch, or of the
	// tokens of texts. The network that it keeps says which, see [nn.Backbone.Input].
	Encode(scope *model.Scope, image *Node) []*Node
}

// Starter runs once, when the variables exist and before the first step (MoCo: key := query).
type Starter interface{ Start(r *Run) error }

// EpochStarter runs before each epoch, counted from 0 (DeepCluster: cluster, assign).
type EpochStarter interface {
	StartEpoch(r *Run, epoch int) error
}

// Optimized overrides the run's optimizer (context encoder: two players).
type Optimized interface {
	Optimizer(base optimizer.Interface) optimizer.Interface
}

// Crowded is a method that learns from what tells the images of a batch apart, and of fewer than MinBatch nothing.
type Crowded interface{ MinBatch() int }

// Counted is a method that takes at least MinImages training images.
type Counted interface{ MinImages() int }

// Colored is a method to which grey images have nothing to say, where NeedsColor.
type Colored interface{ NeedsColor() bool }

// Reporter names the scalars that Loss hands to [Report]; the run keeps their mean of each epoch.
type Reporter interface{ Reports() []string }

// Scaffolded is a method with variables that only Loss reads: Scaffold names them, or the scopes that hold them, from the root.
// Records that come with a checkout are without them.
type Scaffolded interface{ Scaffold() []string }

// Report records a scalar beside the loss, such as the accuracy on the pretext task.
// Call it within Loss with a name that Reports lists.
func Report(name string, value *Node) {
	model.SetGraphParam(value.Graph(), reportKey(name), StopGradient(value))
}

// enough panics with an error where the batch is too small for m, which says so itself for whoever asks before.
func enough(name string, m Crowded, b Batch) {
	if n, least := b.Example().Shape().Dim(0), m.MinBatch(); n < least {
		exceptions.Panicf("sslkit: %s tells the images of a batch apart, for which it takes at least %d, not %d: choose a larger batch", name, least, n)
	}
}

func reportKey(name string) string { return "/sslkit_report/" + name }

// batchOf reads the inputs of a step: uint8 pixels, or the tokens of texts, indices and, with captions, tokens.
func batchOf(inputs []*Node) Batch {
	var b Batch
	if inputs[0].DType() == dtypes.Int32 {
		b.Text = inputs[0]
	} else {
		b.Image = floatImage(inputs[0])
	}
	if len(inputs) > 1 {
		b.Index = inputs[1]
	}
	if len(inputs) > 2 {
		b.Text = inputs[2]
	}
	return b
}
