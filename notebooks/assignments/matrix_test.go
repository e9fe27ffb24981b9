package assignments_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const chapters = 5

// variant is an assignment as somebody might hand it in.
type variant struct {
	chapter int
	name    string
	cells   []cell
	loses   []string // test cells
	changed []string // functions that are not the solution's; nil: ask all tests
	right   int      // the solution among the variants, which has the results of tests that reach nothing changed
}

// The solution has all points, the empty assignment none, and each of the usual mistakes loses those of the tests that are there
// for it, and no others. Each test is one that some mistake fails.
func TestPoints(t *testing.T) {
	if testing.Short() {
		t.Skip("dozens of trainings")
	}
	var all []variant
	for chapter := 1; chapter <= chapters; chapter++ {
		n := read(t, chapter)
		var tests []string
		for _, c := range n.cells {
			if c.test() {
				tests = append(tests, c.mark.ID)
			}
		}
		right := len(all)
		all = append(all, variant{chapter: chapter, name: "solution", cells: n.cells},
			variant{chapter: chapter, name: "nothing written", cells: replace(n.cells, func(string) string { return stub }), loses: tests})
		count, failed := 0, make(map[string]bool)
		for _, m := range mistakes {
			if m.chapter != chapter {
				continue
			}
			found := 0
			cells := replace(n.cells, func(solution string) string {
				found += strings.Count(solution, m.right)
				return strings.Replace(solution, m.right, m.wrong, 1)
			})
			if found != 1 {
				t.Errorf("assignment %d, %s: the solutions have %q %d times, want once", chapter, m.name, m.right, found)
			}
			count++
			loses := strings.Fields(m.loses)
			for _, id := range loses {
				if failed[id] = true; !slices.Contains(tests, id) {
					t.Errorf("assignment %d, %s: there is no test %s", chapter, m.name, id)
				}
			}
			v := variant{chapter, m.name, cells, loses, nil, right}
			for i, c := range cells {
				if c.source != n.cells[i].source {
					v.changed = append(v.changed, declared.FindStringSubmatch(c.source)[1])
				}
			}
			all = append(all, v)
		}
		if count < 8 {
			t.Errorf("assignment %d: %d mistakes, want 8 or more", chapter, count)
		}
		for _, id := range tests {
			if !failed[id] {
				t.Errorf("assignment %d: no mistake fails %s", chapter, id)
			}
		}
	}
	if t.Failed() {
		return
	}
	said := run(t, all)
	for i, v := range all {
		var got, total float64
		for _, c := range v.cells {
			if !c.test() {
				continue
			}
			total += c.mark.Points
			why, ran := said[i][c.mark.ID]
			if !ran && v.changed != nil {
				why, ran = said[v.right][c.mark.ID]
			}
			if !ran {
				t.Fatalf("assignment %d, %s: %s did not run", v.chapter, v.name, c.mark.ID)
			}
			if why == "" {
				got += c.mark.Points
			}
			if lost := slices.Contains(v.loses, c.mark.ID); lost && why == "" {
				t.Errorf("assignment %d, %s: %s has its points", v.chapter, v.name, c.mark.ID)
			} else if !lost && why != "" {
				t.Errorf("assignment %d, %s: %s has no points: %s", v.chapter, v.name, c.mark.ID, why)
			}
		}
		t.Logf("assignment %d, %-45s %2g of %g", v.chapter, v.name, got, total)
	}
}

var declared = regexp.MustCompile(`(?m)^func (\w+)\(`)

var solution = regexp.MustCompile(`(?s)[ \t]*` + begin + `(.*?)[ \t]*` + end)

// replace returns the cells with other solutions.
func replace(cells []cell, by func(solution string) string) []cell {
	cells = slices.Clone(cells)
	for i, c := range cells {
		if c.answer() {
			cells[i].source = solution.ReplaceAllStringFunc(c.source, func(block string) string {
				return by(solution.FindStringSubmatch(block)[1])
			})
		}
	}
	return cells
}

