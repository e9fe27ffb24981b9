package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

// Scenes is one split of a dataset with the ground truth of dense tasks, in memory.
type Scenes struct {
	Height, Width, Channels int
	Classes                 int       // of objects: without the background
	Images                  [][]uint8 // [n][H*W*C], row by row, channels last
	Segments                [][]uint8 // [n][H*W]: 0 background, 1+class
	Boxes                   [][]Box   // [n]: the objects to be found
	Ignored                 [][]Box   // [n]: objects of which too little is seen, which may be found or not; nil: none
}

// DenseOptions is how an encoder is judged by tasks that ask something of every place: segmentation and detection, each with
// the encoder frozen, and with a copy of it fine-tuned.
//
// Heads read one feature map, whose channels are standardised, so that one setting fits all encoders. They are trained
// with AdamW, whose rate falls along a cosine to 0 after a warm-up of a tenth, without augmentation; the last epoch is measured.
type DenseOptions struct {
	Stage        int     `json:"stage"`         // the feature map that heads read, from 1; 0: the last
	Hidden       int     `json:"hidden"`        // channels of the detection head's 3x3 layer
	Epochs       int     `json:"epochs"`        // passes over the training set
	Batch        int     `json:"batch"`         // clamped to the training set
	LearningRate float64 `json:"learning_rate"` // of heads on a frozen encoder, at its peak
	TuneRate     float64 `json:"tune_rate"`     // of encoder and head in fine-tuning, at its peak
	WeightDecay  float64 `json:"weight_decay"`  // not of norms and biases
	Labels       int     `json:"labels"`        // training images, drawn by Seed, whose ground truth is used; 0: all
	Visible      float64 `json:"visible"`       // objects of which a smaller share is seen may be found or not
	Seed         int64   `json:"seed"`          // of the heads, the order and the draw
}

// DenseDefaults is what DenseOptions start from; JSON is to be decoded over it. Of rates from 0.001 to 0.1, a factor of 3 apart, these
// were the best, or as good, for a random and a supervised encoder, on 500 training scenes that the heads did not see.
func DenseDefaults() DenseOptions {
	return DenseOptions{Hidden: 64, Epochs: 10, Batch: 32, LearningRate: 3e-2, TuneRate: 1e-2, WeightDecay: 0.01, Labels: 1000, Visible: 0.25}
}

// Validate says what cannot be run; the zero DenseOptions cannot, see DenseDefaults.
func (o DenseOptions) Validate() error {
	switch {
	case o.Stage < 0:
		return fmt.Errorf("eval: dense tasks on stage %d; stages count from 1, and 0 is the last", o.Stage)
	case o.Hidden < 1 || o.Epochs < 1:
		return fmt.Errorf("eval: a detection head of %d channels and %d epochs, want at least 1 of both", o.Hidden, o.Epochs)
	case o.Batch < 2:
		return fmt.Errorf("eval: dense tasks in batches of %d, want at least 2: batch norm needs them", o.Batch)
	case !(o.LearningRate > 0) || math.IsInf(o.LearningRate, 1) || !(o.TuneRate > 0) || math.IsInf(o.TuneRate, 1):
		return fmt.Errorf("eval: dense tasks with learning rates %g and %g, want finite ones above 0", o.LearningRate, o.TuneRate)
	case !(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 1):
		return fmt.Errorf("eval: dense tasks with weight decay %g, want a finite one of at least 0", o.WeightDecay)
	case o.Labels < 0 || o.Labels == 1:
		return fmt.Errorf("eval: dense tasks with %d labelled images, want at least 2, or 0 for all", o.Labels)
	case !(o.Visible >= 0 && o.Visible <= 1):
		return fmt.Errorf("eval: objects count from a visible share of %g, want one from 0 to 1", o.Visible)
	}
	return nil
}

// String is one line for the foot of a table.
func (o DenseOptions) String() string {
	labels, stage := "all labelled images", "last stage"
	if o.Labels > 0 {
		labels = fmt.Sprintf("%d labelled images", o.Labels)
	}
	if o.Stage > 0 {
		stage = fmt.Sprintf("stage %d", o.Stage)
	}
	return fmt.Sprintf("%s, %s; segmentation: linear head, logits enlarged bilinearly, IoU over the whole test set, mean over classes and background; "+
		"detection: anchor-free head of %d channels, objects of which at least %g %% is seen, others ignored, AP of 101 recalls as COCO's, mean over overlaps of 0.5 to 0.95; "+
		"AdamW, cosine, %d epochs, last one, batch %d, learning rate %g frozen and %g fine-tuned, weight decay %g",
		labels, stage, o.Hidden, 100*o.Visible, o.Epochs, o.Batch, o.LearningRate, o.TuneRate, o.WeightDecay)
}

// DenseScores is what EvaluateDense measured.
type DenseScores struct {
	Options DenseOptions `json:"options"`
	Train   int          `json:"train"` // images
	Test    int          `json:"test"`
	Classes int          `json:"classes"`
	Frozen  DenseFit     `json:"frozen"`
	Tuned   DenseFit     `json:"tuned"` // with the encoder fine-tuned, anew for each of the tasks
}

