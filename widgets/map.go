package widgets

import (
	"errors"
	"fmt"
	"image/color"
	"math"
)

// Map draws points in the plane by their classes: panels side by side, each to a
// scale of its own that is the same in both directions. It has no ticks, since
// what lays features out in the plane keeps no units.
type Map struct {
	Title, Note string
	Classes     []string // ten at most
	Other       string   // what points of class -1 are; "" where there are none
	Panels      []Panel
}

// Panel is one layout.
type Panel struct {
	Name, Note string       // over and below it; either may be empty
	Points     [][2]float64 // finite
	Class      []int        // of each point: an index into Map.Classes, or -1
}

// Figure draws the panels, 640 pixels wide: one alone, two or four in pairs,
// others by three. It reports panels without points, points that are not finite
// and classes that have no name.
func (m Map) Figure() (*Figure, error) {
	f, err := m.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: map: %w", err)
	}
	return f, nil
}

func (m Map) check() error {
	if len(m.Panels) == 0 {
		return errors.New("no panels")
	}
	for _, p := range m.Panels {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("panel %q: %s", p.Name, fmt.Sprintf(format, args...))
		}
		if len(p.Points) == 0 || len(p.Class) != len(p.Points) {
			return fail("%d classes of %d points", len(p.Class), len(p.Points))
		}
		for i, at := range p.Points {
			switch c := p.Class[i]; {
			case !finite(at[0]) || !finite(at[1]):
				return fail("point %d is at %v", i, at)
			case c < -1 || c >= len(m.Classes):
				return fail("point %d is of class %d of %d", i, c, len(m.Classes))
			case c < 0 && m.Other == "":
				return fail("point %d is of no class, and Other does not say what that is", i)
			}
		}
	}
	return nil
}

func (m Map) figure() (*Figure, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	var series []Series
	for _, name := range m.Classes {
		series = append(series, Series{Name: name})
	}
	colors, err := assign(series, classes...)
	if err != nil {
		return nil, err
	}
	ink := func(class int) color.RGBA {
		if class < 0 {
			return roleColors[RandomInit]
		}
		return colors[class]
	}
	var legend []entry
	add := func(name string, c color.RGBA) {
		legend = append(legend, entry{name: name, mark: func(p pen, x, y float64) { p.dot(c, x, y, 3.5) }})
	}
	for i, name := range m.Classes {
		add(name, colors[i])
	}
	if m.Other != "" {
		add(m.Other, ink(-1))
	}

	const gap = 12.0
	cols := 3
	switch len(m.Panels) {
	case 1:
		cols = 1
	case 2, 4:
		cols = 2
	}
	side := min((pageWidth-2*margin-float64(cols-1)*gap)/float64(cols), 330)
	head := newHeading(m.Title, m.Note, pageWidth)
	places, top, err := flow(legend, head.bottom())
	if err != nil {
		return nil, err
	}

	// Rows are as high as their panels' captions ask for.
	names, notes := make([][]string, len(m.Panels)), make([][]string, len(m.Panels))
	tops := make([]float64, len(m.Panels)) // of the squares
	y := top
	for from := 0; from < len(m.Panels); from += cols {
		row := m.Panels[from:min(from+cols, len(m.Panels))]
		above, below := 0, 0
		for k, p := range row {
			names[from+k], notes[from+k] = wrapped(textFace, p.Name, side), wrapped(smallFace, p.Note, side)
			above, below = max(above, len(names[from+k])), max(below, len(notes[from+k]))
		}
		y += float64(above)*textFace.leading() + 4
		for k := range row {
			tops[from+k] = y
		}
		y += side + 4 + float64(below)*smallFace.leading() + gap
	}
	return newFigure(pageWidth, y-gap+margin, describe(m.Title, m.Note), func(p pen) {
		head.draw(p)
		for i, e := range legend {
			e.draw(p, places[i])
		}
		for k, panel := range m.Panels {
			x0, y0 := margin+float64(k%cols)*(side+gap), tops[k]
			p.block(black, textFace, x0, y0-4-float64(len(names[k]))*textFace.leading(), left, names[k])
			p.block(soft, smallFace, x0, y0+side+4, left, notes[k])
			l, t, r, b := snap(x0), snap(y0), snap(x0+side), snap(y0+side)
			p.stroke(grid, px, nil, [2]float64{l, t}, [2]float64{r, t}, [2]float64{r, b}, [2]float64{l, b}, [2]float64{l, t})
			panel.draw(p, x0, y0, side, ink)
		}
	})
}

// wrapped is no line where there is no text.
func wrapped(t typeface, s string, width float64) []string {
	if s == "" {
		return nil
	}
	return t.wrap(s, width)
}

// draw puts the points into a square from (x0, y0), the first at the bottom.
func (a Panel) draw(p pen, x0, y0, side float64, ink func(class int) color.RGBA) {
	x, y := newInterval(), newInterval()
	for _, at := range a.Points {
		x.add(at[0])
		y.add(at[1])
	}
	scale := 0.93 * side / max(x.hi-x.lo, y.hi-y.lo, math.SmallestNonzeroFloat32)
	radius := min(side/150, 1.5) * max(1, 2*math.Pow(min(1, 60/float64(len(a.Points))), 0.25)) // smaller in a cloud
	for i, at := range a.Points {
		cx, cy := x0+side/2+scale*(at[0]-(x.lo+x.hi)/2), y0+side/2-scale*(at[1]-(y.lo+y.hi)/2)
		p.dot(white, cx, cy, radius+0.4)
		p.dot(ink(a.Class[i]), cx, cy, radius)
	}
}
