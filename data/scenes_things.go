package data

import "math"

// draw draws a thing in its own coordinates: its foot at 0, height 1, y up,
// its face to positive x.
func (p *pen) draw(t *thing) {
	switch t.class {
	case balloon:
		p.balloon(t)
	case bird:
		p.bird(t)
	case boat:
		p.boat(t)
	case car:
		p.car(t)
	case dog:
		p.dog(t)
	case flower:
		p.flower(t)
	case house:
		p.house(t)
	case mushroom:
		p.mushroom(t)
	case tree:
		p.tree(t)
	case windmill:
		p.windmill(t)
	}
}

var (
	glass = ink{.32, .42, .52}
	black = ink{.08, .08, .1}
	cream = ink{.95, .93, .88}
)

func (p *pen) balloon(t *thing) {
	wide, neck := lerp(.31, .38, t.part[0]), lerp(.26, .34, t.part[1])
	stripes := math.Floor(lerp(3, 7, t.part[2]))
	rope := flat(ink{.3, .24, .2})
	for _, side := range []float64{-1, 1} {
		p.limb(rope, side*.09, neck, .009, side*.055, .1, .009)
	}
	p.box(p.grain(ink{.5, .34, .2}, .03, .5, t.seed), -.075, 0, .075, .11)
	p.box(flat(ink{.36, .24, .14}), -.085, .09, .085, .125)
	body := p.round(ink{1, 1, 1}, 0, .68, .36)
	cloth := func(x, y float64) ink {
		// Gores: equal angles about the axis.
		rim := wide * math.Sqrt(max(.02, 1-math.Pow((y-.68)/.36, 2)))
		n := int(math.Floor(stripes * (.5 + math.Asin(clamp(x/rim, -1, 1))/math.Pi)))
		k := t.ink[n%2]
		if t.kind == 1 && y > .6 && y < .72 {
			k = t.ink[2]
		}
		return k.by(body(x, y))
	}
	p.blob(cloth, 0, 1, .7*wide, .93, wide, .7, .75*wide, .5, .1, neck, -.1, neck, -.75*wide, .5, -wide, .7, -.7*wide, .93)
}

func (p *pen) bird(t *thing) {
	k, wing := t.ink[0], t.ink[0].to(t.ink[1], .35).times(.75)
	fat, tail := lerp(.2, .27, t.part[1]), lerp(.5, .78, t.part[2])
	beak, bill := ink{.93, .62, .15}, lerp(.14, .26, t.part[3])
	step := .07 * math.Sin(t.beat)
	if t.spin == 0 {
		step = 0
	}
	leg := flat(ink{.75, .42, .18})
	for n, x := range []float64{-.02, .12} {
		s := step * float64(1-2*n)
		p.limb(leg, x, .3, .025, x+s, .03, .02)
		p.limb(leg, x+s, .025, .02, x+s+.1, .02, .015)
	}
	p.poly(flat(wing), -.25, .55, -tail-.05, .44, -tail, .3, -.2, .34)
	p.blob(p.round(k, .05, .5, .3), -.44, .42, -.15, .5+.75*fat, .2, .55+.8*fat, .4, .5, .22, .46-fat, -.15, .45-fat)
	p.oval(p.round(k.to(cream, .55), .2, .45, .25), .19, .41, .17, .7*fat)
	p.oval(p.round(k, .33, .8, .18), .33, .8, .18, .175)
	p.poly(flat(beak), .47, .87, .49+bill, .78, .48, .73)
	p.leaf(p.round(wing, -.1, .5, .3), -.52, .36, .24, .58, .16)
	p.oval(flat(cream), .39, .84, .05, .05)
	p.oval(flat(black), .4, .84, .033, .033)
}

func (p *pen) boat(t *thing) {
	long, deep := lerp(.4, .5, t.part[0]), lerp(.16, .23, t.part[1])
	mast := lerp(-.08, .06, t.part[2])
	p.limb(flat(ink{.4, .3, .22}), mast, deep, .016, mast, .99, .012)
	cloth := p.sideways(flat(t.ink[0].to(cream, .25)), .5)
	band := func(x, y float64) ink {
		if t.kind == 1 && math.Mod(y*7, 2) < 1 {
			return cream
		}
		return cloth(x, y)
	}
	p.blobby(band, []float64{mast - .025, .27, mast - .025, .96, mast - .2, .62, -long + .06, .29})
	p.blobby(p.sideways(flat(cream), .5), []float64{mast + .03, .27, mast + .03, .86, mast + .17, .55, long - .04, .28})
	if t.part[3] > .5 {
		p.poly(flat(t.ink[2]), mast, 1, mast+.13, .965, mast, .93)
	}
	wood := p.sideways(flat(t.ink[1]), .5)
	hull := func(x, y float64) ink {
		if y > deep-.045 {
			return cream
		}
		return wood(x, y).times(.75 + 1.2*max(0, y))
	}
	p.poly(hull, -long, deep, -long*.8, .03, -long*.7, -.02, long*.62, -.02, long*.8, .05, long*1.05, deep+.03, long*.5, deep)
}

