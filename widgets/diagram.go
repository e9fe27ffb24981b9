package widgets

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
)

// Diagram draws how things are made of each other: boxes on a grid, and arrows between them. The boxes of a column are as wide as
// its longest line, those of a row as high as its tallest text; arrows go straight, or round corners in the space between.
type Diagram struct {
	Title, Note string
	Boxes       []DiagramBox
	Arrows      []DiagramArrow
}

// DiagramBox is a text at a place.
type DiagramBox struct {
	Name     string // for arrows; each its own
	Text     string // its lines are kept
	Kind     BoxKind
	Row, Col int // from 0, at the top left
}

// BoxKind is what a box stands for.
type BoxKind int

// The kinds of boxes.
const (
	DataBox    BoxKind = iota // what goes in, and what comes out between
	StepBox                   // what is done to it without parameters
	TrainedBox                // a network that is trained, and thrown away afterwards
	KeptBox                   // a network that is trained, and kept
	HeldBox                   // a network, or a memory, that no gradient changes
	LossBox                   // what is made small
)

// DiagramArrow joins two boxes by their names.
type DiagramArrow struct {
	From, To string
	Kind     ArrowKind
	Label    string // one line; may be empty
}

// ArrowKind is what an arrow stands for.
type ArrowKind int

// The kinds of arrows.
const (
	FlowArrow    ArrowKind = iota // what is computed, forth, and the gradient back
	StoppedArrow                  // what is computed, and no gradient comes back: two bars across
	FollowsArrow                  // parameters that follow others, dashed
	AsideArrow                    // what is done now and then, or goes into later steps: dashed, too, in grey
	SharedArrow                   // the same parameters in both: a double line without a head
)

// Lengths of a diagram, in points.
const (
	boxPad   = 5.0  // above and below a text
	rowGap   = 18.0 // between rows
	minGap   = 19.0 // between columns
	maxGap   = 44.0
	headSize = 5.0 // of an arrow, long
	// looser is by how much text is wider in the fonts that stand in where a system has neither Liberation Sans nor one of its
	// widths: DejaVu Sans is the widest of them, by an eighth on average.
	looser = 1.15
)

type rectangle struct{ l, t, r, b float64 }

// meets reports whether two rectangles share more than an edge.
func (a rectangle) meets(b rectangle) bool {
	return a.l < b.r && b.l < a.r && a.t < b.b && b.t < a.b
}

func (a rectangle) grow(by float64) rectangle {
	return rectangle{a.l - by, a.t - by, a.r + by, a.b + by}
}

// segment is the rectangle that a horizontal or vertical line is.
func segment(p, q [2]float64) rectangle {
	return rectangle{min(p[0], q[0]), min(p[1], q[1]), max(p[0], q[0]), max(p[1], q[1])}
}

// route is an arrow as it is drawn.
type route struct {
	DiagramArrow
	from, to  int // boxes
	points    [][2]float64
	label     rectangle  // empty until there is one
	labelText [2]float64 // where its line begins
}

type layout struct {
	Diagram
	at     map[string]int
	lines  [][]string
	boxes  []rectangle
	gapsX  []float64 // middles of the gaps beside the columns, the first one before the first column
	gapsY  []float64
	routes []route
	bottom float64
}

// Figure draws the diagram, 640 pixels wide. It reports names that are missing or given twice, places that are taken, a grid that
// is wider than the page, and arrows or labels for which there is no room: what is drawn overlaps nowhere.
func (d Diagram) Figure() (*Figure, error) {
	f, err := d.figure()
	if err != nil {
		return nil, fmt.Errorf("widgets: diagram: %w", err)
	}
	return f, nil
}

func (d Diagram) figure() (*Figure, error) {
	head := newHeading(d.Title, d.Note, pageWidth)
	l := layout{Diagram: d, at: make(map[string]int)}
	if err := l.place(head.bottom() + 4); err != nil {
		return nil, err
	}
	for _, a := range d.Arrows {
		if err := l.route(a); err != nil {
			return nil, err
		}
	}
	for i := range l.routes { // all lines are known
		if err := l.tag(&l.routes[i]); err != nil {
			return nil, err
		}
	}
	legend := l.legend()
	places, bottom, err := flow(legend, l.bottom+10)
	if err != nil {
		return nil, err
	}
	return newFigure(pageWidth, bottom+margin, l.alt(), func(p pen) {
		head.draw(p)
		for _, r := range l.routes {
			r.draw(p)
		}
		for i, b := range d.Boxes {
			b.draw(p, l.boxes[i], l.lines[i])
		}
		for i, e := range legend {
			e.draw(p, places[i])
		}
	})
}

