package sslkit

import (
	"context"
	"iter"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/optim"
)

// fresh yields images of side s with c channels that are drawn anew for each step.
type fresh struct {
	steps, batch, s, c int
	draw               func(rnd *rand.Rand, s int) []uint8
}

func (d fresh) Name() string                        { return "fresh" }
func (d fresh) Steps() int                          { return d.steps }
func (d fresh) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d fresh) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		rnd := rand.New(rand.NewPCG(13, uint64(epoch)))
		for range d.steps {
			var pixels []uint8
			for range d.batch {
				pixels = append(pixels, d.draw(rnd, d.s)...)
			}
			images := tensors.FromFlatDataAndDimensions(pixels, d.batch, d.s, d.s, d.c)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{images}}, nil) {
				return
			}
		}
	}
}

// grain is noise without structure above a pixel: no patch tells anything about another.
func grain(rnd *rand.Rand, s int) []uint8 {
	out := make([]uint8, s*s)
	for i := range out {
		out[i] = uint8(100 + rnd.IntN(56))
	}
	return out
}

// slope is grain on a plane that rises to the right and, less, to the bottom: a patch's brightness tells where it is,
// its pattern does not.
func slope(rnd *rand.Rand, s int) []uint8 {
	out := grain(rnd, s)
	for i := range out {
		out[i] = uint8(int(out[i]) - 90 + (i%s*120+i/s*60)/s)
	}
	return out
}

// learnt trains m for a moment, on the pure-Go backend, and returns what it reports of the last epoch.
func learnt(t *testing.T, m Method, ds Dataset, epochs int) float64 {
	t.Helper()
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1,
		Optimizer: optim.SGD{Rate: optim.CosineWarmup(0.05, 5, epochs*ds.Steps()), Momentum: 0.9}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	report := h.Reports[m.(Reporter).Reports()[0]]
	t.Logf("loss %.3f, reported %.3f, %.1f s", h.Loss, report, h.Seconds)
	return report[epochs-1]
}

// ask calls f, in evaluation mode, with random numbers from seed.
func ask(t *testing.T, seed int64, x *tensors.Tensor, f func(scope *model.Scope, x *Node) []*Node) []*tensors.Tensor {
	t.Helper()
	store, err := NewStore(seed)
	if err != nil {
		t.Fatal(err)
	}
	if x, err = x.LocalClone(); err != nil { // a tensor stays with the first backend that reads it
		t.Fatal(err)
	}
	out, err := model.CallOnceN(goBackend(t), store, f, x)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// places are n images of side s whose pixels are numbered, so that a patch tells where it was cut.
func places(n, s int) *tensors.Tensor {
	pixels := make([]float32, 0, n*s*s)
	for range n {
		for i := range s * s {
			pixels = append(pixels, float32(i))
		}
	}
	return tensors.FromFlatDataAndDimensions(pixels, n, s, s, 1)
}

// corners returns the upper left corners of patches of places, after checking that each is a square of them.
func corners(t *testing.T, patches *tensors.Tensor, s int) (size int, corner [][2]int) {
	t.Helper()
	d := patches.Shape().Dimensions
	n, size := d[0], d[1]
	pixels := tensors.MustCopyFlatData[float32](patches)
	for k := range n {
		patch := pixels[k*size*size : (k+1)*size*size]
		top, left := int(patch[0])/s, int(patch[0])%s
		for i, v := range patch {
			if int(v) != (top+i/size)*s+left+i%size {
				t.Fatalf("patch %d is no square of its image: %v", k, patch)
			}
		}
		corner = append(corner, [2]int{top, left})
	}
	return size, corner
}
