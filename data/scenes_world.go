package data

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// dice is the randomness of one scene.
type dice struct {
	stream
	odd int // 1 in the test split
}

func newDice(seed int64, test bool, i int) dice {
	d := dice{}
	if test {
		d.odd = 1
	}
	d.stream = newStream(mix(uint64(seed))+uint64(d.odd), uint64(i))
	return d
}

func (d dice) chance(p float64) bool        { return d.unit() < p }
func (d dice) between(a, b float64) float64 { return lerp(a, b, d.unit()) }
func (d dice) side() float64                { return float64(2*d.below(2) - 1) }
func (d dice) seed() uint32                 { return uint32(d.Uint64()) }

// trait is a number in [0, 1) for a palette or the parameter of a part. Of ten
// equal intervals training has those of even number, testing the others, so
// that no trait is in both and each split covers the range.
func (d dice) trait() float64 { return (float64(2*d.below(5)+d.odd) + d.unit()) / 10 }

// shade is an ink near that of a hue, a saturation and a lightness.
func (d dice) shade(h, s, l, spread float64) ink {
	return hsl(h+spread*.12*(d.trait()-.5), clamp(s+spread*.4*(d.trait()-.5), 0, 1), clamp(l+spread*.2*(d.trait()-.5), 0, 1))
}

// setting is a background and how captions call it.
type setting struct {
	where, over string // of what stands on its ground, of what flies
	soil        int
	ridge       int // what is on the horizon
}

const ( // soils
	grass = iota
	litter
	water
	sand
	asphalt
	snow
)

var soils = []string{grass: "grass", litter: "fallen leaves", water: "water", sand: "sand", asphalt: "asphalt", snow: "snow"}

const ( // ridges
	hills = iota
	firs
	islands
	sea
	street
	peaks
)

const ( // settings
	meadow = iota
	forest
	lake
	beach
	road
	winter
)

var settings = []setting{
	meadow: {"on a meadow", "over a meadow", grass, hills},
	forest: {"in a forest", "over a forest", litter, firs},
	lake:   {"on the water", "over the water", water, islands},
	beach:  {"on a beach", "over a beach", sand, sea},
	road:   {"on a street", "over a street", asphalt, street},
	winter: {"in the snow", "over the snow", snow, peaks},
}

// home is the setting in which 70 % of a class are seen.
var home = [...]int{
	balloon: meadow, bird: beach, boat: lake, car: road, dog: beach, flower: meadow, house: road, mushroom: forest, tree: forest, windmill: meadow,
}

// fits reports whether a thing of the class can be in a setting.
func fits(class, setting int) bool {
	return setting != lake || class == boat || class == balloon || class == bird
}

const (
	blue = iota
	cloudy
	overcast
	evening
)

var skies = []string{blue: "a blue sky", cloudy: "a cloudy sky", overcast: "a grey sky", evening: "an evening sky"}

// world is what a scene shows. Lengths are in sides of the picture, from its
// top left corner.
type world struct {
	setting, sky int
	above        bool    // seen from above: things lie, and no side of the picture is up
	horizon      float64 // its y
	light        float64 // where it comes from: -1 left to 1 right
	strength     float64 // of shadows
	tint         ink     // of the light
	zenith, haze ink     // of the sky
	sun          point   // y < 0 for none
	clouds       float64 // share of the sky
	soil         [2]ink
	ridge        [2]ink
	things       []thing // from back to front, the one of the label last
	main         int

	pan      float64 // how far the camera moves in a clip
	seed     uint32
	dark     float64 // of the corners
	middle   point   // of the vignette
	noise    float64
	exposure ink
}

// thing is one of the things in a world.
type thing struct {
	class  int32
	kind   int     // of a class whose things have several forms
	x      float64 // middle of its foot
	foot   float64 // y where it stands; what flies is above
	rise   float64 // above its foot
	height float64
	face   float64 // 1 to the right, -1 to the left
	turn   float64 // radians, only seen from above
	part   [5]float64
	ink    [3]ink
	word   string // its colour
	seed   uint32

	// Motion over a clip: how far aside and up; height and number of hops; turn
	// of sails, in radians.
	dx, lift, hop, hops, spin float64
	beat                      float64 // the turn of sails and the phase of legs in the frame that is drawn
}

func newWorld(d dice, label int32) *world {
	w := &world{seed: d.seed()}
	w.setting = home[label]
	if !d.chance(.7) {
		for w.setting == home[label] || !fits(int(label), w.setting) {
			w.setting = d.below(len(settings))
		}
	}
	w.above = d.chance(.1)
	w.sky = d.below(len(skies))
	w.horizon = d.between(.3, .52)
	w.light = d.side() * d.between(.45, 1)
	w.air(d)
	w.ground(d)
	w.dark = d.between(0, .3)
	w.middle = point{d.between(.35, .65), d.between(.35, .65)}
	w.noise = d.between(0, .025)
	gain := d.between(.92, 1.08)
	for n := range w.exposure {
		w.exposure[n] = gain * d.between(.95, 1.05)
	}
	w.populate(d, label)
	return w
}