// place lays the boxes out from top on.
func (l *layout) place(top float64) error {
	if len(l.Boxes) == 0 {
		return errors.New("no boxes")
	}
	taken := make(map[[2]int]string)
	rows, cols := 0, 0
	for i, b := range l.Boxes {
		switch other, twice := taken[[2]int{b.Row, b.Col}]; {
		case b.Name == "" || strings.TrimSpace(b.Text) == "":
			return fmt.Errorf("box %d is called %q and says %q: give it a name and a text", i+1, b.Name, b.Text)
		case b.Kind < DataBox || b.Kind > LossBox:
			return fmt.Errorf("box %q: unknown kind %d", b.Name, b.Kind)
		case b.Row < 0 || b.Col < 0:
			return fmt.Errorf("box %q is in row %d, column %d", b.Name, b.Row, b.Col)
		case twice:
			return fmt.Errorf("boxes %q and %q are both in row %d, column %d", other, b.Name, b.Row, b.Col)
		}
		if _, twice := l.at[b.Name]; twice {
			return fmt.Errorf("two boxes are called %q", b.Name)
		}
		taken[[2]int{b.Row, b.Col}], l.at[b.Name] = b.Name, i
		rows, cols = max(rows, b.Row+1), max(cols, b.Col+1)
		l.lines = append(l.lines, strings.Split(b.Text, "\n"))
	}
	width, height := make([]float64, cols), make([]float64, rows)
	for i, b := range l.Boxes {
		w := b.face().widest(l.lines[i])
		// Text is set from the left: what it is longer by in another font goes to the right.
		width[b.Col] = max(width[b.Col], w+2*max(5, (looser-1)*w+2))
		height[b.Row] = max(height[b.Row], float64(len(l.lines[i]))*textFace.leading()+2*boxPad)
	}
	gap := make([]float64, cols-1)
	for c := range gap {
		gap[c] = minGap
	}
	for _, a := range l.Arrows { // which Figure checks later
		from, ok := l.at[a.From]
		to, also := l.at[a.To]
		if f, t := l.Boxes[from], l.Boxes[to]; ok && also && a.Label != "" && f.Row == t.Row && max(f.Col, t.Col)-min(f.Col, t.Col) == 1 {
			gap[min(f.Col, t.Col)] = max(gap[min(f.Col, t.Col)], looser*smallFace.width(a.Label)+headSize+4)
		}
	}
	total := 0.0
	for _, w := range append(width, gap...) {
		total += w
	}
	room := pageWidth - 2*margin - total
	if room < 0 {
		return fmt.Errorf("it is %.0f pixels wider than the page: break its texts into more lines, or use fewer columns", -room/px)
	}
	for c := range gap { // the room goes to the gaps, and what they don't need to both sides
		more := max(0, min(room/float64(len(gap)), maxGap-gap[c]))
		gap[c] += more
		total += more
	}
	starts, y := make([]float64, cols), top
	x := (pageWidth - total) / 2
	l.gapsX = append(l.gapsX, x-minGap/2)
	for c := range cols {
		starts[c] = x
		x += width[c]
		if c < len(gap) {
			l.gapsX = append(l.gapsX, x+gap[c]/2)
			x += gap[c]
		}
	}
	l.gapsX = append(l.gapsX, x+minGap/2)
	tops := make([]float64, rows)
	l.gapsY = append(l.gapsY, y-rowGap/2)
	for r := range rows {
		tops[r] = y
		y += height[r] + rowGap
		l.gapsY = append(l.gapsY, y-rowGap/2)
	}
	l.bottom = y - rowGap
	for _, b := range l.Boxes {
		l.boxes = append(l.boxes, rectangle{starts[b.Col], tops[b.Row], starts[b.Col] + width[b.Col], tops[b.Row] + height[b.Row]})
	}
	return nil
}

