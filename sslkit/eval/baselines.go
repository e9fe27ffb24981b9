package eval

import (
	"context"
	"fmt"
	"iter"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Supervised trains the same backbone on labels: the row that a self-supervised method is held against. It is an
// sslkit.Method, so that sslkit.Run trains it like the others; since a batch has no labels, it brings its own and finds
// them by Batch.Index. Give it the crops and flips of the method beside it.
type Supervised struct {
	Backbone nn.Backbone `json:"backbone"`
	Classes  int         `json:"classes"`
	Pad      int         `json:"pad"`             // shift by up to so many pixels
	Flip     bool        `json:"flip"`            // mirror half of the images
	Label    string      `json:"label,omitempty"` // of which kind the labels are, where the data have several; "": the first
	Labels   []int32     `json:"-"`               // of the training set, in the order of Batch.Index

	encoder sslkit.Method // whose Encode is trained, by fine-tuning; nil: the backbone
}

// Validate says what cannot be trained, before there are labels or after.
func (m *Supervised) Validate() error {
	if m.Pad < 0 {
		return fmt.Errorf("eval: pad %d is negative", m.Pad)
	}
	if in := m.Backbone.Input(); in != nn.Images && (m.Pad > 0 || m.Flip) {
		return fmt.Errorf("eval: %v are neither shifted nor mirrored: leave pad and flip out", in)
	}
	if err := checkTaught(m.Labels, m.Classes); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// checkTaught checks the labels of who is handed them, where there are any yet.
func checkTaught(labels []int32, classes int) error {
	switch {
	case len(labels) > 0:
		return checkLabels("training", labels, len(labels), classes)
	case classes != 0:
		return fmt.Errorf("eval: %d classes: leave them out, the data says how many there are; there are no labels yet", classes)
	}
	return nil
}

// Teach returns m with the labels of the training set, in the order of Batch.Index.
func (m *Supervised) Teach(labels []int32, classes int) (sslkit.Method, error) {
	if len(labels) == 0 {
		return nil, fmt.Errorf("eval: the supervised baseline has no labels")
	}
	if err := checkLabels("training", labels, len(labels), classes); err != nil {
		return nil, err
	}
	taught := *m
	taught.Labels, taught.Classes = labels, classes
	return &taught, m.Backbone.Validate()
}

// Reports lists the accuracy on the batch, as augmented.
func (m *Supervised) Reports() []string { return []string{"accuracy"} }

// Loss builds the cross-entropy of a linear classifier on the pooled last feature map. It is NaN where an index has no
// label.
func (m *Supervised) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	x := b.Example()
	if m.Pad > 0 {
		x = view.RandomCrop(m.Pad)(scope, x)
	}
	if m.Flip {
		x = view.Flip(scope, x)
	}
	logits := m.logits(scope, x)            // NxK
	y := labelsOf(scope, m.Labels, b.Index) // N
	sslkit.Report("accuracy", loss.Accuracy(logits, y))
	return loss.CrossEntropy(logits, y)
}

// Encode is the backbone without its classifier.
func (m *Supervised) Encode(scope *model.Scope, image *Node) []*Node {
	if m.encoder != nil {
		return m.encoder.Encode(scope, image)
	}
	return m.Backbone.Stages(scope.In("encoder"), image)
}

func (m *Supervised) logits(scope *model.Scope, image *Node) *Node {
	return layers.Dense(scope.In("classifier"), nn.Pool(nn.Last(m.Encode(scope, image))), true, m.Classes)
}

// Test measures the whole network, classifier and all, on ds, which yields the examples in the order of labels; groups are
// as in [Options].
func (m *Supervised) Test(ctx context.Context, backend compute.Backend, store *model.Store, ds train.Dataset, labels, groups []int32) (Tested, error) {
	encoder, err := sslkit.NewEncoder(backend, store, supervisedLogits{m}, func(maps []*Node) []*Node { return maps })
	if err != nil {
		return Tested{}, err
	}
	defer encoder.Close()
	features, err := extract(ctx, encoder, ds, "test", len(labels))
	if err != nil {
		return Tested{}, err
	}
	s := Set{features[0], labels, groups}
	if err := s.validate("test", m.Classes); err != nil {
		return Tested{}, err
	}
	return Compare(argmax(s.Features), labels, groups), nil
}

// supervisedLogits encodes images as the scores of the classes.
type supervisedLogits struct{ *Supervised }

func (m supervisedLogits) Encode(scope *model.Scope, image *Node) []*Node {
	return []*Node{m.logits(scope, image)}
}

// labelsOf looks up the labels of the examples index [N] in a variable that is no parameter. An index without a label
// gets -1, which makes the cross-entropy NaN: the graph cannot raise an error, and Gather would clamp.
func labelsOf(scope *model.Scope, labels []int32, index *Node) *Node {
	all := scope.VariableWithValue("labels", labels).SetTrainable(false).NodeValue(index)
	known := ClipScalar(index, 0, float64(len(labels)-1))
	return Where(Equal(index, known), Gather(all, InsertAxes(known, -1)), AddScalar(ZerosLike(index), -1))
}

// argmax returns the column of each row's largest value, the first of equals.
func argmax(rows [][]float32) []int32 {
	out := make([]int32, len(rows))
	for i, row := range rows {
		for j, v := range row {
			if v > row[out[i]] {
				out[i] = int32(j)
			}
		}
	}
	return out
}

// Random is the encoder that has learnt nothing: it is evaluated as it is drawn, and never trained.
type Random struct {
	Backbone nn.Backbone `json:"backbone"`
	Fitted   bool        `json:"fitted,omitempty"` // with the running statistics of its batch norms fitted, see FitNorms

	Lightness bool `json:"lightness,omitempty"` // it sees no colours, see [sslkit.Colorblind]
}

// Title tells the two kinds apart.
func (r *Random) Title() string {
	if r.Fitted {
		return "random, norms fitted"
	}
	return "random"
}

// Loss panics: there is nothing to train.
func (r *Random) Loss(*model.Scope, sslkit.Batch) *Node {
	exceptions.Panicf("eval: the random encoder is not trained")
	return nil
}

// NeedsInit is false: its parameters are drawn.
func (r *Random) NeedsInit() bool { return false }

// Encode is the backbone.
func (r *Random) Encode(scope *model.Scope, image *Node) []*Node {
	if r.Lightness {
		image = view.Lightness(image)
	}
	return r.Backbone.Stages(scope.In("encoder"), image)
}

// Given is an encoder that others trained, out of the file that its configuration names: it is evaluated as it is.
type Given struct {
	Backbone nn.Backbone `json:"backbone"`
	Name     string      `json:"name,omitempty"` // for people
}

// Title is what it is called.
func (g *Given) Title() string {
	if g.Name == "" {
		return "given"
	}
	return g.Name
}

// NeedsInit is true.
func (g *Given) NeedsInit() bool { return true }

// Loss panics: there is nothing to train it by.
func (g *Given) Loss(*model.Scope, sslkit.Batch) *Node {
	exceptions.Panicf("eval: an encoder out of a file is not trained: start a method from it (--method NAME --init FILE)")
	return nil
}

// Encode is the backbone.
func (g *Given) Encode(scope *model.Scope, image *Node) []*Node {
	return g.Backbone.Stages(scope.In("encoder"), image)
}

// RandomInit returns a store with fresh parameters from seed: the row that a method must beat to have learnt anything. The
// first batch of ds only gives the shapes.
//
// The running statistics of batch norm are the initial ones, mean 0 and variance 1, as in published code that evaluates a
// network before training: in evaluation mode batch norm then does nothing, and He's initialisation keeps the activations in
// bounds. See FitNorms for the other choice.
func RandomInit(ctx context.Context, backend compute.Backend, m sslkit.Method, ds train.Dataset, seed int64) (*model.Store, error) {
	store, err := sslkit.NewStore(seed)
	if err != nil {
		return nil, err
	}
	features, err := sslkit.Features(ctx, backend, store, m, first{ds}, Pooled)
	if err != nil {
		return nil, fmt.Errorf("eval: making a random encoder: %w", err)
	}
	if features == nil {
		return nil, fmt.Errorf("eval: making a random encoder: %s is empty", ds.Name())
	}
	return store, nil
}

// first is the first batch of a dataset.
type first struct{ train.Dataset }

func (d first) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.Dataset.Iter() {
			yield(batch, err)
			return
		}
	}
}