// blobby is a triangle a b d whose side b d swells through c.
func (p *pen) blobby(how paint, q []float64) {
	p.path = p.path[:0]
	p.path = append(p.path, p.frame.at(q[0], q[1]))
	for i := range 9 {
		t := float64(i) / 8
		a, b, c := (1-t)*(1-t), 2*t*(1-t), t*t
		p.path = append(p.path, p.frame.at(a*q[2]+b*q[4]+c*q[6], a*q[3]+b*q[5]+c*q[7]))
	}
	p.fill(how)
}

func (p *pen) car(t *thing) {
	long, tall := lerp(.95, 1.04, t.part[0]), lerp(.9, 1, t.part[1])
	rear, front := lerp(-.7, -.5, t.part[2]), lerp(.3, .45, t.part[3]) // of the roof
	wheel := lerp(.19, .23, t.part[4])
	if t.kind == 1 { // an estate car
		rear -= .22
	}
	shine := func(x, y float64) ink {
		k := t.ink[0].times(.82 + .3*smooth(.15, .6, y))
		if y > .6 {
			return k.times(1.06)
		}
		return k.to(cream, .22*smooth(.5, .53, y)*smooth(.59, .56, y))
	}
	lit := p.sideways(shine, 1.4)
	p.poly(lit, -long, .17, -long-.02, .42, -long+.08, .54, rear-.14, .6, rear, tall-.04, rear+.08, tall,
		front-.1, tall, front, tall-.05, front+.27, .6, long-.1, .53, long+.01, .43, long, .17)
	pane := func(x, y float64) ink { return glass.to(ink{.75, .85, .92}, clamp(.2+(y-.6)*1.5+.2*x, 0, .8)) }
	middle := (rear + front) / 2
	p.poly(pane, rear-.04, .61, rear+.07, tall-.08, middle-.03, tall-.08, middle-.03, .61)
	p.poly(pane, middle+.03, .61, middle+.03, tall-.08, front-.04, tall-.08, front+.17, .61)
	p.box(flat(t.ink[0].times(.5)), -long+.02, .15, long-.02, .22)
	p.oval(flat(ink{1, .95, .7}), long-.06, .43, .05, .05)
	p.box(flat(ink{.75, .1, .08}), -long-.01, .4, -long+.07, .48)
	for _, x := range []float64{-.58, .58} {
		p.oval(flat(t.ink[0].times(.35)), x, wheel+.02, wheel+.035, wheel+.035)
		p.oval(flat(black), x, wheel, wheel, wheel)
		p.oval(flat(ink{.72, .73, .76}), x, wheel, .5*wheel, .5*wheel)
		p.oval(flat(ink{.4, .4, .42}), x, wheel, .18*wheel, .18*wheel)
	}
}

func (p *pen) dog(t *thing) {
	k, dark := t.ink[0], t.ink[0].times(.72)
	long, high := lerp(.4, .5, t.part[0]), lerp(.4, .5, t.part[1])
	leg, snout := lerp(.048, .062, t.part[2]), lerp(.74, .84, t.part[3])
	stride := .12 * math.Sin(t.beat)
	if t.spin == 0 {
		stride = .04
	}
	legs := func(k ink, x, swing float64) { p.limb(flat(k), x, high, leg*1.3, x+swing, .045, leg) }
	legs(dark, -long+.14, -stride)
	legs(dark, .26, stride)
	p.limb(p.round(k, -long, .75, .2), -long+.02, high+.18, .05, -long-.2, lerp(.7, .98, t.part[4]), .025) // tail
	p.blob(p.round(k, 0, high+.12, .26), -long, high+.17, -.1, high+.24, .25, high+.26, .4, high+.1, .28, high-.06, -.1, high-.01, -long+.05, high-.03)
	legs(k, -long+.06, stride)
	legs(k, .32, -stride)
	p.limb(p.round(k, .4, .7, .2), .3, high+.15, .13, .5, .8, .11)
	p.oval(p.round(k, .54, .84, .16), .54, .84, .15, .13)
	p.limb(p.round(k, .65, .8, .16), .6, .8, .085, snout, .77, .055)
	p.oval(flat(black), snout+.045, .79, .035, .03)
	if t.kind == 0 {
		p.leaf(flat(dark), .49, .95, .4, .64, .085) // hangs
	} else {
		p.poly(flat(dark), .4, .9, .43, 1.04, .54, .94)
	}
	p.oval(flat(black), .6, .87, .024, .026)
}

