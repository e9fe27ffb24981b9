package show

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// Horizon draws the error of painted frames by how far ahead they lie, beside those of copying the last frame and of constant velocity.
func Horizon(f *study.Future) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "frames ahead", YLabel: "mean squared error, thousandths",
		Note: fmt.Sprintf("%s, %d test films, %d frames seen; %s", f.Config.Data.Name, f.Each[0].Films, f.Seen, counted(f.Seeds))}
	names, errors := f.Series()
	for i, role := range []widgets.Role{widgets.Blue, widgets.RandomInit, widgets.Supervised} { // what is trained, a floor and a ceiling
		s := widgets.Series{Name: names[i], Role: role}
		for _, e := range errors[i] {
			s.Y, s.Err = append(s.Y, 1000*e.Mean), append(s.Err, 1000*e.Std)
		}
		c.Series = append(c.Series, s)
	}
	return c.Figure()
}

// amongFilms are of how many training films the frames are that a prediction in features is looked for among.
const amongFilms = 500

// Futures draws test films and what two methods say of them after the first frames that are seen: pixels, a [sslkit.NextFrame],
// paints the others, one after the other. features, a [sslkit.CPC], predicts features, and of the frames of up to 500 training films
// the one is drawn that they find: a real frame, which shows what the prediction holds, and what not. Both are trained first if need be.
func Futures(ctx context.Context, s *runs.Store, pixels, features sslkit.Config, seen int, index ...int) (*widgets.Figure, error) {
	painter, next, err := trained[*sslkit.NextFrame](ctx, s, pixels, "frames are painted ahead by nextframe")
	if err != nil {
		return nil, err
	}
	finder, cpc, err := trained[*sslkit.CPC](ctx, s, features, "frames are found ahead by cpc")
	if err != nil {
		return nil, err
	}
	src, ok := painter.Test.(data.Clips)
	if !ok || pixels.Data.Name != features.Data.Name || seen < 1 || seen >= src.Frames() {
		return nil, fmt.Errorf("show: %d frames of films that both methods know, of %s and %s: at least 1 is seen, and not all", seen, pixels.Data.Name, features.Data.Name)
	}
	films, painted, err := ahead(ctx, painter, next, src, seen, index)
	if err != nil {
		return nil, err
	}
	found, err := find(ctx, finder, cpc, src, seen, index)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Size: 56, Note: fmt.Sprintf("%s, test films, %d frames seen; seed %d", pixels.Data.Name, seen, pixels.Seed)}
	for t := range src.Frames() {
		g.Cols = append(g.Cols, fmt.Sprint(t+1))
	}
	for i, film := range films {
		there := append(make([]widgets.Image, seen), painted[i]...)
		real := make([]widgets.Image, src.Frames())
		for k, step := range cpc.Ahead {
			if at := seen - 1 + step; at < len(real) {
				real[at] = found[i][k]
			}
		}
		g.Images, g.Rows = append(g.Images, film, there, real), append(g.Rows, "film", "pixels", "features")
	}
	return g.Figure()
}

// ahead are films by index, and what m paints of them after the frames that are seen.
func ahead(ctx context.Context, j *runs.Job, m *sslkit.NextFrame, src data.Clips, seen int, index []int) (films, painted [][]widgets.Image, err error) {
	for _, i := range index {
		film, err := frames(src, i)
		if err != nil {
			return nil, nil, err
		}
		films = append(films, film)
	}
	if films == nil {
		return nil, nil, fmt.Errorf("show: name at least one film of %s", src.Name())
	}
	steps := src.Frames() - seen
	err = calls(ctx, j, data.Pick(src, index...), len(index), func(scope *model.Scope, clip *Node) []*Node {
		x := m.Ahead(scope, SliceAxis(clip, 1, AxisRange(0, seen)), steps)
		return []*Node{Reshape(x, append([]int{-1}, x.Shape().Dimensions[2:]...)...)}
	}, func(out []*tensors.Tensor) error {
		all, err := imagesOf(out[0])
		painted = append(painted, slices.Collect(slices.Chunk(all, steps))...)
		return err
	})
	return films, painted, err
}

