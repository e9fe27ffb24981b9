package widgets

import (
	"fmt"
	"regexp"
	"strings"
)

// ParseDiagram reads a diagram as it is written in a few lines of text. A line with boxes is a row of the grid, from the left, where a
// dot leaves a place free; any other line has arrows alone.
//
//	.       v(view 1) -> f[[encoder|f]]
//	x(image) .           .               l<loss>
//	.       w(view 2) -> g{encoder}
//	x -> v; x -> w; f -> l; g -x> l
//	f ~> g "EMA"
//
// A box is its name and its text, in which | begins a new line, and the brackets are its kind: (data), /step/, [trained], [[kept]],
// {held} and <loss>. So are arrows: -> is what flows and its gradient back, -x> stops that, ~> follows, ..> is aside, and == says that
// two are the same. A label in quotes may come after an arrow's end.
func ParseDiagram(text string) (Diagram, error) {
	var d Diagram
	row := 0
	for n, line := range strings.Split(text, "\n") {
		fail := func(format string, args ...any) (Diagram, error) {
			return Diagram{}, fmt.Errorf("widgets: diagram, line %d: %s", n+1, fmt.Sprintf(format, args...))
		}
		col, from, arrow, drawn := 0, "", "", false
		for rest := strings.TrimSpace(line); rest != ""; {
			found := diagramToken.FindStringSubmatch(rest)
			if found == nil {
				return fail("%q is no box, arrow, label or name", rest)
			}
			rest = strings.TrimSpace(rest[len(found[0]):])
			name, body, label, sign := found[1], found[2], found[3], found[4]
			switch {
			case label != "":
				if !drawn {
					return fail("the label %s follows no arrow", label)
				}
				d.Arrows[len(d.Arrows)-1].Label, drawn = label[1:len(label)-1], false
			case sign == "." || sign == ";":
				if arrow != "" {
					return fail("the arrow from %q ends nowhere", from)
				}
				if from, drawn = "", false; sign == "." {
					col++
				}
			case sign != "":
				if from == "" || arrow != "" {
					return fail("an arrow %s begins nowhere", sign)
				}
				arrow, drawn = sign, false
			default:
				if body != "" {
					kind, inner := boxOf(body)
					d.Boxes = append(d.Boxes, DiagramBox{name, strings.ReplaceAll(inner, "|", "\n"), kind, row, col})
					col++
				}
				if drawn = arrow != ""; drawn {
					d.Arrows = append(d.Arrows, DiagramArrow{From: from, To: name, Kind: arrowKinds[arrow]})
				}
				from, arrow = name, ""
			}
		}
		if arrow != "" {
			return fail("the arrow from %q ends nowhere", from)
		}
		if col > 0 {
			row++
		}
	}
	return d, nil
}

// A box or a name, a label, or a sign.
var diagramToken = regexp.MustCompile(`^(?:(\w+)(\[\[[^]]*\]\]|\[[^]]*\]|\([^)]*\)|\{[^}]*\}|<[^>]*>|/[^/]*/)?|("[^"]*")|(->|-x>|~>|\.\.>|==|\.|;))`)

var arrowKinds = map[string]ArrowKind{"->": FlowArrow, "-x>": StoppedArrow, "~>": FollowsArrow, "..>": AsideArrow, "==": SharedArrow}

// boxOf takes the brackets off a box.
func boxOf(body string) (kind BoxKind, text string) {
	text = body[1 : len(body)-1]
	switch body[0] {
	case '/':
		return StepBox, text
	case '{':
		return HeldBox, text
	case '<':
		return LossBox, text
	case '[':
		if strings.HasPrefix(text, "[") {
			return KeptBox, text[1 : len(text)-1]
		}
		return TrainedBox, text
	}
	return DataBox, text
}
