package show

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
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

// paired is how many examples pairs are drawn of: a hundred thousand negatives say enough.
const paired = 400

// Loss draws a run's loss over its epochs, with what guessing would give as a guide.
func Loss(r *runs.Record) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "epoch", YLabel: "loss", Note: fmt.Sprintf("%v, %s, seed %d", sslkit.TitleOf(r.Config.Method), r.Config.Data.Name, r.Config.Seed),
		Series: []widgets.Series{{Name: "loss", Role: widgets.Blue, Y: r.History.Loss}}}
	if chance := r.Config.GuessLoss(); chance > 0 {
		c.Guides = []widgets.Guide{{Name: "by guessing", Y: chance}}
	}
	return c.Figure()
}

// Views draws a few of the random views that a method makes of examples of a dataset, a row for each example.
func Views(c sslkit.Config, src data.Source, index ...int) (*widgets.Figure, error) {
	recipe := sslkit.View(c.Method)
	if recipe == nil {
		return nil, fmt.Errorf("show: %s has no recipe of views", sslkit.TitleOf(c.Method))
	}
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	store, err := sslkit.NewStore(c.Seed)
	if err != nil {
		return nil, err
	}
	const views = 5
	draw, err := model.NewExec(backend, store, func(scope *model.Scope, x *Node) *Node { return recipe.View(scope, x) })
	if err != nil {
		return nil, fmt.Errorf("show: drawing views: %w", err)
	}
	defer draw.Finalize()
	g := widgets.Gallery{Rows: names, Cols: []string{"image"}, Size: 72}
	for _, m := range images {
		g.Images = append(g.Images, []widgets.Image{m})
	}
	for k := range views {
		out, err := draw.Call1(batchOf(images))
		if err != nil {
			return nil, fmt.Errorf("show: drawing views: %w", err)
		}
		drawn, err := imagesOf(out)
		if err != nil {
			return nil, err
		}
		g.Cols = append(g.Cols, fmt.Sprintf("view %d", k+1))
		for i := range g.Images {
			g.Images[i] = append(g.Images[i], drawn[i])
		}
	}
	return g.Figure()
}

const comparing = "pairs of images are compared by what projects them"

// Pairs draws two views of some examples of src as c's method does, and returns what it compares of them. c is trained first
// if need be.
func Pairs(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source) (eval.Pairs, error) {
	m, projector, err := trained[study.Projector](ctx, s, c, comparing)
	if err != nil {
		return eval.Pairs{}, err
	}
	few, err := first(src, paired)
	if err != nil {
		return eval.Pairs{}, err
	}
	return eval.DrawPairs(ctx, m.Backend, m.Store, sslkit.View(c.Method).View, projector.Project, few)
}

// Similarities draws how near the two views of an image are, and those of two images: one frame for each variant, on the same
// axes.
func Similarities(ctx context.Context, s *runs.Store, src data.Source, label string, variants ...study.Variant) (widgets.Frames, error) {
	f := widgets.Frames{Label: label}
	for _, v := range variants {
		p, err := Pairs(ctx, s, v.Config, src)
		if err != nil {
			return f, err
		}
		positive, negative := p.Similarities()
		h := widgets.Histogram{XLabel: "cosine similarity", Range: [2]float64{-1, 1}, Top: 1, Bins: 40,
			Note:   fmt.Sprintf("%s; %s, test images, seed %d", v.Name, v.Config.Data.Name, v.Config.Seed),
			Series: []widgets.Series{{Name: "two views of one image", Role: widgets.Blue, Y: inside(positive)}, {Name: "views of two images", Role: widgets.Vermillion, Y: inside(negative)}}}
		figure, err := h.Figure()
		if err != nil {
			return f, err
		}
		f.Names, f.Figures = append(f.Names, v.Name), append(f.Figures, figure)
	}
	return f, nil
}

