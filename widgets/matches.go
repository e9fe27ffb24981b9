package widgets

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/vector"
)

// Matches sets two images side by side, enlarged, and draws a line for each pair
// of positions that belong together, in pixels of a and of b: which place of one
// view shows what a place of another shows. Show it in a [Gallery].
func Matches(a, b Image, pairs [][2][2]float64) (Image, error) {
	for _, m := range []Image{a, b} {
		if err := m.check(); err != nil {
			return Image{}, fmt.Errorf("widgets: matches: %w", err)
		}
	}
	const side, gap = 240, 48 // of what is drawn
	scale := max(1, int(math.Ceil(side/float64(max(a.H, a.W, b.H, b.W)))))
	left := a.W*scale + gap
	canvas := image.NewRGBA(image.Rect(0, 0, left+b.W*scale, max(a.H, b.H)*scale))
	draw.Draw(canvas, canvas.Bounds(), image.NewUniform(white), image.Point{}, draw.Src)
	for row := range canvas.Rect.Dy() {
		for col := range canvas.Rect.Dx() {
			if r, c := row/scale, col/scale; r < a.H && c < a.W {
				canvas.SetRGBA(col, row, a.at(r, c))
			} else if c := (col - left) / scale; r < b.H && col >= left {
				canvas.SetRGBA(col, row, b.at(r, c))
			}
		}
	}
	colors := append(roleColors[Blue:len(roleColors):len(roleColors)], classes...)
	for i, p := range pairs {
		for _, v := range []float64{p[0][0], p[0][1], p[1][0], p[1][1]} {
			if !finite(v) {
				return Image{}, fmt.Errorf("widgets: matches: pair %d is %v", i, p)
			}
		}
		k := float64(scale)
		stroke(canvas, colors[i%len(colors)], p[0][0]*k, p[0][1]*k, float64(left)+p[1][0]*k, p[1][1]*k)
	}
	out := Image{H: canvas.Rect.Dy(), W: canvas.Rect.Dx(), C: 3}
	for i := 0; i < len(canvas.Pix); i += 4 {
		out.Pixels = append(out.Pixels, canvas.Pix[i:i+3]...)
	}
	return out, nil
}

// stroke draws a line with a dot at either end, on a white border that shows on dark images.
func stroke(on *image.RGBA, c color.RGBA, x0, y0, x1, y1 float64) {
	for _, pass := range []struct {
		color color.RGBA
		half  float64 // of the width
	}{{white, 2}, {c, 1}} {
		r := vector.NewRasterizer(on.Rect.Dx(), on.Rect.Dy())
		polygon := func(points ...[2]float64) {
			for i, p := range points {
				if i == 0 {
					r.MoveTo(float32(p[0]), float32(p[1]))
				} else {
					r.LineTo(float32(p[0]), float32(p[1]))
				}
			}
			r.ClosePath()
		}
		length := math.Max(math.Hypot(x1-x0, y1-y0), 1e-9)
		u, v := (y1-y0)/length*pass.half, -(x1-x0)/length*pass.half // across
		polygon([2]float64{x0 + u, y0 + v}, [2]float64{x1 + u, y1 + v}, [2]float64{x1 - u, y1 - v}, [2]float64{x0 - u, y0 - v})
		for _, end := range [][2]float64{{x0, y0}, {x1, y1}} {
			var ring [][2]float64
			for k := range 16 {
				sin, cos := math.Sincos(2 * math.Pi * float64(k) / 16)
				ring = append(ring, [2]float64{end[0] + (3+pass.half)*cos, end[1] + (3+pass.half)*sin})
			}
			polygon(ring...)
		}
		r.Draw(on, on.Rect, image.NewUniform(pass.color), image.Point{})
	}
}
