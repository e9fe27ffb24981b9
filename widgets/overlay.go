package widgets

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	xfont "golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// classColors tell ten classes apart.
var classColors = append(roleColors[Blue:len(roleColors):len(roleColors)], classes...)

// Segments tints an image by the class of each pixel, class [H*W]: 0 leaves it as it is, in grey, and k has the k-th of ten
// colours, again from the first after the last.
func Segments(m Image, class []uint8) (Image, error) {
	if err := m.check(); err != nil {
		return Image{}, fmt.Errorf("widgets: segments: %w", err)
	}
	if len(class) != m.H*m.W {
		return Image{}, fmt.Errorf("widgets: segments: classes of %d pixels for an image of %d x %d", len(class), m.H, m.W)
	}
	out := Image{H: m.H, W: m.W, C: 3}
	for i, k := range class {
		p := m.at(i/m.W, i%m.W)
		grey := uint8((299*int(p.R) + 587*int(p.G) + 114*int(p.B)) / 1000)
		p = mix(color.RGBA{grey, grey, grey, 255}, white, 0.3)
		if k > 0 {
			p = mix(p, classColors[int(k-1)%len(classColors)], 0.75)
		}
		out.Pixels = append(out.Pixels, p.R, p.G, p.B)
	}
	return out, nil
}

// Box is a rectangle to be drawn on an image, in pixels, half open, in the colour of its class, counted from 0, as that of
// Segments.
type Box struct {
	Top, Left, Bottom, Right float64
	Class                    int
	Label                    string
}

// Boxes enlarges an image and draws the boxes on it, each with its label at its upper left corner. Show it in a [Gallery] of
// size 128, where its letters are sharp.
func Boxes(m Image, boxes []Box) (Image, error) {
	if err := m.check(); err != nil {
		return Image{}, fmt.Errorf("widgets: boxes: %w", err)
	}
	const side, line = 256, 2 // of what is drawn
	scale := side / float64(max(m.H, m.W))
	at := func(v float64) int { return int(math.Round(v * scale)) }
	canvas := image.NewRGBA(image.Rect(0, 0, at(float64(m.W)), at(float64(m.H))))
	for row := range canvas.Rect.Dy() {
		for col := range canvas.Rect.Dx() {
			canvas.SetRGBA(col, row, m.at(int((float64(row)+0.5)/scale), int((float64(col)+0.5)/scale)))
		}
	}
	fill := func(r image.Rectangle, c color.RGBA) {
		draw.Draw(canvas, r, image.NewUniform(c), image.Point{}, draw.Src)
	}
	frame := func(r image.Rectangle, width int, c color.RGBA) {
		fill(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+width), c)
		fill(image.Rect(r.Min.X, r.Max.Y-width, r.Max.X, r.Max.Y), c)
		fill(image.Rect(r.Min.X, r.Min.Y, r.Min.X+width, r.Max.Y), c)
		fill(image.Rect(r.Max.X-width, r.Min.Y, r.Max.X, r.Max.Y), c)
	}
	for i, b := range boxes {
		if !finite(b.Top) || !finite(b.Left) || !finite(b.Bottom) || !finite(b.Right) || b.Class < 0 {
			return Image{}, fmt.Errorf("widgets: boxes: box %d is %+v", i, b)
		}
		c, r := classColors[b.Class%len(classColors)], image.Rect(at(b.Left), at(b.Top), at(b.Right), at(b.Bottom))
		frame(r.Inset(-1), line+2, white) // it shows on dark images
		frame(r, line, c)
	}
	face := typeface{xfont.WeightNormal, 9}.face()
	pen := xfont.Drawer{Dst: canvas, Face: face.FontFace(pngDPI / 2)}
	for _, b := range boxes { // over all lines
		if b.Label == "" {
			continue
		}
		const height = 15
		width := pen.MeasureString(b.Label).Ceil() + 4
		x := min(max(at(b.Left), 0), canvas.Rect.Dx()-width)
		y := min(max(at(b.Top)-height, 0), canvas.Rect.Dy()-height)
		c := readable(classColors[b.Class%len(classColors)])
		fill(image.Rect(x, y, x+width, y+height), c)
		pen.Src, pen.Dot = image.NewUniform(white), fixed.P(x+2, y+height-4)
		pen.DrawString(b.Label)
	}
	out := Image{H: canvas.Rect.Dy(), W: canvas.Rect.Dx(), C: 3}
	for i := 0; i < len(canvas.Pix); i += 4 {
		out.Pixels = append(out.Pixels, canvas.Pix[i:i+3]...)
	}
	return out, nil
}