// air draws sky and light.
func (w *world) air(d dice) {
	w.sun.y = -1
	switch w.sky {
	case blue, cloudy:
		h := .53 + .1*d.trait()
		w.zenith = hsl(h, .45+.35*d.trait(), .5+.2*d.trait())
		w.haze = w.zenith.to(ink{.95, .95, .93}, .55+.25*d.trait())
		w.tint, w.strength = ink{1.03, 1.01, .96}, d.between(.35, .5)
		if w.sky == cloudy {
			w.clouds, w.strength = d.between(.4, .6), d.between(.25, .35)
		} else if d.chance(.5) {
			w.clouds = d.between(.1, .3)
		}
	case overcast:
		l := .62 + .22*d.trait()
		w.zenith = hsl(.58+.06*d.trait(), .12*d.trait(), l)
		w.haze = w.zenith.to(ink{.93, .93, .93}, .5)
		w.tint, w.strength, w.clouds = ink{.9, .92, .95}.times(.85+.15*d.trait()), d.between(.15, .22), .75
	case evening:
		w.zenith = hsl(.6+.2*d.trait(), .3+.2*d.trait(), .5+.15*d.trait())
		w.haze = hsl(.02+.1*d.trait(), .75+.2*d.trait(), .68+.12*d.trait())
		w.tint, w.strength = ink{1.05, .9, .8}.to(ink{.95, .85, .9}, d.trait()), d.between(.35, .5)
		w.clouds = d.between(0, .35)
	}
	if w.strength > .34 && d.chance(.5) {
		w.sun = point{.5 + w.light*d.between(.25, .42), d.between(.08, w.horizon-.08)}
	}
}

// ground draws the colours of soil and ridge.
func (w *world) ground(d dice) {
	two := func(h, s, l, spread float64) (k [2]ink) {
		k[0] = d.shade(h, s, l, spread)
		k[1] = k[0].to(d.shade(h, s, l, spread), .7)
		return k
	}
	green := two(.25, .45, .4, 1.1)
	w.ridge = two(.3, .35, .35, 1)
	switch settings[w.setting].soil {
	case grass:
		w.soil = green
	case litter:
		w.soil = [2]ink{d.shade(.085, .4, .3, .8), d.shade(.22, .4, .3, .8)}
		w.ridge = two(.36, .35, .22, 1)
	case water:
		w.soil = two(.54, .45, .42, 1)
	case sand:
		w.soil = two(.115, .45, .68, .7)
		w.ridge = two(.53, .5, .45, 1) // the sea
	case asphalt:
		w.soil = [2]ink{d.shade(.6, .06, .45, 1), green[0]}
		w.ridge = [2]ink{d.shade(.03, .4, .45, 1), d.shade(.09, .3, .62, 1)}
	case snow:
		w.soil = [2]ink{d.shade(.58, .25, .92, .4), d.shade(.6, .4, .8, .5)}
		w.ridge = [2]ink{d.shade(.62, .15, .55, 1), {.95, .96, .98}}
	}
}

// shapes of the classes: width by height, and how high they are in a world of
// toys, in which sizes differ less than in ours.
var shapes = [...]struct{ aspect, height float64 }{
	balloon: {.76, 1}, bird: {1.2, .4}, boat: {.95, .9}, car: {2.1, .5}, dog: {1.45, .5}, flower: {.6, .5},
	house: {1.4, .9}, mushroom: {.95, .4}, tree: {.75, 1.1}, windmill: {.85, 1.15},
}

// populate puts one to four things into the world: the one of the label in
// front and largest, the others behind it and smaller by their distance.
func (w *world) populate(d dice, label int32) {
	first := d.thing(label)
	extent := d.between(.55, .85)
	a := shapes[label].aspect
	first.height = extent / max(1, a)
	first.x = .5 + (.5-.42*min(a, 1)*extent)*d.between(-1, 1)
	if w.above {
		w.lie(d, &first)
	} else {
		first.foot = clamp(d.between(w.horizon+.25, .97), first.height+.02, .97)
		if label == balloon {
			first.height = extent * .85
			first.rise = d.between(.02, .12)
			first.foot = clamp(first.foot, first.height+first.rise+.02, .97)
		}
	}
	for range []int{0, 1, 1, 2, 2, 3}[d.below(6)] {
		class := d.below(len(sceneClasses))
		for !fits(class, w.setting) || class == boat && w.setting != lake {
			class = d.below(len(sceneClasses))
		}
		t := d.thing(int32(class))
		near := d.between(.3, .75)
		ratio := clamp(shapes[class].height/shapes[label].height, .5, 1.3)
		t.height = first.height * ratio * near
		// At most half the area of the first.
		if area := t.height * t.height * shapes[class].aspect; area > .5*first.height*first.height*a {
			t.height *= math.Sqrt(.5 * first.height * first.height * a / area)
		}
		t.foot = lerp(w.horizon, first.foot, near)
		if class == balloon {
			t.rise = d.between(.1, .5) * w.horizon
		}
		for range 8 {
			t.x = d.between(.03, .97)
			if math.Abs(t.x-first.x) > .3*(a*first.height+shapes[class].aspect*t.height) {
				break
			}
		}
		if w.above {
			w.lie(d, &t)
		}
		w.things = append(w.things, t)
	}
	slices.SortStableFunc(w.things, func(a, b thing) int { return cmp.Compare(a.foot, b.foot) })
	w.things = append(w.things, first)
	w.main = len(w.things) - 1
}

