package show

import (
	"context"
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Course draws one figure that records keep of each epoch, "loss", "projection_std" or "effective_rank", say, of the variants, each
// trained first if need be.
func Course(ctx context.Context, s *runs.Store, figure string, variants ...study.Variant) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "epoch", YLabel: strings.ReplaceAll(figure, "_", " ")}
	for _, v := range variants {
		r, err := s.Pretrain(ctx, v.Config)
		if err != nil {
			return nil, err
		}
		y := r.History.Loss
		if figure != "loss" {
			if y = r.History.Reports[figure]; y == nil {
				y = r.History.Figures[figure]
			}
		}
		if len(y) == 0 {
			return nil, fmt.Errorf("show: the record of %s has no %q", v.Name, figure)
		}
		c.Series = append(c.Series, widgets.Series{Name: v.Name, Y: y})
		c.Note = fmt.Sprintf("%s, seed %d", v.Config.Data.Name, v.Config.Seed)
	}
	return c.Figure()
}

// CrossCorrelation draws, in a frame for each variant, the correlations of each feature of the projection of one view, in rows, with
// each of the other view's: blue is 1, white 0, red -1. Barlow Twins asks for the identity.
func CrossCorrelation(ctx context.Context, s *runs.Store, src data.Source, label string, variants ...study.Variant) (widgets.Frames, error) {
	f := widgets.Frames{Label: label}
	for _, v := range variants {
		p, err := Pairs(ctx, s, v.Config, src)
		if err != nil {
			return f, err
		}
		c := p.Correlations()
		m := widgets.Image{H: len(c), W: len(c), C: 3}
		on, off := 0.0, 0.0
		for i, row := range c {
			for j, r := range row {
				if m.Pixels = append(m.Pixels, diverging(r)...); i == j {
					on += r
				} else {
					off += r * r
				}
			}
		}
		d := float64(len(c))
		figure, err := widgets.Gallery{Images: [][]widgets.Image{{m}}, Size: 384,
			Note: fmt.Sprintf("%s, %d test images, seed %d; mean of the diagonal %.2f, root mean square beside it %.2f",
				v.Config.Data.Name, len(p.A), v.Config.Seed, on/d, math.Sqrt(off/max(1, d*(d-1))))}.Figure()
		if err != nil {
			return f, err
		}
		f.Names, f.Figures = append(f.Names, v.Name), append(f.Figures, figure)
	}
	f.At = max(0, len(f.Figures)-1)
	return f, nil
}

// diverging is the colour of r: blue at 1, white at 0, vermillion at -1.
func diverging(r float64) []uint8 {
	end := [3]float64{0, 114, 178}
	if r < 0 {
		end = [3]float64{213, 94, 0}
	}
	t := min(math.Abs(r), 1)
	var out []uint8
	for _, v := range end {
		out = append(out, uint8(255*(1-t)+v*t+0.5))
	}
	return out
}

// SelfAttention draws where the last block of c's ViT looks in examples of src: for each head, and for their mean, how much weight
// each patch gets, as a mean over the patches that look. (Caron et al. 2021, Fig. 1, have the class token look; here there is none, and
// what is kept of an image is the mean of its patches.) c is trained first if need be.
func SelfAttention(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, index ...int) (*widgets.Figure, error) {
	b := *sslkit.Backbone(c.Method)
	if b.Arch != "vit" {
		return nil, fmt.Errorf("show: heads that look at patches are of a vit, and %s has a %s", sslkit.TitleOf(c.Method), b.Arch)
	}
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	j, err := s.Trained(ctx, c)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Rows: names, Cols: []string{"image"}, Size: 84,
		Note: fmt.Sprintf("%s, %s, seed %d: last block, mean over the patches that look", sslkit.TitleOf(c.Method), c.Data.Name, c.Seed)}
	var weights [][][]float32 // [image][head][patch]
	err = calls(ctx, j, data.Pick(src, index...), len(index), func(scope *model.Scope, image *Node) []*Node {
		return []*Node{ReduceMean(b.Attention(scope.In("encoder"), image), 2)} // NxHxL
	}, func(out []*tensors.Tensor) error {
		weights = append(weights, out[0].Value().([][][]float32)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	heads, side := len(weights[0]), images[0].H/b.Patch
	for h := range heads {
		g.Cols = append(g.Cols, fmt.Sprintf("head %d", h+1))
	}
	g.Cols = append(g.Cols, "mean")
	for i, image := range images {
		row, mean := []widgets.Image{image}, make([]float32, len(weights[i][0]))
		for _, w := range weights[i] {
			for k, v := range w {
				mean[k] += v / float32(heads)
			}
		}
		for _, w := range append(weights[i], mean) {
			overlay, err := widgets.Attention(image, w, side, side)
			if err != nil {
				return nil, err
			}
			row = append(row, overlay)
		}
		g.Images = append(g.Images, row)
	}
	return g.Figure()
}
