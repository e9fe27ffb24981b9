package widgets

import (
	"fmt"
	"image/color"
	"math"
)

// Role gives a series its colour. Random initialisation and supervision look
// the same in every figure; methods take the palette's colours in order, or
// name one to keep it from figure to figure.
type Role int

// The roles. Right and Wrong mark predictions in a Gallery.
const (
	Auto       Role = iota // the next palette colour that no other series names
	RandomInit             // grey: the floor
	Supervised             // black: the ceiling
	Blue
	Vermillion
	Green
	Purple
	Orange
	Sky

	Right = Green
	Wrong = Vermillion
)

var (
	white  = color.RGBA{255, 255, 255, 255}
	black  = color.RGBA{26, 26, 26, 255}
	soft   = color.RGBA{89, 89, 89, 255} // notes, axis labels, ticks
	guide  = color.RGBA{120, 120, 120, 255}
	axis   = color.RGBA{150, 150, 150, 255}
	grid   = color.RGBA{232, 232, 232, 255}
	leader = color.RGBA{190, 190, 190, 255}
)

// roleColors is indexed by Role. Okabe and Ito's yellow is left out: too light
// for lines on white.
var roleColors = [...]color.RGBA{
	RandomInit: {145, 145, 145, 255},
	Supervised: black,
	Blue:       {0, 114, 178, 255},
	Vermillion: {213, 94, 0, 255},
	Green:      {0, 158, 115, 255},
	Purple:     {204, 121, 167, 255},
	Orange:     {230, 159, 0, 255},
	Sky:        {86, 180, 233, 255},
}

// classes are colours for dots, of which there may be ten kinds, beyond those of
// the roles: indigo, wine and sand of P. Tol's scheme "muted", and brown.
var classes = []color.RGBA{{51, 34, 136, 255}, {120, 72, 32, 255}, {136, 34, 85, 255}, {221, 204, 119, 255}}

// assign resolves Auto to the palette colours that no series has named, and
// then to more.
func assign(series []Series, more ...color.RGBA) ([]color.RGBA, error) {
	palette := append(roleColors[:len(roleColors):len(roleColors)], more...)
	named := make([]bool, len(palette))
	for _, s := range series {
		if s.Role < Auto || int(s.Role) >= len(roleColors) {
			return nil, fmt.Errorf("series %q: unknown role %d", s.Name, s.Role)
		}
		named[s.Role] = true
	}
	colors := make([]color.RGBA, len(series))
	next := Blue
	for i, s := range series {
		role := s.Role
		if role == Auto {
			for int(next) < len(palette) && named[next] {
				next++
			}
			if int(next) == len(palette) {
				return nil, fmt.Errorf("series %q: the palette's %d colours are used up: split the figure", s.Name, len(palette)-int(Blue))
			}
			role = next
			next++
		}
		colors[i] = palette[role]
	}
	return colors, nil
}

// readable darkens c until text in it has a contrast of 4.5 to white, as WCAG
// 2.1, success criterion 1.4.3, asks for.
func readable(c color.RGBA) color.RGBA {
	for 1.05/(luminance(c)+0.05) < 4.5 {
		c.R, c.G, c.B = uint8(float64(c.R)*0.95), uint8(float64(c.G)*0.95), uint8(float64(c.B)*0.95)
	}
	return c
}

// mix goes from a to b as t goes from 0 to 1.
func mix(a, b color.RGBA, t float64) color.RGBA {
	channel := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-t) + float64(b)*t)) }
	return color.RGBA{channel(a.R, b.R), channel(a.G, b.G), channel(a.B, b.B), 255}
}

// light is for the areas under and around a line of colour c.
func light(c color.RGBA) color.NRGBA { return color.NRGBA{c.R, c.G, c.B, 51} }

// luminance is WCAG's relative luminance, in [0, 1].
func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// viridis is S. van der Walt and N. Smith's perceptually uniform map, at every
// eighth of its length.
var viridis = [...]color.RGBA{
	{68, 1, 84, 255}, {71, 45, 123, 255}, {59, 82, 139, 255}, {44, 114, 142, 255}, {33, 145, 140, 255},
	{40, 174, 128, 255}, {94, 201, 98, 255}, {173, 220, 48, 255}, {253, 231, 37, 255},
}

// heat maps t in [0, 1] to a colour.
func heat(t float64) color.RGBA {
	at := min(max(t, 0), 1) * float64(len(viridis)-1)
	i := min(int(at), len(viridis)-2)
	return mix(viridis[i], viridis[i+1], at-float64(i))
}
