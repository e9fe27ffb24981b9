package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

// TestHostileNames: a name that steers terminals, tags and formulas comes out as text, in tables, captions, errors and files.
func TestHostileNames(t *testing.T) {
	const name = "=\x1b[31m\u009b2J\u202e<img src=x onerror=a>|`[a](b)"
	var out, errs strings.Builder
	c := &cli{out: &out, report: printer(&errs)}
	one := eval.Summarize([]float64{0.5})
	result := &study.Comparison{Seeds: []int64{1}, Rows: []study.Row{{Name: name, KNN: []eval.Spread{one}, Linear: []eval.Spread{one}}}}
	result.Config.Data.Name = name
	md, table := filepath.Join(t.TempDir(), "t.md"), filepath.Join(t.TempDir(), "t.csv")
	for _, err := range []error{
		c.printResult(result, "", resultFiles{md: "a" + name}), c.printJSON(result), saveMarkdown(result, "", md), saveCSV(result, table),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.say("sslkit: " + name)
	c.report(runs.Progress{Name: name, Bytes: 1, Total: 1})
	files := read(t, md) + read(t, table)
	if found := strings.IndexFunc(out.String()+errs.String()+files, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' || r == '\u202e'
	}); found >= 0 {
		t.Errorf("steers: %q", (out.String() + errs.String() + files)[found:])
	}
	wantAll(t, "the Markdown", read(t, md), `&lt;img src=x onerror=a&gt;\|\`+"`"+`\[a\](b) |`, "\n\n=\ufffd\\[31m\ufffd2J\ufffd&lt;img")
	wantAll(t, "the CSV", read(t, table), "\n'=")
	wantAll(t, "the JSON", out.String(), `\u001b[31m\u009b2J\u202e<img`)
	if text := read(t, md); strings.Contains(strings.ReplaceAll(text, "\\`", ""), "`") || strings.Contains(text, "<img") {
		t.Errorf("the Markdown has a tag or code:\n%s", text)
	}
}
