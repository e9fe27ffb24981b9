package show

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
	"github.com/sslkit/lab/widgets"
)

// guesses is what a variant makes of the places of test images.
type guesses struct {
	bin, best    []int32   // the true bin of each place and the likeliest
	chroma, made []float64 // the chroma of each place and what is painted
	score        [3]float64
}

func (g guesses) right(i int) float64 {
	if g.bin[i] == g.best[i] {
		return 1
	}
	return 0
}

// guess lets a variant colour up to paired images of src.
func guess(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source) (g guesses, err error) {
	t, m, err := colorizer(ctx, s, c)
	if err != nil {
		return g, err
	}
	n := 0
	err = calls(ctx, t, src, paired, func(scope *model.Scope, x *Node) []*Node {
		pred, ab := m.Predict(scope, x), m.Colours(x)
		best, mean := m.Decode(pred, m.Temperature)
		chroma := func(ab *Node) *Node { return Reshape(Sqrt(ReduceSum(Square(ab), -1)), -1) }
		return []*Node{Reshape(view.NearestBin(ab), -1), Reshape(best, -1), chroma(ab), chroma(mean), judged(x, m.Paint(x, pred, m.Temperature))}
	}, func(out []*tensors.Tensor) error {
		g.bin = append(g.bin, out[0].Value().([]int32)...)
		g.best = append(g.best, out[1].Value().([]int32)...)
		g.chroma, g.made = appended(g.chroma, out[2]), appended(g.made, out[3])
		for i, row := range out[4].Value().([][]float32) {
			for _, v := range row {
				g.score[i] += float64(v)
			}
			n += len(row)
		}
		return nil
	})
	for i := range g.score {
		g.score[i] /= float64(n) / 3
	}
	return g, err
}

func appended(to []float64, t *tensors.Tensor) []float64 {
	for _, v := range t.Value().([]float32) {
		to = append(to, float64(v))
	}
	return to
}

// vividness are the bounds of chroma that places are grouped by.
var vividness = []float64{0, 5, 10, 20, 35, 1000}

func vividNames() []string { return []string{"below 5", "5 to 10", "10 to 20", "20 to 35", "above 35"} }

// vivid is the mean of a figure of the places in each group of their true chroma.
func (g guesses) vivid(figure func(i int) float64) []float64 {
	sum, n := make([]float64, len(vividness)-1), make([]float64, len(vividness)-1)
	for i, c := range g.chroma {
		k := 0
		for c >= vividness[k+1] {
			k++
		}
		sum[k] += figure(i)
		n[k]++
	}
	for k := range sum {
		sum[k] /= n[k] // NaN where there is none
	}
	return sum
}

// Saturation draws the mean chroma that each variant gives to places, by their true chroma, beside that.
func Saturation(ctx context.Context, s *runs.Store, src data.Source, variants ...study.Variant) (*widgets.Figure, error) {
	return vivid(ctx, s, src, variants, "mean chroma", func(g guesses) []float64 { return g.vivid(func(i int) float64 { return g.made[i] }) }, true)
}

// Rarity draws how often each variant's likeliest bin is the right one, by the chroma of the places: vivid colours are the rare ones.
func Rarity(ctx context.Context, s *runs.Store, src data.Source, variants ...study.Variant) (*widgets.Figure, error) {
	return vivid(ctx, s, src, variants, "likeliest bin is right, %", func(g guesses) []float64 { return percents(g.vivid(g.right)) }, false)
}

func vivid(ctx context.Context, s *runs.Store, src data.Source, variants []study.Variant, label string, of func(guesses) []float64, reference bool) (*widgets.Figure, error) {
	b := widgets.Bars{YLabel: label, Groups: vividNames()}
	for _, v := range variants {
		g, err := guess(ctx, s, v.Config, src)
		if err != nil {
			return nil, err
		}
		b.Series = append(b.Series, widgets.Series{Name: v.Name, Y: of(g)})
		if reference {
			b.Reference = widgets.Series{Name: "truth", Y: g.vivid(func(i int) float64 { return g.chroma[i] })}
		}
		b.Note = fmt.Sprintf("%s, %d test images, seed %d; groups by the true chroma of places", v.Config.Data.Name, min(paired, src.Len()), v.Config.Seed)
	}
	return b.Figure()
}

// ColorScores is a table, in Markdown, of how near the variants come to the colours of up to 400 images of src.
func ColorScores(ctx context.Context, s *runs.Store, src data.Source, variants ...study.Variant) (string, error) {
	t := widgets.Table{Head: []string{"", "PSNR, dB", "error in a, b", "chroma", "bin right, %", "mean over bins, %"}}
	var last guesses
	for _, v := range variants {
		g, err := guess(ctx, s, v.Config, src)
		if err != nil {
			return "", err
		}
		all, each := g.accuracies()
		t.Rows = append(t.Rows, []string{v.Name, fmt.Sprintf("%.2f", g.score[0]), fmt.Sprintf("%.1f", g.score[1]), fmt.Sprintf("%.1f", g.score[2]),
			fmt.Sprintf("%.1f", 100*all), fmt.Sprintf("%.1f", 100*each)})
		last = g
	}
	if len(variants) == 0 {
		return "", fmt.Errorf("show: name at least one variant")
	}
	temperature := variants[0].Config.Method.(*sslkit.Colorization).Temperature // as guess has seen
	var chroma float64
	for _, c := range last.chroma {
		chroma += c / float64(len(last.chroma))
	}
	text, err := t.Markdown()
	return fmt.Sprintf("%s\n\n%s: %d test images, seed %d; at temperature %g. The truth has a chroma of %.1f, which is also the error of grey.", text,
		widgets.EscapeMarkdown(variants[0].Config.Data.Name), min(paired, src.Len()), variants[0].Config.Seed, temperature, chroma), err
}

