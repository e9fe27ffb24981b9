package widgets

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
)

// Histogram draws the distributions of several samples over each other, in the
// same bins: similarities of positive and of negative pairs, say.
type Histogram struct {
	Title, Note string // over the figure; the note says seeds, data, how many values
	XLabel      string
	Series      []Series // Y is a sample, of any size and in any order; NaN is left out; X and Err must be nil

	Bins    int        // of equal width; 0 is 40
	Range   [2]float64 // where the bins begin and end; zero is the range of all values
	Top     float64    // where the y axis ends, to compare figures by; 0 fits it
	Density bool       // areas are 1; otherwise heights, the fractions of values in a bin, add up to 1
}

// Figure draws the distributions, 640 pixels wide. It reports samples that are
// empty, infinite or all NaN, and values out of Range or Top.
func (h Histogram) Figure() (*Figure, error) {
	f, err := h.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: histogram: %w", err)
	}
	return f, nil
}

// heights returns the height of each bin of the range r.
func (h Histogram) heights(sample []float64, r interval) []float64 {
	bins := make([]float64, h.Bins)
	width := (r.hi - r.lo) / float64(h.Bins)
	n := 0.0
	for _, v := range sample {
		if !math.IsNaN(v) {
			bins[min(max(int((v-r.lo)/width), 0), h.Bins-1)]++
			n++
		}
	}
	if h.Density {
		n *= width
	}
	for b := range bins {
		bins[b] /= n
	}
	return bins
}

func (h Histogram) figure() (*Figure, error) {
	if len(h.Series) == 0 {
		return nil, errors.New("no series")
	}
	if h.Bins == 0 {
		h.Bins = 40
	}
	switch {
	case h.Bins < 0 || h.Bins > 1000:
		return nil, fmt.Errorf("%d bins: want 1 to 1000", h.Bins)
	case h.Top < 0 || !finite(h.Top):
		return nil, fmt.Errorf("top %v: want a finite height, not negative", h.Top)
	}
	colors, err := assign(h.Series)
	if err != nil {
		return nil, err
	}
	x := newInterval()
	for _, s := range h.Series {
		if s.X != nil || s.Err != nil {
			return nil, fmt.Errorf("series %q: X and Err have no meaning here", s.Name)
		}
		if err := s.check(-1, len(h.Series) == 1); err != nil {
			return nil, err
		}
		for _, v := range s.Y {
			if !math.IsNaN(v) {
				x.add(v)
			}
		}
	}
	x.widen(0.5)
	if h.Range != [2]float64{} {
		within := x
		x = interval{h.Range[0], h.Range[1]}
		if !finite(x.lo) || !finite(x.hi) || x.lo >= x.hi {
			return nil, fmt.Errorf("range %v: want its two ends, finite and ascending", h.Range)
		}
		// A cosine may come out as 1.0000001.
		if slack := 1e-3 * (x.hi - x.lo); within.lo < x.lo-slack || within.hi > x.hi+slack {
			return nil, fmt.Errorf("values go from %v to %v, out of the range %v", within.lo, within.hi, h.Range)
		}
	}

	heights := make([][]float64, len(h.Series))
	top := 0.0
	for i, s := range h.Series {
		heights[i] = h.heights(s.Y, x)
		top = max(top, slices.Max(heights[i]))
	}
	if h.Top > 0 && top > h.Top {
		return nil, fmt.Errorf("a bin's height is %.4g, over the top %v", top, h.Top)
	}
	if h.Top > 0 {
		top = h.Top
	} else {
		top *= 1.04
	}

	pad := 0.02 * (x.hi - x.lo)
	a := axes{title: h.Title, note: h.Note, xLabel: h.XLabel, yLabel: "fraction in a bin",
		x: interval{x.lo - pad, x.hi + pad}, xTicks: ticks(x, 8, 0), y: interval{0, top}}
	if h.Density {
		a.yLabel = "density"
	}
	a.yTicks = ticks(a.y, 6, 0)
	for i, s := range h.Series {
		if s.Name != "" {
			a.legend = append(a.legend, entry{name: s.Name, mark: func(p pen, x, y float64) {
				p.rect(light(colors[i]), x-4, y-4, 8, 8)
				p.stroke(colors[i], 1.4, nil, [2]float64{x - 4, y + 4}, [2]float64{x - 4, y - 4}, [2]float64{x + 4, y - 4}, [2]float64{x + 4, y + 4})
			}})
		}
	}
	return a.figure(func(p pen, toX, toY func(float64) float64) {
		var outlines [][][2]float64
		var inks []color.RGBA
		for i, bins := range heights {
			for _, run := range runs(h.Bins, func(b int) bool { return bins[b] > 0 }) {
				at := func(edge int) float64 { return toX(x.lo + float64(edge)/float64(h.Bins)*(x.hi-x.lo)) }
				steps := [][2]float64{{at(run[0]), toY(0)}}
				for b := run[0]; b < run[1]; b++ {
					steps = append(steps, [2]float64{at(b), toY(bins[b])}, [2]float64{at(b + 1), toY(bins[b])})
				}
				steps = append(steps, [2]float64{at(run[1]), toY(0)})
				p.fill(light(colors[i]), steps...)
				outlines, inks = append(outlines, steps), append(inks, colors[i])
			}
		}
		for i, steps := range outlines { // over all fills
			p.stroke(inks[i], 1.4, nil, steps...)
		}
	})
}
