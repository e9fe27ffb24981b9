package widgets

import (
	"errors"
	"fmt"
	"math"
)

// Heatmap draws a matrix as coloured cells with their values printed: a
// confusion matrix, or accuracy over two hyperparameters. Colours go from
// violet (least) to yellow (greatest). NaN is not measured, and left blank.
type Heatmap struct {
	Title, Note        string
	RowLabel, ColLabel string      // what the rows and the columns are
	Rows, Cols         []string    // their names
	Values             [][]float64 // [len(Rows)][len(Cols)]
	Spread             [][]float64 // as Values; printed after ±. nil, or NaN: none
	Decimals           int         // of the printed values
}

// text is what the cell says.
func (m Heatmap) text(r, c int) string {
	text := number(m.Values[r][c], m.Decimals)
	if m.Spread != nil && !math.IsNaN(m.Spread[r][c]) {
		text += " ± " + number(m.Spread[r][c], m.Decimals)
	}
	return text
}

// Figure draws the matrix, as large as its content. It reports rows of unequal
// lengths, infinite values, and a matrix without any value.
func (m Heatmap) Figure() (*Figure, error) {
	f, err := m.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: heatmap: %w", err)
	}
	return f, nil
}

func (m Heatmap) figure() (*Figure, error) {
	if len(m.Rows) == 0 || len(m.Cols) == 0 {
		return nil, errors.New("want names for rows and columns")
	}
	if len(m.Values) != len(m.Rows) {
		return nil, fmt.Errorf("%d rows of values for %d names", len(m.Values), len(m.Rows))
	}
	if m.Decimals < 0 {
		return nil, fmt.Errorf("%d decimals", m.Decimals)
	}
	values := newInterval()
	widest := 0.0
	for r, row := range m.Values {
		if len(row) != len(m.Cols) {
			return nil, fmt.Errorf("row %d has %d values for %d names", r, len(row), len(m.Cols))
		}
		for c, v := range row {
			if math.IsInf(v, 0) {
				return nil, fmt.Errorf("row %d, column %d is %v: use NaN for a value not measured", r, c, v)
			}
			if m.Spread != nil && !(len(m.Spread) == len(m.Rows) && len(m.Spread[r]) == len(row)) {
				return nil, fmt.Errorf("the spread of row %d is not as long as its values", r)
			}
			if !math.IsNaN(v) {
				values.add(v)
				widest = max(widest, textFace.width(m.text(r, c)))
			}
		}
	}
	if values.lo > values.hi {
		return nil, errors.New("all values are NaN")
	}

	const (
		cellH   = 24.0
		maxName = 80.0
	)
	for _, label := range []string{m.RowLabel, m.ColLabel} {
		if err := fits(label, 2*maxName); err != nil {
			return nil, err
		}
	}
	rowW := textFace.width(m.RowLabel)
	for _, s := range m.Rows {
		rowW = max(rowW, textFace.width(s))
	}
	rowW = min(rowW, 2*maxName)
	cellW := max(widest+12, 33)
	for _, s := range m.Cols {
		cellW = max(cellW, min(textFace.width(s), maxName)+8)
	}
	cellW = math.Ceil(cellW/px) * px
	x0 := math.Ceil((margin+rowW+8)/px) * px
	width := max(x0+cellW*float64(len(m.Cols))+margin, x0+textFace.width(m.ColLabel)+margin, 320*px)
	head := newHeading(m.Title, m.Note, width)
	y := head.bottom()
	colLabelAt := y + textFace.size
	if m.ColLabel != "" {
		y += textFace.leading() + 2
	}
	colText := make([][]string, len(m.Cols))
	deepest := 1
	for c, s := range m.Cols {
		colText[c] = textFace.wrap(s, cellW-4)
		deepest = max(deepest, len(colText[c]))
	}
	y0 := math.Ceil((y+float64(deepest)*textFace.leading()+4)/px) * px
	return newFigure(width, y0+cellH*float64(len(m.Rows))+margin, describe(m.Title, m.Note), func(p pen) {
		head.draw(p)
		p.text(soft, textFace, x0, colLabelAt, left, m.ColLabel)
		p.block(soft, textFace, x0-8, y0-4-textFace.leading(), right, []string{m.RowLabel})
		for c, s := range colText {
			p.block(black, textFace, x0+(float64(c)+0.5)*cellW, y0-4-float64(len(s))*textFace.leading(), center, s)
		}
		for r, row := range m.Values {
			top := y0 + float64(r)*cellH
			name := textFace.wrap(m.Rows[r], 2*maxName)
			p.block(black, textFace, x0-8, top+cellH/2-float64(len(name))*textFace.leading()/2, right, name)
			for c, v := range row {
				if math.IsNaN(v) {
					continue
				}
				t := 0.5
				if values.hi > values.lo {
					t = (v - values.lo) / (values.hi - values.lo)
				}
				fill, ink := heat(t), white
				if luminance(fill) > 0.2 {
					ink = black
				}
				x := x0 + float64(c)*cellW
				p.rect(fill, x, top, cellW-px, cellH-px)
				p.text(ink, textFace, x+(cellW-px)/2, top+(cellH-px)/2+textFace.middle(), center, m.text(r, c))
			}
		}
	})
}
