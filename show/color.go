package show

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
	"github.com/sslkit/lab/widgets"
)

// colorizer is c's colorization with its parameters.
func colorizer(ctx context.Context, s *runs.Store, c sslkit.Config) (*runs.Job, *sslkit.Colorization, error) {
	return trained[*sslkit.Colorization](ctx, s, c, "colours are predicted by colorization")
}

// coloured runs a graph over a colorizer's parameters on pictures.
func coloured(t *runs.Job, images []widgets.Image, build func(scope *model.Scope, x *Node) []*Node) ([]*tensors.Tensor, error) {
	out, err := model.CallOnceN(t.Backend, t.Store, build, batchOf(images))
	if err != nil {
		return nil, fmt.Errorf("show: colouring: %w", err)
	}
	return out, nil
}

// judged are the figures of [eval.Painted] of each image: [3, N].
func judged(x, painted *Node) *Node {
	psnr, wrong, chroma := eval.Painted(x, painted)
	return Stack([]*Node{psnr, wrong, chroma}, 0)
}

// grey is x without its colours.
func grey(x *Node) *Node {
	l := MulScalar(view.Lightness(x), 100)
	return view.LabToRGB(Concatenate([]*Node{l, ZerosLike(l), ZerosLike(l)}, -1))
}

// ColorBins draws the colours of the bins at two lightnesses, a to the right and b upwards, clipped to what a screen can show.
func ColorBins() (*widgets.Figure, error) {
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	const size = 22 // b from -110 to 100
	lightness := []float64{50, 75}
	lab := make([]float64, 0, 2*size*size*3)
	white := []float64{100, 0, 0}
	for _, l := range lightness {
		plane := slices.Repeat(white, size*size)
		for _, c := range view.BinCenters() {
			copy(plane[3*pixelOf(c, size):], []float64{l, c[0], c[1]})
		}
		lab = append(lab, plane...)
	}
	out, err := CallOnce(backend, func(x *Node) *Node { return view.LabToRGB(ConvertDType(x, dtypes.Float32)) }, tensors.FromFlatDataAndDimensions(lab, 2, size, size, 3))
	if err != nil {
		return nil, fmt.Errorf("show: bins: %w", err)
	}
	images, err := imagesOf(out)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Size: 264, Images: [][]widgets.Image{images}, Note: fmt.Sprintf("the %d bins, a to the right and b upwards", view.Bins)}
	for _, l := range lightness {
		g.Cols = append(g.Cols, fmt.Sprintf("lightness %g", l))
	}
	return g.Figure()
}

// pixelOf is the pixel of a bin in a picture of the plane of a and b.
func pixelOf(c [2]float64, size int) int {
	return int(100-c[1])/view.BinStep*size + int(c[0]+90)/view.BinStep + 1
}

// ColorPrior draws how often c's training images have each bin, smoothed: the decimal logarithm of its share.
func ColorPrior(ctx context.Context, s *runs.Store, c sslkit.Config) (*widgets.Figure, error) {
	t, m, err := colorizer(ctx, s, c)
	if err != nil {
		return nil, err
	}
	v := t.Store.GetVariable("/bins/prior")
	if v == nil {
		return nil, fmt.Errorf("show: %v has no prior", m)
	}
	prior, err := tensors.CopyFlatData[float32](v.MustValue())
	if err != nil {
		return nil, fmt.Errorf("show: the prior: %w", err)
	}
	h := widgets.Heatmap{RowLabel: "b", ColLabel: "a", Decimals: 1, Note: fmt.Sprintf("%s, training images: logarithm of the share of the colours, to the base 10", c.Data.Name)}
	for a := -90; a <= 100; a += view.BinStep {
		h.Cols = append(h.Cols, strconv.Itoa(a))
	}
	for b := 100; b >= -110; b -= view.BinStep {
		h.Rows = append(h.Rows, strconv.Itoa(b))
		h.Values = append(h.Values, slices.Repeat([]float64{math.NaN()}, len(h.Cols)))
	}
	for q, at := range view.BinCenters() {
		// What the kernel leaves of bins a long way off says nothing: no less than one in a hundred million.
		h.Values[int(100-at[1])/view.BinStep][int(at[0]+90)/view.BinStep] = math.Log10(max(float64(prior[q]), 1e-8))
	}
	return h.Figure()
}