// lie puts a thing down as seen from above, turned anyhow.
func (w *world) lie(d dice, t *thing) {
	t.turn = 2 * math.Pi * d.unit()
	reach := .5 - .42*min(1, t.height*max(1, shapes[t.class].aspect))
	t.x, t.foot, t.rise = .5+reach*d.between(-1, 1), .5+reach*d.between(-1, 1), 0
}

// dye is a colour that people give to things, and its name.
type dye struct {
	word    string
	h, s, l float64
}

var (
	lacquers = []dye{{"red", 0, .75, .47}, {"orange", .075, .85, .52}, {"yellow", .135, .85, .55}, {"green", .38, .55, .38}, {"blue", .6, .65, .48}, {"purple", .77, .45, .48}, {"white", .1, .12, .9}}
	petals   = []dye{{"red", .98, .8, .52}, {"orange", .07, .9, .56}, {"yellow", .14, .9, .58}, {"pink", .92, .75, .74}, {"purple", .76, .5, .56}, {"blue", .63, .65, .6}, {"white", .12, .2, .94}}
	coats    = []dye{{"brown", .06, .5, .33}, {"black", .07, .1, .16}, {"white", .1, .2, .88}, {"golden", .1, .6, .56}, {"grey", .6, .05, .5}}
	walls    = []dye{{"brick", .03, .5, .45}, {"white", .11, .25, .88}, {"yellow", .12, .6, .7}, {"blue", .57, .3, .62}, {"grey", .1, .06, .62}, {"pink", .98, .45, .76}}
	caps     = []dye{{"red", 0, .75, .45}, {"brown", .06, .5, .35}, {"orange", .07, .75, .48}, {"yellow", .125, .6, .6}, {"purple", .82, .3, .42}}
	leaves   = []dye{{"green", .27, .5, .36}, {"dark green", .37, .45, .27}, {"yellow", .13, .7, .5}, {"orange", .06, .7, .45}, {"pink", .94, .55, .74}}
)

// thing draws the form and the colours of a thing.
func (d dice) thing(class int32) thing {
	t := thing{class: class, kind: d.below(2), face: d.side(), seed: d.seed()}
	for n := range t.part {
		t.part[n] = d.trait()
	}
	pick := func(dyes []dye) ink {
		y := dyes[d.below(len(dyes))]
		t.word = y.word
		return d.shade(y.h, y.s, y.l, .45)
	}
	t.ink[1], t.ink[2] = pick(lacquers), pick(lacquers)
	switch class {
	case balloon, boat, car, bird:
		t.ink[0] = pick(lacquers)
	case dog:
		t.ink[0] = pick(coats)
	case flower:
		t.ink[0] = pick(petals)
		t.ink[1] = d.shade(.3, .5, .36, .8) // stem
		t.ink[2] = d.shade(.12, .8, .5, 1).times(.6 + .4*d.trait())
	case house, windmill:
		t.ink[0] = pick(walls)
		t.ink[1] = d.shade([]float64{.02, .07, .6}[d.below(3)], .3, .35, 1) // roof
	case mushroom:
		t.ink[0] = pick(caps)
		t.ink[1] = d.shade(.11, .3, .86, .6) // stem
	case tree:
		if t.kind == 0 {
			t.ink[0] = pick(leaves)
		} else {
			t.ink[0] = pick(leaves[:2])
		}
		t.ink[1] = d.shade(.07, .35, .3, 1) // bark
	}
	return t
}

