package widgets

import (
	"math"
	"testing"
)

func TestMatchesGolden(t *testing.T) {
	m := scene(32, 32, 3)
	pairs := [][2][2]float64{{{4, 4}, {10, 6}}, {{16, 16}, {20, 17}}, {{28, 28}, {30, 31}}, {{4, 28}, {8, 29}}}
	out, err := Matches(m, m, pairs)
	if err != nil {
		t.Fatal(err)
	}
	fig, err := Gallery{Title: "Which place shows the same", Images: [][]Image{{out}}, Size: out.W / 2}.Figure()
	golden(t, "matches", fig, err, false)
}

func TestMatchesMistakes(t *testing.T) {
	m := scene(8, 8, 1)
	if _, err := Matches(m, Image{H: 2, W: 2, C: 3}, nil); err == nil {
		t.Error("an image without pixels passes")
	}
	if _, err := Matches(m, m, [][2][2]float64{{{0, 0}, {math.NaN(), 0}}}); err == nil {
		t.Error("a position that is no number passes")
	}
	// Whatever lies outside is cut off.
	if out, err := Matches(m, m, [][2][2]float64{{{-50, 3}, {99, 3}}}); err != nil || out.check() != nil {
		t.Errorf("positions outside: %v, %v", err, out.check())
	}
}