// route finds the way of an arrow: the first of those worth a try that is free.
func (l *layout) route(a DiagramArrow) error {
	from, ok := l.at[a.From]
	to, also := l.at[a.To]
	switch {
	case !ok || !also:
		return fmt.Errorf("an arrow goes from %q to %q: there is no such box", a.From, a.To)
	case from == to:
		return fmt.Errorf("an arrow goes from %q to itself", a.From)
	case a.Kind < FlowArrow || a.Kind > SharedArrow:
		return fmt.Errorf("the arrow from %q to %q is of an unknown kind %d", a.From, a.To, a.Kind)
	}
	for _, points := range l.ways(from, to) {
		if a.Kind == SharedArrow && len(points) > 2 {
			continue // a double line goes straight
		}
		if l.free(from, to, a.Kind, points) {
			l.routes = append(l.routes, route{DiagramArrow: a, from: from, to: to, points: points})
			for _, p := range points {
				l.bottom = max(l.bottom, p[1])
			}
			return nil
		}
	}
	return fmt.Errorf("there is no way for the arrow from %q to %q that meets no box and runs along no other arrow: place them otherwise", a.From, a.To)
}

// ways are the lines, of at most two corners, from one box to another.
func (l *layout) ways(from, to int) (all [][][2]float64) {
	a, b := l.boxes[from], l.boxes[to]
	ax, ay, bx, by := (a.l+a.r)/2, (a.t+a.b)/2, (b.l+b.r)/2, (b.t+b.b)/2
	ac, bc, ar, br := l.Boxes[from].Col, l.Boxes[to].Col, l.Boxes[from].Row, l.Boxes[to].Row
	add := func(points ...[2]float64) { all = append(all, points) }
	outX, inX, outY, inY := a.r, b.l, a.b, b.t // where it leaves and arrives, towards the other
	if bc < ac {
		outX, inX = a.l, b.r
	}
	if br < ar {
		outY, inY = a.t, b.b
	}
	switch {
	case ar == br:
		add([2]float64{outX, ay}, [2]float64{inX, by})
	case ac == bc:
		add([2]float64{ax, outY}, [2]float64{bx, inY})
	default:
		near, far := bc, ac+1 // the gaps beside both
		if bc < ac {
			near, far = bc+1, ac
		}
		for _, gap := range []int{near, far} {
			for _, lane := range []float64{0, -6, 6} {
				x := l.gapsX[gap] + lane
				add([2]float64{outX, ay}, [2]float64{x, ay}, [2]float64{x, by}, [2]float64{inX, by})
			}
		}
		add([2]float64{outX, ay}, [2]float64{bx, ay}, [2]float64{bx, inY})
		add([2]float64{ax, outY}, [2]float64{ax, by}, [2]float64{inX, by})
	}
	for _, row := range []int{ar + 1, ar} { // through the gap below, or above
		if row == 0 || ac == bc { // over the first row is the heading
			continue
		}
		y, out, in := l.gapsY[row], a.b, b.b
		if row == ar {
			out = a.t
		}
		if y < by {
			in = b.t
		}
		add([2]float64{ax, out}, [2]float64{ax, y}, [2]float64{bx, y}, [2]float64{bx, in})
	}
	return all
}

// free reports whether a line meets no box on its way, and runs along no arrow but those of its kind that begin, or end, where it does.
func (l *layout) free(from, to int, kind ArrowKind, points [][2]float64) bool {
	for i := range points[1:] {
		s := segment(points[i], points[i+1])
		for k, b := range l.boxes {
			room := 3.0
			if k == from || k == to {
				room = -1 // it touches these
			}
			if b.grow(room).meets(s) {
				return false
			}
		}
		for _, r := range l.routes {
			if r.Kind == kind && (r.from == from || r.to == to) {
				continue
			}
			for k := range r.points[1:] {
				o := segment(r.points[k], r.points[k+1])
				parallel := (s.l == s.r) == (o.l == o.r)
				if parallel && o.grow(2).meets(s.grow(2)) {
					return false
				}
			}
		}
	}
	return true
}

