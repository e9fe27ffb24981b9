package widgets

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"strings"
	"testing"
)

// scene draws a small upright landscape: sky, sun, hills.
func scene(h, w, c int) Image {
	m := Image{H: h, W: w, C: c}
	for y := range h {
		for x := range w {
			u, v := (float64(x)+0.5)/float64(w), (float64(y)+0.5)/float64(h)
			p := []uint8{uint8(120 + 80*v), uint8(170 + 50*v), 235}
			if math.Hypot(u-0.72, v-0.25) < 0.13 {
				p = []uint8{255, 225, 120}
			}
			if v > 0.62+0.14*math.Sin(5*u+1) {
				p = []uint8{uint8(60 + 40*u), uint8(150 - 60*v), 70}
			}
			if c == 1 {
				p = p[1:2]
			}
			m.Pixels = append(m.Pixels, p...)
		}
	}
	return m
}

// turn rotates an image counterclockwise by quarter turns.
func turn(m Image, quarters int) Image {
	for range quarters {
		out := Image{H: m.W, W: m.H, C: m.C}
		for y := range out.H {
			for x := range out.W {
				i := (x*m.W + m.W - 1 - y) * m.C
				out.Pixels = append(out.Pixels, m.Pixels[i:i+m.C]...)
			}
		}
		m = out
	}
	return m
}

func rotations() Gallery {
	g := Gallery{
		Title: "What the network sees, and what it says",
		Note:  "Four copies of each crop; below: the predicted angle (green: right, vermillion: wrong)",
		Cols:  []string{"0°", "90°", "180°", "270°"},
		Rows:  []string{"photo", "Fashion-MNIST"},
	}
	for r, m := range []Image{scene(32, 32, 3), scene(28, 28, 1)} {
		g.Images = append(g.Images, nil)
		g.Captions = append(g.Captions, nil)
		g.Roles = append(g.Roles, nil)
		for q := range 4 {
			said := q
			if r == 1 && q == 3 {
				said = 1
			}
			role := Right
			if said != q {
				role = Wrong
			}
			g.Images[r] = append(g.Images[r], turn(m, q))
			g.Captions[r] = append(g.Captions[r], fmt.Sprintf("%d°", 90*said))
			g.Roles[r] = append(g.Roles[r], role)
		}
	}
	return g
}

func TestGalleryGolden(t *testing.T) {
	fig, err := rotations().Figure()
	golden(t, "gallery", fig, err, false)
}

// TestGalleryPixels: enlarging neither smooths nor mixes, in PNG or in SVG.
func TestGalleryPixels(t *testing.T) {
	m := Image{H: 2, W: 2, C: 3, Pixels: []uint8{255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30}}
	fig, err := Gallery{Images: [][]Image{{m}}, Size: 20}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(fig.PNG()))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[[3]uint8]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			counts[[3]uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}]++
		}
	}
	delete(counts, [3]uint8{255, 255, 255})
	if len(counts) != 4 {
		t.Errorf("%d colours of an image that has 4: %v", len(counts), counts)
	}
	for c, n := range counts {
		if n != 400 { // 20 pixels for 2, doubled in the PNG: 20 x 20 each
			t.Errorf("%d pixels of %v, want 400", n, c)
		}
	}
	if svg := fig.SVG(); strings.Count(svg, "image-rendering:pixelated") != 1 || !strings.Contains(svg, "data:image/png;base64,") {
		t.Error("the SVG's image would be smoothed")
	}
}

func TestGalleryEmptyCellAndShape(t *testing.T) {
	fig, err := Gallery{Images: [][]Image{{scene(8, 16, 3), {}}, {scene(16, 8, 1), scene(4, 4, 3)}}}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	if len(fig.pictures) != 3 {
		t.Fatalf("%d pictures, want 3", len(fig.pictures))
	}
	for i, ratio := range []float64{2, 0.5, 1} {
		if p := fig.pictures[i]; math.Abs(p.w/p.h-ratio) > 1e-9 {
			t.Errorf("picture %d is %v x %v, want a ratio of %v", i, p.w, p.h, ratio)
		}
	}
}

func TestGalleryErrors(t *testing.T) {
	ok := Image{H: 1, W: 1, C: 1, Pixels: []uint8{0}}
	row := []Image{ok, ok}
	for _, c := range []struct {
		name    string
		gallery Gallery
		want    string
	}{
		{"empty", Gallery{}, "no images"},
		{"only blanks", Gallery{Images: [][]Image{{{}}}}, "no images"},
		{"ragged", Gallery{Images: [][]Image{row, row[:1]}}, "fill up with Image{}"},
		{"channels", Gallery{Images: [][]Image{{{H: 1, W: 1, C: 2, Pixels: []uint8{0, 0}}}}}, "2 channels: want 1 or 3"},
		{"pixels", Gallery{Images: [][]Image{{ok, {H: 2, W: 2, C: 3, Pixels: []uint8{0}}}}}, "row 0, column 1: 1 values for an image of 2 x 2 x 3"},
		{"height", Gallery{Images: [][]Image{{{W: 1, C: 1}}}}, "height 0"},
		{"rows", Gallery{Images: [][]Image{row}, Rows: []string{"a", "b"}}, "2 Rows for a grid of 1 x 2"},
		{"cols", Gallery{Images: [][]Image{row}, Cols: []string{"a"}}, "1 Cols"},
		{"captions", Gallery{Images: [][]Image{row}, Captions: [][]string{{"a"}}}, "1 captions for 2 images"},
		{"roles", Gallery{Images: [][]Image{row}, Roles: [][]Role{{Right}}}, "1 roles for 2 images"},
		{"role", Gallery{Images: [][]Image{row}, Roles: [][]Role{{Right, -1}}}, "unknown role"},
		{"size", Gallery{Images: [][]Image{row}, Size: -1}, "size -1"},
		{"too large", Gallery{Images: [][]Image{row}, Size: 5000}, "split it"},
	} {
		_, err := c.gallery.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: gallery: ")
	}
}

func ExampleGallery() {
	m := Image{H: 1, W: 2, C: 1, Pixels: []uint8{0, 255}}
	fig, err := Gallery{
		Images: [][]Image{{m, m}}, Captions: [][]string{{"0°", "180°"}},
		Roles: [][]Role{{Right, Wrong}},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.HasPrefix(fig.HTML(), "<img "))
	// Output: true
}
