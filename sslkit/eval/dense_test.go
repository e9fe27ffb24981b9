package eval

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

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
	d := stripes{train: squares(160, 1), test: squares(80, 2)}
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
	run := sslkit.Run{Method: d.m, Backend: backend, Train: ds, Epochs: 12, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.05), Momentum: 0.9}}
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
	o.Hidden, o.Epochs, o.LearningRate = 16, 8, 1e-2
	return o
}

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
	random, err := EvaluateDense(ctx, quickBackend(t), d.random, d.m, d.train, d.test, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("learned %v %v; tuned %v %v", learned.Frozen.Segment.MIoU, learned.Frozen.Detect.AP50, learned.Tuned.Segment.MIoU, learned.Tuned.Detect.AP50)
	t.Logf("random %v %v; tuned %v %v", random.Frozen.Segment.MIoU, random.Frozen.Detect.AP50, random.Tuned.Segment.MIoU, random.Tuned.Detect.AP50)
}

var _ = errors.New
var _ = math.Abs
var _ = reflect.DeepEqual
