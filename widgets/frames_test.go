package widgets

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func frames(t *testing.T, names ...string) Frames {
	t.Helper()
	f := Frames{Label: "temperature", Names: names}
	for i := range names {
		fig, err := Gallery{Title: "at " + names[i], Images: [][]Image{{scene(4+i, 4, 3)}}}.Figure()
		if err != nil {
			t.Fatal(err)
		}
		f.Figures = append(f.Figures, fig)
	}
	return f
}

// loads is what a browser would fetch, as env/execute.py looks for it.
var loads = regexp.MustCompile(`(?i)(src|href)\s*=\s*["']?(https?:)?//|@import|\burl\(|\bimport\(|https?:`)

func TestFramesHTML(t *testing.T) {
	f := frames(t, "0.07", `</script><b>"0.2" & more`, "1")
	f.At = 1
	html, err := f.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if found := loads.FindString(html); found != "" {
		t.Errorf("the page would load something: %s", found)
	}
	if n := strings.Count(html, "</script>"); n != 1 {
		t.Errorf("the script ends %d times", n)
	}

	// Without scripts.
	static, script, _ := strings.Cut(html, "<script>")
	img := fmt.Sprintf(`<img alt="at &lt;/script&gt;&lt;b&gt;&#34;0.2&#34; &amp; more, temperature: &lt;/script&gt;&lt;b&gt;&#34;0.2&#34; &amp; more" %s`, pictureOf(f.Figures[1]))
	if strings.Count(static, "<img ") != 1 || !strings.Contains(static, img) {
		t.Error("the first frame shown is not there, or others are")
	}
	if !strings.Contains(static, "temperature: <b>&lt;/script&gt;&lt;b&gt;&#34;0.2&#34; &amp; more</b>") {
		t.Errorf("no caption in %.300s", static)
	}

	// With scripts: the data are the last argument.
	data := script[strings.Index(script, `[{"name"`):strings.LastIndex(script, ")")]
	var parsed []struct {
		Name string
		Img  struct {
			Src, Alt      string
			Width, Height int
		}
	}
	if err := json.Unmarshal([]byte(data), &parsed); err != nil || len(parsed) != 3 {
		t.Fatalf("%d frames, error %v", len(parsed), err)
	}
	for i, p := range parsed {
		img := fmt.Sprintf(`width="%d" height="%d" src="%s">`, p.Img.Width, p.Img.Height, p.Img.Src)
		if p.Name != f.Names[i] || p.Img.Alt != "at "+p.Name+", temperature: "+p.Name || img != pictureOf(f.Figures[i]) {
			t.Errorf("frame %d is %s, %s", i, p.Name, p.Img.Alt)
		}
	}
}

// pictureOf is a figure's img element after its alternative text.
func pictureOf(f *Figure) string {
	html := f.HTML()
	return html[strings.Index(html, "width="):]
}

// TestFramesID: what tells sliders of a page apart depends on all that they
// show, and on nothing else.
func TestFramesID(t *testing.T) {
	id := func(f Frames) string {
		html, err := f.HTML()
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`^<div data-frames="([0-9a-f]+)">`).FindStringSubmatch(html)
		if m == nil || !strings.Contains(html, `("`+m[1]+`", `) {
			t.Fatalf("no id in %.100s", html)
		}
		return m[1]
	}
	a, again := frames(t, "a", "b"), frames(t, "a", "b")
	named, started, other := frames(t, "a", "b"), frames(t, "a", "b"), frames(t, "a", "b")
	named.Names = []string{"a", "c"}
	started.At = 1
	other.Figures[0] = other.Figures[1]
	if id(a) != id(again) {
		t.Error("the same frames have two ids")
	}
	for _, f := range []Frames{named, started, other} {
		if id(f) == id(a) {
			t.Error("other frames have the same id")
		}
	}
}

func TestFramesFigure(t *testing.T) {
	f := frames(t, "a", "b")
	f.At = 1
	if fig, err := f.Figure(); err != nil || fig != f.Figures[1] {
		t.Errorf("%p, error %v; want figure 1", fig, err)
	}
}

func TestFramesErrors(t *testing.T) {
	ok := frames(t, "a", "b")
	for _, c := range []struct {
		name   string
		change func(*Frames)
		want   string
	}{
		{"empty", func(f *Frames) { f.Names, f.Figures = nil, nil }, "no figures"},
		{"label", func(f *Frames) { f.Label = "" }, "no label"},
		{"names", func(f *Frames) { f.Names = f.Names[:1] }, "1 names for 2 figures"},
		{"nil", func(f *Frames) { f.Figures = []*Figure{f.Figures[0], nil} }, "figure 1 is nil"},
		{"at", func(f *Frames) { f.At = 2 }, "at frame 2 of 2"},
		{"before", func(f *Frames) { f.At = -1 }, "at frame -1"},
	} {
		f := ok
		c.change(&f)
		_, err := f.HTML()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: frames: ")
		_, err = f.Figure()
		wantError(t, c.name, err, c.want)
	}
}

func ExampleFrames() {
	f := Frames{Label: "temperature", At: 1}
	for _, tau := range []float64{0.07, 0.2, 1} {
		fig, err := Histogram{XLabel: "similarity", Series: []Series{{Y: []float64{0.9 - tau/2, 0.8, 0.1}}}, Range: [2]float64{-1, 1}, Top: 1}.Figure()
		if err != nil {
			fmt.Println(err)
			return
		}
		f.Names, f.Figures = append(f.Names, fmt.Sprint(tau)), append(f.Figures, fig)
	}
	html, err := f.HTML()
	fmt.Println(strings.Contains(html, "temperature: <b>0.2</b>"), err)
	// Output: true <nil>
}
