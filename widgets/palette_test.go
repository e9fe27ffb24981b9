package widgets

import (
	"image/color"
	"math"
	"testing"
)

// TestReadable: every role's text meets WCAG's 4.5 on white.
func TestReadable(t *testing.T) {
	for role, c := range roleColors[1:] {
		if ratio := 1.05 / (luminance(readable(c)) + 0.05); ratio < 4.5 {
			t.Errorf("role %d: contrast %.2f", role+1, ratio)
		}
	}
}

// TestHeatIsUniform: lightness (CIE L*) climbs all along the map, so that it
// reads the same in grey and with any colour vision.
func TestHeatIsUniform(t *testing.T) {
	last := -1.0
	for i := range 101 {
		l := 116*math.Cbrt(luminance(heat(float64(i)/100))) - 16
		if l <= last {
			t.Fatalf("lightness %v at %d%% after %v", l, i, last)
		}
		last = l
	}
}

// TestClassesDiffer: all pairs of the ten colours of dots are 17 apart or more in
// CIE L*a*b* (2 is just seen side by side), with full and with dichromatic sight
// as simulated by Machado, Oliveira and Fernandes (2009). The nearest are two of
// Okabe and Ito's own, 17.9.
func TestClassesDiffer(t *testing.T) {
	ten := append(append([]color.RGBA{}, roleColors[Blue:Sky+1]...), classes...)
	if len(ten) != 10 {
		t.Fatalf("%d colours", len(ten))
	}
	for sight, m := range map[string][3][3]float64{
		"full":         {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
		"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	} {
		for i, a := range ten {
			for _, b := range ten[:i] {
				p, q := lab(a, m), lab(b, m)
				if d := math.Hypot(math.Hypot(p[0]-q[0], p[1]-q[1]), p[2]-q[2]); d < 17 {
					t.Errorf("%s: %v and %v are %.0f apart", sight, a, b, d)
				}
			}
		}
	}
}

// lab returns the CIE L*a*b* of a colour after m on its linear channels.
func lab(c color.RGBA, m [3][3]float64) [3]float64 {
	var rgb, seen, xyz [3]float64
	for i, v := range []uint8{c.R, c.G, c.B} {
		rgb[i] = luminance(color.RGBA{v, v, v, 255})
	}
	for i := range 3 {
		seen[i] = min(max(m[i][0]*rgb[0]+m[i][1]*rgb[1]+m[i][2]*rgb[2], 0), 1)
	}
	for i, row := range [3][3]float64{{0.4339, 0.3762, 0.1899}, {0.2126, 0.7152, 0.0722}, {0.0177, 0.1095, 0.8727}} { // over the white of D65
		v := row[0]*seen[0] + row[1]*seen[1] + row[2]*seen[2]
		if xyz[i] = math.Cbrt(v); v < 0.008856 {
			xyz[i] = 7.787*v + 16./116
		}
	}
	return [3]float64{116*xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])}
}
