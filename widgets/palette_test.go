package widgets

import (
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
