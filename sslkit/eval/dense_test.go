package eval

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

// squares is n images of 16x16x1: noise, and a square of stripes, which lie in class 0 and stand in class 1. The class of
// image i is i%2, and where the square lies is drawn. No pixel alone tells a class.
func squares(n int, seed uint64) *Scenes {
	s := &Scenes{Height: 16, Width: 16, Channels: 1, Classes: 2}
	for i := range n {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		class, side, phase := i%2, 7+rnd.IntN(3), rnd.IntN(4)
		top, left := rnd.IntN(17-side), rnd.IntN(17-side)
		image, segments := make([]uint8, 256), make([]uint8, 256)
		for y := range 16 {
			for x := range 16 {
				v := 100 + rnd.IntN(40)
				if y >= top && y < top+side && x >= left && x < left+side {
					segments[16*y+x] = uint8(1 + class)
					v += 80
					if ([]int{y, x}[class]+phase)%4 < 2 {
						v -= 160
					}
				}
				image[16*y+x] = uint8(max(v, 0))
			}
		}
		s.Images, s.Segments = append(s.Images, image), append(s.Segments, segments)
		s.Boxes = append(s.Boxes, []Box{{int32(class), float64(top), float64(left), float64(top + side), float64(left + side)}})
	}
	return s
}

// sceneData is scenes for training a network.
type sceneData struct {
	*Scenes
	rowData
}

func (d sceneData) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return d.images(d.rowData.Epoch(epoch, skip))
}
func (d sceneData) Iter() iter.Seq2[train.Batch, error] { return d.images(d.rowData.Iter()) }

func (d sceneData) images(rows iter.Seq2[train.Batch, error]) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range rows {
			pixels := tensors.MustCopyFlatData[float32](batch.Inputs[0])
			batch.Inputs[0] = tensors.FromFlatDataAndDimensions(pixels, batch.Inputs[0].Shape().Dim(0), d.Height, d.Width, d.Channels)
			if !yield(batch, err) {
				return
			}
		}
	}
}

// stripes is a network that tells the squares apart, and the same as it was drawn.
type stripes struct {
	m               *Supervised
	learned, random *model.Store
	train, test     *Scenes
}

var trainStripes = sync.OnceValues(func() (stripes, error) {
	d := stripes{train: squares(96, 1), test: squares(60, 2)}
	d.m = &Supervised{Backbone: nn.ResNet(8, 4), Classes: 2}
	for i := range d.train.Images {
		d.m.Labels = append(d.m.Labels, int32(i%2))
	}
	ds := sceneData{d.train, rowData{d.train.rows(), 32, 1}}
	backend, err := openQuick()
	if err != nil {
		return d, err
	}
	if d.random, err = RandomInit(context.Background(), backend, d.m, ds, 1); err != nil {
		return d, err
	}
	run := sslkit.Run{Method: d.m, Backend: backend, Train: ds, Epochs: 10, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.05), Momentum: 0.9}}
	_, err = run.Pretrain(context.Background())
	d.learned = run.Store
	return d, err
})

func stripesFixture(t testing.TB) stripes {
	t.Helper()
	d, err := trainStripes()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func quickDense() DenseOptions {
	o := DenseDefaults()
	o.Hidden, o.Epochs, o.LearningRate, o.TuneRate, o.Batch = 8, 8, 1e-2, 1e-2, 16
	return o
}

// What was learnt shows in both tasks, frozen, and fine-tuning adds to it.
func TestDense(t *testing.T) {
	d, ctx, o := stripesFixture(t), context.Background(), quickDense()
	before := contents(t, d.learned)
	learned, err := EvaluateDense(ctx, quickBackend(t), d.learned, d.m, d.train, d.test, o)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before, contents(t, d.learned)) {
		t.Error("the encoder's store has changed")
	}
	segment, err := o.Segment(ctx, quickBackend(t), d.random, d.m, d.train, d.test, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mIoU %.3f random, %.3f frozen, %.3f fine-tuned; AP50 %.3f frozen, %.3f fine-tuned", segment.MIoU, learned.Frozen.Segment.MIoU,
		learned.Tuned.Segment.MIoU, learned.Frozen.Detect.AP50, learned.Tuned.Detect.AP50)
	if learned.Frozen.Segment.MIoU < segment.MIoU+0.05 {
		t.Error("what was learnt does not show")
	}
	if learned.Tuned.Segment.MIoU < learned.Frozen.Segment.MIoU+0.1 || learned.Tuned.Detect.AP50 < learned.Frozen.Detect.AP50+0.1 {
		t.Error("fine-tuning does not help")
	}
	if f := learned.Frozen; f.Detect.AP > f.Detect.AP50 || len(f.Detect.Examples) != exemplary || len(f.Segment.Examples) != exemplary || len(f.Segment.Examples[0]) != 256 {
		t.Errorf("frozen: AP %g, AP50 %g, examples of %d and %d", f.Detect.AP, f.Detect.AP50, len(f.Detect.Examples), len(f.Segment.Examples))
	}
	again, err := o.Segment(ctx, quickBackend(t), d.random, d.m, d.train, d.test, false)
	if err != nil || !reflect.DeepEqual(again, segment) {
		t.Errorf("the second time mIoU %g, %v", again.MIoU, err)
	}
	o.Seed++
	if again, err = o.Segment(ctx, quickBackend(t), d.random, d.m, d.train, d.test, false); err != nil || reflect.DeepEqual(again, segment) {
		t.Errorf("another seed gives the same, %v", err)
	}
}

// flat is an encoder whose map tells nothing.
type flat struct{ sslkit.Method }

func (flat) Encode(_ *model.Scope, image *Node) []*Node {
	return []*Node{AddScalar(ZerosLike(poolAxis(poolAxis(image, 1, 4), 2, 4)), 3)}
}

