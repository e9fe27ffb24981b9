//go:build cgo && !noxla

package conv_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// noise is 4 batches of 16 images of 16x16 random pixels.
type noise struct{}

func (noise) Name() string                          { return "noise" }
func (noise) Steps() int                            { return 4 }
func (d noise) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d noise) Epoch(_, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for step := skip; step < d.Steps(); step++ {
			rnd := rand.New(rand.NewPCG(3, uint64(step)))
			pixels, index := make([]uint8, 16*16*16*3), make([]int32, 16)
			for i := range pixels {
				pixels[i] = uint8(rnd.IntN(256))
			}
			for i := range index {
				index[i] = int32(16*step + i)
			}
			images := tensors.FromFlatDataAndDimensions(pixels, 16, 16, 16, 3)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{images, tensors.FromFlatDataAndDimensions(index, 16)}}, nil) {
				return
			}
		}
	}
}

// Training with the kernels is training as with XLA's convolutions, and a run that was interrupted goes on bit for bit.
func TestTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a training step four times")
	}
	backend := open(t)
	pretrain := func(rewrite func(string) (string, int), dir string, stop int) (losses []float64, values map[string][]float32, calls int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &sslkit.Run{
			Method: sslkit.SimCLRCIFAR(nn.ResNet(8, 16)), Backend: backend, Train: noise{}, Optimizer: optim.SGD{Rate: optim.Constant(0.05), Momentum: 0.9},
			Epochs: 1, Seed: 1, Dir: dir,
			Progress: func(p sslkit.Progress) {
				losses = append(losses, p.Loss)
				if p.Step == stop {
					cancel()
				}
			},
		}
		calls = compileWith(rewrite, func() {
			if _, err := r.Pretrain(ctx); err != nil && !(stop > 0 && errors.Is(err, sslkit.ErrInterrupted)) {
				t.Fatal(err)
			}
		})
		values = map[string][]float32{}
		for v := range r.Store.IterVariables() {
			if v.DType().IsFloat() && v.DType().Size() == 4 {
				values[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
			}
		}
		return losses, values, calls
	}
	whole, want, calls := pretrain(conv.Rewrite, "", 0)
	if calls < 9 {
		t.Errorf("%d calls of kernels in a step, want those of all 3x3 convolutions and their gradients", calls)
	}
	xla, _, _ := pretrain(xlas, "", 0)
	for i := range whole {
		if !(math.Abs(whole[i]-xla[i]) < 1e-3) { // rounding, which four steps of batch norms and training make larger
			t.Errorf("losses %v, with XLA's convolutions %v", whole, xla)
			break
		}
	}
	dir := t.TempDir()
	pretrain(conv.Rewrite, dir, 1)
	rest, got, _ := pretrain(conv.Rewrite, dir, 0)
	if len(whole) != 4 || len(rest) == 0 || len(rest) > 3 || len(want) < 10 {
		t.Fatalf("%d steps and then %d, with %d and %d variables", len(whole), len(rest), len(want), len(got))
	}
	for path := range want {
		if strings.HasPrefix(path, "/metrics/") {
			continue // of the display
		}
		if !slices.Equal(got[path], want[path]) {
			t.Errorf("%s differs from the uninterrupted run's", path)
		}
	}
}