// accuracies are that of all places, and the mean over the bins that occur.
func (g guesses) accuracies() (all, each float64) {
	right, n := make(map[int32]float64), make(map[int32]float64)
	for i, q := range g.bin {
		right[q] += g.right(i)
		n[q]++
		all += g.right(i) / float64(len(g.bin))
	}
	for q := range n {
		each += right[q] / n[q] / float64(len(n))
	}
	return all, each
}

// Doubts draws the so many images, of up to 400 of src, whose colours c's method misses by most, and what it thinks of the worst place:
// the three likeliest of its modes, bins that are likelier than their neighbours, and the truth, as stripes of equal width.
func Doubts(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, rows int) (*widgets.Figure, error) {
	t, m, err := colorizer(ctx, s, c)
	if err != nil {
		return nil, err
	}
	if m.Regression {
		return nil, fmt.Errorf("show: a regression has no distribution to look into")
	}
	index := make([]int, 0, paired)
	for i := 0; i < src.Len(); i += max(1, (src.Len()+paired-1)/paired) {
		index = append(index, i)
	}
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	out, err := coloured(t, images, func(scope *model.Scope, x *Node) []*Node {
		y := m.Colorize(scope, x, m.Temperature)
		return []*Node{judged(x, y)}
	})
	if err != nil {
		return nil, err
	}
	missed := out[0].Value().([][]float32)[1]
	worst := make([]int, len(images))
	for i := range worst {
		worst[i] = i
	}
	slices.SortFunc(worst, func(i, j int) int { return cmp.Compare(missed[j], missed[i]) })
	var few []widgets.Image
	g := widgets.Gallery{Note: fmt.Sprintf("%s, the test images with the largest error of %d; last column: the likeliest colours of the worst place, and the truth", c.Data.Name, len(images)),
		Cols: []string{"lightness", "painted", "truth", "modes | truth"}, Size: 96}
	for _, i := range worst[:min(rows, len(worst))] {
		few, g.Rows = append(few, images[i]), append(g.Rows, names[i])
	}
	return doubts(t, m, few, g)
}

// doubts fills in the pictures of Doubts.
func doubts(t *runs.Job, m *sslkit.Colorization, few []widgets.Image, g widgets.Gallery) (*widgets.Figure, error) {
	out, err := coloured(t, few, func(scope *model.Scope, x *Node) []*Node {
		pred := m.Predict(scope, x)
		y := m.Paint(x, pred, m.Temperature)
		l := SliceAxis(view.RGBToLab(x), -1, AxisElem(0))
		return []*Node{grey(x), y, judged(x, y), Softmax(pred), m.Colours(x), view.AnnealedMean(pred, m.Temperature), l}
	})
	if err != nil {
		return nil, err
	}
	flat, err := imagesOf(out[0])
	if err != nil {
		return nil, err
	}
	painted, err := imagesOf(out[1])
	if err != nil {
		return nil, err
	}
	score := out[2].Value().([][]float32)
	p, truth, mean := out[3].Value().([][][][]float32), out[4].Value().([][][][]float32), out[5].Value().([][][][]float32)
	lightness := out[6].Value().([][][][]float32)
	for i := range few {
		var row, col int
		var largest float64
		for y := range truth[i] {
			for x := range truth[i][y] {
				if d := math.Hypot(float64(truth[i][y][x][0]-mean[i][y][x][0]), float64(truth[i][y][x][1]-mean[i][y][x][1])); d > largest {
					row, col, largest = y, x, d
				}
			}
		}
		l := lightness[i][row*m.Stride][col*m.Stride][0]
		var lab []float32
		var says []string
		modes := modes(p[i][row][col], 3)
		for _, q := range modes {
			center := view.BinCenters()[q]
			lab = append(lab, l, float32(center[0]), float32(center[1]))
			says = append(says, strings.TrimPrefix(fmt.Sprintf("%.2f", p[i][row][col][q]), "0"))
		}
		lab = append(lab, l, truth[i][row][col][0], truth[i][row][col][1])
		swatch, err := CallOnce(t.Backend, func(x *Node) *Node { return view.LabToRGB(x) }, tensors.FromFlatDataAndDimensions(lab, 1, 1, len(lab)/3, 3))
		if err != nil {
			return nil, fmt.Errorf("show: colouring: %w", err)
		}
		stripes, err := imagesOf(swatch)
		if err != nil {
			return nil, err
		}
		g.Images = append(g.Images, []widgets.Image{flat[i], painted[i], few[i], square(stripes[0])})
		g.Captions = append(g.Captions, []string{"", fmt.Sprintf("error %.0f", score[1][i]), "", strings.Join(says, " ")})
	}
	return g.Figure()
}

// modes are the bins that are likelier than those around them, the likeliest first, and no more than so many.
func modes(p []float32, most int) []int {
	centers := view.BinCenters()
	var found []int
	for q, c := range centers {
		top := true
		for r, d := range centers {
			near := math.Abs(c[0]-d[0]) <= view.BinStep && math.Abs(c[1]-d[1]) <= view.BinStep
			top = top && (!near || r == q || p[r] < p[q])
		}
		if top {
			found = append(found, q)
		}
	}
	slices.SortFunc(found, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
	return found[:min(most, len(found))]
}

// square repeats the one row of a picture.
func square(m widgets.Image) widgets.Image {
	m.Pixels = slices.Repeat(m.Pixels, m.W)
	m.H = m.W
	return m
}
