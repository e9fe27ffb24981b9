package widgets

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// hostile are names that somebody may give a folder.
var hostile = []string{
	`"><img src=x onerror=a>`, `</script><script>a`, `' onload='a`, "<svg onload=a>", "]]><!--", "&lt;b&gt;",
	"\x1b[31mred\x1b[0m", "\x1b]0;title\a", "\u009b2J", "a\x00b", "\xff\xfe", "\u202ecod.exe", "a\rb", "\ufffe",
	"[a](javascript:a)", "|a|`b`", "$$\\a$$", "**a**\n\n# b",
}

// steers finds what would steer a terminal or is no valid XML.
func steers(text string) (found []rune) {
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202e' || r == '\ufffe' {
			found = append(found, r)
		}
	}
	return found
}

// elements parses markup, strictly if it is SVG, and lists its elements and attributes.
func elements(text string, strict bool) (names []string, err error) {
	d := xml.NewDecoder(strings.NewReader(text))
	if !strict {
		d = xml.NewDecoder(strings.NewReader("<body>" + text + "</body>"))
		d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local != "body" {
			names = append(names, e.Name.Local)
			for _, a := range e.Attr {
				names = append(names, e.Name.Local+"."+a.Name.Local)
			}
		}
	}
}

// TestHostileNames draws every figure twice, with harmless names and with hostile ones: the same elements and attributes come
// out, in valid SVG, without a character that steers.
func TestHostileNames(t *testing.T) {
	const harmless = "harmless"
	dot := Image{Pixels: []uint8{1, 2, 3}, H: 1, W: 1, C: 3}
	y := []float64{1, 2}
	figures := map[string]func(s string) (*Figure, error){
		"curves": func(s string) (*Figure, error) {
			return Curves{Title: s, Note: s, XLabel: s, YLabel: s, Names: []string{s, s}, Guides: []Guide{{s, 1}}, Series: []Series{{Name: s, Y: y}}}.Figure()
		},
		"bars": func(s string) (*Figure, error) {
			return Bars{Title: s, Note: s, YLabel: s, Groups: []string{s, s}, Guides: []Guide{{s, 1}}, Series: []Series{{Name: s, Y: y}},
				Reference: Series{Name: s + "2", Y: y}}.Figure()
		},
		"scatter": func(s string) (*Figure, error) {
			return Scatter{Title: s, Note: s, XLabel: s, YLabel: s, Points: []Points{{Name: s, X: y, Y: y, Labels: []string{s, s}}}, Guides: []Guide{{s, 1}}}.Figure()
		},
		"scale": func(s string) (*Figure, error) {
			return Scatter{XLabel: s, YLabel: s, Points: []Points{{Name: s, X: y, Y: y, Values: y}}, Scale: s}.Figure()
		},
		"histogram": func(s string) (*Figure, error) {
			return Histogram{Title: s, Note: s, XLabel: s, Series: []Series{{Name: s, Y: y}}}.Figure()
		},
		"sphere": func(s string) (*Figure, error) {
			return Sphere{Title: s, Note: s, Points: [][]float32{{1, 0}, {0, 1}}, Class: []int{0, 1}, Names: []string{s, s + "2"}}.Figure()
		},
		"heatmap": func(s string) (*Figure, error) {
			return Heatmap{Title: s, Note: s, RowLabel: s, ColLabel: s, Rows: []string{s}, Cols: []string{s, s}, Values: [][]float64{y}}.Figure()
		},
		"gallery": func(s string) (*Figure, error) {
			boxed, err := Boxes(dot, []Box{{0, 0, 1, 1, 0, s}})
			if err != nil {
				return nil, err
			}
			return Gallery{Title: s, Note: s, Images: [][]Image{{dot, boxed}}, Rows: []string{s}, Cols: []string{s, s}, Captions: [][]string{{s, s}}}.Figure()
		},
		"diagram": func(s string) (*Figure, error) {
			return Diagram{Title: s, Note: s, Boxes: []DiagramBox{{"a", s, DataBox, 0, 0}, {"b", s, LossBox, 0, 1}}, Arrows: []DiagramArrow{{"a", "b", FlowArrow, s}}}.Figure()
		},
		"untitled": func(s string) (*Figure, error) {
			return Gallery{Images: [][]Image{{dot}}, Rows: []string{s}, Cols: []string{s}}.Figure()
		},
	}
	for name, draw := range figures {
		for _, s := range append(hostile, harmless) {
			f, err := draw(s)
			if err != nil {
				t.Errorf("%s of %q: %v", name, s, err)
				continue
			}
			svg := f.SVG()
			if found := steers(svg); found != nil {
				t.Errorf("%s of %q holds %q", name, s, found)
			}
			got, err := elements(svg, true)
			if err != nil {
				t.Errorf("%s of %q is no valid SVG: %v", name, s, err)
			}
			for _, e := range got { // how many <text> there are depends on where lines break
				if _, attribute, _ := strings.Cut(e, "."); strings.HasPrefix(attribute, "on") || slices.Contains([]string{"script", "img", "foreignObject", "a"}, e) {
					t.Errorf("%s of %q has %s", name, s, e)
				}
			}
			if name != "untitled" { // HTML says the one title of each, and takes time to draw
				continue
			}
			html := f.HTML()
			if got, err := elements(html, false); steers(html) != nil || err != nil || !slices.Equal(got, []string{"img", "img.alt", "img.width", "img.height", "img.src"}) {
				t.Errorf("%s of %q is %q, %v", name, s, got, err)
			}
		}
	}
}

