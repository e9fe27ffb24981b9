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
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Inpainted draws examples of src with holes, filled with the mean of the rest as the encoder sees them, then what each variant of
// a context encoder paints there, and what was there. Below each is the peak signal-to-noise ratio in the holes, in dB; the note
// has its mean over up to 400 examples. All variants get the same holes, which are the first one's. They are trained first if
// need be.
func Inpainted(ctx context.Context, s *runs.Store, src data.Source, variants []study.Variant, index ...int) (*widgets.Figure, error) {
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	many, err := firstImages(src, paired)
	if err != nil {
		return nil, err
	}
	var columns [][]widgets.Image
	var decibels [][]float64
	var cols, means []string
	for _, v := range variants {
		p, err := newPainter(ctx, s, v, variants[0])
		if err != nil {
			return nil, err
		}
		drawn, psnr, err := p.paint(images)
		if err != nil {
			return nil, err
		}
		_, all, err := p.paint(many)
		if err != nil {
			return nil, err
		}
		for k, name := range []string{"seen", v.Name} {
			if k == 0 && columns != nil {
				continue
			}
			columns, decibels, cols = append(columns, drawn[k]), append(decibels, psnr[k]), append(cols, name)
			means = append(means, fmt.Sprintf("%s %.1f", name, eval.Summarize(all[k]).Mean))
		}
	}
	columns, decibels, cols = append(columns, images), append(decibels, nil), append(cols, "truth")
	g := widgets.Gallery{Rows: names, Cols: cols, Size: 84,
		Note: fmt.Sprintf("PSNR in the holes, mean over %d of %s: %s dB", len(many), src.Name(), strings.Join(means, ", "))}
	for i := range images {
		var row []widgets.Image
		var captions []string
		for k, column := range columns {
			row, captions = append(row, column[i]), append(captions, "")
			if decibels[k] != nil {
				captions[k] = fmt.Sprintf("%.1f dB", decibels[k][i])
			}
		}
		g.Images, g.Captions = append(g.Images, row), append(g.Captions, captions)
	}
	return g.Figure()
}

// firstImages are up to n examples of src, equally of each class.
func firstImages(src data.Source, n int) ([]widgets.Image, error) {
	src, err := few(src, n)
	if err != nil {
		return nil, err
	}
	index := make([]int, src.Len())
	for i := range index {
		index[i] = i
	}
	images, _, err := read(src, index)
	return images, err
}

// painter paints with a trained context encoder in the holes of another.
type painter struct {
	*runs.Job
	own, holes *sslkit.ContextEncoder
}

func newPainter(ctx context.Context, s *runs.Store, v, holes study.Variant) (*painter, error) {
	p := new(painter)
	var own, others bool
	p.own, own = v.Config.Method.(*sslkit.ContextEncoder)
	p.holes, others = holes.Config.Method.(*sslkit.ContextEncoder)
	if !own || !others || (p.own.Holes == 0) != (p.holes.Holes == 0) {
		return nil, fmt.Errorf("show: %s cannot paint the holes of %s: both must be inpainting, with a hole in the centre or with holes anywhere", v.Name, holes.Name)
	}
	var err error
	p.Job, err = s.Trained(ctx, v.Config)
	return p, err
}

// paint returns what the encoder sees of the images and what comes of them, and of both the PSNR in the holes, in dB.
func (p *painter) paint(images []widgets.Image) (drawn [2][]widgets.Image, decibels [2][]float64, err error) {
	store, err := sslkit.NewStore(1) // of its own: all variants draw the same holes
	if err != nil {
		return drawn, decibels, err
	}
	hidden, err := model.CallOnce(p.Backend, store, p.holes.Hide, batchOf(images))
	if err != nil {
		return drawn, decibels, fmt.Errorf("show: drawing holes: %w", err)
	}
	out, err := model.CallOnceN(p.Backend, p.Store, func(scope *model.Scope, image, hidden *Node) []*Node {
		masked, completed := p.own.Inpaint(scope, image, hidden)
		return []*Node{masked, completed, eval.HoleError(image, masked, hidden), eval.HoleError(image, completed, hidden)}
	}, batchOf(images), hidden)
	if err != nil {
		return drawn, decibels, fmt.Errorf("show: inpainting: %w", err)
	}
	for k := range drawn {
		if drawn[k], err = imagesOf(out[k]); err != nil {
			return drawn, decibels, err
		}
		for _, e := range tensors.MustCopyFlatData[float32](out[2+k]) {
			decibels[k] = append(decibels[k], decibel(float64(e)))
		}
	}
	return drawn, decibels, nil
}

// decibel is the peak signal-to-noise ratio of a mean squared error of pixels in [0, 1], at most 100 dB.
func decibel(wrong float64) float64 { return -10 * math.Log10(max(wrong, 1e-10)) }
