package show

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

// methodOf is c's method where it is of the type that a drawing is about. Who asks for another reads what it is that only this
// one does: "puzzles are solved by jigsaw".
func methodOf[M any](c sslkit.Config, only string) (M, error) {
	m, ok := c.Method.(M)
	if !ok {
		return m, fmt.Errorf("show: %s, not by %s", only, sslkit.TitleOf(c.Method))
	}
	return m, nil
}

// trained is [methodOf] with its parameters: c is trained first if need be.
func trained[M any](ctx context.Context, s *runs.Store, c sslkit.Config, only string) (*runs.Job, M, error) {
	m, err := methodOf[M](c, only)
	if err != nil {
		return nil, m, err
	}
	t, err := s.Trained(ctx, c)
	return t, m, err
}

// drawn are the pictures that build makes of pictures, without parameters and without chance.
func drawn(doing string, images []widgets.Image, build func(x *Node) *Node) ([]widgets.Image, error) {
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	out, err := CallOnce(backend, build, batchOf(images))
	if err != nil {
		return nil, fmt.Errorf("show: %s: %w", doing, err)
	}
	return imagesOf(out)
}

// calls computes what build makes of the images of src, float32 in [0, 1], in batches and up to so many, and hands it over.
func calls(ctx context.Context, m *runs.Job, src data.Source, n int, build func(scope *model.Scope, image *Node) []*Node,
	take func(out []*tensors.Tensor) error) error {
	ds, err := first(src, n)
	if err != nil {
		return err
	}
	exec, err := model.NewExec(m.Backend, m.Store, func(scope *model.Scope, pixels *Node) []*Node {
		return build(scope, DivScalar(ConvertDType(pixels, dtypes.Float32), 255))
	})
	if err != nil {
		return fmt.Errorf("show: %w", err)
	}
	defer exec.Finalize()
	for batch, err := range ds.Iter() {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w: %w", sslkit.ErrInterrupted, err)
		}
		out, err := exec.Call(batch.Inputs[0])
		if err != nil {
			return fmt.Errorf("show: %w", err)
		}
		if err := take(out); err != nil {
			return err
		}
	}
	return nil
}

// few are up to n examples of src, always the same.
func few(src data.Source, n int) (data.Source, error) {
	if src.Len() <= n {
		return src, nil
	}
	return data.Subset(src, n, 0)
}

func first(src data.Source, n int) (*data.Loader, error) {
	src, err := few(src, n)
	if err != nil {
		return nil, err
	}
	return data.Batches(src, data.Options{Batch: min(200, src.Len()), KeepLast: true})
}

// batchOf is the pictures as a batch [N, H, W, C] in [0, 1].
func batchOf(images []widgets.Image) *tensors.Tensor {
	var pixels []float32
	for _, m := range images {
		for _, p := range m.Pixels {
			pixels = append(pixels, float32(p)/255)
		}
	}
	return tensors.FromFlatDataAndDimensions(pixels, len(images), images[0].H, images[0].W, images[0].C)
}

// imagesOf is a batch [N, H, W, C] in [0, 1] as pictures.
func imagesOf(t *tensors.Tensor) ([]widgets.Image, error) {
	values, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("show: reading images: %w", err)
	}
	d := t.Shape().Dimensions
	images, size := make([]widgets.Image, d[0]), d[1]*d[2]*d[3]
	for i := range images {
		images[i] = widgets.Image{H: d[1], W: d[2], C: d[3]}
		for _, v := range values[i*size : (i+1)*size] {
			images[i].Pixels = append(images[i].Pixels, uint8(255*min(max(v, 0), 1)+0.5))
		}
	}
	return images, nil
}
