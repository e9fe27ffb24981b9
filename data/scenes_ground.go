package data

import "math"

// scenery draws sky, ridge and soil, moved aside by pan.
func (w *world) scenery(c *canvas, pan float64) {
	side := float64(c.size)
	if w.above {
		for k := range c.pix {
			x, y := (float64(k%c.size)+.5)/side, (float64(k/c.size)+.5)/side
			c.pix[k] = w.earth(3*(x-pan), 3*y, true, .15, 3/side).by(w.tint)
		}
		return
	}
	near, far := make([]float64, c.size), make([]float64, c.size) // tops of ridges, in pixels
	for x := range near {
		n, f := w.ridges((float64(x)+.5)/side - pan)
		near[x], far[x] = (w.horizon-n)*side, (w.horizon-f)*side
	}
	s := settings[w.setting]
	for y := range c.size {
		v := (float64(y) + .5) / side
		row := c.pix[y*c.size : (y+1)*c.size]
		depth := (v - w.horizon) / (1 - w.horizon) // of the soil: 0 at the horizon, 1 at the picture's foot
		ground := clamp((v-w.horizon)*side+.5, 0, 1)
		for x := range row {
			u := (float64(x)+.5)/side - pan
			var k ink
			if ground < 1 {
				k = w.heaven(u, v)
				if a := clamp(float64(y)+1-far[x], 0, 1); a > 0 && s.ridge != sea {
					k = k.to(w.ridgeInk(u, v, side, true), a)
				}
				if a := clamp(float64(y)+1-near[x], 0, 1); a > 0 && s.ridge != sea {
					k = k.to(w.ridgeInk(u, v, side, false), a)
				}
			}
			if ground > 0 {
				z := 1 / (max(depth, 0) + .09)
				g := w.soilInk((u-.5)*z, z, depth, u, z/side).by(w.tint).to(w.haze, .3*(1-smooth(0, .35, depth)))
				k = k.to(g, ground)
			}
			row[x] = k
		}
	}
}

// heaven is the sky at a point.
func (w *world) heaven(u, v float64) ink {
	k := w.zenith.to(w.haze, math.Pow(clamp(v/w.horizon, 0, 1), 1.5))
	if w.sun.y >= 0 {
		d := math.Hypot(u-w.sun.x, v-w.sun.y)
		glow := ink{1, .97, .86}
		k = k.to(glow, .55*math.Exp(-d*d/.02))
		k = k.to(glow, smooth(.062, .048, d))
	}
	if w.clouds > 0 {
		x, y := u*3.2, v*9
		n := .6*rough(x, y, w.seed) + .27*rough(2.1*x, 2.1*y, w.seed+1) + .13*rough(4.3*x, 4.3*y, w.seed+2)
		edge := .78 - .5*w.clouds
		if a := smooth(edge, edge+.22, n); a > 0 {
			cloud := ink{.98, .98, .98}.to(w.haze, .25).to(w.zenith.times(.8), .5*smooth(edge+.1, edge+.4, n)*w.clouds)
			k = k.to(cloud, .85*a)
		}
	}
	return k
}

// ridges are the heights of the near and the far ridge above the horizon.
func (w *world) ridges(u float64) (near, far float64) {
	s := w.seed + 11
	switch settings[w.setting].ridge {
	case hills:
		return .01 + .09*rough(u*2.2, 0, s), .04 + .13*rough(u*2.8, 5, s)
	case firs:
		return fir(u*8, s)*.15 + .04, fir(u*11, s+1)*.13 + .1
	case islands:
		return -1, .11 * smooth(.5, .9, rough(u*2.2, 0, s))
	case street:
		cell := math.Floor(u * 4.3)
		h := .1 + .16*lot(int(cell), 0, s)
		if lot(int(cell), 1, s) < .5 { // a gable
			h += .06 * (1 - 2*math.Abs(u*4.3-cell-.5))
		}
		return h, .05 + .1*rough(u*6, 9, s)
	case peaks:
		a := 1 - math.Abs(2*rough(u*2.6, 0, s)-1)
		b := 1 - math.Abs(2*rough(u*6, 3, s)-1)
		return .01 + .05*rough(u*3, 7, s), .02 + .2*a*a + .06*b
	}
	return -1, -1
}

// fir is the outline of a row of firs, 0 to 1.
func fir(x float64, seed uint32) float64 {
	best := .25
	for i := math.Floor(x) - 1; i <= math.Floor(x)+1; i++ {
		h := .45 + .55*lot(int(i), 0, seed)
		d := math.Abs(x - i - .3 - .4*lot(int(i), 1, seed))
		best = max(best, h-d*1.1)
	}
	return best
}

