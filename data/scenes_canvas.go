package data

import (
	"image"
	"image/draw"
	"math"
	"sync"

	"golang.org/x/image/vector"
)

// ink is a colour: red, green and blue of sRGB, 0 to 1.
type ink [3]float64

// hsl returns the ink of a hue in turns, a saturation and a lightness.
func hsl(h, s, l float64) ink {
	a := s * min(l, 1-l)
	var k ink
	for n, from := range [3]float64{0, 8, 4} {
		turn := math.Mod(from+12*(h-math.Floor(h)), 12)
		k[n] = l - a*max(-1, min(turn-3, 9-turn, 1))
	}
	return k
}

// to is the ink a share t of the way to b.
func (k ink) to(b ink, t float64) ink {
	return ink{k[0] + t*(b[0]-k[0]), k[1] + t*(b[1]-k[1]), k[2] + t*(b[2]-k[2])}
}

func (k ink) times(a float64) ink { return ink{a * k[0], a * k[1], a * k[2]} }
func (k ink) by(b ink) ink        { return ink{k[0] * b[0], k[1] * b[1], k[2] * b[2]} }

func clamp(x, low, high float64) float64 { return max(low, min(high, x)) }
func lerp(a, b, t float64) float64       { return a + t*(b-a) }

// smooth is 0 below a, 1 above b and without a corner between.
func smooth(a, b, x float64) float64 {
	t := clamp((x-a)/(b-a), 0, 1)
	return t * t * (3 - 2*t)
}

// lot returns a number in [0, 1) for a cell of the plane.
func lot(x, y int, seed uint32) float64 {
	h := uint32(x)*0x9e3779b1 ^ uint32(y)*0x85ebca77 ^ seed
	h = (h ^ h>>15) * 0x2c1b3c6d
	h = (h ^ h>>12) * 0x297a2d39
	return float64((h^h>>15)>>8) / (1 << 24)
}

// rough is value noise: random in each corner of the unit grid, smooth between,
// in [0, 1) with mean 1/2.
func rough(x, y float64, seed uint32) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	i, j := int(fx), int(fy)
	x, y = x-fx, y-fy
	x, y = x*x*(3-2*x), y*y*(3-2*y)
	top := lerp(lot(i, j, seed), lot(i+1, j, seed), x)
	return lerp(top, lerp(lot(i, j+1, seed), lot(i+1, j+1, seed), x), y)
}

// canvas is a square picture that is being drawn.
type canvas struct {
	size  int
	pix   []ink
	cover []float64 // of the current thing
	path  []point   // of the current shape, in pixels
	z     vector.Rasterizer
	alpha image.Alpha
}

type point struct{ x, y float64 }

var canvases sync.Pool

// takeCanvas returns a canvas with no particular content.
func takeCanvas(size int) *canvas {
	if c, ok := canvases.Get().(*canvas); ok && c.size == size {
		return c
	}
	n := size * size
	return &canvas{size: size, pix: make([]ink, n), cover: make([]float64, n), alpha: image.Alpha{Pix: make([]uint8, n)}}
}

func (c *canvas) giveBack() { canvases.Put(c) }

// frame maps the own coordinates of a thing, with its foot at 0, its height 1
// and y up, to pixels.
type frame struct{ xx, xy, yx, yy, x, y float64 }

func (f frame) at(x, y float64) point {
	return point{f.xx*x + f.xy*y + f.x, f.yx*x + f.yy*y + f.y}
}

func (f frame) inverse() frame {
	d := 1 / (f.xx*f.yy - f.xy*f.yx)
	g := frame{xx: f.yy * d, xy: -f.xy * d, yx: -f.yx * d, yy: f.xx * d}
	g.x, g.y = -(g.xx*f.x + g.xy*f.y), -(g.yx*f.x + g.yy*f.y)
	return g
}

// paint is the ink at a point of a thing, in its own coordinates.
type paint func(x, y float64) ink

