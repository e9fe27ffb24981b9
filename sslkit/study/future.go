package study

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Future is how wrong predicted frames are, by how far ahead they lie. Errors are mean squared, of pixels in [0, 1], over up to 400
// test films, equally of each class.
type Future struct {
	Config sslkit.Config `json:"config"` // its seed is not used
	Frames int           `json:"frames"` // of a film
	Seen   int           `json:"seen"`   // the first so many, from which the others are predicted
	Seeds  []int64       `json:"seeds"`
	Each   []Foreseen    `json:"each"` // a seed each
}

// Foreseen are figures of each frame that comes, the next one first.
type Foreseen struct {
	Films    int       `json:"films"`
	Painted  []float64 `json:"painted"`  // error of what was painted, each frame from those seen and those painted before
	Copied   []float64 `json:"copied"`   // of the last frame that was seen
	Constant []float64 `json:"constant"` // of that frame going on as between the last two that were seen, see [Velocity]
	Detail   []float64 `json:"detail"`   // fine structure of what was painted, see [eval.Detail]
	Truth    []float64 `json:"truth"`    // that of the film itself
}

// Foresee measures c, a [sslkit.NextFrame], with each of the seeds, and trains it first if need be. What was measured is kept.
func Foresee(ctx context.Context, s *runs.Store, c sslkit.Config, seen int, seeds ...int64) (*Future, error) {
	m, ok := c.Method.(*sslkit.NextFrame)
	if !ok {
		return nil, fmt.Errorf("study: frames are painted ahead by nextframe, not by %s", sslkit.TitleOf(c.Method))
	}
	if seen < 2 {
		return nil, fmt.Errorf("study: of %d frames nobody can tell a velocity: show at least 2", seen)
	}
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	c, err := s.Pin(ctx, c)
	if err != nil {
		return nil, err
	}
	f := &Future{Config: c, Seen: seen, Seeds: seeds}
	for _, seed := range seeds {
		c.Seed = seed
		one, err := runs.Once(ctx, s, c, fmt.Sprintf("future-%d.json", seen), anything, func(j *runs.Job, _ *runs.Record) (*Foreseen, error) {
			return foresee(ctx, j, m, seen)
		})
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", seed, err)
		}
		f.Each, f.Frames = append(f.Each, *one), seen+len(one.Painted)
	}
	return f, nil
}

func foresee(ctx context.Context, j *runs.Job, m *sslkit.NextFrame, seen int) (*Foreseen, error) {
	some, err := runs.Part(j.Test, min(painted, j.Test.Len()))
	if err != nil {
		return nil, err
	}
	films, ok := some.(data.Clips)
	if !ok || films.Frames() <= seen {
		return nil, fmt.Errorf("study: %s has no films of more than %d frames", some.Name(), seen)
	}
	in, err := runs.InOrder(some)
	if err != nil {
		return nil, err
	}
	steps, n := films.Frames()-seen, films.Len()
	rows, err := sslkit.Features(ctx, j.Backend, j.Store, reader{m, func(scope *model.Scope, x *Node) []*Node {
		d := x.Shape().Dimensions
		ahead := m.Ahead(scope, SliceAxis(x, 1, AxisRange(0, seen)), steps)
		detail := func(clip *Node) *Node { // NxS
			flat := Reshape(clip, d[0]*steps, d[2], d[3], d[4])
			return Reshape(eval.Detail(flat, OnesLike(SliceAxis(flat, 3, AxisRange(0, 1)))), d[0], steps)
		}
		return []*Node{Reshape(ahead, d[0], -1), detail(ahead), detail(SliceAxis(x, 1, AxisRangeToEnd(seen)))}
	}}, in.Loader, func(said []*Node) []*Node { return said })
	if err != nil {
		return nil, err
	}
	h, w, channels := films.Shape()
	size := h * w * channels
	f := &Foreseen{Films: n}
	for _, figure := range []*[]float64{&f.Painted, &f.Copied, &f.Constant, &f.Detail, &f.Truth} {
		*figure = make([]float64, steps)
	}
	pixels, moved := make([]uint8, films.Frames()*size), make([]uint8, size)
	for i := range n {
		if err := films.Read(i, pixels); err != nil {
			return nil, err
		}
		frame := func(t int) []uint8 { return pixels[t*size : (t+1)*size] }
		last := frame(seen - 1)
		down, right := Velocity(frame(seen-2), last, h, w)
		for t := range steps {
			shift(moved, last, h, w, (t+1)*down, (t+1)*right)
			truth, share := frame(seen+t), 1/float64(n*size)
			f.Copied[t] += share * squares(last, truth)
			f.Constant[t] += share * squares(moved, truth)
			for p, v := range rows[0][i][t*size : (t+1)*size] {
				off := float64(v) - float64(truth[p])/255
				f.Painted[t] += share * off * off
			}
			f.Detail[t] += float64(rows[1][i][t]) / float64(n)
			f.Truth[t] += float64(rows[2][i][t]) / float64(n)
		}
	}
	return f, nil
}