// tag finds the place of an arrow's label, beside one of its lines, where it covers nothing.
func (l *layout) tag(r *route) error {
	if r.Label == "" {
		return nil
	}
	w, h := looser*smallFace.width(r.Label), smallFace.size
	var places []rectangle // with the text at the left edge, in the middle of the height
	for i := range r.points[1:] {
		s := segment(r.points[i], r.points[i+1])
		if s.t == s.b {
			x := (s.l + s.r - w) / 2
			places = append(places, rectangle{x, s.t - h - 1.5, x + w, s.t - 1.5}, rectangle{x, s.b + 3, x + w, s.b + 3 + h})
			continue
		}
		for _, y := range append([]float64{(s.t + s.b) / 2}, l.gapsY...) {
			if y-h/2 >= s.t && y+h/2 <= s.b {
				places = append(places, rectangle{s.r + 4, y - h/2, s.r + 4 + w, y + h/2}, rectangle{s.l - 4 - w, y - h/2, s.l - 4, y + h/2})
			}
		}
	}
	for _, at := range places {
		if l.clear(at) {
			r.label = at
			l.bottom = max(l.bottom, at.b)
			r.labelText = [2]float64{at.l + (looser-1)/2*smallFace.width(r.Label), (at.t+at.b)/2 + smallFace.middle()}
			return nil
		}
	}
	return fmt.Errorf("there is no room for the label %q of the arrow from %q to %q: shorten it, or place the boxes otherwise", r.Label, r.From, r.To)
}

// clear reports whether a place is on the page, and nothing is there.
func (l *layout) clear(at rectangle) bool {
	if at.l < 0 || at.r > pageWidth {
		return false
	}
	for _, b := range l.boxes {
		if b.meets(at) {
			return false
		}
	}
	for _, r := range l.routes {
		if r.label.meets(at) {
			return false
		}
		for i := range r.points[1:] {
			if segment(r.points[i], r.points[i+1]).grow(1).meets(at) {
				return false
			}
		}
	}
	return true
}

// alt says what is drawn: the title, and the arrows by the texts of their boxes.
func (l *layout) alt() string {
	var said []string
	for _, r := range l.routes {
		from, to := strings.Join(l.lines[r.from], " "), strings.Join(l.lines[r.to], " ")
		s := from + " to " + to
		switch r.Kind {
		case StoppedArrow:
			s += " without gradient"
		case FollowsArrow:
			s = to + " follows " + from
		case SharedArrow:
			s = from + " as " + to
		}
		if r.Label != "" {
			s += " (" + r.Label + ")"
		}
		said = append(said, s)
	}
	if l.Title == "" {
		return strings.Join(said, "; ")
	}
	return l.Title + ": " + strings.Join(said, "; ")
}

// paint is how boxes of a kind look: white where there is no fill, without a border where there is none.
func (k BoxKind) paint() (fill, border, text color.RGBA, dash []vg.Length) {
	blue, red := roleColors[Blue], roleColors[Vermillion]
	switch k {
	case DataBox:
		return color.RGBA{243, 243, 243, 255}, color.RGBA{243, 243, 243, 255}, black, nil
	case TrainedBox:
		return mix(white, blue, 0.14), blue, black, nil
	case KeptBox:
		return blue, blue, white, nil
	case HeldBox:
		return white, guide, black, []vg.Length{3, 2}
	case LossBox:
		return mix(white, red, 0.16), red, black, nil
	}
	return white, axis, black, nil
}

func (b DiagramBox) face() typeface {
	if b.Kind == KeptBox {
		return typeface{titleFace.weight, textFace.size}
	}
	return textFace
}

// frame draws an empty box.
func (k BoxKind) frame(p pen, r rectangle) {
	fill, border, _, dash := k.paint()
	p.rect(fill, r.l, r.t, r.r-r.l, r.b-r.t)
	p.stroke(border, 1, dash, [2]float64{r.l, r.t}, [2]float64{r.r, r.t}, [2]float64{r.r, r.b}, [2]float64{r.l, r.b}, [2]float64{r.l, r.t})
}

func (b DiagramBox) draw(p pen, r rectangle, lines []string) {
	b.Kind.frame(p, r)
	_, _, ink, _ := b.Kind.paint()
	y := (r.t+r.b)/2 - float64(len(lines)-1)/2*textFace.leading() - textFace.size + textFace.middle()
	p.block(ink, b.face(), (r.l+r.r)/2, y, center, lines)
}

