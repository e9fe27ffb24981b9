package study

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// painted is of how many test images pictures are judged.
const painted = 400

// Colors is how a colorization paints 400 test images, equally of each class, as means over them; see [eval.Painted].
type Colors struct {
	PSNR   float64 `json:"psnr"`   // dB
	Error  float64 `json:"error"`  // distance from the true colours
	Chroma float64 `json:"chroma"` // distance from grey
	Truth  float64 `json:"truth"`  // that of the images themselves
}

// PaintColors measures c, a [sslkit.Colorization], and trains it first if need be. What was measured is kept.
func PaintColors(ctx context.Context, s *runs.Store, c sslkit.Config) (*Colors, error) {
	m, ok := c.Method.(*sslkit.Colorization)
	if !ok {
		return nil, fmt.Errorf("study: colours are painted by colorization, not by %s", sslkit.NameOf(c.Method))
	}
	return runs.Once(ctx, s, c, "colors.json", anything, func(j *runs.Job, _ *runs.Record) (*Colors, error) {
		means, err := judged(ctx, j, func(scope *model.Scope, x *Node) []*Node {
			psnr, wrong, chroma := eval.Painted(x, m.Colorize(scope, x, m.Temperature))
			_, _, truth := eval.Painted(x, x)
			return []*Node{psnr, wrong, chroma, truth}
		})
		if err != nil {
			return nil, err
		}
		return &Colors{means[0], means[1], means[2], means[3]}, nil
	})
}

// Holes is how a context encoder paints the holes of 400 test images, equally of each class, as means over them.
type Holes struct {
	Error  float64 `json:"error"`  // mean squared, of pixels in [0, 1]
	Detail float64 `json:"detail"` // see [eval.Detail]
	Truth  float64 `json:"truth"`  // that of what was there
}

// PaintHoles measures c, a [sslkit.ContextEncoder], and trains it first if need be. What was measured is kept.
func PaintHoles(ctx context.Context, s *runs.Store, c sslkit.Config) (*Holes, error) {
	m, ok := c.Method.(*sslkit.ContextEncoder)
	if !ok {
		return nil, fmt.Errorf("study: holes are painted by inpainting, not by %s", sslkit.NameOf(c.Method))
	}
	return runs.Once(ctx, s, c, "holes.json", anything, func(j *runs.Job, _ *runs.Record) (*Holes, error) {
		means, err := judged(ctx, j, func(scope *model.Scope, x *Node) []*Node {
			hidden := m.Hide(scope, x)
			_, completed := m.Inpaint(scope, x, hidden)
			return []*Node{eval.HoleError(x, completed, hidden), eval.Detail(completed, hidden), eval.Detail(x, hidden)}
		})
		if err != nil {
			return nil, err
		}
		return &Holes{means[0], means[1], means[2]}, nil
	})
}

func anything(*runs.Job) error { return nil }

// reader is a graph over a trained method's parameters in place of its encoder.
type reader struct {
	sslkit.Method
	of func(scope *model.Scope, x *Node) []*Node
}

func (r reader) Encode(scope *model.Scope, x *Node) []*Node { return r.of(scope, x) }

// judged are the means over test images of what of says of each, [N].
func judged(ctx context.Context, j *runs.Job, of func(scope *model.Scope, x *Node) []*Node) ([]float64, error) {
	some, err := runs.Part(j.Test, min(painted, j.Test.Len()))
	if err != nil {
		return nil, err
	}
	in, err := runs.InOrder(some)
	if err != nil {
		return nil, err
	}
	rows, err := sslkit.Features(ctx, j.Backend, j.Store, reader{j.Method, of}, in.Loader, func(said []*Node) []*Node {
		for i, x := range said {
			said[i] = InsertAxes(x, -1)
		}
		return said
	})
	if err != nil {
		return nil, err
	}
	means := make([]float64, len(rows))
	for i := range rows {
		for _, row := range rows[i] {
			means[i] += float64(row[0]) / float64(len(rows[i]))
		}
	}
	return means, nil
}