// captions tell class, colour, place, sky and what else there is, in several
// words. The first is complete.
func (w *world) captions() []string {
	main := w.things[w.main]
	name := sceneClasses[main.class]
	noun, where := article(main.word+" "+name), w.where(main)
	var others []string
	for class, other := range sceneClasses {
		n := 0
		for k, t := range w.things {
			if k != w.main && int(t.class) == class {
				n++
			}
		}
		switch {
		case n == 1:
			others = append(others, article(other))
		case n > 1:
			others = append(others, []string{2: "two ", 3: "three "}[n]+other+"s")
		}
	}
	with := ""
	if len(others) > 0 {
		with = ", with " + strings.Join(others, " and ")
	}
	short := []string{"a picture of " + article(name), "there is " + noun + " " + where}
	if w.above {
		return append([]string{noun + " " + where + with + ", seen from above"}, short...)
	}
	sky := " under " + skies[w.sky]
	return append([]string{noun + " " + where + sky + with, article(name) + sky}, short...)
}

func (w *world) where(t thing) string {
	s := settings[w.setting]
	switch {
	case w.above:
		return "lying on the " + soils[s.soil]
	case t.rise > 0:
		return s.over
	}
	return s.where
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// at is the thing at a time of a clip, 0 to 1; that of a still is half way.
func (w *world) at(k int, time float64) thing {
	t := w.things[k]
	time -= .5
	u := t.hops * (time + .5)
	u -= math.Floor(u)
	t.x += (t.dx - w.pan) * time
	t.foot -= t.lift * time
	t.rise += t.hop * 4 * u * (1 - u) // a parabola
	t.beat = t.part[0]*math.Pi + t.spin*time
	return t
}

// pen draws thing t on c.
func (w *world) pen(c *canvas, t *thing) *pen {
	side := float64(c.size)
	s := t.height * side
	p := &pen{canvas: c, tint: w.tint, haze: w.haze}
	if w.above { // turned about its middle
		sin, cos := math.Sincos(t.turn)
		p.frame = frame{xx: s * t.face * cos, xy: s * sin, yx: s * t.face * sin, yy: -s * cos,
			x: t.x*side - .5*s*sin, y: t.foot*side + .5*s*cos}
	} else {
		p.frame = frame{xx: s * t.face, yy: -s, x: t.x * side, y: (t.foot - t.rise) * side}
		p.lx, p.ly = w.light*t.face, .8
		p.far = .35 * (1 - clamp((t.foot-w.horizon)/(.8-w.horizon), 0, 1))
	}
	p.back = p.frame.inverse()
	return p
}

// shadow darkens what the shadow of a thing falls on, or its mirror image on
// water: the thing's own shapes, laid on the ground away from the light.
func (w *world) shadow(c *canvas, t *thing) {
	p := w.pen(c, t)
	p.dry = true
	side := float64(c.size)
	s, strength := t.height*side, w.strength
	switch {
	case w.above:
		sin, cos := math.Sincos(float64(t.seed))
		p.frame.x, p.frame.y = p.frame.x+.05*s*cos, p.frame.y+.05*s*sin
	case settings[w.setting].soil == water:
		p.frame.yy, p.frame.y = .5*s, (t.foot+.3*t.rise)*side
		strength = .4
	default:
		lean := -.75 * w.light
		p.frame = frame{xx: s * t.face, xy: lean * s, yy: .26 * s, x: (t.x + lean*t.rise) * side, y: (t.foot + .26*t.rise) * side}
	}
	clear(c.cover)
	p.draw(t)
	for k, a := range c.cover {
		if a > 0 {
			c.pix[k] = c.pix[k].to(c.pix[k].by(ink{.2, .24, .38}), a*strength)
		}
	}
}

// paint fills pixels with the picture at a time.
func (w *world) paint(c *canvas, time float64, pixels []uint8) {
	w.scenery(c, -w.pan*(time-.5))
	for k := range w.things {
		t := w.at(k, time)
		w.shadow(c, &t)
		w.pen(c, &t).draw(&t)
	}
	seed, side := w.seed+uint32(1000*time), float64(c.size)
	for k, p := range c.pix {
		x, y := k%c.size, k/c.size
		dx, dy := (float64(x)+.5)/side-w.middle.x, (float64(y)+.5)/side-w.middle.y
		bright := 255 * (1 - w.dark*1.4*(dx*dx+dy*dy))
		h := lot(x, y, seed)
		for n := range p {
			h = h*251 - math.Floor(h*251) // its lower digits
			pixels[3*k+n] = uint8(clamp(bright*w.exposure[n]*p[n]+255*3.4*w.noise*(h-.5)+.5, 0, 255))
		}
	}
}

// mask fills id with 1+k where thing k is foremost at a time and returns the
// area of each.
func (w *world) mask(c *canvas, time float64, id []uint8) (area []int) {
	clear(id)
	area = make([]int, len(w.things))
	for k := range w.things {
		t := w.at(k, time)
		p := w.pen(c, &t)
		p.dry = true
		clear(c.cover)
		p.draw(&t)
		for n, a := range c.cover {
			if a >= .5 {
				id[n] = 1 + uint8(k)
				area[k]++
			}
		}
	}
	return area
}