// pen draws the shapes of one thing.
type pen struct {
	*canvas
	frame  frame
	back   frame   // its inverse
	lx, ly float64 // direction to the light, in the thing's coordinates; 0 without
	dry    bool    // covers, but paints nothing
	tint   ink     // of the light
	haze   ink
	far    float64 // share of haze
}

// fill draws c.path, whose points are in pixels: each pixel by the share of its
// area that is inside, so that edges are smooth.
func (p *pen) fill(how paint) {
	c := p.canvas
	left, top, right, bottom := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, q := range c.path {
		left, right = min(left, q.x), max(right, q.x)
		top, bottom = min(top, q.y), max(bottom, q.y)
	}
	side := float64(c.size)
	if right <= 0 || bottom <= 0 || left >= side || top >= side {
		return
	}
	x0, y0 := int(max(0, left)), int(max(0, top))
	w, h := int(math.Ceil(min(side, right)))-x0, int(math.Ceil(min(side, bottom)))-y0
	c.z.Reset(w, h)
	for n, q := range c.path {
		x, y := float32(q.x-float64(x0)), float32(q.y-float64(y0))
		if n == 0 {
			c.z.MoveTo(x, y)
		} else {
			c.z.LineTo(x, y)
		}
	}
	c.z.ClosePath()
	c.z.DrawOp = draw.Src
	c.alpha = image.Alpha{Pix: c.alpha.Pix[:w*h], Stride: w, Rect: image.Rect(0, 0, w, h)}
	c.z.Draw(&c.alpha, c.alpha.Rect, image.Opaque, image.Point{})
	for y := range h {
		at := p.back.at(float64(x0)+.5, float64(y0+y)+.5)
		row := (y0+y)*c.size + x0
		for x, a := range c.alpha.Pix[y*w : (y+1)*w] {
			if a > 0 {
				share := float64(a) / 255
				c.cover[row+x] += (1 - c.cover[row+x]) * share
				if !p.dry {
					k := how(at.x, at.y).by(p.tint).to(p.haze, p.far)
					c.pix[row+x] = c.pix[row+x].to(k, share)
				}
			}
			at.x, at.y = at.x+p.back.xx, at.y+p.back.yx
		}
	}
}

// poly fills the polygon of the corners x, y, x, y, ...
func (p *pen) poly(how paint, corners ...float64) {
	p.path = p.path[:0]
	for n := 0; n < len(corners); n += 2 {
		p.path = append(p.path, p.frame.at(corners[n], corners[n+1]))
	}
	p.fill(how)
}

func (p *pen) box(how paint, x0, y0, x1, y1 float64) { p.poly(how, x0, y0, x1, y0, x1, y1, x0, y1) }

// blob fills the closed curve of Catmull and Rom through the points.
func (p *pen) blob(how paint, through ...float64) {
	const steps = 5
	n := len(through) / 2
	at := func(i int) point { return point{through[2*((i+n)%n)], through[2*((i+n)%n)+1]} }
	p.path = p.path[:0]
	for i := range n {
		a, b, c, d := at(i-1), at(i), at(i+1), at(i+2)
		for s := range steps {
			t := float64(s) / steps
			wa, wb := t*(-.5+t*(1-.5*t)), 1+t*t*(-2.5+1.5*t)
			wc, wd := t*(.5+t*(2-1.5*t)), t*t*(-.5+.5*t)
			p.path = append(p.path, p.frame.at(wa*a.x+wb*b.x+wc*c.x+wd*d.x, wa*a.y+wb*b.y+wc*c.y+wd*d.y))
		}
	}
	p.fill(how)
}

// circle has the directions of 24 points of it.
var circle = func() (c [24]point) {
	for i := range c {
		c[i].y, c[i].x = math.Sincos(2 * math.Pi * float64(i) / float64(len(c)))
	}
	return c
}()

func (p *pen) oval(how paint, x, y, rx, ry float64) {
	p.path = p.path[:0]
	for _, d := range circle {
		p.path = append(p.path, p.frame.at(x+rx*d.x, y+ry*d.y))
	}
	p.fill(how)
}