// run compiles all variants into one program, a package each, and returns why each of their test cells failed, "" if it did not.
func run(t *testing.T, all []variant) []map[string]string {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs("matrix")
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{make(map[string]string)} // files of this module that are elsewhere
	add := func(name, text string) {
		code, err := format.Source([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, code, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(here, name)] = file
	}
	var imports, list strings.Builder
	for i, v := range all {
		add(fmt.Sprintf("v%d/cells.go", i), program(t, fmt.Sprintf("v%d", i), v))
		fmt.Fprintf(&imports, "\t\"github.com/sslkit/lab/notebooks/assignments/matrix/v%d\"\n", i)
		fmt.Fprintf(&list, "v%d.Cells, ", i)
	}
	add("main.go", fmt.Sprintf(runner, imports.String(), list.String()))
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "matrix")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./matrix")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	command := exec.Command(binary)
	command.Env = append(os.Environ(), "SSLKIT_CELL_ERROR=") // checks are to panic
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var said []map[string]string
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatalf("%v\n%s", err, &stdout)
	}
	return said
}

const runner = `package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

%s)

func main() {
	out := os.Stdout
	os.Stdout, _ = os.Open(os.DevNull) // cells print
	all := []map[string]func(){%s}
	said := make([]map[string]string, len(all))
	var mu sync.Mutex
	var wait sync.WaitGroup
	free := make(chan bool, runtime.GOMAXPROCS(0))
	for i, cells := range all {
		said[i] = make(map[string]string)
		for id, cell := range cells {
			free <- true
			wait.Go(func() {
				why := run(cell)
				mu.Lock()
				said[i][id] = why
				mu.Unlock()
				<-free
			})
		}
	}
	wait.Wait()
	if err := json.NewEncoder(out).Encode(said); err != nil {
		panic(err)
	}
}

func run(cell func()) string {
	done := make(chan string, 1)
	go func() {
		defer func() {
			why := ""
			if r := recover(); r != nil {
				why = fmt.Sprint(r)
			}
			done <- why
		}()
		cell()
	}()
	select {
	case why := <-done:
		return why
	case <-time.After(2 * time.Minute):
		return "no end after two minutes"
	}
}
`

var importDecl = regexp.MustCompile(`(?ms)^import \((.*?)^\)\n?`)

// program puts the code cells of a notebook into one file, with the imports that it needs, as the kernel does. Its table has the
// tests that call a function that was changed, be it by way of others.
func program(t *testing.T, name string, v variant) string {
	t.Helper()
	var body strings.Builder
	var paths []string
	tests := make(map[string]string)
	for _, c := range v.cells {
		if c.kind != "code" {
			continue
		}
		source := c.source + "\n"
		for _, found := range importDecl.FindAllStringSubmatch(source, -1) {
			for _, line := range strings.Fields(found[1]) {
				path, err := strconv.Unquote(line)
				if err != nil {
					t.Fatal(err)
				}
				paths = append(paths, path)
			}
		}
		source = importDecl.ReplaceAllString(source, "")
		declarations, commands, program := strings.Cut(source, "%%\n")
		body.WriteString(declarations)
		if program {
			function := "test" + strings.ReplaceAll(c.mark.ID, "-", "_")
			fmt.Fprintf(&body, "func %s() {\n%s}\n", function, commands)
			tests[c.mark.ID] = function
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", "package "+name+"\n"+body.String(), 0)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &body)
	}
	head := "package " + name + "\n\nimport (\n"
	for _, path := range paths {
		last := path[strings.LastIndex(path, "/")+1:]
		if path == "math/rand/v2" {
			last = "rand"
		}
		if slices.ContainsFunc(file.Unresolved, func(i *ast.Ident) bool { return i.Name == last }) {
			head += strconv.Quote(path) + "\n"
		}
	}
	body.WriteString("\nvar Cells = map[string]func(){\n")
	for id, function := range tests {
		called := make(map[string]bool)
		reach(file, function, called)
		if v.changed == nil || slices.ContainsFunc(v.changed, func(f string) bool { return called[f] }) {
			fmt.Fprintf(&body, "\t%q: %s,\n", id, function)
		}
	}
	return head + ")\n\n" + body.String() + "}\n"
}

// reach adds the names that a function of the file uses, and those that these use.
func reach(file *ast.File, function string, names map[string]bool) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == function {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if i, ok := n.(*ast.Ident); ok && !names[i.Name] {
					names[i.Name] = true
					reach(file, i.Name, names)
				}
				return true
			})
		}
	}
}