// Colorized draws examples of src as each variant colours them, between their lightness and the truth, at the variants' temperatures.
// Below them are the PSNR, the mean error in the plane of a and b, and the mean chroma.
func Colorized(ctx context.Context, s *runs.Store, src data.Source, variants []study.Variant, index ...int) (*widgets.Figure, error) {
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Rows: names, Images: make([][]widgets.Image, len(images)), Captions: make([][]string, len(images)), Size: 96,
		Note: "below: PSNR in dB; mean error in a and b; mean chroma"}
	for k, v := range variants {
		t, m, err := colorizer(ctx, s, v.Config)
		if err != nil {
			return nil, err
		}
		out, err := coloured(t, images, func(scope *model.Scope, x *Node) []*Node {
			y := m.Colorize(scope, x, m.Temperature)
			return []*Node{grey(x), judged(x, grey(x)), y, judged(x, y), x, judged(x, x)}
		})
		if err != nil {
			return nil, err
		}
		if k == 0 {
			err = column(&g, "lightness", out[0], out[1])
		}
		if err == nil {
			err = column(&g, v.Name, out[2], out[3])
		}
		if err == nil && k == len(variants)-1 {
			err = column(&g, "truth", out[4], out[5])
		}
		if err != nil {
			return nil, err
		}
	}
	return g.Figure()
}

// column adds pictures and what was judged of them to a gallery.
func column(g *widgets.Gallery, name string, pictures, judgement *tensors.Tensor) error {
	images, err := imagesOf(pictures)
	if err != nil {
		return err
	}
	g.Cols = append(g.Cols, name)
	score := judgement.Value().([][]float32)
	for i, m := range images {
		g.Images[i] = append(g.Images[i], m)
		caption := fmt.Sprintf("%.1f; %.0f; %.0f", score[0][i], score[1][i], score[2][i])
		if score[0][i] > 99 {
			caption = fmt.Sprintf("chroma %.0f", score[2][i])
		}
		g.Captions[i] = append(g.Captions[i], caption)
	}
	return nil
}

// ColorTemperatures draws examples of src in the colours that c's method gives them at each temperature of its distributions.
func ColorTemperatures(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, temperatures []float64, index ...int) (widgets.Frames, error) {
	f := widgets.Frames{Label: "temperature"}
	t, m, err := colorizer(ctx, s, c)
	if err != nil {
		return f, err
	}
	images, _, err := read(src, index)
	if err != nil {
		return f, err
	}
	out, err := coloured(t, images, func(scope *model.Scope, x *Node) (all []*Node) {
		pred := m.Predict(scope, x)
		for _, temperature := range temperatures {
			y := m.Paint(x, pred, temperature)
			all = append(all, y, judged(x, y))
		}
		return all
	})
	if err != nil {
		return f, err
	}
	for k, temperature := range temperatures {
		g := widgets.Gallery{Images: [][]widgets.Image{nil}, Captions: [][]string{nil}, Size: 96, Note: "below: PSNR in dB; mean error in a and b; mean chroma"}
		painted, err := imagesOf(out[2*k])
		if err != nil {
			return f, err
		}
		score := out[2*k+1].Value().([][]float32)
		for i, p := range painted {
			g.Images[0] = append(g.Images[0], p)
			g.Captions[0] = append(g.Captions[0], fmt.Sprintf("%.1f; %.0f; %.0f", score[0][i], score[1][i], score[2][i]))
		}
		figure, err := g.Figure()
		if err != nil {
			return f, err
		}
		f.Names, f.Figures = append(f.Names, strconv.FormatFloat(temperature, 'g', -1, 64)), append(f.Figures, figure)
		if temperature == m.Temperature {
			f.At = k
		}
	}
	return f, nil
}