// ridgeInk is the colour of the far or the near ridge.
func (w *world) ridgeInk(u, v, side float64, far bool) ink {
	s := w.seed + 31
	k, haze := w.ridge[0], .2
	if far {
		k, haze = w.ridge[1], .5
	}
	switch settings[w.setting].ridge {
	case hills, islands:
		k = k.times(.85 + .3*rough(u*30, v*40, s))
	case firs:
		k = k.times(.75 + .5*rough(u*40, v*14, s))
		if !far {
			haze = .08
		}
	case street:
		if far {
			break
		}
		cell := math.Floor(u * 4.3)
		k = w.ridge[int(2*lot(int(cell), 2, s))].times(.8 + .35*lot(int(cell), 3, s))
		x, y := (u*4.3-cell)*3, (w.horizon-v)*15
		fade := smooth(1.5, 4, side/15)
		if fx, fy := x-math.Floor(x), y-math.Floor(y); y > .4 && y < 2.6 && fx > .3 && fx < .7 && fy > .2 && fy < .75 {
			k = k.to(glass, .75*fade)
		} else {
			row := math.Floor(y * 5)
			k = k.times(1 + .2*fade*(lot(int(math.Floor(x*3+.5*math.Mod(row, 2))), int(row), s)-.5))
		}
	case peaks:
		if far {
			rock := k.times(.7 + .5*rough(u*14+v*9, v*10-u*5, s))
			k = w.ridge[0].by(rock).times(1.5).to(w.ridge[1], smooth(.35, .6, rough(u*9, v*9, s)+.9*(w.horizon-v)/.2-.3))
			haze = .25
		} else {
			k = w.soil[0].times(.93)
		}
	}
	return k.by(w.tint).to(w.haze, haze)
}

// soilInk is the colour of the ground in perspective: x and z are aside and
// away in the world, depth and u in the picture; pixel is the width of a pixel
// in the world.
func (w *world) soilInk(x, z, depth, u, pixel float64) ink {
	switch settings[w.setting].soil {
	case sand:
		shore := .2 + .05*rough(u*5, 0, w.seed+3)
		if depth < shore {
			k := w.waves(w.ridge[0], w.ridge[1], x, z, pixel)
			return k.to(cream, .8*smooth(shore-.035, shore-.01, depth))
		}
		k := w.earth(x, 2.2*z, false, depth, pixel)
		return k.times(.78 + .22*smooth(shore, shore+.12, depth)) // wet
	case asphalt:
		low, high := w.road()
		if depth < low || depth > high {
			kerb := max(smooth(low-.035, low-.02, depth)*smooth(low+.005, low, depth), smooth(high+.06, high+.045, depth)*smooth(high-.005, high, depth))
			grass := w.soil[1].times(.8 + .25*rough(x*4, z*6, w.seed+5) + .15*rough(x*22, z*8, w.seed+6))
			return grass.to(ink{.68, .67, .65}, kerb)
		}
		k := w.earth(x, 2.2*z, false, depth, pixel)
		middle, broad := lerp(low, high, .48), .03*(high-low)+.008
		if dash := x*2.2 - math.Floor(x*2.2); dash < .55 {
			k = k.to(cream, .8*smooth(broad, broad*.5, math.Abs(depth-middle)))
		}
		return k
	}
	return w.earth(x, 2.2*z, false, depth, pixel)
}

// road is where it begins and ends, as depths: about a main thing that drives,
// in front of others.
func (w *world) road() (low, high float64) {
	main := w.things[w.main]
	depth := (main.foot - w.horizon) / (1 - w.horizon)
	if main.class == car {
		return depth - .3, depth + .12
	}
	return depth + .06, 1.2
}

// earth is the soil at a place; seen from above it has no direction.
func (w *world) earth(x, y float64, above bool, depth, pixel float64) ink {
	s := w.seed + 50
	fine := smooth(.5, .12, pixel*8) // how well what is an eighth across can be seen
	broad := rough(x*2, y*1.4, s)
	k := w.soil[0].to(w.soil[1], broad)
	switch settings[w.setting].soil {
	case grass:
		blades := rough(x*26, y*6, s+1)
		if above {
			blades = .5*rough(x*14, y*14, s+1) + .5*rough(x*14+y*9, y*14-x*9, s+2)
		}
		k = k.times(.84 + .32*broad*.4 + .55*(.3+.7*fine)*(blades-.5) + .1)
		if d := rough(x*9, y*7, s+3); fine > .3 && d > .87 { // tiny flowers
			k = k.to(ink{.95, .92, .75}, .5*fine)
		}
	case litter:
		n := rough(x*8, y*5, s+1)
		k = w.soil[0].to(w.soil[1], smooth(.45, .65, broad))
		k = k.times(.75+.5*n).to(hsl(.07, .6, .45), .55*fine*smooth(.62, .72, rough(x*13, y*9, s+2)))
	case water:
		if above {
			n := .6*rough(x*4, y*4, s+1) + .4*rough(x*9, y*9, s+2)
			return k.times(.9+.3*(n-.5)).to(w.haze, .3*smooth(.6, .8, n))
		}
		return w.waves(w.soil[0], w.soil[1], x, y/2.2, pixel)
	case sand:
		k = k.times(.95 + .14*(rough(x*3, y*4, s+1)-.5) + .16*(rough(x*31, y*31, s+2)-.5))
	case asphalt:
		k = w.soil[0].times(.92 + .12*broad + .2*(rough(x*37, y*37, s+2)-.5))
	case snow:
		k = w.soil[0].to(w.soil[1], .8*smooth(.45, .8, rough(x*1.6, y*1.8, s+1))).times(.98 + .05*rough(x*20, y*20, s+2))
	}
	return k
}

// waves are water in perspective: ripples along x, finer far away, where it
// mirrors the sky.
func (w *world) waves(a, b ink, x, z, pixel float64) ink {
	s := w.seed + 70
	n := .6*rough(x*3.5, z*9, s) + .4*rough(x*8, z*19, s+1)
	calm := smooth(.35, .06, pixel*2)
	k := a.to(b, rough(x, z*2, s+2)).times(.95 + .5*calm*(n-.5))
	k = k.to(w.haze, .25*(1-smooth(1, 6, 9/z))+.45*calm*smooth(.58, .8, n))
	return k
}