// limb is a line with round ends of radius r0 and r1.
func (p *pen) limb(how paint, x0, y0, r0, x1, y1, r1 float64) {
	ux, uy := x1-x0, y1-y0
	l := math.Hypot(ux, uy)
	ux, uy = ux/l, uy/l
	p.path = p.path[:0]
	n := len(circle)
	for i := range n/2 + 1 { // about the first end, from the left of the line to its right
		d := circle[(n/4+i)%n]
		p.path = append(p.path, p.frame.at(x0+r0*(ux*d.x-uy*d.y), y0+r0*(uy*d.x+ux*d.y)))
	}
	for i := range n/2 + 1 {
		d := circle[(n/4+n/2+i)%n]
		p.path = append(p.path, p.frame.at(x1+r1*(ux*d.x-uy*d.y), y1+r1*(uy*d.x+ux*d.y)))
	}
	p.fill(how)
}

// leaf is pointed at both ends and 2*r wide, nearer to the second end.
func (p *pen) leaf(how paint, x0, y0, x1, y1, r float64) {
	ux, uy := x1-x0, y1-y0
	l := math.Hypot(ux, uy)
	nx, ny := -uy/l*r, ux/l*r
	p.blob(how, x0, y0, x0+.3*ux+.7*nx, y0+.3*uy+.7*ny, x0+.65*ux+nx, y0+.65*uy+ny, x1, y1,
		x0+.65*ux-nx, y0+.65*uy-ny, x0+.3*ux-.7*nx, y0+.3*uy-.7*ny)
}

// sharp is how well a texture of this period, in the thing's coordinates, can
// be seen: 0 where it is finer than the pixels, to 1.
func (p *pen) sharp(period float64) float64 {
	pixels := period * math.Sqrt(math.Abs(p.frame.xx*p.frame.yy-p.frame.xy*p.frame.yx))
	return smooth(1, 4, pixels)
}

func flat(k ink) paint { return func(_, _ float64) ink { return k } }

// round shades a body of radius r about (x, y): bright to the light.
func (p *pen) round(k ink, x, y, r float64) paint {
	gx, gy := .26*p.lx/r, .26*p.ly/r
	return func(u, v float64) ink { return k.times(1 + clamp((u-x)*gx+(v-y)*gy, -.34, .28)) }
}

// leafy is a round body of leaves.
func (p *pen) leafy(k ink, x, y, r float64, seed uint32) paint {
	body, a := p.round(k, x, y, r), .8*p.sharp(.1)
	b := .5 * p.sharp(.25)
	return func(u, v float64) ink {
		return body(u, v).times(1 + a*(rough(u*16, v*16, seed)-.5) + b*(rough(u*6, v*6, seed+1)-.5))
	}
}

// courses are bricks, or roof tiles, of a height and a width.
func (p *pen) courses(k ink, height, width, depth float64, seed uint32) paint {
	a, b := depth*p.sharp(height), depth*p.sharp(width)
	return func(u, v float64) ink {
		row := math.Floor(v / height)
		column := u/width + .5*math.Mod(math.Abs(row), 2)
		inY, inX := v/height-row, column-math.Floor(column)
		joint := a * smooth(.78, .9, inY)
		if inX < .12 {
			joint = max(joint, b)
		}
		return k.times(1+.8*b*(lot(int(row), int(math.Floor(column)), seed)-.5)).to(k.times(.4).to(ink{.8, .8, .8}, .3), joint)
	}
}

// grain is wood, bark or wicker: long along y.
func (p *pen) grain(k ink, period, depth float64, seed uint32) paint {
	a := depth * p.sharp(period)
	return func(u, v float64) ink {
		return k.times(1 + a*(rough(u/period, v/period/5, seed)-.5))
	}
}

// sideways is a paint that the light from a side shades over the width of a
// thing, as it does an upright cylinder of radius r.
func (p *pen) sideways(how paint, r float64) paint {
	return func(u, v float64) ink { return how(u, v).times(1 + .25*clamp(u*p.lx/r, -1, 1)) }
}
