package widgets

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
	xdraw "golang.org/x/image/draw"
	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lengths are in points, from the top left corner; px is a pixel of a screen
// at its ordinary resolution, as in CSS.
const (
	px        = 0.75
	pageWidth = 640 * px
	maxSide   = 4096 * px // a side of 8192 pixels in the PNG
	pngDPI    = 192       // two pixels a px: sharp on today's screens
)

// Figure is a drawn and checked picture. It is immutable, and safe for
// concurrent use.
type Figure struct {
	width, height float64
	alt           string
	draw          func(pen)
	pictures      []picture
}

// picture is an image placed on the figure, scaled to w x h without smoothing.
type picture struct {
	x, y, w, h float64
	img        image.Image
}

// SVG returns the figure as an SVG document, for files and for inline display.
// Text stays text, in Liberation Sans or the fonts of the same widths (Arial,
// Helvetica), one of which every system has.
func (f *Figure) SVG() string {
	c := vgsvg.New(vg.Length(f.width), vg.Length(f.height))
	p := pen{c, f.width, f.height}
	f.draw(p)
	for _, pic := range f.pictures {
		c.DrawImage(vg.Rectangle{Min: p.at(pic.x, pic.y+pic.h), Max: p.at(pic.x+pic.w, pic.y)}, pic.img)
	}
	var out bytes.Buffer
	if _, err := c.WriteTo(&out); err != nil {
		panic(err) // a bytes.Buffer takes every write
	}
	_, body, _ := strings.Cut(out.String(), "<svg ") // drops the XML prologue, which inline display has no use for
	return fmt.Sprintf(`<svg role="img" aria-label="%s" `, html.EscapeString(f.alt)) + strings.NewReplacer(
		"font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;",
		"<image ", `<image style="image-rendering:pixelated" preserveAspectRatio="none" `,
		"data:image/jpg;", "data:image/png;", // what vgsvg writes is PNG
	).Replace(body)
}

// PNG returns the figure as a PNG file with two pixels for one of SVG's and
// HTML's.
func (f *Figure) PNG() []byte {
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(f.width), vg.Length(f.height)), vgimg.UseDPI(pngDPI))
	f.draw(pen{c, f.width, f.height})
	dots := func(v float64) int { return int(math.Round(v * pngDPI / 72)) }
	for _, pic := range f.pictures {
		r := image.Rect(dots(pic.x), dots(pic.y), dots(pic.x+pic.w), dots(pic.y+pic.h))
		xdraw.NearestNeighbor.Scale(c.Image(), r, pic.img, pic.img.Bounds(), xdraw.Src, nil)
	}
	var img image.Image = c.Image()
	if len(f.pictures) == 0 {
		img = paletted(img)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, img); err != nil {
		panic(err) // Figure methods check the size, and a bytes.Buffer takes every write
	}
	return out.Bytes()
}