// inside takes off what rounding adds to a cosine.
func inside(cosines []float64) []float64 {
	for i, v := range cosines {
		cosines[i] = min(max(v, -1), 1)
	}
	return cosines
}

// Pull draws, for each temperature, which of the negatives of a trained encoder the gradient acts on: the share of all
// negatives by their similarity, and the share of the gradient's weight that they get.
func Pull(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, temperatures ...float64) (widgets.Frames, error) {
	f := widgets.Frames{Label: "temperature"}
	p, err := Pairs(ctx, s, c, src)
	if err != nil {
		return f, err
	}
	_, negative := p.Similarities()
	n := len(p.A) - 1
	const bins = 40
	var centres []float64 // of the bins
	for i := range bins {
		centres = append(centres, -1+(2*float64(i)+1)/bins)
	}
	bin := func(s float64) int { return min(int((s+1)/2*bins), bins-1) }
	for _, temperature := range temperatures {
		share, weight := make([]float64, bins), make([]float64, bins)
		for i := 0; i < len(negative); i += n {
			row := inside(negative[i : i+n])
			w, err := eval.NegativeWeights(row, temperature)
			if err != nil {
				return f, err
			}
			for j, s := range row {
				share[bin(s)] += 100 / float64(len(negative))
				weight[bin(s)] += 100 * w[j] / float64(len(p.A))
			}
		}
		figure, err := widgets.Curves{XLabel: "cosine similarity to the anchor", YLabel: "share, %",
			Note: fmt.Sprintf("temperature %g, asked of the negatives of one trained encoder, %s", temperature, c.Data.Name),
			Series: []widgets.Series{{Name: "negatives", Role: widgets.RandomInit, X: centres, Y: share},
				{Name: "gradient", Role: widgets.Vermillion, X: centres, Y: weight}},
			YRange: [2]float64{0, 40}}.Figure()
		if err != nil {
			return f, err
		}
		f.Names, f.Figures = append(f.Names, strconv.FormatFloat(temperature, 'g', -1, 64)), append(f.Figures, figure)
	}
	return f, nil
}

// Geometry draws alignment against uniformity of each variant, coloured by the linear probe's accuracy in result, whose
// rows begin with these variants (Wang & Isola, ICML 2020, Fig. 5). Both are better when lower.
func Geometry(ctx context.Context, s *runs.Store, src data.Source, result *study.Comparison, variants ...study.Variant) (*widgets.Figure, error) {
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	points := widgets.Points{}
	for i, v := range variants {
		if i >= len(result.Rows) || result.Rows[i].Name != v.Name {
			return nil, fmt.Errorf("show: the comparison has no row %q at its place %d", v.Name, i+1)
		}
		p, err := Pairs(ctx, s, v.Config, src)
		if err != nil {
			return nil, err
		}
		alignment, uniformity, err := p.Geometry(backend)
		if err != nil {
			return nil, err
		}
		row := result.Rows[i]
		points.X, points.Y = append(points.X, uniformity), append(points.Y, alignment)
		points.Values = append(points.Values, 100*row.Linear[len(row.Linear)-1].Mean)
		points.Labels = append(points.Labels, v.Name)
	}
	return widgets.Scatter{XLabel: "uniformity (lower is better)", YLabel: "alignment (lower is better)", Scale: "linear probe, last block, %",
		Note: result.Config.Data.Name + ", test images; projections of seed " + strconv.FormatInt(result.Config.Seed, 10), Points: []widgets.Points{points}}.Figure()
}

