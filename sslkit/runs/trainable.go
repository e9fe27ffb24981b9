package runs

import (
	"context"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
)

// Trainable says why c cannot be trained, beyond what Validate finds: it builds the step, which is not compiled, for what is
// known only then, such as that the batch fits the queue, or patches the tiles. It is nil of a run that is done.
func (s *Store) Trainable(ctx context.Context, c sslkit.Config) error {
	j, err := s.Job(ctx, c)
	if err != nil || j.Role() == sslkit.Untrained {
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
	image := []int{j.Batch, h, w, channels}
	if clips, ok := j.Train.(data.Clips); ok {
		image = []int{j.Batch, clips.Frames(), h, w, channels}
	}
	texts, reads := j.Train.(*data.Tokenized)
	return exceptions.TryCatch[error](func() {
		store.SetTraining(g, true)
		b := sslkit.Batch{Index: Parameter(g, "index", shapes.Make(dtypes.Int32, j.Batch))}
		switch {
		case reads:
			b.Text = Parameter(g, "text", shapes.Make(dtypes.Int32, j.Batch, texts.Tokenizer.Length()))
		default:
			b.Image = Parameter(g, "image", shapes.Make(dtypes.Float32, image...))
		}
		if j.Text != nil {
			b.Text = Parameter(g, "text", shapes.Make(dtypes.Int32, j.Batch, j.Text.Length()))
		}
		if _, ok := j.Method.(sslkit.EpochStarter); ok { // its step needs what an epoch starts with
			j.Method.Encode(store.RootScope(), b.Example())
			return
		}
		j.Method.Loss(store.RootScope(), b)
	})
}