// fitBatches leave to the initial running statistics, 0 and 1, a weight of 0.9^44 < 1 %.
const fitBatches = 44

// FitNorms brings the running statistics of the encoder's batch norms to those of the images of ds, by training-mode
// forward passes, going around as often as needed. No label is looked at and no parameter moves.
//
// Training does this on the way, so a random encoder with fitted norms shows what is owed to that alone, and the rest to
// what was learnt. It is the stronger baseline in shallow blocks and the weaker in deep ones: so both are shown.
func FitNorms(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method, ds train.Dataset) error {
	features, err := sslkit.Features(ctx, backend, store, inTraining{m}, around{ds}, Pooled)
	if err != nil {
		return fmt.Errorf("eval: fitting batch norms: %w", err)
	}
	if features == nil {
		return fmt.Errorf("eval: fitting batch norms: %s is empty", ds.Name())
	}
	return nil
}

// inTraining encodes in training mode, where batch norm updates its running statistics.
type inTraining struct{ sslkit.Method }

func (m inTraining) Encode(scope *model.Scope, image *Node) []*Node {
	scope.Store().SetTraining(image.Graph(), true)
	return m.Method.Encode(scope, image)
}

// around is fitBatches batches of a dataset, over and over.
type around struct{ train.Dataset }

func (d around) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for left := fitBatches; left > 0; {
			before := left
			for batch, err := range d.Dataset.Iter() {
				left--
				if !yield(batch, err) || err != nil || left == 0 {
					return
				}
			}
			if left == before {
				return // an empty dataset
			}
		}
	}
}