func (p *pen) flower(t *thing) {
	n := 5 + math.Floor(4*t.part[0])
	reach, wide := lerp(.22, .27, t.part[1]), lerp(.6, .95, t.part[2])
	eye, high := lerp(.07, .11, t.part[3]), .73
	stem := p.sideways(flat(t.ink[1]), .03)
	p.limb(stem, .02, 0, .024, 0, high, .02)
	p.leaf(p.round(t.ink[1], .15, .3, .2), .01, .08, .27, .36, .07)
	p.leaf(p.round(t.ink[1].times(.9), -.15, .2, .2), .01, .03, -.26, .25, .07)
	for i := range int(n) {
		sin, cos := math.Sincos(2*math.Pi*(float64(i)+t.part[4])/n + .3)
		shade := 1 - .12*float64(i%2)
		petal := func(x, y float64) ink {
			out := math.Hypot(x, y-high) / reach
			return t.ink[0].times(shade * (.78 + .25*out)).times(1 + .12*p.ly*clamp((y-high)/reach, -1, 1))
		}
		p.leaf(petal, .03*cos, high+.03*sin, reach*cos, high+reach*sin, wide*reach*2.4/n)
	}
	p.oval(p.round(t.ink[2], 0, high, eye), 0, high, eye, eye)
}

func (p *pen) house(t *thing) {
	half, side := lerp(.27, .36, t.part[0]), lerp(.5, .7, t.part[1])
	eaves, ridge := lerp(.4, .52, t.part[2]), .95
	x0 := -half - side/2
	x1, x2, m := x0+2*half, x0+2*half+side, x0+half
	wall := flat(t.ink[0])
	if t.word == "brick" {
		wall = p.courses(t.ink[0], .055, .11, .6, t.seed)
	} else if t.kind == 1 {
		wall = p.grain(t.ink[0], .08, .25, t.seed)
	}
	front, flank := 1+.1*clamp(-p.lx*3, -1, 1), .88+.1*clamp(p.lx*3, -1, 1)
	lit := func(how paint, a float64) paint { return func(x, y float64) ink { return how(x, y).times(a) } }
	p.box(lit(p.courses(ink{.55, .33, .27}, .05, .1, .5, t.seed), flank), m+.55*side, .7, m+.55*side+.1, 1.04)
	p.box(lit(wall, flank), x1-.01, 0, x2, eaves+.04)
	p.poly(lit(wall, front), x0, 0, x1, 0, x1, eaves, m, ridge-.02, x0, eaves)
	p.poly(lit(p.courses(t.ink[1], .07, .09, .5, t.seed), flank*1.08), m-.02, ridge+.02, m+side, ridge+.02, x2+.06, eaves-.03, x1+.06, eaves-.03)
	edge := flat(t.ink[1].times(.7))
	p.limb(edge, m, ridge, .026, x0-.06, eaves-.04, .026)
	p.limb(edge, m, ridge, .026, x1+.06, eaves-.04, .026)
	p.box(flat(cream), m-.09, 0, m+.09, .3)
	p.box(p.grain(t.ink[2].times(.7), .05, .3, t.seed), m-.065, 0, m+.065, .275)
	window := func(x, y, r float64) {
		p.box(flat(cream), x-r-.02, y-r-.02, x+r+.02, y+r+.02)
		pane := func(u, v float64) ink { return glass.to(ink{.8, .88, .94}, clamp(.25+(v-y+u-x)*3, 0, .7)) }
		p.box(pane, x-r, y-r, x-.008, y+r)
		p.box(pane, x+.008, y-r, x+r, y+r)
	}
	window(m, eaves+.12, .06)
	for n := range 2 {
		window(x1+side*(.3+.42*float64(n)), eaves*.55, .07)
	}
}

func (p *pen) mushroom(t *thing) {
	wide, thick := lerp(.38, .47, t.part[0]), lerp(.1, .15, t.part[1])
	brim, arch := lerp(.42, .52, t.part[2]), lerp(.9, 1.1, t.part[3])
	stem := p.sideways(p.grain(t.ink[1], .04, .14, t.seed), thick)
	p.blob(stem, -thick*1.3, .01, thick*1.3, .01, thick*.95, .25, thick, brim+.06, -thick, brim+.06, -thick*.95, .25)
	p.oval(p.grain(t.ink[1].times(.72), .035, .5, t.seed), 0, brim+.02, wide*.93, .075)
	if t.part[4] > .5 {
		p.oval(flat(t.ink[1].times(.93)), 0, brim-.1, thick*1.5, .035) // a ring
	}
	p.path = p.path[:0]
	for i := range 17 { // half an ellipse, its brim turned in
		sin, cos := math.Sincos(math.Pi * float64(i) / 16)
		p.path = append(p.path, p.frame.at(wide*cos, brim+(1-brim)*math.Pow(sin, arch)))
	}
	for i := 1; i < 8; i++ {
		x := float64(i)/4 - 1
		p.path = append(p.path, p.frame.at(wide*x, brim+.05*(1-x*x)))
	}
	p.fill(p.round(t.ink[0], 0, .7, .36))
	if t.kind == 0 {
		spot := flat(cream)
		for _, s := range [][3]float64{{-.55, .2, .05}, {-.12, .55, .06}, {.3, .22, .055}, {.62, .16, .04}, {.2, .8, .035}, {-.38, .66, .035}} {
			p.oval(spot, s[0]*wide, brim+(1-brim)*s[1], s[2], s[2]*.85)
		}
	}
}

