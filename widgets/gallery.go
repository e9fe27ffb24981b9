package widgets

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
)

// Image is a picture in memory: Pixels [H, W, C], row by row, C = 1 (grey) or 3
// (red, green, blue). The zero Image is none.
type Image struct {
	Pixels  []uint8
	H, W, C int
}

func (m Image) none() bool { return m.Pixels == nil && m.H == 0 && m.W == 0 && m.C == 0 }

func (m Image) check() error {
	switch {
	case m.C != 1 && m.C != 3:
		return fmt.Errorf("an image with %d channels: want 1 or 3", m.C)
	case m.H < 1 || m.W < 1:
		return fmt.Errorf("an image of height %d and width %d", m.H, m.W)
	case len(m.Pixels) != m.H*m.W*m.C:
		return fmt.Errorf("%d values for an image of %d x %d x %d", len(m.Pixels), m.H, m.W, m.C)
	}
	return nil
}

// at returns the colour of a pixel.
func (m Image) at(row, col int) color.RGBA {
	v := m.Pixels[(row*m.W+col)*m.C:]
	if m.C == 1 {
		return color.RGBA{v[0], v[0], v[0], 255}
	}
	return color.RGBA{v[0], v[1], v[2], 255}
}

func (m Image) image() image.Image {
	out := image.NewRGBA(image.Rect(0, 0, m.W, m.H))
	for row := range m.H {
		for col := range m.W {
			out.SetRGBA(col, row, m.at(row, col))
		}
	}
	return out
}

// Gallery draws a grid of images, enlarged without smoothing.
type Gallery struct {
	Title, Note string
	Images      [][]Image  // rows of equal length; the zero Image leaves its cell empty
	Rows, Cols  []string   // captions left of the rows and over the columns, or nil
	Captions    [][]string // captions below the images, or nil
	Roles       [][]Role   // colours of frames and captions (Right, Wrong), or nil; Auto is neither
	Size        int        // pixels of an image's longer side; 0 fits the grid into 640 pixels
}

// Figure draws the gallery, as large as its content. It reports rows and
// captions of unequal lengths and images that are not what they say.
func (g Gallery) Figure() (*Figure, error) {
	f, err := g.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: gallery: %w", err)
	}
	return f, nil
}

func (g Gallery) check() error {
	if len(g.Images) == 0 || len(g.Images[0]) == 0 {
		return errors.New("no images")
	}
	rows, cols := len(g.Images), len(g.Images[0])
	for _, list := range []struct {
		name      string
		have, all int
	}{{"Rows", len(g.Rows), rows}, {"Cols", len(g.Cols), cols}, {"Captions", len(g.Captions), rows}, {"Roles", len(g.Roles), rows}} {
		if list.have != 0 && list.have != list.all {
			return fmt.Errorf("%d %s for a grid of %d x %d", list.have, list.name, rows, cols)
		}
	}
	if g.Size < 0 {
		return fmt.Errorf("size %d: want 1 or more, or 0 to fit", g.Size)
	}
	some := false
	for r, row := range g.Images {
		if len(row) != cols {
			return fmt.Errorf("row %d has %d images, row 0 has %d: fill up with Image{}", r, len(row), cols)
		}
		if g.Captions != nil && len(g.Captions[r]) != cols {
			return fmt.Errorf("row %d has %d captions for %d images", r, len(g.Captions[r]), cols)
		}
		if g.Roles != nil && len(g.Roles[r]) != cols {
			return fmt.Errorf("row %d has %d roles for %d images", r, len(g.Roles[r]), cols)
		}
		for c, m := range row {
			if m.none() {
				continue
			}
			some = true
			if err := m.check(); err != nil {
				return fmt.Errorf("row %d, column %d: %w", r, c, err)
			}
			if g.Roles != nil && (g.Roles[r][c] < Auto || int(g.Roles[r][c]) >= len(roleColors)) {
				return fmt.Errorf("row %d, column %d: unknown role %d", r, c, g.Roles[r][c])
			}
		}
	}
	if !some {
		return errors.New("no images")
	}
	return nil
}

