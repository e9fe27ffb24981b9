package lab_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	_ "github.com/sslkit/lab/sslkit/recipe" // registers the methods
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

var update = flag.Bool("update", false, "rewrite what is generated in README.md, sslkit/doc.go, docs/methods.md, docs/claims.md and docs/results.md")

// What documents say of all methods follows from the registry.
func TestDocuments(t *testing.T) {
	files := methodFiles(t)
	generated(t, "docs/methods.md", "<!-- methods, by go generate ./sslkit -->\n", "<!-- end of methods -->\n", methodTable(t, files))
	generated(t, "sslkit/doc.go", "// # Map\n//\n", "//\n// # From a command to a figure\n", methodMap(t, files))
}

// generated holds what a file says between two of its lines.
func generated(t *testing.T, path, after, before, text string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(old), after)
	was, tail, ends := strings.Cut(rest, before)
	switch {
	case !begins || !ends:
		t.Errorf("%s has no place for what is generated, between %q and %q", path, after, before)
	case was == text:
	case *update:
		if err := os.WriteFile(path, []byte(head+after+text+before+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not say what it should (go generate ./sslkit rewrites it):\n%s\nwant\n%s", path, was, text)
	}
}

// The pages of claims and results, and README's table of claims, are those of the records, and nobody's typing.
func TestClaimsPage(t *testing.T) {
	t.Setenv("SSLKIT_RECORDS", "records")
	store, err := runs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store.Report = func(p runs.Progress) {
		if p.Note != "" {
			t.Error(p.Note)
		}
	}
	claims, err := study.TestClaims(t.Context(), store, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	written := func(path, page string, err error) {
		if err == nil && *update {
			err = os.WriteFile(path, []byte(page), 0o644)
		}
		if was, err2 := os.ReadFile(path); err != nil || err2 != nil || string(was) != page {
			t.Errorf("%s is not what the records say (go generate ./sslkit rewrites it): %v\n%s", path, errors.Join(err, err2), page)
		}
	}
	page, err := show.Claims(claims)
	written("docs/claims.md", page, err)
	all, err := study.AllResults(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	page, err = show.Results(all)
	written("docs/results.md", page, err)
	table, err := show.Table(claims)
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "README.md", "<!-- claims, by go generate ./sslkit -->\n", "<!-- end of claims -->\n", "\n"+table+"\n\n")
}

// listed are the methods; instruments and baselines have a sentence of their own.
func listed() (all []sslkit.Registration) {
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised {
			all = append(all, r)
		}
	}
	return all
}

func methodTable(t *testing.T, files map[string]string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("| name | paper | chapter | learns from | tried first on | presets | file |\n|---|---|---|---|---|---|---|\n")
	for _, r := range listed() {
		file := files[typeName(r)]
		fmt.Fprintf(&out, "| `%s` | %s | %d | %s | `%s` | %s | [%s](../sslkit/%s) |\n",
			r.Name, r.Paper, r.Chapter, r.Needs, r.Data, strings.Join(r.Presets(), ", "), file, file)
	}
	return out.String()
}

func methodMap(t *testing.T, files map[string]string) string {
	t.Helper()
	notebooks := make(map[int]string)
	paths, err := filepath.Glob("notebooks/*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var chapter int
		name := strings.TrimSuffix(filepath.Base(path), ".ipynb")
		if _, err := fmt.Sscanf(name, "%d_", &chapter); err == nil {
			notebooks[chapter] = name
		}
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "lecture item\tmethod\tpaper\tfile\tnotebook")
	chapter := 0
	for _, r := range listed() {
		item, notebook := "", notebooks[r.Chapter]
		if r.Chapter != chapter {
			item, chapter = strings.ReplaceAll(notebook, "_", " "), r.Chapter
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", item, typeName(r), r.Paper, files[typeName(r)], notebook)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(table.String()) {
		out.WriteString("//\t" + strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

func typeName(r sslkit.Registration) string { return reflect.TypeOf(r.New()).Elem().Name() }

var structDecl = regexp.MustCompile(`(?m)^type ([A-Z]\w*) struct`)

// methodFiles tells in which file of package sslkit a type is, and that each method has one.
func methodFiles(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("sslkit/*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range structDecl.FindAllSubmatch(text, -1) {
			files[string(found[1])] = filepath.Base(path)
		}
	}
	for _, r := range listed() {
		if files[typeName(r)] == "" {
			t.Errorf("%s is registered, and its type %s is not in package sslkit", r.Name, typeName(r))
		}
	}
	return files
}
