package runs

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
)

// Trainable says why c cannot be trained, beyond what Validate finds: it builds the step, which is not compiled, for what is
// known only then, such as that the batch fits the queue, or patches the tiles. It is nil of a run that is done.
func (s *Store) Trainable(ctx context.Context, c sslkit.Config) error {
	j, err := s.Job(ctx, c)
	if err != nil || j.Role() == sslkit.Untrained && j.Init == nil {
		return err
	}
	if r, err := s.read(j.Key); err == nil && r.Done {
		return nil
	}
	if err := j.Load(ctx); err != nil {
		return err
	}
	store, err := sslkit.NewStore(j.Seed)
	if err != nil {
		return err
	}
	g := NewGraph(j.Backend, "step")
	defer g.Finalize()
	h, w, channels := j.Train.Shape()
	batch := max(j.Batch, 1) // of what is not trained
	image := []int{batch, h, w, channels}
	if clips, ok := j.Train.(data.Clips); ok {
		image = []int{batch, clips.Frames(), h, w, channels}
	}
	texts, reads := j.Train.(*data.Tokenized)
	var given *model.Store
	if j.Init != nil {
		if given, err = j.given(); err != nil {
			return err
		}
	}
	return exceptions.TryCatch[error](func() {
		store.SetTraining(g, true)
		b := sslkit.Batch{Index: Parameter(g, "index", shapes.Make(dtypes.Int32, batch))}
		switch {
		case reads:
			b.Text = Parameter(g, "text", shapes.Make(dtypes.Int32, batch, texts.Tokenizer.Length()))
		default:
			b.Image = Parameter(g, "image", shapes.Make(dtypes.Float32, image...))
		}
		if j.Text != nil {
			b.Text = Parameter(g, "text", shapes.Make(dtypes.Int32, batch, j.Text.Length()))
		}
		_, starts := j.Method.(sslkit.EpochStarter) // its step needs what an epoch starts with
		if starts || j.Role() == sslkit.Untrained {
			j.Method.Encode(store.RootScope(), b.Example())
		} else {
			j.Method.Loss(store.RootScope(), b)
		}
		if given == nil {
			return
		}
		if err := sslkit.FitEncoder(store, given); err != nil {
			panic(fmt.Errorf("runs: %s: %w", j.Init.File, err))
		}
	})
}