// find are, for each of films by index and each k, the frame of training films that m's prediction has the largest score with.
func find(ctx context.Context, j *runs.Job, m *sslkit.CPC, src data.Source, seen int, index []int) (found [][]widgets.Image, err error) {
	some, err := few(j.Train, amongFilms)
	if err != nil {
		return nil, err
	}
	var asked, z [][]float32 // of films and steps, of films and frames
	rows := func(to *[][]float32) func(out []*tensors.Tensor) error {
		return func(out []*tensors.Tensor) error {
			*to = append(*to, slices.Collect(slices.Chunk(tensors.MustCopyFlatData[float32](out[0]), m.Backbone.Width))...)
			return nil
		}
	}
	if err := calls(ctx, j, data.Pick(src, index...), len(index), func(scope *model.Scope, clip *Node) []*Node {
		return []*Node{m.Predict(scope, SliceAxis(clip, 1, AxisRange(0, seen)))}
	}, rows(&asked)); err != nil {
		return nil, err
	}
	if err := calls(ctx, j, some, amongFilms, func(scope *model.Scope, clip *Node) []*Node { return []*Node{m.Frames(scope, clip)} }, rows(&z)); err != nil {
		return nil, err
	}
	clips := some.(data.Clips)
	for q := range index {
		var row []widgets.Image
		for _, p := range asked[q*len(m.Ahead) : (q+1)*len(m.Ahead)] {
			best, most := 0, float32(0)
			for i, f := range z {
				var score float32
				for d := range p {
					score += p[d] * f[d]
				}
				if i == 0 || score > most {
					best, most = i, score
				}
			}
			film, err := frames(clips, best/clips.Frames())
			if err != nil {
				return nil, err
			}
			row = append(row, film[best%clips.Frames()])
		}
		found = append(found, row)
	}
	return found, nil
}

// frames are those of film i.
func frames(src data.Clips, i int) (all []widgets.Image, err error) {
	if i < 0 || i >= src.Len() {
		return nil, fmt.Errorf("show: no film %d in %s, which has %d", i, src.Name(), src.Len())
	}
	h, w, c := src.Shape()
	pixels := make([]uint8, src.Frames()*h*w*c)
	if err := src.Read(i, pixels); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(pixels, h*w*c) {
		all = append(all, widgets.Image{Pixels: part, H: h, W: w, C: c})
	}
	return all, nil
}