func (p *pen) tree(t *thing) {
	bark := p.sideways(p.grain(t.ink[1], .035, .7, t.seed), .08)
	thick := lerp(.045, .075, t.part[0])
	if t.kind == 1 { // a fir
		p.poly(bark, -thick, 0, thick, 0, thick*.8, .3, -thick*.8, .3)
		tiers := 3 + math.Floor(2*t.part[1])
		wide := lerp(.27, .36, t.part[2])
		for i := range int(tiers) {
			u := float64(i) / tiers
			low, high, w := lerp(.16, .7, u), lerp(.5, 1, (float64(i)+1)/tiers), wide*(1-.68*u)
			needles := p.leafy(t.ink[0], 0, low+.1, .3, t.seed)
			shaded := func(x, y float64) ink { return needles(x, y).times(.72 + .36*smooth(low-.04, low+.22, y)) }
			p.poly(shaded, 0, high, .45*w, lerp(low, high, .42), w, low+.02, .5*w, low-.03, 0, low-.015, -.5*w, low-.03, -w, low+.02, -.45*w, lerp(low, high, .42))
		}
		return
	}
	high, wide := lerp(.6, .68, t.part[1]), lerp(.3, .38, t.part[2])
	p.poly(bark, -thick*1.5, 0, thick*1.5, 0, thick*.8, .15, thick*.7, high, -thick*.7, high, -thick*.8, .15)
	p.limb(bark, 0, .36, .025, .16, .52, .018)
	p.limb(bark, 0, .3, .022, -.15, .5, .018)
	p.path = p.path[:0]
	tall := .99 - high
	for i := range 32 { // a crown with bulges
		a := float64(i) / 32
		sin, cos := math.Sincos(2 * math.Pi * a)
		r := .9 + .13*math.Abs(math.Sin(math.Pi*a*(6+math.Floor(4*t.part[3]))))
		p.path = append(p.path, p.frame.at(wide*r*cos, high+r*sin*tall*(.85+.1*sin)))
	}
	p.fill(p.leafy(t.ink[0].times(.86), 0, high, .34, t.seed))
	for i := range 4 {
		x, y := .5*wide*(lot(i, 1, t.seed)*2-1), high+tall*(lot(i, 2, t.seed)*.9-.3)
		r := lerp(.1, .15, lot(i, 3, t.seed))
		p.oval(p.leafy(t.ink[0].times(1.05), x, y-.03, r*1.4, t.seed+7), x, y, r*1.15, r)
	}
}

func (p *pen) windmill(t *thing) {
	foot, top := lerp(.17, .24, t.part[1]), lerp(.1, .14, t.part[2])
	sail, hub := lerp(.36, .42, t.part[3]), .6
	wall := flat(t.ink[0])
	if t.word == "brick" {
		wall = p.courses(t.ink[0], .05, .09, .6, t.seed)
	}
	p.poly(p.sideways(wall, .2), -foot, 0, foot, 0, top, hub, -top, hub)
	p.blob(p.round(t.ink[1], 0, hub, .15), -top-.03, hub-.01, -top*.8, hub+.1, 0, hub+.16, top*.8, hub+.1, top+.03, hub-.01)
	p.box(flat(t.ink[2].times(.6)), -.05, 0, .05, .16)
	p.box(flat(glass), -.035, .27, .035, .35)
	arm, cloth := flat(ink{.3, .22, .16}), flat(cream.to(t.ink[2], .12))
	for i := range 4 {
		sin, cos := math.Sincos(t.beat + float64(i)*math.Pi/2)
		at := func(along, aside float64) (x, y float64) { return along*cos - aside*sin, hub + along*sin + aside*cos }
		ax, ay := at(.1, .005)
		bx, by := at(sail, .005)
		cx, cy := at(sail, .1)
		dx, dy := at(.1, .085)
		p.poly(cloth, ax, ay, bx, by, cx, cy, dx, dy)
		ex, ey := at(sail+.01, 0)
		p.limb(arm, 0, hub, .018, ex, ey, .012)
	}
	p.oval(arm, 0, hub, .035, .035)
}
