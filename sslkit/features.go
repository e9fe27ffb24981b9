package sslkit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
)

// Encoder is Method.Encode compiled for evaluation: batch norm uses its running statistics, and no
// variable of the store changes. It follows the store: after more training it encodes anew.
type Encoder struct {
	Store *model.Store
	exec  *model.Exec
}

// NewEncoder compiles what read makes of the encoder's feature maps, nodes [N, D] float32. Parameters
// that the store lacks are initialised with the first use, which is how a random encoder comes about.
func NewEncoder(backend compute.Backend, store *model.Store, m Method, read func(maps []*Node) []*Node) (*Encoder, error) {
	return newEncoder(backend, store, func(scope *model.Scope, image *Node) []*Node { return read(m.Encode(scope, image)) })
}

func newEncoder(backend compute.Backend, store *model.Store, embed func(scope *model.Scope, image *Node) []*Node) (*Encoder, error) {
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, image *Node) []*Node {
		out := embed(scope, floatImage(image))
		for i, f := range out {
			if f.Rank() != 2 || f.DType() != dtypes.Float32 {
				exceptions.Panicf("sslkit: features %d are %s, want [N, D] float32: pool or flatten them", i, f.Shape())
			}
		}
		return out
	})
	if err != nil {
		return nil, Explain("sslkit: building the encoder", err)
	}
	return &Encoder{store, exec}, nil
}

// Close frees the compiled programs, one for each shape of batch that was encoded.
func (e *Encoder) Close() { e.exec.Finalize() }

// Features encodes every example of ds once, in its order: one [n][D] matrix for each node of read.
func (e *Encoder) Features(ctx context.Context, ds train.Dataset) ([][][]float32, error) {
	var features [][][]float32
	err := e.Each(ctx, ds, func(rows [][][]float32) error {
		if features == nil {
			features = make([][][]float32, len(rows))
		}
		for i, r := range rows {
			features[i] = append(features[i], r...)
		}
		return nil
	})
	return features, err
}

// Each is Features a batch at a time, of which only take keeps anything.
func (e *Encoder) Each(ctx context.Context, ds train.Dataset, take func(rows [][][]float32) error) error {
	for batch, err := range ds.Iter() {
		if err != nil {
			return fmt.Errorf("sslkit: reading %s: %w", ds.Name(), err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := e.exec.Call(batch.Inputs[0])
		if err != nil {
			return Explain("sslkit: encoding "+ds.Name(), err)
		}
		rows := make([][][]float32, len(out))
		for i, f := range out {
			flat, err := tensors.CopyFlatData[float32](f)
			if err != nil {
				return fmt.Errorf("sslkit: reading features: %w", err)
			}
			d := f.Shape().Dim(1)
			for ; len(flat) > 0; flat = flat[d:] {
				rows[i] = append(rows[i], flat[:d:d])
			}
			f.MustFinalizeAll()
		}
		if err := batch.Finalize(); err != nil {
			return fmt.Errorf("sslkit: releasing a batch: %w", err)
		}
		if err := take(rows); err != nil {
			return err
		}
	}
	return nil
}

// Features is an [Encoder] used once.
func Features(ctx context.Context, backend compute.Backend, store *model.Store, m Method, ds train.Dataset,
	read func(maps []*Node) []*Node) ([][][]float32, error) {
	e, err := NewEncoder(backend, store, m, read)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Features(ctx, ds)
}

// epochFeatures are the pooled last feature maps, [n][C], of the images of one epoch of training, before any random view, and the
// images' indices.
func epochFeatures(r *Run, epoch int) (features [][]float32, index []int32, err error) {
	seen := &indexed{Dataset: r.Train, epoch: epoch}
	maps, err := Features(context.Background(), r.Backend, r.Store, r.Method, seen, func(maps []*Node) []*Node {
		return []*Node{nn.Pool(nn.Last(maps))}
	})
	if err != nil {
		return nil, nil, err
	}
	return maps[0], seen.index, nil
}

// indexed is one epoch of a dataset, of which it takes down the indices.
type indexed struct {
	Dataset
	epoch int
	index []int32
}

func (d *indexed) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.Epoch(d.epoch, 0) {
			if err == nil && len(batch.Inputs) < 2 {
				err = errors.New("its batches have no indices")
			}
			if err == nil {
				d.index = append(d.index, tensors.MustCopyFlatData[int32](batch.Inputs[1])...)
			}
			if !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

// floatImage converts uint8 pixels to float32 in [0, 1]; float images and tokens pass.
func floatImage(x *Node) *Node {
	if x.DType() != dtypes.Uint8 {
		return x
	}
	return DivScalar(ConvertDType(x, dtypes.Float32), 255)
}
