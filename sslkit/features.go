package sslkit

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Features encodes every example of ds once, in its order, and returns one [n][D] matrix for each
// node that read makes of the encoder's feature maps; these must be [N, D] float32.
//
// The encoder is in evaluation mode: batch norm uses its running statistics, and no variable of the
// store changes. Parameters that do not exist yet are initialised, which is how the random-init
// baseline comes about.
func Features(ctx context.Context, backend compute.Backend, store *model.Store, m Method, ds train.Dataset,
	read func(maps []*Node) []*Node) ([][][]float32, error) {
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, image *Node) []*Node {
		out := read(m.Encode(scope, floatImage(image)))
		for i, f := range out {
			if f.Rank() != 2 || f.DType() != dtypes.Float32 {
				exceptions.Panicf("features %d are %s, want [N, D] float32: pool or flatten them", i, f.Shape())
			}
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("sslkit: building the encoder: %w", err)
	}
	defer exec.Finalize()

	var features [][][]float32
	for batch, err := range ds.Iter() {
		if err != nil {
			return nil, fmt.Errorf("sslkit: reading %s: %w", ds.Name(), err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out, err := exec.Call(batch.Inputs[0])
		if err != nil {
			return nil, fmt.Errorf("sslkit: encoding %s: %w", ds.Name(), err)
		}
		if features == nil {
			features = make([][][]float32, len(out))
		}
		for i, f := range out {
			flat, err := tensors.CopyFlatData[float32](f)
			if err != nil {
				return nil, fmt.Errorf("sslkit: reading features: %w", err)
			}
			d := f.Shape().Dim(1)
			for ; len(flat) > 0; flat = flat[d:] {
				features[i] = append(features[i], flat[:d:d])
			}
			f.MustFinalizeAll()
		}
		if err := batch.Finalize(); err != nil {
			return nil, fmt.Errorf("sslkit: releasing a batch: %w", err)
		}
	}
	return features, nil
}

// floatImage converts uint8 pixels to float32 in [0, 1]; float images pass.
func floatImage(x *Node) *Node {
	if x.DType() != dtypes.Uint8 {
		return x
	}
	return DivScalar(ConvertDType(x, dtypes.Float32), 255)
}
