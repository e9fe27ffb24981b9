package widgets

import (
	"errors"
	"fmt"
	"image/color"
	"math"
)

// Curves draws values over steps or epochs, or over named positions such as
// the blocks of an encoder. Each line is labelled at its right end. A spread is
// a band around a line over numbers, and bars at named positions.
type Curves struct {
	Title, Note    string // over the figure; the note says seeds, data, what the spread is
	XLabel, YLabel string
	Series         []Series
	Guides         []Guide
	Names          []string // names of the positions 1, 2, ...: block 1, block 2
	LogX           bool     // X on a logarithmic axis: all X must be positive

	// YRange is what the y axis reaches at least, to compare figures by.
	YRange [2]float64
}

// Figure draws the curves, 640 pixels wide. It reports series that are empty,
// of unequal lengths, unsorted, infinite or all NaN.
func (c Curves) Figure() (*Figure, error) {
	f, err := c.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: curves: %w", err)
	}
	return f, nil
}

func (c Curves) figure() (*Figure, error) {
	if len(c.Series) == 0 {
		return nil, errors.New("no series")
	}
	named := len(c.Names) > 0
	if named && c.LogX {
		return nil, errors.New("LogX with Names: named positions have no logarithm")
	}
	colors, err := assign(c.Series)
	if err != nil {
		return nil, err
	}
	if err := checkGuides(c.Guides); err != nil {
		return nil, err
	}
	x, y := newInterval(), newInterval()
	whole := true // all X are whole numbers: so are the ticks
	xs := make([][]float64, len(c.Series))
	for i, s := range c.Series {
		n := -1
		if named {
			n = len(c.Names)
		}
		if err := s.check(n, len(c.Series) == 1); err != nil {
			return nil, err
		}
		xs[i] = make([]float64, len(s.Y))
		for j, v := range s.Y {
			at := float64(j + 1)
			if s.X != nil {
				at = s.X[j]
			}
			whole = whole && at == math.Trunc(at)
			if c.LogX {
				if at <= 0 {
					return nil, fmt.Errorf("series %q: X[%d] = %v has no logarithm", s.Name, j, at)
				}
				at = math.Log10(at)
			}
			xs[i][j] = at
			x.add(at)
			if finite(v) {
				y.add(v - s.spread(j))
				y.add(v + s.spread(j))
			}
		}
	}
	for _, g := range c.Guides {
		y.add(g.Y)
	}
	if c.YRange != [2]float64{} {
		y.add(c.YRange[0])
		y.add(c.YRange[1])
	}
	least := 0.0
	if whole {
		least = 1
	}
	x.widen(0.5)
	y.widen(0.05)
	positive := y.lo >= 0
	pad := 0.04 * (y.hi - y.lo)
	y.lo, y.hi = y.lo-pad, y.hi+pad
	if positive {
		y.lo = max(y.lo, 0)
	}
	a := axes{title: c.Title, note: c.Note, xLabel: c.XLabel, yLabel: c.YLabel,
		y: y, yTicks: ticks(y, 7, 0), x: x, named: named, guides: c.Guides}
	dodge := 0.0 // points between series at a named position, so that error bars stand side by side
	switch {
	case named:
		a.x = interval{0.65, float64(len(c.Names)) + 0.35}
		for i, name := range c.Names {
			a.xTicks = append(a.xTicks, tick{float64(i + 1), name})
		}
		dodge = 5
	case c.LogX:
		a.xTicks = logTicks(x)
	default:
		a.xTicks = ticks(x, 8, least)
	}
	for i, s := range c.Series {
		last := len(s.Y) - 1
		for math.IsNaN(s.Y[last]) {
			last--
		}
		a.tags = append(a.tags, &tag{lines: []string{s.Name}, color: colors[i], x: xs[i][last], y: s.Y[last]})
	}
	return a.figure(func(p pen, toX, toY func(float64) float64) {
		at := func(i, j int, v float64) [2]float64 {
			return [2]float64{toX(xs[i][j]) + dodge*(float64(i)-float64(len(c.Series)-1)/2), toY(v)}
		}
		if !named {
			for i, s := range c.Series {
				band(p, light(colors[i]), s, func(j int, v float64) [2]float64 { return at(i, j, v) })
			}
		}
		for i, s := range c.Series {
			marked := named || len(s.Y) <= 12
			for _, run := range runs(len(s.Y), func(j int) bool { return finite(s.Y[j]) }) {
				var line [][2]float64
				for j := run[0]; j < run[1]; j++ {
					line = append(line, at(i, j, s.Y[j]))
				}
				if len(line) > 1 {
					p.stroke(colors[i], 1.6, nil, line...)
				}
				for j, pt := range line {
					if e := s.spread(run[0] + j); named && e > 0 {
						v := s.Y[run[0]+j]
						p.stroke(colors[i], 1.4, nil, [2]float64{pt[0], toY(v + e)}, [2]float64{pt[0], toY(v - e)})
					}
				}
				for _, pt := range line {
					if marked || len(line) == 1 {
						p.dot(colors[i], pt[0], pt[1], 2.4)
					}
				}
			}
		}
	})
}

// band fills between Y-Err and Y+Err wherever both are known.
func band(p pen, c color.Color, s Series, at func(j int, v float64) [2]float64) {
	if s.Err == nil {
		return
	}
	for _, run := range runs(len(s.Y), func(j int) bool { return finite(s.Y[j]) && finite(s.Err[j]) }) {
		var upper, lower [][2]float64
		for j := run[0]; j < run[1]; j++ {
			upper = append(upper, at(j, s.Y[j]+s.Err[j]))
			lower = append([][2]float64{at(j, s.Y[j]-s.Err[j])}, lower...)
		}
		if len(upper) > 1 {
			p.fill(c, append(upper, lower...)...)
		} else {
			p.stroke(c, 4, nil, upper[0], lower[0])
		}
	}
}

// runs returns the maximal half-open ranges of [0, n) on which ok holds.
func runs(n int, ok func(int) bool) [][2]int {
	var out [][2]int
	for j := 0; j < n; j++ {
		if !ok(j) {
			continue
		}
		from := j
		for j < n && ok(j) {
			j++
		}
		out = append(out, [2]int{from, j})
	}
	return out
}
