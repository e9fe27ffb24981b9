package widgets

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
)

// Points are the points of one colour in Scatter: of a task, a method, a class.
type Points struct {
	Name string // its label; may be empty where the points are the only ones
	Role Role   // their colour; ten groups find one where all are Auto

	// X and Y are the positions, in any order. NaN is not measured: the point is
	// not drawn.
	X, Y []float64
	// Values, if not nil, colours each point from violet (least) to yellow
	// (greatest) in place of Role. NaN is unknown: an open point.
	Values []float64
	// Labels, if not nil, stand beside the points; "" is none.
	Labels []string
}

// Scatter draws points: what one measure says about another. A third may be
// their colour, on a scale shown over the plot.
type Scatter struct {
	Title, Note    string // over the figure; the note says seeds, data
	XLabel, YLabel string
	Points         []Points // one group only if it has Values
	Scale          string   // what Values are: "accuracy, %"
	Guides         []Guide
}

// Figure draws the points, 640 pixels wide. It reports groups that are empty,
// of unequal lengths, infinite or all NaN, and labels that find no room.
func (s Scatter) Figure() (*Figure, error) {
	f, err := s.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: scatter: %w", err)
	}
	return f, nil
}

// check reports what cannot be drawn.
func (g Points) check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("points %q: %s", g.Name, fmt.Sprintf(format, args...))
	}
	n := len(g.X)
	switch {
	case n == 0:
		return fail("no points")
	case len(g.Y) != n:
		return fail("%d X for %d Y", n, len(g.Y))
	case g.Values != nil && len(g.Values) != n:
		return fail("%d Values for %d points", len(g.Values), n)
	case g.Labels != nil && len(g.Labels) != n:
		return fail("%d Labels for %d points", len(g.Labels), n)
	}
	measured := false
	for i := range n {
		if math.IsInf(g.X[i], 0) || math.IsInf(g.Y[i], 0) {
			return fail("point %d is (%v, %v): use NaN for one not measured", i, g.X[i], g.Y[i])
		}
		measured = measured || g.measured(i)
	}
	if !measured {
		return fail("all are NaN")
	}
	known := g.Values == nil
	for i, v := range g.Values {
		if math.IsInf(v, 0) {
			return fail("Values[%d] is %v: use NaN for an unknown one", i, v)
		}
		known = known || !math.IsNaN(v) && g.measured(i)
	}
	if !known {
		return fail("all Values are NaN")
	}
	room := float64(pageWidth * plotHeight / 4)
	for _, label := range g.Labels {
		if err := fits(label, maxTag); err != nil {
			return err
		}
		room -= smallFace.width(label) * smallFace.leading()
	}
	if room < 0 {
		return fail("the labels fill the plot: name fewer points")
	}
	return nil
}

func (g Points) measured(i int) bool { return finite(g.X[i]) && finite(g.Y[i]) }

func (s Scatter) figure() (*Figure, error) {
	if len(s.Points) == 0 {
		return nil, errors.New("no points")
	}
	if err := checkGuides(s.Guides); err != nil {
		return nil, err
	}
	alone := len(s.Points) == 1
	x, y, values := newInterval(), newInterval(), newInterval()
	var names []Series
	longest, total := 0, 0
	for _, g := range s.Points {
		switch {
		case g.Name == "" && !alone:
			return nil, errors.New("points without a name beside others: nobody could tell them apart")
		case g.Values != nil && !alone:
			return nil, fmt.Errorf("points %q: Values beside other points: a colour cannot mean both", g.Name)
		case g.Values != nil && s.Scale == "":
			return nil, errors.New("there are Values, but no Scale, the name of what they are")
		}
		if err := g.check(); err != nil {
			return nil, err
		}
		for i := range g.X {
			if !g.measured(i) {
				continue
			}
			x.add(g.X[i])
			y.add(g.Y[i])
			if g.Values != nil && finite(g.Values[i]) {
				values.add(g.Values[i])
			}
		}
		names = append(names, Series{Name: g.Name, Role: g.Role})
		longest, total = max(longest, len(g.X)), total+len(g.X)
	}
	colors, err := assign(names, classes...)
	if err != nil {
		return nil, err
	}
	for _, g := range s.Guides {
		y.add(g.Y)
	}
	x.widen(0.05)
	y.widen(0.05)
	a := axes{title: s.Title, note: s.Note, xLabel: s.XLabel, yLabel: s.YLabel, xTicks: ticks(x, 8, 0), guides: s.Guides}
	pad := 0.04 * (x.hi - x.lo)
	a.x = interval{x.lo - pad, x.hi + pad}
	pad = 0.07 * (y.hi - y.lo)
	a.y = interval{y.lo - pad, y.hi + pad}
	a.yTicks = ticks(a.y, 7, 0)

	radius := max(1.2, 3.5*math.Pow(min(1, 60/float64(total)), 0.25)) // smaller in a cloud
	dot := func(p pen, ink, rim color.RGBA, x, y, radius float64) {
		p.dot(rim, x, y, radius+0.7)
		p.dot(ink, x, y, radius)
	}
	inks := func(g, i int) (ink, rim color.RGBA) { return colors[g], white }
	if all := s.Points[0].Values; all != nil {
		values.widen(0.05)
		inks = func(_, i int) (ink, rim color.RGBA) { // the rim keeps yellow in sight on white
			if math.IsNaN(all[i]) {
				return white, soft
			}
			return heat((all[i] - values.lo) / (values.hi - values.lo)), soft
		}
		a.legend = append(a.legend, scale(s.Scale, values))
		if slices.ContainsFunc(all, math.IsNaN) {
			a.legend = append(a.legend, entry{name: "not known", mark: func(p pen, x, y float64) { dot(p, white, soft, x, y, 3.5) }})
		}
	} else {
		for i, g := range s.Points {
			if g.Name != "" {
				a.legend = append(a.legend, entry{name: g.Name, mark: func(p pen, x, y float64) { p.dot(colors[i], x, y, 3.5) }})
			}
		}
	}
	return a.figure(func(p pen, toX, toY func(float64) float64) {
		room := placer{within: box{toX(a.x.lo), toY(a.y.hi), toX(a.x.hi), toY(a.y.lo)}, radius: radius}
		for _, g := range s.Guides {
			room.taken = append(room.taken, box{room.within.x0, toY(g.Y) - 1, room.within.x1, toY(g.Y) + 1})
		}
		for i := range longest { // the groups in turn, so that none covers the others
			for g, points := range s.Points {
				if i < len(points.X) && points.measured(i) {
					x, y := toX(points.X[i]), toY(points.Y[i])
					ink, rim := inks(g, i)
					dot(p, ink, rim, x, y, radius)
					room.taken = append(room.taken, box{x - radius, y - radius, x + radius, y + radius})
				}
			}
		}
		for g, points := range s.Points {
			for i, label := range points.Labels {
				if label == "" || !points.measured(i) {
					continue
				}
				ink := black
				if points.Values == nil {
					ink = readable(colors[g])
				}
				room.label(p, ink, toX(points.X[i]), toY(points.Y[i]), label)
			}
		}
	})
}

