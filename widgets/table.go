package widgets

import (
	"errors"
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is text in rows and columns, for notebooks (HTML, Markdown) and
// terminals (Text). A column whose cells all begin with a number, empty cells
// and dashes aside, is aligned to the right.
type Table struct {
	Head []string
	Rows [][]string // each as long as Head
	Best []int      // columns in which the greatest number is bold (in Text: has an asterisk)
}

// value returns the number with which a cell begins: 71.3 of "71.3 ± 0.4".
func value(cell string) (float64, bool) {
	fields := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" \u00a0±(%", r) })
	if len(fields) == 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.Replace(fields[0], "\u2212", "-", 1), 64)
	return v, err == nil && finite(v)
}

// layout is what all three forms share: alignment, and which cells are bold.
func (t Table) layout() (rightAligned []bool, bold [][]bool, err error) {
	if len(t.Head) == 0 {
		return nil, nil, errors.New("widgets: table: no columns")
	}
	for i, row := range t.Rows {
		if len(row) != len(t.Head) {
			return nil, nil, fmt.Errorf("widgets: table: row %d has %d cells for %d columns", i, len(row), len(t.Head))
		}
	}
	for _, c := range t.Best {
		if c < 0 || c >= len(t.Head) {
			return nil, nil, fmt.Errorf("widgets: table: best of column %d of %d", c, len(t.Head))
		}
	}
	rightAligned = make([]bool, len(t.Head))
	bold = make([][]bool, len(t.Rows))
	for i := range bold {
		bold[i] = make([]bool, len(t.Head))
	}
	for c := range t.Head {
		numbers, others := newInterval(), false
		for _, row := range t.Rows {
			if v, ok := value(row[c]); ok {
				numbers.add(v)
			} else if !slices.Contains([]string{"", "-", "–", "—", "n/a"}, strings.TrimSpace(row[c])) {
				others = true
			}
		}
		rightAligned[c] = numbers.lo <= numbers.hi && !others
		if !slices.Contains(t.Best, c) {
			continue
		}
		for i, row := range t.Rows {
			v, ok := value(row[c])
			bold[i][c] = ok && v == numbers.hi
		}
	}
	return rightAligned, bold, nil
}

// HTML returns a table element with its style inline, dark on light whatever
// the page's theme. Cells are escaped.
func (t Table) HTML() (string, error) {
	rightAligned, bold, err := t.layout()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	cell := func(tag, style string, c int, text string) {
		align := "left"
		if rightAligned[c] {
			align = "right"
		}
		fmt.Fprintf(&b, `<%s style="text-align:%s;padding:4px 10px;white-space:nowrap;%s">%s</%s>`, tag, align, style, text, tag)
	}
	b.WriteString(`<table style="border-collapse:collapse;border:0;background:#fff;color:#1a1a1a;font:13px/1.4 Arial,Helvetica,sans-serif;font-variant-numeric:tabular-nums">` + "\n<thead><tr>")
	for c, s := range t.Head {
		cell("th", "font-weight:bold;border:0;border-bottom:1px solid #969696", c, html.EscapeString(Printable(s)))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for i, row := range t.Rows {
		background := "#fff"
		if i%2 == 1 {
			background = "#f5f5f5"
		}
		fmt.Fprintf(&b, `<tr style="background:%s">`, background)
		for c, s := range row {
			s = html.EscapeString(Printable(s))
			if bold[i][c] {
				s = "<b>" + s + "</b>"
			}
			cell("td", "border:0", c, s)
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody></table>\n")
	return b.String(), nil
}

// Markdown returns the table in the syntax of GitHub and Jupyter. Cells are escaped.
func (t Table) Markdown() (string, error) {
	rightAligned, bold, err := t.layout()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(row []string, bold []bool) {
		for c, s := range row {
			s = EscapeMarkdown(s)
			if bold != nil && bold[c] {
				s = "**" + s + "**"
			}
			b.WriteString("| " + s + " ")
		}
		b.WriteString("|\n")
	}
	line(t.Head, nil)
	for c := range t.Head {
		if rightAligned[c] {
			b.WriteString("| ---: ")
		} else {
			b.WriteString("| --- ")
		}
	}
	b.WriteString("|\n")
	for i, row := range t.Rows {
		line(row, bold[i])
	}
	return b.String(), nil
}

// Text returns the table for a terminal, its columns aligned with spaces. Cells cannot steer it, see
// [Printable].
func (t Table) Text() (string, error) {
	rightAligned, bold, err := t.layout()
	if err != nil {
		return "", err
	}
	oneLine := strings.NewReplacer("\n", " ", "\r", "", "\t", " ")
	lines := [][]string{slices.Clone(t.Head)}
	for i, row := range t.Rows {
		line := slices.Clone(row)
		for c := range line {
			switch {
			case bold[i][c]:
				line[c] += "*"
			case slices.Contains(t.Best, c):
				line[c] += " " // digits stay under digits
			}
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(t.Head))
	for _, line := range lines {
		for c := range line {
			line[c] = Printable(oneLine.Replace(line[c]))
			widths[c] = max(widths[c], utf8.RuneCountInString(line[c]))
		}
	}
	var b strings.Builder
	for i, line := range lines {
		var out strings.Builder
		for c, s := range line {
			space := strings.Repeat(" ", widths[c]-utf8.RuneCountInString(s))
			if rightAligned[c] {
				out.WriteString(space + s + "  ")
			} else {
				out.WriteString(s + space + "  ")
			}
		}
		b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
		if i == 0 {
			rules := make([]string, len(widths))
			for c, w := range widths {
				rules[c] = strings.Repeat("-", w)
			}
			b.WriteString(strings.Join(rules, "  ") + "\n")
		}
	}
	return b.String(), nil
}
