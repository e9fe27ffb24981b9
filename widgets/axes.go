package widgets

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
)

// Series is one line of Curves, or one colour of bars in Bars.
type Series struct {
	Name string // its label; may be empty where the series is the only one
	Role Role   // its colour

	// X are the positions, ascending; nil is 1, 2, ... as epochs are counted.
	// With named positions (Curves.Names, Bars) it must be nil.
	X []float64
	// Y are the values. NaN is a gap: not measured, not drawn, not bridged.
	Y []float64
	// Err, if not nil, is the spread around each value (a standard deviation,
	// say; the Note should tell which). NaN is unknown and is not drawn.
	Err []float64
}

// Guide is a dashed horizontal line with a label at its right end: chance,
// ln K, random initialisation.
type Guide struct {
	Name string
	Y    float64
}

// check reports what cannot be drawn. n is the number of positions, or -1 where
// the series brings its own.
func (s Series) check(n int, alone bool) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("series %q: %s", s.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case s.Name == "" && !alone:
		return errors.New("a series without a name beside others: nobody could tell them apart")
	case len(s.Y) == 0:
		return fail("no values")
	case n >= 0 && len(s.Y) != n:
		return fail("%d values for %d names", len(s.Y), n)
	case n >= 0 && s.X != nil:
		return fail("X set, but the positions have names")
	case s.X != nil && len(s.X) != len(s.Y):
		return fail("%d X for %d Y", len(s.X), len(s.Y))
	case s.Err != nil && len(s.Err) != len(s.Y):
		return fail("%d Err for %d Y", len(s.Err), len(s.Y))
	}
	for i, x := range s.X {
		if !finite(x) {
			return fail("X[%d] is %v: only Y may have gaps", i, x)
		}
		if i > 0 && x <= s.X[i-1] {
			return fail("X[%d] = %v does not come after %v: sort the points by X", i, x, s.X[i-1])
		}
	}
	measured := false
	for i, y := range s.Y {
		if math.IsInf(y, 0) {
			return fail("Y[%d] is %v: use NaN for a gap", i, y)
		}
		measured = measured || !math.IsNaN(y)
	}
	for i, e := range s.Err {
		if e < 0 || math.IsInf(e, 0) {
			return fail("Err[%d] is %v: want a finite spread, not negative, or NaN where it is unknown", i, e)
		}
	}
	if !measured {
		return fail("all values are NaN")
	}
	return nil
}