// Directions draws where on the circle or the sphere an encoder with projections of two or three dimensions puts examples of
// src, by their classes.
func Directions(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source) (*widgets.Figure, error) {
	m, projector, err := trained[study.Projector](ctx, s, c, comparing)
	if err != nil {
		return nil, err
	}
	if src, err = data.Subset(src, min(paired, src.Len()), 0); err != nil {
		return nil, err
	}
	var points [][]float32
	err = calls(ctx, m, src, paired, func(scope *model.Scope, x *Node) []*Node { return []*Node{projector.Project(scope, x)} },
		func(out []*tensors.Tensor) error {
			points = append(points, out[0].Value().([][]float32)...)
			return nil
		})
	if err != nil {
		return nil, err
	}
	var class []int
	for _, label := range data.Labels(src) {
		class = append(class, int(label))
	}
	return widgets.Sphere{Points: points, Class: class, Names: src.Classes(), Note: fmt.Sprintf("%v, %s, test images, seed %d", sslkit.TitleOf(c.Method), c.Data.Name, c.Seed)}.Figure()
}

// Shortcut draws how often two views of an image are told to belong together by nothing but their histograms of colours,
// for each recipe of views: what a contrastive method could do without looking at what is shown (Chen et al. 2020, Sec. 3.1,
// Fig. 6). Chance is one over the number of images.
func Shortcut(ctx context.Context, src data.Source, names []string, recipes ...view.Recipe) (*widgets.Figure, error) {
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	ds, err := first(src, paired)
	if err != nil {
		return nil, err
	}
	bars := widgets.Series{Name: "same image, by colours alone", Role: widgets.Vermillion}
	for _, recipe := range recipes {
		match, err := matched(ctx, backend, recipe, ds)
		if err != nil {
			return nil, err
		}
		bars.Y = append(bars.Y, 100*match)
	}
	return widgets.Bars{YLabel: "views matched, %", Groups: names, Series: []widgets.Series{bars},
		Guides: []widgets.Guide{{Name: "chance", Y: 100 / float64(min(paired, src.Len()))}},
		Note:   fmt.Sprintf("%s: %d images, histograms of 4x4x4 colours, nearest by cosine", src.Name(), min(paired, src.Len()))}.Figure()
}

func matched(ctx context.Context, backend compute.Backend, recipe view.Recipe, ds *data.Loader) (float64, error) {
	store, err := sslkit.NewStore(1)
	if err != nil {
		return 0, err
	}
	p, err := eval.DrawPairs(ctx, backend, store, recipe.View, func(_ *model.Scope, x *Node) *Node { return eval.ColorHistogram(x, 4) }, ds)
	if err != nil {
		return 0, err
	}
	return p.Match(), nil
}

// Grid draws the linear probe's accuracy, at the last block, of the variants of sslkit.Config.Pairs, both ways round.
func Grid(result *study.Comparison, transforms ...string) (*widgets.Figure, error) {
	h := widgets.Heatmap{Rows: transforms, Cols: transforms, Decimals: 1, Note: note(result) + "; linear probe, last block, %"}
	for _, a := range transforms {
		var values []float64
		for _, b := range transforms {
			at := slices.IndexFunc(result.Rows, func(r study.Row) bool { return r.Name == a+"+"+b || r.Name == b+"+"+a })
			if at < 0 {
				return nil, fmt.Errorf("show: the comparison has no row of %s and %s", a, b)
			}
			linear := result.Rows[at].Linear
			values = append(values, 100*linear[len(linear)-1].Mean)
		}
		h.Values = append(h.Values, values)
	}
	return h.Figure()
}