// paletted keeps the 256 most frequent colours of a drawing, which makes its
// PNG a third as large. What is lost are shades in the soft edges of shapes.
func paletted(img image.Image) image.Image {
	b := img.Bounds()
	count := map[color.RGBA]int{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[img.At(x, y).(color.RGBA)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(count), func(p, q color.RGBA) int {
		return cmp.Or(count[q]-count[p], int(p.R)-int(q.R), int(p.G)-int(q.G), int(p.B)-int(q.B))
	})
	var palette color.Palette
	for _, c := range frequent[:min(len(frequent), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range frequent {
		index[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(b, palette)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			out.SetColorIndex(x, y, index[img.At(x, y).(color.RGBA)])
		}
	}
	return out
}

// Size is that of the SVG and the HTML, in pixels of a screen at its ordinary resolution.
func (f *Figure) Size() (width, height int) {
	return int(math.Round(f.width / px)), int(math.Round(f.height / px))
}

// Alt is what the figure is to those who don't see it.
func (f *Figure) Alt() string { return f.alt }

// HTML returns an img element that holds the PNG, at its natural size.
func (f *Figure) HTML() string {
	width, height := f.Size()
	return fmt.Sprintf(`<img alt="%s" width="%d" height="%d" src="data:image/png;base64,%s">`,
		html.EscapeString(f.alt), width, height, base64.StdEncoding.EncodeToString(f.PNG()))
}

// Save writes the figure to path, as SVG or PNG by its extension (.svg, .png).
// The file appears whole or not at all.
func (f *Figure) Save(path string) error {
	var content []byte
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".svg":
		content = []byte(f.SVG())
	case ".png":
		content = f.PNG()
	default:
		return fmt.Errorf("widgets: save %s: unknown extension %q: use .svg or .png", path, ext)
	}
	if err := renameio.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("widgets: save %s: %w", path, err)
	}
	return nil
}

// describe is what a figure is to those who don't see it: its title, or else the parts that there are.
func describe(title string, parts ...string) string {
	if title != "" {
		return title
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// newFigure rounds the size up to whole px, on which pen's rules lie.
func newFigure(width, height float64, alt string, draw func(pen)) (*Figure, error) {
	up := func(v float64) float64 { return math.Ceil(v/px-1e-9) * px }
	f := &Figure{width: up(width), height: up(height), alt: Printable(alt), draw: draw}
	if f.width > maxSide || f.height > maxSide {
		return nil, fmt.Errorf("a figure of %.0f x %.0f pixels is over the limit of %.0f: split it", f.width/px, f.height/px, maxSide/px)
	}
	return f, nil
}

// pen draws on a vector canvas in points from the top left corner.
type pen struct {
	vg.Canvas
	width, height float64
}

func (p pen) at(x, y float64) vg.Point {
	return vg.Point{X: vg.Length(x), Y: vg.Length(p.height - y)}
}

// snap moves a coordinate to the middle of a pixel, where a rule one pixel
// wide is sharp.
func snap(v float64) float64 { return math.Floor(v/px)*px + px/2 }

func (p pen) path(pts [][2]float64) vg.Path {
	var path vg.Path
	for i, pt := range pts {
		if i == 0 {
			path.Move(p.at(pt[0], pt[1]))
		} else {
			path.Line(p.at(pt[0], pt[1]))
		}
	}
	return path
}

func (p pen) stroke(c color.Color, width float64, dash []vg.Length, pts ...[2]float64) {
	p.SetColor(c)
	p.SetLineWidth(vg.Length(width))
	p.SetLineDash(dash, 0)
	p.Stroke(p.path(pts))
}

func (p pen) fill(c color.Color, pts ...[2]float64) {
	path := p.path(pts)
	path.Close()
	p.SetColor(c)
	p.Fill(path)
}

func (p pen) rect(c color.Color, x, y, w, h float64) {
	p.fill(c, [2]float64{x, y}, [2]float64{x + w, y}, [2]float64{x + w, y + h}, [2]float64{x, y + h})
}

func (p pen) dot(c color.Color, x, y, radius float64) {
	var path vg.Path
	path.Move(p.at(x+radius, y))
	path.Arc(p.at(x, y), vg.Length(radius), 0, 2*math.Pi)
	path.Close()
	p.SetColor(c)
	p.Fill(path)
}

// errorBar is dark on a white halo, to be seen within a bar as beside it.
func (p pen) errorBar(c color.Color, x, top, bottom float64) {
	p.stroke(white, 2.2, nil, [2]float64{x, top}, [2]float64{x, bottom})
	p.stroke(c, 1.25, nil, [2]float64{x, top}, [2]float64{x, bottom})
}

// typeface is a weight and size of the one font family.
type typeface struct {
	weight xfont.Weight
	size   float64
}

var (
	titleFace = typeface{xfont.WeightBold, 11}
	textFace  = typeface{xfont.WeightNormal, 9}
	smallFace = typeface{xfont.WeightNormal, 8.25}
)

var fonts = sync.OnceValue(func() *font.Cache { return font.NewCache(liberation.Collection()) })

func (t typeface) face() font.Face {
	return fonts().Lookup(font.Font{Typeface: "Liberation", Variant: "Sans", Weight: t.weight}, vg.Length(t.size))
}

func (t typeface) width(s string) float64 {
	face := t.face()
	return float64(face.Width(Printable(s)))
}

// leading is the distance between lines, middle the height of a digit's middle
// over the baseline.
func (t typeface) leading() float64 { return 1.25 * t.size }
func (t typeface) middle() float64  { return 0.36 * t.size }

// wrap breaks s at spaces into lines of at most width, and within a word that
// is longer than that.
func (t typeface) wrap(s string, width float64) []string {
	var lines []string
	for _, paragraph := range strings.Split(s, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && t.width(line+" "+word) <= width {
				line += " " + word
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			line = ""
			for _, r := range word {
				if line != "" && t.width(line+string(r)) > width {
					lines = append(lines, line)
					line = ""
				}
				line += string(r)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func (t typeface) widest(lines []string) float64 {
	w := 0.0
	for _, line := range lines {
		w = max(w, t.width(line))
	}
	return w
}

// fits reports a label that must stand on one line and is wider than there is
// room for.
func fits(label string, room float64) error {
	if textFace.width(label) > room {
		return fmt.Errorf("the label %q is too long: put it into the note", label)
	}
	return nil
}

// Anchors of text: which part of it lies at x.
const left, center, right = 0.0, 0.5, 1.0

// text writes s with its baseline at y.
func (p pen) text(c color.Color, t typeface, x, y, anchor float64, s string) {
	if s == "" {
		return
	}
	s = Printable(s)
	face := t.face()
	p.SetColor(c)
	p.FillString(face, p.at(x-anchor*float64(face.Width(s)), y), s)
}

// block writes lines, the first with its top at y.
func (p pen) block(c color.Color, t typeface, x, y, anchor float64, lines []string) {
	for i, line := range lines {
		p.text(c, t, x, y+float64(i)*t.leading()+t.size, anchor, line)
	}
}

// heading is what stands over every figure: a title and a note in grey.
type heading struct{ title, note []string }

const margin = 6.0

func newHeading(title, note string, width float64) heading {
	var h heading
	if title != "" {
		h.title = titleFace.wrap(title, width-2*margin)
	}
	if note != "" {
		h.note = smallFace.wrap(note, width-2*margin)
	}
	return h
}

// bottom is where the heading ends.
func (h heading) bottom() float64 {
	y := margin + float64(len(h.title))*titleFace.leading() + float64(len(h.note))*smallFace.leading()
	if len(h.title)+len(h.note) > 0 {
		y += 6
	}
	return y
}

func (h heading) draw(p pen) {
	p.rect(white, 0, 0, p.width, p.height)
	p.block(black, titleFace, margin, margin, left, h.title)
	p.block(soft, smallFace, margin, margin+float64(len(h.title))*titleFace.leading()+1, left, h.note)
}