// ink is the colour of arrows of a kind, and how they are dashed.
func (k ArrowKind) ink() (color.RGBA, []vg.Length) {
	switch k {
	case FollowsArrow:
		return readable(roleColors[Purple]), []vg.Length{4, 2.5}
	case AsideArrow:
		return guide, []vg.Length{2, 2}
	case SharedArrow:
		return roleColors[Blue], nil
	}
	return black, nil
}

// line draws an arrow through points.
func (k ArrowKind) line(p pen, points ...[2]float64) {
	ink, dash := k.ink()
	n := len(points)
	end, before := points[n-1], points[n-2]
	length := math.Hypot(end[0]-before[0], end[1]-before[1])
	u := [2]float64{(end[0] - before[0]) / length, (end[1] - before[1]) / length}
	if k == SharedArrow {
		for _, side := range []float64{-1.25, 1.25} {
			var moved [][2]float64
			for _, q := range points {
				moved = append(moved, [2]float64{q[0] + side*u[1], q[1] + side*u[0]})
			}
			p.stroke(ink, 0.8, nil, moved...)
		}
		return
	}
	shaft := append(points[:n-1:n-1], [2]float64{end[0] - u[0]*(headSize-1), end[1] - u[1]*(headSize-1)})
	p.stroke(ink, 1, dash, shaft...)
	x, y := end[0]-u[0]*headSize, end[1]-u[1]*headSize
	p.fill(ink, end, [2]float64{x - u[1]*2.3, y + u[0]*2.3}, [2]float64{x + u[1]*2.3, y - u[0]*2.3})
	if k != StoppedArrow {
		return
	}
	first, next := points[0], points[1] // the bars are near where it comes from: others may join it later
	length = math.Hypot(next[0]-first[0], next[1]-first[1])
	u = [2]float64{(next[0] - first[0]) / length, (next[1] - first[1]) / length}
	middle := length / 2
	if n == 2 {
		middle = (length - headSize) / 2
	}
	gap := [2][2]float64{}
	for i, at := range []float64{middle - 1.6, middle + 1.6} {
		gap[i] = [2]float64{first[0] + u[0]*at, first[1] + u[1]*at}
	}
	p.stroke(white, 1.6, nil, gap[0], gap[1])
	for _, q := range gap {
		p.stroke(roleColors[Vermillion], 1.4, nil, [2]float64{q[0] - u[1]*4, q[1] - u[0]*4}, [2]float64{q[0] + u[1]*4, q[1] + u[0]*4})
	}
}

func (r route) draw(p pen) {
	r.Kind.line(p, r.points...)
	if r.Label != "" {
		ink, _ := r.Kind.ink()
		p.text(readable(ink), smallFace, r.labelText[0], r.labelText[1], left, r.Label)
	}
}

// legend explains the kinds that there are and that need it.
func (l *layout) legend() (all []entry) {
	boxes, arrows := make(map[BoxKind]bool), make(map[ArrowKind]bool)
	for _, b := range l.Boxes {
		boxes[b.Kind] = true
	}
	for _, a := range l.Arrows {
		arrows[a.Kind] = true
	}
	for _, k := range []struct {
		kind BoxKind
		name string
	}{{KeptBox, "trained and kept"}, {TrainedBox, "trained, then thrown away"}, {HeldBox, "moved by no gradient"}} {
		if boxes[k.kind] {
			all = append(all, entry{name: k.name, more: 4, mark: func(p pen, x, y float64) {
				k.kind.frame(p, rectangle{x - 4, y - 3.5, x + 9, y + 3.5})
			}})
		}
	}
	for _, k := range []struct {
		kind ArrowKind
		name string
	}{{StoppedArrow, "no gradient goes back"}, {FollowsArrow, "follows slowly"}, {AsideArrow, "at another time"}, {SharedArrow, "the same parameters"}} {
		if arrows[k.kind] {
			all = append(all, entry{name: k.name, more: 16, mark: func(p pen, x, y float64) {
				k.kind.line(p, [2]float64{x - 4, y}, [2]float64{x + 21, y})
			}})
		}
	}
	return all
}
