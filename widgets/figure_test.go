package widgets

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"
)

func someFigure(t *testing.T) *Figure {
	t.Helper()
	fig, err := Curves{Title: `a "title" <b> & c`, Series: []Series{{Y: []float64{1, 2}}}}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	return fig
}

func TestSVGIsWellFormed(t *testing.T) {
	g, err := rotations().Figure()
	if err != nil {
		t.Fatal(err)
	}
	for _, fig := range []*Figure{someFigure(t), g} {
		d := xml.NewDecoder(strings.NewReader(fig.SVG()))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	svg := someFigure(t).SVG()
	for _, want := range []string{`<svg role="img" aria-label="a &#34;title&#34; &lt;b&gt; &amp; c"`, "Arial", `width="480pt"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s", want)
		}
	}
	if links := strings.ReplaceAll(svg, "http://www.w3.org/", ""); strings.Contains(links, "http") {
		t.Error("the SVG refers to the network")
	}
}

func TestHTML(t *testing.T) {
	fig := someFigure(t)
	out := fig.HTML()
	_, data, ok := strings.Cut(strings.TrimSuffix(out, `">`), "base64,")
	if !ok || !strings.Contains(out, `width="640"`) || !strings.Contains(out, `alt="a &#34;title&#34; &lt;b&gt; &amp; c"`) {
		t.Fatalf("%.200s", out)
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	config, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil || config.Width != 1280 {
		t.Errorf("%d pixels wide, error %v; want 1280", config.Width, err)
	}
}

func TestSave(t *testing.T) {
	fig := someFigure(t)
	dir := t.TempDir()
	for name, want := range map[string][]byte{"a.svg": []byte(fig.SVG()), "a.PNG": fig.PNG()} {
		path := filepath.Join(dir, name)
		for range 2 { // the second time over the first
			if err := fig.Save(path); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, error %v; want %d", name, len(got), err, len(want))
		}
	}
	wantError(t, "extension", fig.Save(filepath.Join(dir, "a.jpg")), "use .svg or .png")
	if err := fig.Save(filepath.Join(dir, "none", "a.svg")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.svg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fig.Save(filepath.Join(dir, "folder.svg")); err == nil {
		t.Error("saved over a folder")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%d entries, error %v: temporary files are left", len(entries), err)
	}
}

func TestConcurrentUse(t *testing.T) {
	fig := someFigure(t)
	want := fig.SVG()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if fig.SVG() != want {
				t.Error("differs")
			}
		})
	}
	wg.Wait()
}

// probe notes where text is written and where circles are centred.
type probe struct {
	*vgsvg.Canvas
	text  []string
	boxes []vg.Rectangle
	dots  []vg.Point
}

func (p *probe) Fill(path vg.Path) {
	for _, c := range path {
		if c.Type == vg.ArcComp {
			p.dots = append(p.dots, c.Pos)
		}
	}
}

func (p *probe) FillString(face font.Face, at vg.Point, s string) {
	p.text = append(p.text, s)
	size := face.Font.Size
	p.boxes = append(p.boxes, vg.Rectangle{Min: vg.Point{X: at.X, Y: at.Y}, Max: vg.Point{X: at.X + face.Width(s), Y: at.Y + 0.7*size}})
}

// TestTextHasRoom: in no figure is text clipped or over other text. A box goes
// from the baseline to the height of a capital.
func TestTextHasRoom(t *testing.T) {
	long := "a name so long that it has to be broken into several lines"
	crowd := Curves{Title: long + ", and a title of two lines as well, which is unusual", XLabel: "step", YLabel: "loss"}
	for i := range 6 {
		crowd.Series = append(crowd.Series, Series{Name: fmt.Sprint(long, i), X: []float64{1, 500_000, 1_000_000}, Y: []float64{3, 2, 1 + float64(i)/1000}})
		crowd.Guides = append(crowd.Guides, Guide{fmt.Sprint("guide ", i), 1})
	}
	many := Bars{YLabel: "accuracy, %", Groups: []string{"linear probe", "unbreakablylongwordwithoutspaces", long, "k-NN", "x", "y"}}
	for i := range 4 {
		y := []float64{80.55, 70, 60, 50, 40, -12.2}
		many.Series = append(many.Series, Series{Name: fmt.Sprintf("series %d of some length", i), Y: y, Err: []float64{1, 2, 3, 4, 5, 6}})
	}
	gallery := Gallery{Title: long, Note: long + long, Rows: []string{long, "b"}}
	for range 2 {
		gallery.Images = append(gallery.Images, nil)
		gallery.Captions = append(gallery.Captions, nil)
		for i := range 10 {
			gallery.Images[len(gallery.Images)-1] = append(gallery.Images[len(gallery.Images)-1], scene(8, 8, 3))
			gallery.Captions[len(gallery.Captions)-1] = append(gallery.Captions[len(gallery.Captions)-1], []string{"90°", "ankle boot 0.93"}[i%2])
		}
	}
	dots := taskGap()
	dots.Dots = true
	for name, chart := range map[string]interface{ Figure() (*Figure, error) }{
		"curves": knnCurves(), "blocks": blocks(), "log": lossLog(), "crowd": crowd, "bars": taskGap(), "dots": dots, "many": many,
		"rotations": rotations(), "gallery": gallery,
		"scatter": temperatures(), "tasks": tasks(), "clouds": clouds(), "histogram": similarities(), "ball": ball(), "circle": circle(),
		"long sphere": Sphere{Title: long, Note: long, Names: []string{long, "b", long}, Points: [][]float32{{1, 0}}, Class: []int{1}},
		"heatmap":     Heatmap{Title: long, RowLabel: "temperature", ColLabel: "k", Rows: []string{long, "b"}, Cols: []string{long, "b"}, Values: [][]float64{{1e5, -1}, {0, 2}}, Decimals: 3},
	} {
		fig, err := chart.Figure()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p := &probe{Canvas: vgsvg.New(vg.Length(fig.width), vg.Length(fig.height))}
		fig.draw(pen{p, fig.width, fig.height})
		for i, b := range p.boxes {
			if b.Min.X < 0 || b.Min.Y < 2 || float64(b.Max.X) > fig.width || float64(b.Max.Y) > fig.height {
				t.Errorf("%s: %q is clipped", name, p.text[i])
			}
			for j, o := range p.boxes[:i] {
				if b.Min.X < o.Max.X && o.Min.X < b.Max.X && b.Min.Y < o.Max.Y && o.Min.Y < b.Max.Y {
					t.Errorf("%s: %q over %q", name, p.text[i], p.text[j])
				}
			}
			for _, pic := range fig.pictures {
				if float64(b.Min.X) < pic.x+pic.w && pic.x < float64(b.Max.X) && fig.height-float64(b.Max.Y) < pic.y+pic.h && pic.y < fig.height-float64(b.Min.Y) {
					t.Errorf("%s: %q over an image", name, p.text[i])
				}
			}
		}
	}
	for _, chart := range []interface{ Figure() (*Figure, error) }{
		Curves{XLabel: strings.Repeat(long, 2), Series: []Series{{Y: []float64{1}}}},
		Bars{Groups: []string{"a"}, Series: []Series{{Name: strings.Repeat(long, 5), Y: []float64{1}}}},
		Scatter{XLabel: "x", Points: []Points{{X: []float64{1}, Y: []float64{1}, Values: []float64{1}}}, Scale: strings.Repeat(long, 5)},
		Heatmap{RowLabel: strings.Repeat(long, 2), Rows: []string{"a"}, Cols: []string{"b"}, Values: [][]float64{{1}}},
	} {
		_, err := chart.Figure()
		wantError(t, "long label", err, "too long")
	}
}

func TestWrap(t *testing.T) {
	for _, width := range []float64{20, 60, 200} {
		for _, s := range []string{"a few short words", "unbreakablylongwordwithoutspaces", "", "ünï cödé 0°, 90°"} {
			lines := textFace.wrap(s, width)
			if got := textFace.widest(lines); got > width {
				t.Errorf("%q in %v: %v wide", s, width, got)
			}
			if strings.ReplaceAll(strings.Join(lines, ""), " ", "") != strings.ReplaceAll(s, " ", "") {
				t.Errorf("%q became %q", s, lines)
			}
		}
	}
}

func ExampleFigure_Save() {
	fig, err := Curves{Series: []Series{{Y: []float64{3, 2, 1}}}}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, _ := os.MkdirTemp("", "figure")
	defer os.RemoveAll(dir)
	fmt.Println(fig.Save(filepath.Join(dir, "loss.svg")))
	// Output: <nil>
}
