package widgets

import (
	"reflect"
	"strings"
	"testing"
)

// everyKind has all that a diagram can have.
const everyKind = `
.        v(view 1) -> f[[encoder]] -> g[head] -> q(query q)
x(image) .            s/step/         .          .            l<loss: which key|is of this image?>
.        w(view 2) -> h{encoder}   -> k{head} -x> y(key k) -> z[again]
.        .            .               .          m{queue}
x -> v; x -> w; q -> l; y -> l; m -> l
g ~> k "EMA"; y ..> m "afterwards"; f == s
`

func parsed(t *testing.T, text string) Diagram {
	t.Helper()
	d, err := ParseDiagram(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiagramGolden(t *testing.T) {
	d := parsed(t, everyKind)
	d.Title, d.Note = "Everything that a diagram can have", "and a note"
	fig, err := d.Figure()
	golden(t, "diagram", fig, err, true)
	if want := "Everything that a diagram can have: view 1 to encoder; encoder to head; head to query q; view 2 to encoder; encoder to head; " +
		"head to key k without gradient; key k to again; image to view 1; image to view 2; query q to loss: which key is of this image?; " +
		"key k to loss: which key is of this image?; queue to loss: which key is of this image?; head follows head (EMA); " +
		"key k to queue (afterwards); encoder as step"; fig.Alt() != want {
		t.Errorf("%s\nwant\n%s", fig.Alt(), want)
	}
}

// Nothing covers anything, by the rectangles of what is drawn, and texts stay in their boxes in a font that is wider by an eighth.
func TestDiagramOverlapsNowhere(t *testing.T) {
	d := parsed(t, everyKind)
	l := layout{Diagram: d, at: make(map[string]int)}
	if err := l.place(20); err != nil {
		t.Fatal(err)
	}
	for _, a := range d.Arrows {
		if err := l.route(a); err != nil {
			t.Fatal(err)
		}
	}
	for i := range l.routes {
		if err := l.tag(&l.routes[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range l.routes {
		for k, o := range l.routes {
			if k < i && r.Label != "" && r.label.meets(o.label) {
				t.Errorf("the labels %q and %q overlap", r.Label, o.Label)
			}
			for j := range o.points[1:] {
				if r.Label != "" && r.label.meets(segment(o.points[j], o.points[j+1]).grow(0.5)) {
					t.Errorf("the arrow from %q to %q is on the label %q", o.From, o.To, r.Label)
				}
			}
		}
	}
	for i, b := range l.boxes {
		for _, line := range l.lines[i] {
			w := l.Boxes[i].face().width(line)
			if start := (b.l+b.r)/2 - w/2; start < b.l+2 || start+1.125*w > b.r-1 {
				t.Errorf("%q is cut", line)
			}
		}
		for k, o := range l.boxes[:i] {
			if b.meets(o) {
				t.Errorf("boxes %q and %q overlap", l.Boxes[i].Name, l.Boxes[k].Name)
			}
		}
		for _, r := range l.routes {
			if r.Label != "" && r.label.meets(b) {
				t.Errorf("the label %q is on the box %q", r.Label, l.Boxes[i].Name)
			}
			for k := range r.points[1:] {
				if b.grow(-1).meets(segment(r.points[k], r.points[k+1])) {
					t.Errorf("the arrow from %q to %q is on the box %q", r.From, r.To, l.Boxes[i].Name)
				}
			}
		}
		if b.l < margin-0.01 || b.r > pageWidth-margin+0.01 {
			t.Errorf("box %q goes from %.1f to %.1f", l.Boxes[i].Name, b.l, b.r)
		}
	}
}

func TestDiagramGoesAround(t *testing.T) {
	l := layout{Diagram: parsed(t, "a(from) b(between) c(to)\na -> c"), at: make(map[string]int)}
	if err := l.place(0); err != nil {
		t.Fatal(err)
	}
	bottom := l.bottom
	if err := l.route(l.Arrows[0]); err != nil {
		t.Fatal(err)
	}
	if p := l.routes[0].points; len(p) != 4 || p[1][1] <= bottom || l.bottom != p[1][1] {
		t.Errorf("the arrow goes by %v, the boxes end at %.1f and the diagram at %.1f", p, bottom, l.bottom)
	}
}

func TestParseDiagram(t *testing.T) {
	got := parsed(t, `
a(in|put) -x> b[net] "gently" . c[[kept]]

d/step/ . e{held} -> f<loss>
a ~> c "EMA" ; c == d; f ..> a -> e
`)
	want := Diagram{
		Boxes: []DiagramBox{{"a", "in\nput", DataBox, 0, 0}, {"b", "net", TrainedBox, 0, 1}, {"c", "kept", KeptBox, 0, 3},
			{"d", "step", StepBox, 1, 0}, {"e", "held", HeldBox, 1, 2}, {"f", "loss", LossBox, 1, 3}},
		Arrows: []DiagramArrow{{"a", "b", StoppedArrow, "gently"}, {"e", "f", FlowArrow, ""}, {"a", "c", FollowsArrow, "EMA"}, {"c", "d", SharedArrow, ""},
			{"f", "a", AsideArrow, ""}, {"a", "e", FlowArrow, ""}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	for text, part := range map[string]string{
		"a(x) -> ":                 `line 1: the arrow from "a" ends nowhere`,
		"a(x)\na -> ; a":           `line 2: the arrow from "a" ends nowhere`,
		"-> a(x)":                  "begins nowhere",
		"a(x) -> -> b(y)":          "begins nowhere",
		"a(x) \"of nothing\"":      "follows no arrow",
		"a(x) -> b(y) \"1\" \"2\"": "follows no arrow",
		"a(x":                      `"(x" is no box`,
		"a(x) => b(y)":             `"=> b(y)" is no box`,
	} {
		_, err := ParseDiagram(text)
		wantError(t, text, err, part)
	}
}

func TestDiagramErrors(t *testing.T) {
	wide := strings.Repeat("a text that is rather long ", 3)
	for text, part := range map[string]string{
		"":                                     "no boxes",
		"a( )":                                 "give it a name and a text",
		"a(x) a(y)":                            `two boxes are called "a"`,
		"a(x)\na -> b":                         `from "a" to "b": there is no such box`,
		"a(x)\na -> a":                         "to itself",
		"a(" + wide + ") b(" + wide + ")":      "wider than the page",
		"a(x) b(y)\nc(x) d(y)\na -> d; c -> b": "", // they cross, and do not run along each other
		"a(x)\nb(y)\nc(z)\na -> c":             "there is no way",
		"a(x)\nb(y)\na -> b \"" + wide + wide + "\"": "there is no room for the label",
	} {
		d, err := ParseDiagram(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = d.Figure(); part != "" {
			wantError(t, text, err, part)
		} else if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, d := range []Diagram{
		{Boxes: []DiagramBox{{"a", "x", DataBox, 0, 0}, {"b", "y", DataBox, 0, 0}}},
		{Boxes: []DiagramBox{{"a", "x", DataBox, 0, -1}}},
		{Boxes: []DiagramBox{{"a", "x", LossBox + 1, 0, 0}}},
		{Boxes: []DiagramBox{{"a", "x", DataBox, 0, 0}, {"b", "y", DataBox, 0, 1}}, Arrows: []DiagramArrow{{"a", "b", SharedArrow + 1, ""}}},
	} {
		if _, err := d.Figure(); err == nil {
			t.Errorf("%+v is drawn", d)
		}
	}
}