// DenseFit is the test scores of both tasks.
type DenseFit struct {
	Segment SegmentFit `json:"segment"`
	Detect  DetectFit  `json:"detect"`
}

// exemplary is of how many test images, the first ones, the scores keep what was predicted, to be shown.
const exemplary = 16

// EvaluateDense judges the encoder that store holds by segmentation and detection. The store stays as it is. A cancelled
// context stops it with the context's error or [sslkit.ErrInterrupted].
func EvaluateDense(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method, train, test *Scenes, o DenseOptions) (DenseScores, error) {
	s := DenseScores{Options: o, Train: len(train.Images), Test: len(test.Images), Classes: train.Classes}
	for i, fit := range []*DenseFit{&s.Frozen, &s.Tuned} {
		p, err := o.places(ctx, backend, store, m, train, test, i == 1)
		if err != nil {
			return s, err
		}
		if fit.Segment, err = o.segment(ctx, backend, p, train, test); err != nil {
			return s, err
		}
		if fit.Detect, err = o.detect(ctx, backend, p, train, test); err != nil {
			return s, err
		}
	}
	return s, nil
}

// places is what heads are trained on: rows that are a frozen encoder's maps, or images and the encoder to train along.
type places struct {
	train, test [][]float32
	shape       []int         // of a row, [h, w, C]
	encoder     sslkit.Method // nil: frozen
	from        *model.Store  // of the encoder
	stage       int
}

func (o DenseOptions) places(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method, train, test *Scenes, tune bool) (places, error) {
	p := places{train: train.rows(), test: test.rows(), shape: []int{train.Height, train.Width, train.Channels}, stage: o.Stage}
	if err := errors.Join(o.Validate(), train.validate("training"), test.validate("test")); err != nil {
		return p, err
	}
	if test.Height != train.Height || test.Width != train.Width || test.Channels != train.Channels || test.Classes != train.Classes {
		return p, errors.New("eval: training and test scenes differ in shape or classes")
	}
	if len(train.Images) < 2 {
		return p, errors.New("eval: dense tasks with one training image: batch norm needs at least 2")
	}
	if tune {
		p.encoder, p.from = m, store
		return p, nil
	}
	images := p.shape
	encoder, err := sslkit.NewEncoder(backend, store, shaped{m, images}, func(maps []*Node) []*Node {
		x := stageOf(maps, o.Stage) // NxhxwxC
		p.shape = slices.Clone(x.Shape().Dimensions[1:])
		return []*Node{Reshape(x, x.Shape().Dim(0), -1)}
	})
	if err != nil {
		return p, err
	}
	defer encoder.Close()
	for i, rows := range []*[][]float32{&p.train, &p.test} {
		split := []string{"training", "test"}[i]
		features, err := extract(ctx, encoder, rowData{*rows, min(250, len(*rows)), 0}, split, len(*rows))
		if err != nil {
			return p, err
		}
		if err := checkFeatures(features[0]); err != nil {
			return p, fmt.Errorf("eval: %s set: %w", split, err)
		}
		*rows = features[0]
	}
	standardize(p.shape[2], p.train, p.test)
	return p, nil
}

// standardize brings each of the channels of maps to mean 0 and deviation 1 over the training set, in place, as the batch norm
// of a head does, whose running figures are then right from the first step on.
func standardize(channels int, train, test [][]float32) {
	positions := func(maps [][]float32) (rows [][]float32) {
		for _, m := range maps {
			rows = slices.AppendSeq(rows, slices.Chunk(m, channels))
		}
		return rows
	}
	rows := positions(train)
	shift, scale := moments(rows)
	for _, row := range append(rows, positions(test)...) {
		for j, v := range row {
			row[j] = float32((float64(v) - shift[j]) * scale[j])
		}
	}
}

// predict trains the head and returns what it reads of each test image.
func (o DenseOptions) predict(ctx context.Context, backend compute.Backend, p places, h denseHead) ([][]float32, error) {
	rows := rowData{p.train, min(o.Batch, len(p.train)), o.Seed}
	rate, steps := o.LearningRate, o.Epochs*rows.Steps()
	var m sslkit.Method = onMaps{h, p.shape}
	if p.encoder != nil {
		rate = o.TuneRate
		m = &onImages{onMaps: onMaps{head: h}, encoder: shaped{p.encoder, p.shape}, from: p.from, stage: p.stage}
	}
	run := sslkit.Run{Method: m, Backend: backend, Train: rows, Epochs: o.Epochs, Seed: o.Seed,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(rate, steps/10, steps), WeightDecay: o.WeightDecay}}
	if _, err := run.Pretrain(ctx); err != nil {
		return nil, err
	}
	out, err := sslkit.Features(ctx, backend, run.Store, m, rowData{p.test, rows.batch, 0}, func(maps []*Node) []*Node { return maps })
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// denseHead is one task's part of the network.
type denseHead interface {
	build(scope *model.Scope, x *Node) *Node           // from a feature map [N, h, w, C]
	loss(scope *model.Scope, built, index *Node) *Node // of what build returned for the training images index [N]
	read(built *Node) *Node                            // what is wanted of it, [N, D] float32
}