// InOrder draws of test films three frames that are in order and three that are not, as c's order is trained with, trained first if
// need be. Below stands what it says of them, and the colour tells whether that is right.
func InOrder(ctx context.Context, s *runs.Store, c sslkit.Config, index ...int) (*widgets.Figure, error) {
	j, m, err := trained[*sslkit.Order](ctx, s, c, "frames are put in order by order")
	if err != nil {
		return nil, err
	}
	src, ok := j.Test.(data.Clips)
	if !ok || len(index) == 0 {
		return nil, fmt.Errorf("show: name at least one film of %s", j.Test.Name())
	}
	g := widgets.Gallery{Size: 56, Cols: []string{"", "in order", "", "", "", "not in order", ""},
		Note: fmt.Sprintf("%s, test films, seed %d; below what is said", c.Data.Name, c.Seed)}
	err = calls(ctx, j, data.Pick(src, index...), len(index), func(scope *model.Scope, clip *Node) []*Node {
		times, ordered, guess := m.Solve(scope, clip)
		return []*Node{times, ordered, guess}
	}, func(out []*tensors.Tensor) error {
		times, ordered, guess := out[0].Value().([][][]int32), out[1].Value().([][]int32), out[2].Value().([][]int32)
		for i := range times {
			film, err := frames(src, index[len(g.Images)])
			if err != nil {
				return err
			}
			row, captions, roles := make([]widgets.Image, 7), make([]string, 7), make([]widgets.Role, 7)
			for half, r := range []int{0, m.Positive} { // the first of those in order, and of the others
				for k, t := range times[i][r] {
					row[4*half+k] = film[t]
				}
				captions[4*half+1], roles[4*half+1] = []string{"no", "yes"}[guess[i][r]], widgets.Wrong
				if guess[i][r] == ordered[i][r] {
					roles[4*half+1] = widgets.Right
				}
			}
			g.Images, g.Captions, g.Roles = append(g.Images, row), append(g.Captions, captions), append(g.Roles, roles)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g.Figure()
}

// NearFilms draws test films and below each the training films whose features are nearest to its own, by the cosine at a stage of
// c's encoder, from 1, or the last one for 0; with what all kinds of labels say of each. c is trained first if need be.
func NearFilms(ctx context.Context, s *runs.Store, c sslkit.Config, stage, count int, index ...int) (*widgets.Figure, error) {
	j, err := s.Trained(ctx, c)
	if err != nil {
		return nil, err
	}
	test, ok := j.Test.(data.Clips)
	if !ok || len(index) == 0 || slices.Max(index) >= test.Len() || slices.Min(index) < 0 {
		return nil, fmt.Errorf("show: no films %v in %s, which has %d examples", index, j.Test.Name(), j.Test.Len())
	}
	var of, among [][]float32
	for _, part := range []struct {
		src data.Source
		to  *[][]float32
	}{{data.Pick(test, index...), &of}, {j.Train, &among}} {
		err := study.Embed(ctx, s, j, part.src, stage, func(_ int, row []float32) error { *part.to = append(*part.to, row); return nil })
		if err != nil {
			return nil, err
		}
	}
	near, err := eval.Nearest(of, among, count)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Size: 48, Note: fmt.Sprintf("%s: a test film, then the nearest of %d training films; %s, seed %d",
		c.Data.Name, j.Train.Len(), sslkit.TitleOf(c.Method), c.Seed)}
	add := func(src data.Clips, i int, name string) error {
		film, err := frames(src, i)
		if err != nil {
			return err
		}
		says, err := labelsOf(src, i)
		g.Images, g.Rows = append(g.Images, film), append(g.Rows, name+says)
		return err
	}
	for q, i := range index {
		if err := add(test, i, ""); err != nil {
			return nil, err
		}
		for k, n := range near[q] {
			if err := add(j.Train.(data.Clips), n, fmt.Sprintf("%d: ", k+1)); err != nil {
				return nil, err
			}
		}
	}
	return g.Figure()
}

// labelsOf is what the labels of all kinds say of example i.
func labelsOf(src data.Source, i int) (string, error) {
	kinds := data.Kinds(src)
	if len(kinds) == 0 {
		kinds = []string{""}
	}
	var says []string
	for _, kind := range kinds {
		by, err := data.By(src, kind)
		if err != nil {
			return "", err
		}
		if label := by.Label(i); label >= 0 {
			says = append(says, by.Classes()[label])
		}
	}
	return strings.Join(says, ", "), nil
}

// Known is, as Markdown, the table of what [Knows] draws: a row for each encoder, a column for each kind of labels.
func Known(labels []string, comparisons ...*study.Comparison) (string, error) {
	if len(labels) != len(comparisons) || len(labels) == 0 {
		return "", fmt.Errorf("show: %d kinds of labels of %d comparisons", len(labels), len(comparisons))
	}
	t := widgets.Table{Head: append([]string{"encoder"}, labels...)}
	for i, row := range comparisons[0].Rows {
		cells := []string{row.Name}
		for _, c := range comparisons {
			if i >= len(c.Rows) || c.Rows[i].Name != row.Name {
				return "", errors.New("show: the comparisons have different encoders")
			}
			best := slices.MaxFunc(c.Rows[i].Linear, func(a, b eval.Spread) int { return cmp.Compare(a.Mean, b.Mean) })
			cell := fmt.Sprintf("%.1f", 100*best.Mean)
			if best.N > 1 {
				cell += fmt.Sprintf(" ± %.1f", 100*best.Std)
			}
			cells = append(cells, cell)
		}
		t.Rows = append(t.Rows, cells)
	}
	text, err := t.Markdown()
	return text + "\n\n" + widgets.EscapeMarkdown("Linear probe, best stage, %: "+note(comparisons[0])+"."), err
}

// HiddenShares draws what share of the hidden pieces' variance a method that paints them explains in its last epoch, a bar for each
// variant of a grid of two fields, the first along x. Names are those of the second's values, as people call them. What is not
// trained yet is trained first.
func HiddenShares(ctx context.Context, s *runs.Store, variants []study.Variant, axes []study.Axis, names ...string) (*widgets.Figure, error) {
	if len(axes) != 2 || len(variants) != len(axes[0].Values)*len(axes[1].Values) || len(names) != len(axes[1].Values) {
		return nil, fmt.Errorf("show: %d variants, of which %v are called, are no grid of two fields", len(variants), names)
	}
	b := widgets.Bars{YLabel: "explained in training, %"}
	for _, value := range axes[0].Values {
		b.Groups = append(b.Groups, axes[0].Field+" "+value)
	}
	for _, name := range names {
		b.Series = append(b.Series, widgets.Series{Name: name})
	}
	for i, v := range variants {
		record, err := s.Pretrain(ctx, v.Config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.Name, err)
		}
		all := record.History.Reports["explained"]
		if len(all) == 0 {
			return nil, fmt.Errorf("show: %s does not report what it explains", sslkit.TitleOf(v.Config.Method))
		}
		of := &b.Series[i%len(b.Series)]
		of.Y = append(of.Y, 100*all[len(all)-1])
		b.Note = fmt.Sprintf("%s, seed %d, mean of the last epoch", v.Config.Data.Name, v.Config.Seed)
	}
	return b.Figure()
}