func (g Gallery) figure() (*Figure, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	const (
		gap        = 8 * px
		frame      = 2 * px
		maxCaption = 96.0
	)
	rows, cols := len(g.Images), len(g.Images[0])

	// Captions left of the rows.
	rowText := make([][]string, rows)
	x0 := margin
	if g.Rows != nil {
		widest := 0.0
		for r, s := range g.Rows {
			rowText[r] = textFace.wrap(s, maxCaption)
			widest = max(widest, textFace.widest(rowText[r]))
		}
		x0 += math.Ceil(widest/px)*px + gap
	}

	// One side for all: images keep their proportions within it.
	side := float64(g.Size) * px
	if g.Size == 0 {
		side = min(max((pageWidth-margin-x0)/float64(cols)-gap, 24*px), 96*px)
		longest := 0
		for _, row := range g.Images {
			for _, m := range row {
				longest = max(longest, m.H, m.W)
			}
		}
		if n := math.Floor(2 * side / px / float64(longest)); n >= 1 {
			side = n * float64(longest) * px / 2 // every pixel the same size in the PNG
		}
	}
	size := func(m Image) (w, h float64) {
		scale := side / float64(max(m.H, m.W))
		return float64(m.W) * scale, float64(m.H) * scale
	}
	cellW, cellH := 0.0, 0.0
	for _, row := range g.Images {
		for _, m := range row {
			if !m.none() {
				w, h := size(m)
				cellW, cellH = max(cellW, w), max(cellH, h)
			}
		}
	}
	// Columns are as wide as their captions' longest words ask for.
	slot := cellW
	for _, list := range append([][]string{g.Cols}, g.Captions...) {
		for _, s := range list {
			slot = max(slot, min(smallFace.width(s), maxCaption))
		}
	}
	if g.Size == 0 {
		slot = max(cellW, min(slot, (pageWidth-margin-x0+gap)/float64(cols)-gap))
	}
	slot = math.Ceil(slot/px) * px

	lines := func(list []string, t typeface) (out [][]string, deepest int) {
		for _, s := range list {
			wrapped := t.wrap(s, slot+gap-2)
			out = append(out, wrapped)
			deepest = max(deepest, len(wrapped))
		}
		return out, deepest
	}
	width := x0 + float64(cols)*(slot+gap) - gap + margin
	headWidth := max(width, 320*px) // a title over a small gallery gets room
	head := newHeading(g.Title, g.Note, headWidth)
	if len(head.title)+len(head.note) > 0 {
		width = max(width, min(headWidth, 2*margin+max(titleFace.widest(head.title), smallFace.widest(head.note))))
	}
	y := math.Ceil(head.bottom()/px) * px
	colText, deepest := lines(g.Cols, textFace)
	y += math.Ceil(float64(deepest)*textFace.leading()/px) * px
	if deepest > 0 {
		y += 4 * px
	}
	tops := make([]float64, rows)
	captions := make([][][]string, rows)
	for r := range rows {
		tops[r] = y
		y += cellH + gap
		if g.Captions != nil {
			captions[r], deepest = lines(g.Captions[r], smallFace)
			y += math.Ceil(float64(deepest)*smallFace.leading()/px)*px + gap/2
		}
	}
	y -= gap

	left0 := func(c int) float64 { return x0 + float64(c)*(slot+gap) }
	f, err := newFigure(width, y+margin, describe(g.Title, "images", strings.Join(g.Rows, ", "), strings.Join(g.Cols, ", ")), func(p pen) {
		head.draw(p)
		for c, s := range colText {
			last := float64(len(s)) * textFace.leading()
			p.block(soft, textFace, left0(c)+slot/2, tops[0]-4*px-last, center, s)
		}
		for r, row := range g.Images {
			p.block(soft, textFace, margin, tops[r]+cellH/2-float64(len(rowText[r]))*textFace.leading()/2, left, rowText[r])
			for c, m := range row {
				ink := soft
				if !m.none() && g.Roles != nil && g.Roles[r][c] != Auto {
					frameColor := roleColors[g.Roles[r][c]]
					ink = readable(frameColor)
					w, h := size(m)
					p.rect(frameColor, left0(c)+(slot-w)/2-frame, tops[r]+(cellH-h)/2-frame, w+2*frame, h+2*frame)
				}
				if captions[r] != nil {
					p.block(ink, smallFace, left0(c)+slot/2, tops[r]+cellH+3, center, captions[r][c])
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for r, row := range g.Images {
		for c, m := range row {
			if !m.none() {
				w, h := size(m)
				f.pictures = append(f.pictures, picture{left0(c) + (slot-w)/2, tops[r] + (cellH-h)/2, w, h, m.image()})
			}
		}
	}
	return f, nil
}