// onMaps is a head as a method, whose images are rows that hold a feature map each.
type onMaps struct {
	head  denseHead
	shape []int // [h, w, C]; nil: it is there already
}

func (m onMaps) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	return m.head.loss(scope, m.build(scope, b.Image), b.Index)
}

func (m onMaps) Encode(scope *model.Scope, x *Node) []*Node {
	return []*Node{m.head.read(m.build(scope, x))}
}

func (m onMaps) build(scope *model.Scope, x *Node) *Node {
	if m.shape != nil {
		x = unflatten(x, m.shape)
	}
	return m.head.build(scope.In("dense_head"), x)
}

// onImages is a head and a copy of an encoder, trained together.
type onImages struct {
	onMaps
	encoder sslkit.Method
	from    *model.Store
	stage   int
	copied  []string // paths of the encoder's variables
}

// Start gives the encoder the values that it has in the other store.
func (m *onImages) Start(r *sslkit.Run) error {
	for _, path := range m.copied {
		v := m.from.GetVariable(path)
		if v == nil {
			return fmt.Errorf("eval: the store lacks %s of the encoder: load the checkpoint of this very method and backbone, or take the store of RandomInit", path)
		}
		if err := nn.CopyValue(r.Store.GetVariable(path), v); err != nil {
			return fmt.Errorf("eval: %w", err)
		}
	}
	return nil
}

func (m *onImages) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	b.Image = m.encode(scope, b.Image)
	return m.onMaps.Loss(scope, b)
}

func (m *onImages) Encode(scope *model.Scope, image *Node) []*Node {
	return m.onMaps.Encode(scope, m.encode(scope, image))
}

func (m *onImages) encode(scope *model.Scope, image *Node) *Node {
	x := stageOf(m.encoder.Encode(scope, image), m.stage)
	m.copied = nil
	for v := range scope.Store().IterVariables() {
		if v.InUseByGraph(image.Graph()) { // nothing else is built yet
			m.copied = append(m.copied, v.Path())
		}
	}
	return x
}

// shaped encodes images that come as rows.
type shaped struct {
	sslkit.Method
	shape []int
}

func (m shaped) Encode(scope *model.Scope, rows *Node) []*Node {
	return m.Method.Encode(scope, unflatten(rows, m.shape))
}

func unflatten(rows *Node, shape []int) *Node {
	return Reshape(rows, append([]int{rows.Shape().Dim(0)}, shape...)...)
}

func stageOf(maps []*Node, stage int) *Node {
	if stage > len(maps) {
		exceptions.Panicf("eval: dense tasks on stage %d, but the encoder has %d", stage, len(maps))
	}
	if stage == 0 {
		stage = len(maps)
	}
	x := maps[stage-1]
	if x.Rank() != 4 {
		exceptions.Panicf("eval: dense tasks on the feature map %s, want [N, h, w, C]", x.Shape())
	}
	return x
}

// targets looks up what all [n, ...] holds for the examples index [N]. It is a variable, but no parameter.
func targets(scope *model.Scope, name string, all any, index *Node) *Node {
	v := scope.VariableWithValue(name, all).SetTrainable(false)
	return Gather(v.NodeValue(index), InsertAxes(index, -1))
}

func (s *Scenes) rows() [][]float32 {
	rows := make([][]float32, len(s.Images))
	for i, image := range s.Images {
		rows[i] = make([]float32, len(image))
		for j, v := range image {
			rows[i][j] = float32(v) / 255
		}
	}
	return rows
}

func (s *Scenes) validate(split string) error {
	n := len(s.Images)
	if n == 0 || s.Classes < 1 || s.Classes > 254 {
		return fmt.Errorf("eval: the %s set has %d scenes of %d classes, want at least one of both and at most 254 classes", split, n, s.Classes)
	}
	if len(s.Segments) != n || len(s.Boxes) != n || s.Ignored != nil && len(s.Ignored) != n {
		return fmt.Errorf("eval: the %s set has %d scenes, but segments of %d, boxes of %d and ignored boxes of %d", split, n, len(s.Segments), len(s.Boxes), len(s.Ignored))
	}
	for i := range n {
		if len(s.Images[i]) != s.Height*s.Width*s.Channels || len(s.Segments[i]) != s.Height*s.Width {
			return fmt.Errorf("eval: %s scene %d has %d values and %d of segments, want %dx%dx%d and %dx%d", split, i,
				len(s.Images[i]), len(s.Segments[i]), s.Height, s.Width, s.Channels, s.Height, s.Width)
		}
		if c := slices.Max(s.Segments[i]); int(c) > s.Classes {
			return fmt.Errorf("eval: %s scene %d has segments of class %d of %d", split, i, c-1, s.Classes)
		}
		for _, b := range s.Boxes[i] {
			if b.Class < 0 || int(b.Class) >= s.Classes || !(b.Top < b.Bottom && b.Left < b.Right) {
				return fmt.Errorf("eval: %s scene %d has the object %+v: want a class below %d, and a height and width", split, i, b, s.Classes)
			}
		}
	}
	return nil
}