func TestHostileFrames(t *testing.T) {
	f, err := Gallery{Images: [][]Image{{{Pixels: []uint8{1}, H: 1, W: 1, C: 1}}}}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range hostile {
		html, err := Frames{Label: s, Names: []string{s}, Figures: []*Figure{f}}.HTML()
		if err != nil {
			t.Fatal(err)
		}
		if tags := regexp.MustCompile(`<[a-z/!]+`).FindAllString(html, -1); !slices.Equal(tags,
			[]string{"<div", "<p", "<label", "<b", "</b", "</label", "</p", "<img", "<script", "</script", "</div"}) {
			t.Errorf("of %q: %q", s, tags)
		}
		if found := steers(html); found != nil {
			t.Errorf("of %q holds %q", s, found)
		}
	}
}

func TestHostileTable(t *testing.T) {
	of := func(s string) Table {
		return Table{Head: []string{s, "score"}, Rows: [][]string{{s, "1"}}, Best: []int{1}}
	}
	harmless, err := of("a").HTML()
	if err != nil {
		t.Fatal(err)
	}
	want, err := elements(harmless, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range hostile {
		html, err := of(s).HTML()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := elements(html, false); err != nil || !slices.Equal(got, want) {
			t.Errorf("HTML of %q: %v\n%s", s, err, html)
		}
		markdown, err := of(s).Markdown()
		if err != nil {
			t.Fatal(err)
		}
		// Without what is escaped nothing is left that Markdown would read, but the table's own.
		bare := regexp.MustCompile(`\\[[:punct:]]|&(amp|lt|gt|#36);`).ReplaceAllString(markdown, "")
		if strings.Count(bare, "\n") != 3 || strings.Count(bare, "|") != 9 || strings.ContainsAny(bare, "<>`[]$\\_~&") || strings.Count(bare, "*") != 4 {
			t.Errorf("Markdown of %q:\n%s", s, markdown)
		}
		text, err := of(s).Text()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(text, "\n") != 3 || steers(html+markdown+text) != nil {
			t.Errorf("%q steers: %q", s, html+markdown+text)
		}
	}
}

func ExampleEscapeMarkdown() {
	fmt.Println(EscapeMarkdown(`cats & <b>dogs</b>, 2_000 of each`))
	// Output: cats &amp; &lt;b&gt;dogs&lt;/b&gt;, 2\_000 of each
}

func ExamplePrintable() {
	fmt.Println(Printable("a class called \x1b[31mred"))
	// Output: a class called �[31mred
}