// scale is the legend of a colour scale: a bar between its ends.
func scale(name string, values interval) entry {
	const length, steps = 96.0, 48
	decimals := max(0, 1-int(math.Floor(math.Log10(values.hi-values.lo))))
	lo, hi := number(values.lo, decimals), number(values.hi, decimals)
	from := textFace.width(lo) + 5
	return entry{name: name, more: from + length + textFace.width(hi) - 2, mark: func(p pen, x, y float64) {
		x -= 4.5
		p.text(soft, textFace, x, y+textFace.middle(), left, lo)
		for i := range steps {
			const step = length / steps
			p.rect(heat((float64(i)+0.5)/steps), x+from+float64(i)*step, y-4, step+0.3, 8) // without a gap to the next
		}
		p.text(soft, textFace, x+from+length+5, y+textFace.middle(), left, hi)
	}}
}

// box goes from the top left (x0, y0) to the bottom right (x1, y1).
type box struct{ x0, y0, x1, y1 float64 }

// shared is the area that two boxes share.
func (b box) shared(o box) float64 {
	return max(0, min(b.x1, o.x1)-max(b.x0, o.x0)) * max(0, min(b.y1, o.y1)-max(b.y0, o.y0))
}

// placer finds room for labels beside points.
type placer struct {
	within box
	radius float64
	taken  []box
}

// label writes s as near to the point (x, y) as is free: at its right, left, or
// around it, then farther away with a line to it.
func (r *placer) label(p pen, c color.RGBA, x, y float64, s string) {
	w, h := smallFace.width(s), 2*smallFace.middle()
	var best box
	least, far := math.Inf(1), false
search:
	for away := 0; away < 16; away++ {
		for _, d := range [][2]float64{{1, 0}, {-1, 0}, {0, -1}, {0, 1}, {1, -1}, {-1, -1}, {1, 1}, {-1, 1}} {
			gap := r.radius + 3 + 7*float64(away)
			if d[0] != 0 && d[1] != 0 {
				gap *= math.Sqrt2 / 2
			}
			cx, cy := x+d[0]*(gap+w/2), y+d[1]*(gap+h/2)
			b := box{cx - w/2, cy - h/2, cx + w/2, cy + h/2}
			over := w*h - b.shared(r.within)
			wide := box{b.x0 - 2, b.y0 - 2, b.x1 + 2, b.y1 + 2}
			for _, t := range r.taken {
				over += wide.shared(t)
			}
			if over < least-1e-9 {
				best, least, far = b, over, away > 0
			}
			if least < 1e-9 {
				break search
			}
		}
	}
	r.taken = append(r.taken, best)
	if far {
		toX, toY := min(max(x, best.x0), best.x1), min(max(y, best.y0), best.y1)
		t := (r.radius + 1) / math.Hypot(toX-x, toY-y)
		p.stroke(leader, px, nil, [2]float64{x + t*(toX-x), y + t*(toY-y)}, [2]float64{toX, toY})
	}
	p.text(c, smallFace, best.x0, best.y1, left, s)
}
