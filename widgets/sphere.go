package widgets

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
)

// Sphere draws features by their direction. In two dimensions they lie on the
// unit circle, rounded to 2°, and stack outwards where there are many: a feature
// that has collapsed is a spike. In three they lie on the unit sphere, seen from
// 20° over its equator without perspective; those behind are smaller and paler.
type Sphere struct {
	Title, Note string
	Points      [][]float32 // [N][2] or [N][3], of any length but 0; project what has more dimensions
	Class       []int       // [N], indices into Names; nil is one colour for all
	Names       []string    // of the classes, ten at most
	Turn        float64     // degrees by which the sphere is turned counterclockwise about its vertical third axis
}

// Figure draws the points, as large as its content. It reports points of other
// or unequal dimensions, not finite or zero, and classes out of Names.
func (s Sphere) Figure() (*Figure, error) {
	f, err := s.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: sphere: %w", err)
	}
	return f, nil
}

// units checks the points and scales them to length 1.
func (s Sphere) units() ([][]float64, error) {
	if len(s.Points) == 0 {
		return nil, errors.New("no points")
	}
	d := len(s.Points[0])
	if d != 2 && d != 3 {
		return nil, fmt.Errorf("points of %d dimensions: want 2 or 3: project them", d)
	}
	switch {
	case s.Class != nil && len(s.Class) != len(s.Points):
		return nil, fmt.Errorf("%d classes for %d points", len(s.Class), len(s.Points))
	case s.Class == nil && s.Names != nil:
		return nil, errors.New("there are Names, but no Class")
	case !finite(s.Turn):
		return nil, fmt.Errorf("turn %v", s.Turn)
	}
	for i, c := range s.Class {
		if c < 0 || c >= len(s.Names) {
			return nil, fmt.Errorf("point %d is of class %d of %d", i, c, len(s.Names))
		}
	}
	out := make([][]float64, len(s.Points))
	for i, p := range s.Points {
		if len(p) != d {
			return nil, fmt.Errorf("point %d has %d dimensions, point 0 has %d", i, len(p), d)
		}
		sum := 0.0
		for _, v := range p {
			sum += float64(v) * float64(v)
		}
		if sum == 0 || !finite(sum) {
			return nil, fmt.Errorf("point %d is %v, which has no direction", i, p)
		}
		for _, v := range p {
			out[i] = append(out[i], float64(v)/math.Sqrt(sum))
		}
	}
	return out, nil
}

const (
	ballSide     = 216.0 // of the square that holds circle or sphere
	circleRadius = 75.0
	ballRadius   = 104.0
)

func (s Sphere) figure() (*Figure, error) {
	units, err := s.units()
	if err != nil {
		return nil, err
	}
	series := []Series{{}}
	if s.Class != nil {
		series = nil
		for _, name := range s.Names {
			series = append(series, Series{Name: name})
		}
	}
	colors, err := assign(series, classes...)
	if err != nil {
		return nil, err
	}
	ink := func(i int) color.RGBA {
		if s.Class == nil {
			return colors[0]
		}
		return colors[s.Class[i]]
	}
	var names [][]string
	widest, lines := 0.0, 0
	for _, name := range s.Names {
		names = append(names, textFace.wrap(name, maxTag))
		widest, lines = max(widest, textFace.widest(names[len(names)-1])), lines+len(names[len(names)-1])
	}
	width := max(margin+ballSide+margin, 320*px)
	legendX := margin + ballSide + 2*tagGap
	if widest > 0 {
		width = max(width, legendX+9+widest+margin)
	}
	head := newHeading(s.Title, s.Note, width)
	height := max(ballSide, float64(lines)*1.25*textFace.leading())
	x0, y0 := margin+ballSide/2, head.bottom()+height/2
	return newFigure(width, head.bottom()+height+margin, describe(s.Title, s.Note), func(p pen) {
		head.draw(p)
		y := y0 - float64(lines)*1.25*textFace.leading()/2
		for i, name := range names {
			p.dot(colors[i], legendX, y+textFace.size-textFace.middle(), 3.5)
			p.block(black, textFace, legendX+9, y, left, name)
			y += (float64(len(name)) + 0.25) * textFace.leading()
		}
		if len(units[0]) == 2 {
			s.circle(p, x0, y0, units, ink)
		} else {
			s.ball(p, x0, y0, units, ink)
		}
	})
}

