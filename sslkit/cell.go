package sslkit

import (
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"slices"
	"strings"

	"github.com/sslkit/lab/internal/cell"
)

// cellDigest is the digest of the source of a type that is declared in a notebook's cell, "" elsewhere: of its declaration, its
// methods and all that they use of the cells.
func cellDigest(name string) string {
	for file := range cell.Files() {
		if digest := sourceDigest(file, name); digest != "" {
			return digest
		}
	}
	return ""
}

// sourceDigest is the digest of a type's source in a Go file, comments aside, "" where it cannot be read.
func sourceDigest(file, name string) string {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, 0)
	if err != nil {
		return ""
	}
	declared := map[string][]ast.Node{} // methods stand under the name of their type
	add := func(name string, n ast.Node) { declared[name] = append(declared[name], n) }
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			switch {
			case d.Recv != nil && len(d.Recv.List) == 1:
				ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						add(id.Name, d)
					}
					return true
				})
			case d.Name.Name != "main" && d.Name.Name != "init":
				add(d.Name.Name, d)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					add(s.Name.Name, s)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id.Name, s)
					}
				}
			}
		}
	}
	if declared[name] == nil {
		return ""
	}
	used := map[string]bool{name: true}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, n := range declared[queue[0]] {
			ast.Inspect(n, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && top(parsed, id) && declared[id.Name] != nil && !used[id.Name] {
					used[id.Name] = true
					queue = append(queue, id.Name)
				}
				return true
			})
		}
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(used)) {
		var texts []string
		for _, n := range declared[name] {
			var b strings.Builder
			if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil { // without positions, spaces and lines make no difference
				return ""
			}
			texts = append(texts, b.String())
		}
		slices.Sort(texts) // cells may come in another order
		for _, text := range texts {
			h.Write([]byte(text + "\n"))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// top reports whether a name is one that the file declares outside of functions, and not a variable of a function or a field that
// is called like one: else a cell that declares a variable of the same name would change the method. What the parser cannot
// resolve for want of types is not needed here.
func top(file *ast.File, id *ast.Ident) bool {
	return id.Obj != nil && id.Obj == file.Scope.Lookup(id.Name)
}
