package notebooks

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"sync"

	"github.com/sslkit/lab/internal/cell"
)

// warnLost says below the cell, once, which of its changes the next cell will not see. It is for what a cell's program calls when
// it starts.
var warnLost = sync.OnceFunc(func() {
	for file := range cell.Files() {
		if names, err := lost(file, nil); err == nil && names != nil {
			fmt.Printf("Changed below %%%%, and lost at the end of this cell: %s. The next cell has what was declared; change it there.\n", strings.Join(names, ", "))
		}
		return
	}
})

// lost are the variables that a Go program's main changes, in whole or in part, and that are declared outside of it: GoNB keeps
// what cells declare, each cell is a program of its own, and what is below %% is its main. It reads file, or text if there is any.
func lost(file string, text []byte) ([]string, error) {
	var source any
	if text != nil {
		source = text
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
	if err != nil {
		return nil, fmt.Errorf("notebooks: %w", err)
	}
	outside := make(map[string]bool)
	var main *ast.FuncDecl
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
					for _, name := range v.Names {
						outside[name.Name] = true
					}
				}
			}
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "main" {
				main = d
			}
		}
	}
	if main == nil || main.Body == nil {
		return nil, nil
	}
	// What main declares under the same name, anywhere, is taken for that: better to miss a change than to warn of none.
	ast.Inspect(main.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					delete(outside, id.Name)
				}
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				delete(outside, name.Name)
			}
		}
		return true
	})
	var names []string
	changed := func(e ast.Expr) {
		name := ""
		for {
			switch x := e.(type) {
			case *ast.SelectorExpr:
				name, e = "."+x.Sel.Name+name, x.X
			case *ast.IndexExpr:
				name, e = "[...]"+name, x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.Ident:
				if name = x.Name + name; outside[x.Name] && !slices.Contains(names, name) {
					names = append(names, name)
				}
				return
			default:
				return
			}
		}
	}
	ast.Inspect(main.Body, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.AssignStmt:
			for _, e := range s.Lhs {
				changed(e)
			}
		case *ast.IncDecStmt:
			changed(s.X)
		}
		return true
	})
	return names, nil
}