func TestDenseOfNothing(t *testing.T) {
	d, ctx, o := stripesFixture(t), context.Background(), quickDense()
	empty, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	// Of a constant map nothing can be told but that most pixels are background.
	s, err := o.Segment(ctx, quickBackend(t), empty, flat{}, d.train, d.test, false)
	background := MeanIoU(d.test.Segments, blank(d.test), 2)
	if err != nil || s.MIoU != background.MIoU || s.Pixels != background.Pixels {
		t.Errorf("segments of a constant map: mIoU %g, want %g; %v", s.MIoU, background.MIoU, err)
	}
	f, err := o.Detect(ctx, quickBackend(t), empty, flat{}, d.train, d.test, false)
	if err != nil || f.AP50 > 0.05 {
		t.Errorf("objects in a constant map: AP50 %g, %v", f.AP50, err)
	}
	// With the truth of other images there is no more to learn.
	shuffled := *d.train
	turn := func(i int) int { return (i + 3) % len(d.train.Images) } // of the other class
	shuffled.Segments, shuffled.Boxes = make([][]uint8, len(d.train.Images)), make([][]Box, len(d.train.Images))
	for i := range d.train.Images {
		shuffled.Segments[i], shuffled.Boxes[i] = d.train.Segments[turn(i)], d.train.Boxes[turn(i)]
	}
	s, err = o.Segment(ctx, quickBackend(t), d.learned, d.m, &shuffled, d.test, false)
	if err != nil || s.MIoU > background.MIoU+0.03 {
		t.Errorf("segments of other images: mIoU %g, want at most %g; %v", s.MIoU, background.MIoU, err)
	}
	f, err = o.Detect(ctx, quickBackend(t), d.learned, d.m, &shuffled, d.test, false)
	if err != nil || f.AP50 > 0.05 {
		t.Errorf("objects of other images: AP50 %g, %v", f.AP50, err)
	}
}

func blank(s *Scenes) [][]uint8 {
	out := make([][]uint8, len(s.Segments))
	for i := range out {
		out[i] = make([]uint8, len(s.Segments[i]))
	}
	return out
}

// Fine-tuning begins with the encoder's own values, all of them.
func TestFineTuningCopies(t *testing.T) {
	d := stripesFixture(t)
	rows := rowData{d.train.rows()[:20], 20, 1}
	m := &onImages{onMaps: onMaps{head: segmentHead{d.train}}, encoder: shaped{d.m, []int{16, 16, 1}}, from: d.learned}
	run := sslkit.Run{Method: m, Backend: quickBackend(t), Train: rows, Epochs: 1, Seed: 2, Optimizer: optim.SGD{Rate: optim.Constant(0)}}
	if _, err := run.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	was, is, encoder := contents(t, d.learned), contents(t, run.Store), 0
	for path, value := range is {
		if !strings.HasPrefix(path, "/encoder/") {
			continue
		}
		encoder++
		moves := strings.HasSuffix(path, "/mean") || strings.HasSuffix(path, "/variance") // in training mode
		if same := value == was[path]; same == moves {
			t.Errorf("%s: the same is %v", path, same)
		}
	}
	if encoder < 30 {
		t.Errorf("%d variables of the encoder", encoder)
	}
}

func TestDenseRefusesAndStops(t *testing.T) {
	d, ctx := stripesFixture(t), context.Background()
	for want, change := range map[string]func(*DenseOptions){
		"stages count from 1": func(o *DenseOptions) { o.Stage = -1 },
		"the encoder has 3":   func(o *DenseOptions) { o.Stage = 4 },
		"of 0 channels":       func(o *DenseOptions) { o.Hidden = 0 },
		"0 epochs":            func(o *DenseOptions) { o.Epochs = 0 },
		"batches of 1":        func(o *DenseOptions) { o.Batch = 1 },
		"learning rates 0":    func(o *DenseOptions) { o.LearningRate = 0 },
		"and -1, want finite": func(o *DenseOptions) { o.TuneRate = -1 },
		"weight decay -1":     func(o *DenseOptions) { o.WeightDecay = -1 },
		"1 labelled":          func(o *DenseOptions) { o.Labels = 1 },
		"visible share of 2":  func(o *DenseOptions) { o.Visible = 2 },
	} {
		o := quickDense()
		change(&o)
		_, err := o.Segment(ctx, quickBackend(t), d.learned, d.m, d.train, d.test, false)
		wantError(t, want, err, want)
	}
	for want, change := range map[string]func(*Scenes){
		"0 scenes":       func(s *Scenes) { s.Images = nil },
		"boxes of 59":    func(s *Scenes) { s.Boxes = s.Boxes[1:] },
		"class 1 of 1":   func(s *Scenes) { s.Classes = 1 },
		"want 16x16x3":   func(s *Scenes) { s.Channels = 3 },
		"height and wid": func(s *Scenes) { s.Boxes = slices.Clone(s.Boxes); s.Boxes[4] = []Box{{}} },
		"has no objects": func(s *Scenes) { s.Boxes = make([][]Box, len(s.Images)) },
	} {
		test := *d.test
		change(&test)
		_, err := quickDense().Detect(ctx, quickBackend(t), d.learned, d.m, d.train, &test, false)
		wantError(t, want, err, want)
	}
	for _, tune := range []bool{false, true} {
		empty, err := sslkit.NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = quickDense().Segment(ctx, quickBackend(t), empty, d.m, d.train, d.test, tune)
		wantError(t, "an empty store", err, "lacks", "RandomInit")
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := quickDense().Segment(ctx, quickBackend(t), d.learned, d.m, d.train, d.test, true); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
}
