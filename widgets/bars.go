package widgets

import (
	"errors"
	"fmt"
)

// Bars draws groups of bars with error bars, and beside each group a reference
// figure from elsewhere (a paper's, say) as an open diamond. Values are printed
// where there is room. NaN is not measured, and is shown as n/a.
type Bars struct {
	Title, Note string // over the figure; the note says seeds, data, what the spread is
	YLabel      string
	Groups      []string // names of the groups, along x
	Series      []Series // a bar in every group: Y is [len(Groups)]
	Reference   Series   // a diamond in every group; none if Y is nil; X, Err and Role must be unset
	Guides      []Guide

	// Dots draws points in place of bars, on an axis that need not begin at 0:
	// for differences that are small beside the values. Bars begin at 0.
	Dots bool
}

// Figure draws the bars, 640 pixels wide. It reports series that are empty,
// infinite, all NaN or not as long as Groups.
func (b Bars) Figure() (*Figure, error) {
	f, err := b.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: bars: %w", err)
	}
	return f, nil
}

func (b Bars) figure() (*Figure, error) {
	if len(b.Groups) == 0 || len(b.Series) == 0 {
		return nil, errors.New("want at least one group and one series")
	}
	colors, err := assign(b.Series)
	if err != nil {
		return nil, err
	}
	if err := checkGuides(b.Guides); err != nil {
		return nil, err
	}
	y := newInterval()
	if !b.Dots {
		y.add(0)
	}
	all := b.Series
	if b.Reference.Y != nil {
		if b.Reference.Err != nil || b.Reference.Role != Auto {
			return nil, fmt.Errorf("reference %q: Err and Role have no meaning here", b.Reference.Name)
		}
		all = append(all[:len(all):len(all)], b.Reference)
	}
	alone := len(all) == 1
	a := axes{title: b.Title, note: b.Note, yLabel: b.YLabel, named: true, guides: b.Guides,
		x: interval{0.5, float64(len(b.Groups)) + 0.5}}
	for i, s := range all {
		if err := s.check(len(b.Groups), alone); err != nil {
			return nil, err
		}
		for j, v := range s.Y {
			if finite(v) {
				y.add(v - s.spread(j))
				y.add(v + s.spread(j))
			}
		}
		if alone && s.Name == "" {
			continue
		}
		a.legend = append(a.legend, entry{name: s.Name, mark: func(p pen, x, y float64) {
			switch {
			case i == len(b.Series):
				diamond(p, x, y)
			case b.Dots:
				p.dot(colors[i], x, y, 3)
			default:
				p.rect(colors[i], x-4, y-4, 8, 8)
			}
		}})
	}
	for _, g := range b.Guides {
		y.add(g.Y)
	}
	y.widen(0.05)
	size := y.hi - y.lo
	if y.hi > 0 || b.Dots {
		y.hi += 0.09 * size // room for the printed values
	}
	if y.lo < 0 || b.Dots {
		y.lo -= 0.09 * size
	}
	a.y, a.yTicks = y, ticks(y, 7, 0)
	for i, name := range b.Groups {
		a.xTicks = append(a.xTicks, tick{float64(i + 1), name})
	}
	decimals := 2
	if y.hi >= 10 {
		decimals = 1
	}
	return a.figure(func(p pen, toX, toY func(float64) float64) {
		slot := min(0.84*(toX(2)-toX(1))/float64(len(all)), 46)
		for g := range b.Groups {
			for i, s := range all {
				x := toX(float64(g+1)) + slot*(float64(i)-float64(len(all)-1)/2)
				v, e := s.Y[g], s.spread(g)
				if !finite(v) {
					p.text(guide, smallFace, x, toY(max(y.lo, 0))-4, center, "n/a")
					continue
				}
				ink := soft
				top, bottom := toY(v+e), toY(v-e)
				switch {
				case i == len(b.Series):
					diamond(p, x, toY(v))
					top, bottom = toY(v)-diamondRadius, toY(v)+diamondRadius
				case b.Dots:
					ink = colors[i]
					p.errorBar(ink, x, top, bottom)
					p.dot(ink, x, toY(v), 3.5)
					top, bottom = min(top, toY(v)-3.5), max(bottom, toY(v)+3.5)
				default:
					ink = colors[i]
					p.rect(ink, x-0.43*slot, toY(max(v, 0)), 0.86*slot, toY(min(v, 0))-toY(max(v, 0)))
					if e > 0 {
						p.errorBar(black, x, top, bottom)
					}
				}
				if label := number(v, decimals); smallFace.width(label) < slot-4 {
					at := top - 3
					if v < 0 && !b.Dots {
						at = bottom + 3 + 2*smallFace.middle()
					}
					w := smallFace.width(label)
					p.rect(white, x-w/2-1, at-2*smallFace.middle(), w+2, 2*smallFace.middle()) // rules stop short of it
					p.text(readable(ink), smallFace, x, at, center, label)
				}
			}
		}
		if !b.Dots && y.lo < 0 {
			zero := snap(toY(0))
			p.stroke(axis, px, nil, [2]float64{toX(a.x.lo), zero}, [2]float64{toX(a.x.hi), zero})
		}
	})
}

const diamondRadius = 4.0

// diamond marks a figure that was not measured here.
func diamond(p pen, x, y float64) {
	const r = diamondRadius
	pts := [][2]float64{{x - r, y}, {x, y - r}, {x + r, y}, {x, y + r}}
	p.fill(white, pts...)
	p.stroke(soft, 1.25, nil, append(pts, pts[0], pts[1])...)
}
