package show

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/widgets"
)

// Method draws a step of a method, by the name that it is registered under: what goes where, what is trained and kept, and where no
// gradient comes back. The drawing is the registration's; a method that brings none is an error.
func Method(name string) (*widgets.Figure, error) {
	r, err := sslkit.Lookup(name)
	if err != nil {
		return nil, err
	}
	if r.Drawing == "" {
		return nil, fmt.Errorf("show: %s brings no drawing of itself: its Registration can have one", name)
	}
	d, err := widgets.ParseDiagram(r.Drawing)
	if err != nil {
		return nil, fmt.Errorf("show: drawing %s: %w", name, err)
	}
	d.Title = reflect.TypeOf(r.New()).Elem().Name()
	if r.Paper != "" {
		d.Title += " (" + r.Paper + ")"
	}
	f, err := d.Figure()
	if err != nil {
		return nil, fmt.Errorf("show: drawing %s: %w", name, err)
	}
	return f, nil
}

// MethodText is what the source of a method says of it, in Markdown: its idea and its paper, from the comment of its type, with links;
// and, folded, its function Loss. The links are those of a page in a folder of the checkout, such as the notebooks.
func MethodText(name string) (string, error) {
	r, err := sslkit.Lookup(name)
	if err != nil {
		return "", err
	}
	s, err := sourceOf(r.New())
	if err != nil {
		return "", fmt.Errorf("show: the source of %s: %w", name, err)
	}
	loss, err := s.function("Loss")
	if err != nil {
		return "", fmt.Errorf("show: the source of %s: %w", name, err)
	}
	idea, rest, _ := strings.Cut(s.comment(), "\n\n")
	paper, _, _ := strings.Cut(rest, "\n\n") // departures from it, which may follow, are the file's
	if after, ok := strings.CutPrefix(idea, s.kind.Name()+" "); ok {
		idea = "**" + s.kind.Name() + "** " + linked(after)
	} else {
		idea = linked(idea)
	}
	var page strings.Builder
	for _, paragraph := range []string{idea, linked(paper), "The method is " + s.link() + "."} {
		if paragraph != "" {
			page.WriteString(paragraph + "\n\n")
		}
	}
	fmt.Fprintf(&page, "<details><summary>Its function Loss, as it stands there</summary>\n\n```go\n%s\n```\n\n</details>", indented(loss))
	return page.String(), nil
}

// source is the file that this program's method was compiled from.
type source struct {
	kind   reflect.Type // of the struct
	file   string
	text   []byte
	set    *token.FileSet
	parsed *ast.File
}

// sourceOf reads the file of a method, which the program's line table names. It is an error where that is not at hand, as in a program
// that was built elsewhere.
func sourceOf(m sslkit.Method) (*source, error) {
	kind := reflect.TypeOf(m)
	f, ok := kind.MethodByName("Loss")
	if !ok || kind.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("%v is no pointer to a method", kind)
	}
	entry := runtime.FuncForPC(f.Func.Pointer())
	file, _ := entry.FileLine(entry.Entry())
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &source{kind: kind.Elem(), file: file, text: text, set: token.NewFileSet()}
	s.parsed, err = parser.ParseFile(s.set, file, text, parser.ParseComments)
	return s, err
}

// function is a function of the method, with the comment above it.
func (s *source) function(name string) (string, error) {
	for _, d := range s.parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != name || f.Recv == nil {
			continue
		}
		of := f.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if id, ok := of.(*ast.Ident); !ok || id.Name != s.kind.Name() {
			continue
		}
		begin := f.Pos()
		if f.Doc != nil {
			begin = f.Doc.Pos()
		}
		return string(s.text[s.set.Position(begin).Offset:s.set.Position(f.End()).Offset]), nil
	}
	return "", fmt.Errorf("%s has no function %s of %s", s.file, name, s.kind.Name())
}

// comment is that of the type, "" where there is none in the file.
func (s *source) comment() string {
	for _, d := range s.parsed.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			if t := spec.(*ast.TypeSpec); t.Name.Name == s.kind.Name() {
				if t.Doc != nil {
					return t.Doc.Text()
				}
				return g.Doc.Text()
			}
		}
	}
	return ""
}

// link leads to the file, where it is one of the laboratory's.
func (s *source) link() string {
	folder, ours := strings.CutPrefix(s.kind.PkgPath(), module+"/")
	if !ours {
		return "`" + filepath.Base(s.file) + "`"
	}
	at := path.Join(folder, filepath.Base(s.file))
	return fmt.Sprintf("[%s](../%s)", at, at)
}

const module = "github.com/sslkit/lab"

// reference is a paper on arXiv, or what a comment of Go has in brackets.
var reference = regexp.MustCompile(`arXiv:(\d{4}\.\d{4,5})|\[([A-Z]\w*|[a-z]+\.[A-Z]\w*)\]`)

// linked is a paragraph of a comment as Markdown, in which papers are links.
func linked(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	var out strings.Builder
	for {
		at := reference.FindStringSubmatchIndex(text)
		if at == nil {
			out.WriteString(widgets.EscapeMarkdown(text))
			return out.String()
		}
		out.WriteString(widgets.EscapeMarkdown(text[:at[0]]))
		if at[2] >= 0 {
			fmt.Fprintf(&out, "[%s](https://arxiv.org/abs/%s)", text[at[0]:at[1]], text[at[2]:at[3]])
		} else {
			out.WriteString("`" + text[at[4]:at[5]] + "`")
		}
		text = text[at[1]:]
	}
}

// indented has four blanks for each tab that a line begins with: pages show tabs as eight.
func indented(code string) string {
	lines := strings.Split(code, "\n")
	for i, line := range lines {
		body := strings.TrimLeft(line, "\t")
		lines[i] = strings.Repeat("    ", len(line)-len(body)) + body
	}
	return strings.Join(lines, "\n")
}
