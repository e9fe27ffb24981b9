package eval

import (
	"math"
	"strings"
	"testing"
)

// drawn reads a mask, # for what is in it.
func drawn(rows ...string) (mask []bool, h, w int) {
	for _, c := range strings.Join(rows, "") {
		mask = append(mask, c == '#')
	}
	return mask, len(rows), len(rows[0])
}

func TestJaccard(t *testing.T) {
	a, _, _ := drawn("##..", "##..", "....")
	b, _, _ := drawn(".##.", ".##.", "....")
	none, _, _ := drawn("....", "....", "....")
	for _, c := range []struct {
		mask, truth []bool
		want        float64
	}{
		{a, a, 1}, {a, b, 2. / 6}, {a, none, 0}, {none, a, 0}, {none, none, 1},
	} {
		if got := Jaccard(c.mask, c.truth); got != c.want {
			t.Errorf("J = %g, want %g", got, c.want)
		}
	}
}

// A mask's contour is half a pixel towards the upper left, as the toolkit's _seg2bmap has it.
func TestContourMarks(t *testing.T) {
	mask, h, w := drawn(
		".....",
		".....",
		"..##.",
		"..##.",
		".....")
	want, _, _ := drawn(
		".....",
		".###.",
		".#.#.",
		".###.",
		".....")
	got := contour(mask, h, w)
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("row %d, column %d: marked %v, want %v", i/w, i%w, got[i], want[i])
		}
	}
	// Along the image's edge nothing ends.
	whole, h, w := drawn("###", "###")
	for i, marked := range contour(whole, h, w) {
		if marked {
			t.Errorf("pixel %d of a mask of everything is marked", i)
		}
	}
}

func TestContour(t *testing.T) {
	shifted := func(by int) []bool { // a square of 20 pixels, in 60 by 80: the diagonal is 100
		mask := make([]bool, 60*80)
		for y := 20; y < 40; y++ {
			for x := 20 + by; x < 40+by; x++ {
				mask[y*80+x] = true
			}
		}
		return mask
	}
	none := make([]bool, 60*80)
	// 0.8 % of 100 is within one pixel. The contour is a ring of 21 by 21 pixels, so 80 marks, and moves with the square.
	for _, c := range []struct {
		by   int
		want float64
	}{{0, 1}, {1, 1}} {
		if got := Contour(shifted(c.by), shifted(0), 60, 80); got != c.want {
			t.Errorf("moved by %d: F = %g, want %g", c.by, got, c.want)
		}
	}
	if got := Contour(shifted(0), none, 60, 80); got != 0 {
		t.Errorf("F = %g with no truth, want 0", got)
	}
	if got := Contour(none, shifted(0), 60, 80); got != 0 {
		t.Errorf("F = %g without a mask, want 0", got)
	}
	if got := Contour(none, none, 60, 80); got != 1 {
		t.Errorf("F = %g of nothing, want 1", got)
	}
	// By two: of the upper and the lower side, columns 21 to 41 against 19 to 39, all but 41 are within one pixel: 2 * 20. Of the
	// upright sides, columns 21 and 41 of 19 rows, only the first and last pixel of 21 are, below and above the others'
	// sides. So it is 42 of 80, and likewise of the truth.
	if got := Contour(shifted(2), shifted(0), 60, 80); math.Abs(got-42./80) > 1e-15 {
		t.Errorf("moved by two: F = %g, want 0.525", got)
	}
	// A hole of one pixel has four marks that are wrong, and the truth has none that is missed.
	hole := shifted(0)
	hole[30*80+30] = false
	precision := 80. / 84
	if got, want := Contour(hole, shifted(0), 60, 80), 2*precision/(precision+1); math.Abs(got-want) > 1e-15 {
		t.Errorf("with a hole: F = %g, want %g", got, want)
	}
	// Twice as large an image allows two pixels.
	large := make([]bool, 120*160)
	line := func(at int) []bool {
		mask := append([]bool(nil), large...)
		for y := range 120 {
			for x := range at {
				mask[y*160+x] = true
			}
		}
		return mask
	}
	for by, want := range []float64{1, 1, 1, 0} {
		if got := Contour(line(50+by), line(50), 120, 160); got != want {
			t.Errorf("a straight edge moved by %d: F = %g, want %g", by, got, want)
		}
	}
}