// spread returns Err[i], and 0 where it is unknown.
func (s Series) spread(i int) float64 {
	if s.Err == nil || math.IsNaN(s.Err[i]) {
		return 0
	}
	return s.Err[i]
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// interval grows to hold what it is shown.
type interval struct{ lo, hi float64 }

func newInterval() interval { return interval{math.Inf(1), math.Inf(-1)} }

func (r *interval) add(v float64) { r.lo, r.hi = min(r.lo, v), max(r.hi, v) }

// widen gives a range without extent one, so that it can be divided by.
func (r *interval) widen(least float64) {
	if r.hi-r.lo <= 1e-9*max(math.Abs(r.lo), math.Abs(r.hi)) {
		half := max(0.05*math.Abs(r.hi), least)
		r.lo, r.hi = r.lo-half, r.hi+half
	}
}

// tick is a labelled position of an axis.
type tick struct {
	value float64
	label string
}

// ticks returns about want round values in r, no closer than least.
func ticks(r interval, want int, least float64) []tick {
	step := math.Pow(10, math.Floor(math.Log10((r.hi-r.lo)/float64(want))))
	for _, factor := range []float64{1, 2, 5, 10} {
		if s := step * factor; (r.hi-r.lo)/s <= float64(want)+1e-9 || factor == 10 {
			step = max(s, least)
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var out []tick
	for i := math.Ceil(r.lo/step - 1e-9); i*step <= r.hi+1e-9*step; i++ {
		label := "0"
		if i != 0 {
			label = number(i*step, decimals)
		}
		out = append(out, tick{i * step, label})
	}
	return out
}

// logTicks returns the decades in r (given as logarithms to base 10), with 2s
// and 5s between where there are few.
func logTicks(r interval) []tick {
	factors := []float64{1}
	if r.hi-r.lo < 2.5 {
		factors = []float64{1, 2, 5}
	}
	stride := math.Ceil((r.hi - r.lo) / 8)
	var out []tick
	for d := math.Floor(r.lo/stride) * stride; d <= r.hi; d += stride {
		for _, f := range factors {
			v := f * math.Pow(10, d)
			if l := math.Log10(v); l >= r.lo-1e-9 && l <= r.hi+1e-9 {
				out = append(out, tick{l, number(v, max(0, -int(d)))})
			}
		}
	}
	return out
}

// number formats v with a true minus sign.
func number(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if math.Abs(v) >= 1e6 || decimals > 5 {
		s = strconv.FormatFloat(v, 'g', 4, 64)
	}
	if zero, err := strconv.ParseFloat(s, 64); err == nil && zero == 0 {
		s = strings.TrimPrefix(s, "-")
	}
	return strings.Replace(s, "-", "\u2212", 1)
}

// tag is a label right of the plot, at the height of what it names.
type tag struct {
	lines  []string
	color  color.RGBA
	x, y   float64 // of the end of the line that it names
	placed float64 // its middle
}

func (t *tag) height() float64 { return float64(len(t.lines)) * textFace.leading() }

// spreadTags moves tags apart, each as little as need be: overlapping ones form
// clusters, and a cluster lies around the mean of what its members want.
func spreadTags(tags []*tag, top, bottom float64) {
	type cluster struct {
		from, to       int
		middle, height float64
	}
	slices.SortStableFunc(tags, func(a, b *tag) int {
		switch {
		case a.y < b.y:
			return -1
		case a.y > b.y:
			return 1
		}
		return 0
	})
	fit := func(c cluster) cluster {
		c.height = 0
		wish := 0.0
		for _, t := range tags[c.from:c.to] {
			wish += t.y - (c.height + t.height()/2) // where the cluster's top would have to be
			c.height += t.height()
		}
		c.middle = wish/float64(c.to-c.from) + c.height/2
		c.middle = max(min(c.middle, bottom-c.height/2), top+c.height/2)
		return c
	}
	var clusters []cluster
	for i := range tags {
		c := fit(cluster{from: i, to: i + 1})
		for len(clusters) > 0 {
			last := clusters[len(clusters)-1]
			if last.middle+last.height/2 <= c.middle-c.height/2 {
				break
			}
			clusters = clusters[:len(clusters)-1]
			c = fit(cluster{from: last.from, to: c.to})
		}
		clusters = append(clusters, c)
	}
	for _, c := range clusters {
		y := c.middle - c.height/2
		for _, t := range tags[c.from:c.to] {
			t.placed = y + t.height()/2
			y += t.height()
		}
	}
}

// entry is a part of the legend over a plot.
type entry struct {
	name string
	mark func(p pen, x, y float64) // centred on (x, y), at most 9 points wide
	more float64                   // by how many points the mark goes on to the right
}

// flow lays a legend out in rows from top on, and returns where its marks are, and where what follows may begin.
func flow(legend []entry, top float64) (places [][2]float64, below float64, err error) {
	if len(legend) == 0 {
		return nil, top, nil
	}
	x, row := margin, 0.0
	for _, e := range legend {
		if err := fits(e.name, pageWidth-2*margin-14-e.more); err != nil {
			return nil, 0, err
		}
		w := 14 + e.more + textFace.width(e.name) + 14
		if x > margin && x+w > pageWidth {
			x, row = margin, row+textFace.leading()
		}
		places = append(places, [2]float64{x + 4.5, top + row + textFace.size/2 + 1})
		x += w
	}
	return places, top + row + textFace.leading() + 5, nil
}

func (e entry) draw(p pen, at [2]float64) {
	e.mark(p, at[0], at[1])
	p.text(black, textFace, at[0]+9+e.more, at[1]+textFace.middle(), left, e.name)
}

// axes is the frame that charts with an x and a y axis share: heading, legend, y
// label and horizontal rules, x positions below, tags at the right.
type axes struct {
	title, note, xLabel, yLabel string

	legend []entry
	y      interval
	yTicks []tick
	x      interval
	xTicks []tick
	named  bool // x positions are names: wrapped below, no tick marks
	guides []Guide
	tags   []*tag // of the series; x and y in data
}

const (
	plotHeight = 186.0
	tagGap     = 10.0
	maxTag     = 120.0
)

// figure lays the axes out and draws them, then the data with plot, for which
// x and y turn data to points, then the tags.
func (a axes) figure(plot func(p pen, x, y func(float64) float64)) (*Figure, error) {
	for _, label := range []string{a.xLabel, a.yLabel} {
		if err := fits(label, pageWidth/2); err != nil {
			return nil, err
		}
	}
	head := newHeading(a.title, a.note, pageWidth)
	top := head.bottom()

	places, top, err := flow(a.legend, top)
	if err != nil {
		return nil, err
	}
	yLabelAt := top + textFace.size
	if a.yLabel != "" {
		top += textFace.leading() + 5
	}
	plotLeft := margin
	for _, t := range a.yTicks {
		plotLeft = max(plotLeft, margin+textFace.width(t.label)+6)
	}
	tags := slices.Clone(a.tags)
	for _, g := range a.guides {
		tags = append(tags, &tag{lines: []string{g.Name}, color: guide, x: a.x.hi, y: g.Y})
	}
	tags = slices.DeleteFunc(tags, func(t *tag) bool { return t.lines[0] == "" })
	plotRight := pageWidth - margin - 4
	widest, stacked := 0.0, 0.0
	for _, t := range tags {
		t.lines = textFace.wrap(t.lines[0], maxTag)
		widest = max(widest, textFace.widest(t.lines))
		stacked += t.height()
	}
	height := max(plotHeight, stacked) // the labels must find room
	bottom := top + height

	if widest > 0 {
		plotRight = pageWidth - margin - widest - tagGap
	}
	toX := func(v float64) float64 {
		return plotLeft + (v-a.x.lo)/(a.x.hi-a.x.lo)*(plotRight-plotLeft)
	}
	toY := func(v float64) float64 { return bottom - (v-a.y.lo)/(a.y.hi-a.y.lo)*height }
	for _, t := range tags {
		t.x, t.y = toX(t.x), toY(t.y)
	}
	spreadTags(tags, top-textFace.size, bottom+textFace.size)

	xNames := make([][]string, len(a.xTicks))
	slot := (plotRight - plotLeft) / (a.x.hi - a.x.lo)
	deepest := 1
	for i, t := range a.xTicks {
		xNames[i] = []string{t.label}
		if a.named {
			xNames[i] = textFace.wrap(t.label, min(slot-6, 0.8*slot))
		}
		deepest = max(deepest, len(xNames[i]))
	}
	below := bottom + 5 + float64(deepest)*textFace.leading()
	xLabelAt := below + 2 + textFace.size
	if a.xLabel != "" {
		below += textFace.leading() + 3
	}

	return newFigure(pageWidth, below+margin, describe(a.title, a.yLabel, a.xLabel, a.note), func(p pen) {
		head.draw(p)
		for i, e := range a.legend {
			e.draw(p, places[i])
		}
		p.text(soft, textFace, margin, yLabelAt, left, a.yLabel)
		for _, t := range a.yTicks {
			y := snap(toY(t.value))
			p.stroke(grid, px, nil, [2]float64{plotLeft, y}, [2]float64{plotRight, y})
			p.text(soft, textFace, plotLeft-6, y+textFace.middle(), right, t.label)
		}
		base := snap(bottom)
		p.stroke(axis, px, nil, [2]float64{plotLeft, base}, [2]float64{plotRight, base})
		for i, t := range a.xTicks {
			x := toX(t.value)
			if !a.named {
				p.stroke(axis, px, nil, [2]float64{snap(x), base}, [2]float64{snap(x), base + 3})
			}
			p.block(soft, textFace, x, bottom+5, center, xNames[i])
		}
		p.text(soft, textFace, (plotLeft+plotRight)/2, xLabelAt, center, a.xLabel)
		for _, g := range a.guides {
			y := snap(toY(g.Y))
			p.stroke(guide, 1, []vg.Length{4, 3}, [2]float64{plotLeft, y}, [2]float64{plotRight, y})
		}
		plot(p, toX, toY)
		for _, t := range tags {
			x := plotRight + tagGap
			moved := math.Abs(t.placed-t.y) > 2
			if short := plotRight-t.x > 12 && !a.named; short || moved {
				from := plotRight
				if short {
					from = t.x + 3 // a line that ends before the others do
				}
				p.stroke(leader, px, nil, [2]float64{from, t.y}, [2]float64{plotRight + 2, t.y}, [2]float64{x - 2, t.placed})
			}
			p.block(readable(t.color), textFace, x, t.placed-t.height()/2+textFace.leading()/2+textFace.middle()-textFace.size, left, t.lines)
		}
	})
}

// checkGuides reports guides that cannot be drawn.
func checkGuides(guides []Guide) error {
	for _, g := range guides {
		if g.Name == "" || !finite(g.Y) {
			return fmt.Errorf("guide %q at %v: want a name and a finite value", g.Name, g.Y)
		}
	}
	return nil
}