// reach is how many pixels a whole frame is taken to move at most, from one to the next, along each axis.
const reach = 4

// Velocity is by how many pixels, down and to the right, all of a frame [H, W, C] moved to become the next one: of up to 4 along each
// axis those with the smallest squared error, the least motion among equals. What comes in at the edge is the edge's own, repeated.
func Velocity(before, after []uint8, h, w int) (down, right int) {
	moved := make([]uint8, len(before))
	best, least := -1.0, 0
	for y := -reach; y <= reach; y++ {
		for x := -reach; x <= reach; x++ {
			shift(moved, before, h, w, y, x)
			if e := squares(moved, after); best < 0 || e < best || e == best && y*y+x*x < least {
				best, least, down, right = e, y*y+x*x, y, x
			}
		}
	}
	return down, right
}

// shift moves a frame [H, W, C] down and to the right, and repeats its edge.
func shift(to, frame []uint8, h, w, down, right int) {
	channels := len(frame) / (h * w)
	for y := range h {
		for x := range w {
			from := min(max(y-down, 0), h-1)*w + min(max(x-right, 0), w-1)
			copy(to[(y*w+x)*channels:(y*w+x+1)*channels], frame[from*channels:])
		}
	}
}

// squares are the summed squared differences of pixels in [0, 1].
func squares(a, b []uint8) (sum float64) {
	for i := range a {
		off := (float64(a[i]) - float64(b[i])) / 255
		sum += off * off
	}
	return sum
}

// Series are the errors over the seeds, of each prediction by its name, step by step: what learns nothing has no spread.
func (f *Future) Series() (names []string, errors [][]eval.Spread) {
	for _, r := range []struct {
		name string
		of   func(Foreseen) []float64
	}{
		{"nextframe", func(e Foreseen) []float64 { return e.Painted }},
		{"copy the last frame", func(e Foreseen) []float64 { return e.Copied }},
		{"constant velocity", func(e Foreseen) []float64 { return e.Constant }},
	} {
		names, errors = append(names, r.name), append(errors, f.spread(r.of))
	}
	return names, errors
}

// Fine is how much fine structure what was painted has, as a share of the film's, step by step: a blur has little, and the stripes that
// a network leaves behind count as well.
func (f *Future) Fine() []eval.Spread {
	return f.spread(func(e Foreseen) []float64 {
		share := make([]float64, len(e.Detail))
		for t := range share {
			share[t] = e.Detail[t] / max(e.Truth[t], 1e-12) // of a film without any structure
		}
		return share
	})
}

func (f *Future) spread(of func(Foreseen) []float64) (steps []eval.Spread) {
	for t := range f.Frames - f.Seen {
		var values []float64
		for _, e := range f.Each {
			values = append(values, of(e)[t])
		}
		steps = append(steps, eval.Summarize(values))
	}
	return steps
}

// Table is the result for people.
func (f *Future) Table() (head []string, rows [][]string) {
	head = []string{"prediction"}
	for t := range f.Frames - f.Seen {
		head = append(head, fmt.Sprintf("%d ahead", t+1))
	}
	names, errors := f.Series()
	for i, name := range names {
		row := []string{name}
		for _, e := range errors[i] {
			e.Mean, e.Std = 1000*e.Mean, 1000*e.Std
			if i > 0 {
				e.N = 1 // the same for all seeds
			}
			row = append(row, number(&e))
		}
		rows = append(rows, row)
	}
	row := []string{"fine structure of nextframe, % of the film's"}
	for _, e := range f.Fine() {
		row = append(row, percent(&e))
	}
	return head, append(rows, row)
}

// Caption says under the table what its numbers are.
func (f *Future) Caption() string {
	return fmt.Sprintf("%s: mean squared error of pixels in [0, 1], in thousandths, over %d test films, %s. %d frames are seen, and those painted "+
		"are painted on. Constant velocity moves the last frame by whole pixels, as the last two seen tell; fine structure is the energy of the Laplacian, that of stripes included.",
		f.Config.Data.Name, f.Each[0].Films, over(f.Seeds), f.Seen)
}