// Correspondence draws, for examples of src, which places of two views c's DenseCL takes for the same, every other one of the
// first view's.
func Correspondence(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, index ...int) (*widgets.Figure, error) {
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	trained, m, err := trained[*sslkit.DenseCL](ctx, s, c, "places are matched by densecl")
	if err != nil {
		return nil, err
	}
	exec, err := model.NewExec(trained.Backend, trained.Store, func(scope *model.Scope, x *Node) []*Node {
		a, b := m.View.View(scope, x), m.View.View(scope, x)
		return []*Node{a, b, m.Match(scope, a, b)}
	})
	if err != nil {
		return nil, fmt.Errorf("show: matching: %w", err)
	}
	defer exec.Finalize()
	out, err := exec.Call(batchOf(images))
	if err != nil {
		return nil, fmt.Errorf("show: matching: %w", err)
	}
	a, err := imagesOf(out[0])
	if err != nil {
		return nil, err
	}
	b, err := imagesOf(out[1])
	if err != nil {
		return nil, err
	}
	match, err := tensors.CopyFlatData[int32](out[2])
	if err != nil {
		return nil, fmt.Errorf("show: matching: %w", err)
	}
	places := out[2].Shape().Dim(1)
	side := int(math.Sqrt(float64(places)))
	g := widgets.Gallery{Rows: names, Size: 460}
	for i := range images {
		centre := func(place int32) [2]float64 { // of the place's cell, in pixels
			cell := float64(a[i].W) / float64(side)
			return [2]float64{(float64(int(place)%side) + 0.5) * cell, (float64(int(place)/side) + 0.5) * cell}
		}
		var pairs [][2][2]float64
		for k := range places {
			if k/side%2 == 1 && k%side%2 == 1 {
				pairs = append(pairs, [2][2]float64{centre(int32(k)), centre(match[i*places+k])})
			}
		}
		picture, err := widgets.Matches(a[i], b[i], pairs)
		if err != nil {
			return nil, err
		}
		g.Images = append(g.Images, []widgets.Image{picture})
	}
	return g.Figure()
}

// ImageText is a table, in Markdown, of what c's CLIP knows of the test set, over the seeds, beside what guessing gives.
func ImageText(ctx context.Context, s *runs.Store, c sslkit.Config, seeds ...int64) (string, error) {
	columns := make([][]float64, 5)
	var last *study.Retrieval
	var classes []eval.Tested
	for _, seed := range seeds {
		c.Seed = seed
		r, err := study.ImageText(ctx, s, c)
		if err != nil {
			return "", err
		}
		for i, v := range []float64{r.ZeroShot, r.Text1, r.Text5, r.Image1, r.Image5} {
			columns[i] = append(columns[i], v)
		}
		last, classes = r, append(classes, r.Tested)
	}
	if last == nil {
		return "", fmt.Errorf("show: name at least one seed")
	}
	row, guess := []string{sslkit.NameOf(c.Method)}, []string{"guessing, about"}
	for _, column := range columns {
		cell, _, _ := strings.Cut(eval.Summarize(column).String(), " (n=")
		row = append(row, cell)
	}
	for _, chance := range []float64{1 / float64(max(last.Classes, 1)), 1 / float64(last.Texts), 5 / float64(last.Texts), 1 / float64(last.Texts), 5 / float64(last.Texts)} {
		guess = append(guess, fmt.Sprintf("%.1f", 100*chance))
	}
	zeroShot := eval.SummarizeTested(classes)
	text, err := widgets.Table{Head: []string{"", "zero-shot class", "text of image, R@1", "R@5", "image of text, R@1", "R@5"}, Rows: [][]string{row, guess, {"commonest class", fmt.Sprintf("%.1f", 100*last.Commonest), "", "", "", ""}}}.Markdown()
	return fmt.Sprintf("%s\n\n%s: %%, %d test images, %d texts, %d classes known by their names; %d training seeds, mean ± standard deviation; "+
		"the zero-shot figure is %.1f as a mean over classes, and has a standard error of %.1f over the test images",
		text, widgets.EscapeMarkdown(c.Data.Name), last.Images, last.Texts, last.Classes, len(seeds), 100*zeroShot.Balanced, 100*zeroShot.Error), err
}

// Search draws the test images that c's CLIP finds nearest to each query.
func Search(ctx context.Context, s *runs.Store, c sslkit.Config, queries ...string) (*widgets.Figure, error) {
	found, src, err := study.Search(ctx, s, c, 7, queries...)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Rows: queries, Size: 56}
	for _, index := range found {
		images, _, err := read(src, index)
		if err != nil {
			return nil, err
		}
		g.Images = append(g.Images, images)
	}
	return g.Figure()
}
