package widgets

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata; look at them before you commit")

// golden compares a figure with testdata/<name>.png and, if vector is set, with
// testdata/<name>.svg.
func golden(t *testing.T, name string, fig *Figure, err error, vector bool) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	compare := func(ext string, got []byte, differ func(got, want []byte) error) {
		t.Helper()
		path := filepath.Join("testdata", name+ext)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (go test ./widgets -update writes it)", err)
		}
		if err := differ(got, want); err != nil {
			t.Errorf("%s: %v (go test ./widgets -update rewrites it)", path, err)
		}
	}
	compare(".png", fig.PNG(), differPNG)
	if vector {
		compare(".svg", []byte(fig.SVG()), differSVG)
	}
}

// differPNG allows what another architecture's fused multiply-add does to the
// edges of shapes: a coverage that rounds the other way is 1 level of 255, and
// a glyph or hairline that falls on the other side of a subpixel changes some
// edge pixels by more. So: a mean of at most 0.02 levels, and at most 1 pixel
// in 2000 off by more than 8. A label of one more digit changes the mean by
// 0.1 and more.
func differPNG(got, want []byte) error {
	g, err := png.Decode(bytes.NewReader(got))
	if err != nil {
		return err
	}
	w, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		return err
	}
	if g.Bounds() != w.Bounds() {
		return fmt.Errorf("size %v, want %v", g.Bounds(), w.Bounds())
	}
	pixels, off, sum := 0, 0, 0.0
	for y := range g.Bounds().Dy() {
		for x := range g.Bounds().Dx() {
			r0, g0, b0, _ := g.At(x, y).RGBA()
			r1, g1, b1, _ := w.At(x, y).RGBA()
			d := 0.0
			for _, p := range [][2]uint32{{r0, r1}, {g0, g1}, {b0, b1}} {
				d = max(d, math.Abs(float64(p[0])-float64(p[1]))/257)
			}
			pixels++
			sum += d
			if d > 8 {
				off++
			}
		}
	}
	if mean := sum / float64(pixels); mean > 0.02 || off*2000 > pixels {
		return fmt.Errorf("mean difference %.3f levels, %d of %d pixels off by more than 8", mean, off, pixels)
	}
	return nil
}

var numeral = regexp.MustCompile(`-?\d+(\.\d+)?(e-?\d+)?`)

// differSVG wants the same text and the same numbers to 0.02 points: they are
// written with five digits, of which fused multiply-add may move the last.
func differSVG(got, want []byte) error {
	if g, w := numeral.ReplaceAllString(string(got), "#"), numeral.ReplaceAllString(string(want), "#"); g != w {
		gl, wl := strings.Split(g, "\n"), strings.Split(w, "\n")
		for i := range min(len(gl), len(wl)) {
			if gl[i] != wl[i] {
				return fmt.Errorf("line %d is %q, want %q", i+1, gl[i], wl[i])
			}
		}
		return fmt.Errorf("%d lines, want %d", len(gl), len(wl))
	}
	gn, wn := numeral.FindAllString(string(got), -1), numeral.FindAllString(string(want), -1)
	for i := range gn {
		g, _ := strconv.ParseFloat(gn[i], 64)
		w, _ := strconv.ParseFloat(wn[i], 64)
		if math.Abs(g-w) > 0.02 {
			return fmt.Errorf("number %d is %s, want %s", i, gn[i], wn[i])
		}
	}
	return nil
}

// wantError checks that err says what is wrong.
func wantError(t *testing.T, name string, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: error %v, want one that says %q", name, err, part)
	}
}