// circle stacks the points outwards from the circle around (x0, y0), in as many
// directions as their dots have room side by side.
func (s Sphere) circle(p pen, x0, y0 float64, units [][]float64, ink func(i int) color.RGBA) {
	const directions = 180
	const radius = math.Pi * circleRadius / directions
	at := func(angle, r float64) [2]float64 { return [2]float64{x0 + r*math.Cos(angle), y0 - r*math.Sin(angle)} }
	ring(p, axis, func(angle float64) ([2]float64, bool) { return at(angle, circleRadius), true })
	stacks := make([][]int, directions)
	highest := 0
	for i, u := range units {
		b := int(math.Round(math.Atan2(u[1], u[0])/(2*math.Pi)*directions)+directions) % directions
		stacks[b] = append(stacks[b], i)
		highest = max(highest, len(stacks[b]))
	}
	step := 2 * radius
	if highest > 1 {
		step = min(step, (ballSide/2-circleRadius-2*radius)/float64(highest-1))
	}
	for b, stack := range stacks {
		if s.Class != nil {
			slices.SortStableFunc(stack, func(i, j int) int { return cmp.Compare(s.Class[i], s.Class[j]) })
		}
		for k, i := range stack {
			pt := at(2*math.Pi*float64(b)/directions, circleRadius+radius+float64(k)*step)
			p.dot(ink(i), pt[0], pt[1], 0.9*radius)
		}
	}
}

// ball draws the points on a sphere around (x0, y0), the farthest first.
func (s Sphere) ball(p pen, x0, y0 float64, units [][]float64, ink func(i int) color.RGBA) {
	sinTurn, cosTurn := math.Sincos(s.Turn * math.Pi / 180)
	sinTilt, cosTilt := math.Sincos(20 * math.Pi / 180)
	// project returns a place in the figure and the depth towards the viewer, who
	// looks along the second axis.
	project := func(u []float64) (pt [2]float64, depth float64) {
		x, y := u[0]*cosTurn-u[1]*sinTurn, u[0]*sinTurn+u[1]*cosTurn
		return [2]float64{x0 + ballRadius*x, y0 - ballRadius*(u[2]*cosTilt+y*sinTilt)}, u[2]*sinTilt - y*cosTilt
	}
	for _, front := range []bool{false, true} {
		c := grid
		if front {
			c = leader
		}
		for _, latitude := range []float64{-math.Pi / 4, 0, math.Pi / 4} {
			z, r := math.Sincos(latitude)
			ring(p, c, func(angle float64) ([2]float64, bool) {
				pt, depth := project([]float64{r * math.Cos(angle), r * math.Sin(angle), z})
				return pt, depth >= 0 == front
			})
		}
		for meridian := range 4 {
			sin, cos := math.Sincos(float64(meridian) * math.Pi / 4)
			ring(p, c, func(angle float64) ([2]float64, bool) {
				pt, depth := project([]float64{cos * math.Cos(angle), sin * math.Cos(angle), math.Sin(angle)})
				return pt, depth >= 0 == front
			})
		}
		if !front {
			ring(p, axis, func(angle float64) ([2]float64, bool) {
				return [2]float64{x0 + ballRadius*math.Cos(angle), y0 + ballRadius*math.Sin(angle)}, true
			})
		}
	}
	order := make([]int, len(units))
	depths := make([]float64, len(units))
	for i, u := range units {
		order[i] = i
		_, depths[i] = project(u)
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(depths[i], depths[j]) })
	radius := max(1.2, 3*math.Pow(min(1, 60/float64(len(units))), 0.25))
	for _, i := range order {
		pt, depth := project(units[i])
		back := math.Round(4*(1-depth)) / 8 // 0 in front, 1 behind, in eighths: few colours make a small PNG
		p.dot(mix(ink(i), white, 0.75*back), pt[0], pt[1], radius*(1-0.3*back))
	}
}

// ring strokes the parts of a closed curve that at shows.
func ring(p pen, c color.RGBA, at func(angle float64) (pt [2]float64, shown bool)) {
	const n = 120
	pts := make([][2]float64, n+1)
	shown := make([]bool, n+1)
	for i := range pts {
		pts[i], shown[i] = at(2 * math.Pi * float64(i) / n)
	}
	for _, run := range runs(len(pts), func(i int) bool { return shown[i] }) {
		p.stroke(c, px, nil, pts[run[0]:run[1]]...)
	}
}
