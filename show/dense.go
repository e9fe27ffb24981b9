package show

import (
	"context"
	"fmt"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Dense is [Table] of segmentation and detection.
func Dense(c *study.DenseComparison) (string, error) { return Table(c) }

// Segmentations draws what the encoders of a comparison make of some of the first test images, pixel by pixel, beside the
// truth: frozen, or tuned. A row for each image.
func Segmentations(ctx context.Context, s *runs.Store, c *study.DenseComparison, tuned bool, index ...int) (*widgets.Figure, error) {
	return panels(ctx, s, c, tuned, index,
		func(m widgets.Image, src data.Annotated, i int) (widgets.Image, error) {
			class := make([]uint8, m.H*m.W)
			src.Segments(i, class)
			tinted, err := widgets.Segments(m, class)
			if err != nil {
				return m, err
			}
			return widgets.Boxes(tinted, truth(src, i, c.Options.Visible))
		},
		func(m widgets.Image, _ []string, fit eval.DenseFit, i int) (widgets.Image, error) {
			return widgets.Segments(m, fit.Segment.Examples[i])
		})
}

// surest is the score from which detections are drawn.
const surest = 0.3

// Detections draws what the encoders of a comparison find in some of the first test images with a score of at least 0.3,
// beside the truth: frozen, or tuned. A row for each image.
func Detections(ctx context.Context, s *runs.Store, c *study.DenseComparison, tuned bool, index ...int) (*widgets.Figure, error) {
	return panels(ctx, s, c, tuned, index,
		func(m widgets.Image, src data.Annotated, i int) (widgets.Image, error) {
			return widgets.Boxes(m, truth(src, i, c.Options.Visible))
		},
		func(m widgets.Image, classes []string, fit eval.DenseFit, i int) (widgets.Image, error) {
			var boxes []widgets.Box
			for _, d := range fit.Detect.Examples[i] {
				if d.Score >= surest {
					boxes = append(boxes, widgets.Box{Top: d.Top, Left: d.Left, Bottom: d.Bottom, Right: d.Right, Class: int(d.Class), Label: classes[d.Class]})
				}
			}
			return widgets.Boxes(m, boxes)
		})
}

func panels(ctx context.Context, s *runs.Store, c *study.DenseComparison, tuned bool, index []int,
	right func(m widgets.Image, src data.Annotated, i int) (widgets.Image, error),
	said func(m widgets.Image, classes []string, fit eval.DenseFit, i int) (widgets.Image, error)) (*widgets.Figure, error) {
	first := c.Config
	first.Seed = c.Seeds[0]
	t, err := s.Trained(ctx, first)
	if err != nil {
		return nil, err
	}
	src, ok := t.Test.(data.Annotated)
	if !ok {
		return nil, fmt.Errorf("show: %s has no objects and segments", t.Test.Name())
	}
	images, _, err := read(src, index)
	if err != nil {
		return nil, err
	}
	how := "frozen"
	if tuned {
		how = "fine-tuned"
	}
	g := widgets.Gallery{Cols: []string{"image", "truth"}, Size: 128, Images: make([][]widgets.Image, len(images)),
		Note: fmt.Sprintf("%s, test images; encoders %s, seed %d", c.Config.Data.Name, how, first.Seed)}
	for _, row := range c.Rows {
		g.Cols = append(g.Cols, row.Name)
	}
	for k, m := range images {
		wanted, err := right(m, src, index[k])
		if err != nil {
			return nil, err
		}
		g.Images[k] = []widgets.Image{m, wanted}
		for _, row := range c.Rows {
			fit := row.First.Frozen
			if tuned {
				fit = row.First.Tuned
			}
			if n := len(fit.Segment.Examples); index[k] >= n {
				return nil, fmt.Errorf("show: test image %d: what was predicted is kept of the first %d only", index[k], n)
			}
			drawn, err := said(m, src.Classes(), fit, index[k])
			if err != nil {
				return nil, err
			}
			g.Images[k] = append(g.Images[k], drawn)
		}
	}
	return g.Figure()
}

// truth is the objects that are to be found in an image.
func truth(src data.Annotated, i int, visible float64) (boxes []widgets.Box) {
	for _, o := range src.Objects(i) {
		if o.Seen(visible) {
			boxes = append(boxes, widgets.Box{Top: o.Top, Left: o.Left, Bottom: o.Bottom, Right: o.Right, Class: int(o.Class), Label: src.Classes()[o.Class]})
		}
	}
	return boxes
}
