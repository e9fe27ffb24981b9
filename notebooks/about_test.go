package notebooks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

var update = flag.Bool("update", false, "rewrite what the chapters show of methods and claims")

var (
	about  = regexp.MustCompile(`notebooks\.About\("(\w+)"\)`)
	claims = regexp.MustCompile(`notebooks\.Claims\(ctx, lab, (\d)\)`)
)

// What the chapters show of a method is what its recipe and its file say today, and what they show of the lecture's claims is what the
// records say: nothing else in a notebook is as easily out of date, since none of it is trained there.
func TestChaptersShowThingsAsTheyAre(t *testing.T) {
	store, err := runs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store.Shipped = filepath.Join("..", "records")
	files, err := filepath.Glob("*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		notebook := decoded(t, content)
		changed := false
		for _, c := range notebook["cells"].([]any) {
			cell := c.(map[string]any)
			var want []any
			for _, name := range about.FindAllStringSubmatch(joined(cell["source"]), -1) {
				if cell["cell_type"] == "code" {
					shown[name[1]] = true
					want = append(want, outputsOf(t, name[1])...)
				}
			}
			if chapter := claims.FindStringSubmatch(joined(cell["source"])); chapter != nil && cell["cell_type"] == "code" {
				want = claimsOf(t, store, chapter[1])
			}
			if want == nil || reflect.DeepEqual(portable(cell["outputs"]), portable(want)) {
				continue
			}
			if cell["outputs"], changed = want, true; !*update {
				t.Errorf("%s: the cell %s shows something else than it would today (go generate ./sslkit rewrites it)", file, cell["id"])
			}
		}
		if !changed || !*update {
			continue
		}
		if again := encoded(t, decoded(t, content)); !bytes.Equal(again, content) {
			t.Fatalf("%s is not written as Jupyter writes it: run it first", file)
		}
		if err := os.WriteFile(file, encoded(t, notebook), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised && !shown[r.Name] {
			t.Errorf("no chapter shows %s", r.Name)
		}
	}
}

// outputsOf is what [About] shows.
func outputsOf(t *testing.T, name string) []any {
	t.Helper()
	f, err := show.Method(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := show.MethodText(name)
	if err != nil {
		t.Fatal(err)
	}
	width, height := f.Size()
	picture := "drawn with the SVG, where that changes: it takes its time"
	if *update {
		picture = base64.StdEncoding.EncodeToString(f.PNG())
	}
	return []any{
		map[string]any{"output_type": "display_data",
			"data":     map[string]any{"image/svg+xml": lines(f.SVG()), "image/png": picture, "text/plain": lines(f.Alt())},
			"metadata": map[string]any{"image/png": map[string]any{"width": width, "height": height}}},
		markdown(text),
	}
}

// claimsOf is what [Claims] shows where only the records of the checkout are there.
func claimsOf(t *testing.T, store *runs.Store, chapter string) []any {
	t.Helper()
	n, err := strconv.Atoi(chapter)
	if err != nil {
		t.Fatal(err)
	}
	names, err := study.ClaimsOf(n)
	if err != nil {
		t.Fatal(err)
	}
	tested, err := study.TestClaims(t.Context(), store, false, nil, names...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := show.ChapterClaims(tested)
	if err != nil {
		t.Fatal(err)
	}
	return []any{markdown(text)}
}

func markdown(text string) any {
	return map[string]any{"output_type": "display_data", "data": map[string]any{"text/markdown": lines(text)}, "metadata": map[string]any{}}
}

// portable leaves of outputs what does not depend on the machine: that there is a PNG, and not the numbers of the SVG, whose last digit
// may.
func portable(outputs any) (all []map[string]string) {
	for _, o := range outputs.([]any) {
		of := make(map[string]string)
		for kind, data := range o.(map[string]any)["data"].(map[string]any) {
			switch text := joined(data); kind {
			case "image/svg+xml":
				of[kind] = regexp.MustCompile(`[\d.]+`).ReplaceAllString(text, "#")
			case "image/png":
				of[kind] = "there"
			default:
				of[kind] = text
			}
		}
		all = append(all, of)
	}
	return all
}

// lines is a text as notebooks keep it, joined what they keep as a text.
func lines(text string) (all []any) {
	for line := range strings.Lines(text) {
		all = append(all, line)
	}
	return all
}

func joined(text any) string {
	list, ok := text.([]any)
	if !ok {
		return text.(string)
	}
	var all strings.Builder
	for _, line := range list {
		all.WriteString(line.(string))
	}
	return all.String()
}

func decoded(t *testing.T, content []byte) (notebook map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if err := d.Decode(&notebook); err != nil {
		t.Fatal(err)
	}
	return notebook
}

func encoded(t *testing.T, notebook map[string]any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(notebook); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
