package lab_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
)

const module = "github.com/sslkit/lab"

// mayImport holds, for each package, which others of the laboratory it may import.
// Imports go one way, from the commands down to the building blocks; data and
// sslkit never meet but above both, and widgets draw plain values. A recipe is
// asked for by studies: the store of runs knows of none.
var mayImport = map[string][]string{
	"bench":                          {"data", "sslkit", "sslkit/*"},
	"cmd/sslkit":                     {"cli"},
	"cli":                            {"data", "show", "sslkit", "sslkit/*", "widgets"},
	"notebooks":                      {"internal/cell", "notebooks/assignments/*", "data", "show", "sslkit", "sslkit/*", "widgets"},
	"notebooks/assignments":          nil, // tests alone
	"notebooks/assignments/grade":    nil, // light, since each cell of an assignment is compiled with it
	"notebooks/assignments/training": {"data"},
	"show":                           {"data", "sslkit", "sslkit/*", "widgets"},

	"sslkit/study":     append([]string{"data", "sslkit/plane", "sslkit/recipe", "sslkit/runs"}, belowRuns...),
	"sslkit/recipe":    append([]string{"data", "internal/shorten"}, belowRuns...),
	"sslkit/runs":      append([]string{"data", "internal/mlflow", "internal/sealed", "internal/tfevents", "sslkit/pjrt", "sslkit/published"}, belowRuns...),
	"sslkit/published": {"sslkit/nn"},
	"sslkit/onnx":      {"sslkit", "sslkit/nn", "sslkit/pjrt", "sslkit/published"},
	"sslkit/eval":      {"sslkit", "sslkit/nn", "sslkit/view", "sslkit/loss", "sslkit/optim"},
	"sslkit":           {"internal/cell", "internal/sealed", "internal/shard", "sslkit/nn", "sslkit/view", "sslkit/loss", "sslkit/optim", "sslkit/cluster"},

	"sslkit/nn": {"internal/shard"}, "sslkit/view": {"internal/shard"}, "sslkit/loss": nil, "sslkit/optim": nil, "sslkit/cluster": nil, "sslkit/plane": nil,
	"sslkit/pjrt": {"sslkit/pjrt/conv"}, "sslkit/pjrt/conv": nil,
	"data":              nil,
	"widgets":           nil,
	"internal/cell":     nil, // of notebooks
	"internal/sealed":   nil, // files with their checksums
	"internal/mlflow":   nil, // a tracking server
	"internal/tfevents": nil, // TensorBoard's files
	"internal/shard":    nil, // batches among devices
	"internal/shorten":  nil, // what tests have less of
	"internal/labtest":  {"data", "internal/sealed", "sslkit", "sslkit/*"},
}

var belowRuns = []string{"sslkit", "sslkit/eval", "sslkit/nn", "sslkit/view", "sslkit/loss", "sslkit/optim", "sslkit/cluster"}

func TestImportDirection(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s: say in mayImport what it may import", name)
			continue
		}
		for _, path := range p.Imports {
			imported, ours := strings.CutPrefix(path, module+"/")
			if ours && !slices.ContainsFunc(allowed, func(a string) bool { return a == imported || matches(a, imported) }) {
				t.Errorf("%s imports %s: it may import %q", name, imported, allowed)
			}
			if imported == "internal/labtest" {
				t.Errorf("%s imports %s, which is for tests", name, imported)
			}
		}
	}
}

// matches reports whether the pattern "folder/*" holds for the package.
func matches(pattern, name string) bool {
	folder, star := strings.CutSuffix(pattern, "*")
	return star && strings.HasPrefix(name, folder)
}

// What cells import has to be imported by a Go file too: go.mod and go.sum keep
// only that, and `make run` compiles it before the first cell does.
func TestNotebookImports(t *testing.T) {
	var held []string
	for _, p := range packages(t) {
		if p.ImportPath == module+"/notebooks" {
			held = p.Imports
		}
	}
	files, err := filepath.Glob("notebooks/*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	assignments, err := filepath.Glob("notebooks/assignments/*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, assignments...) {
		for _, path := range cellImports(t, file) {
			if path != module+"/notebooks" && !slices.Contains(held, path) {
				t.Errorf("%s imports %q: add it to notebooks/imports.go", file, path)
			}
		}
	}
}

type pkg struct {
	ImportPath string
	Imports    []string
}

// packages lists the module's packages with what their files that are not tests import.
func packages(t *testing.T) []pkg {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	var list []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath != module { // this test's own
			list = append(list, p)
		}
	}
}

var (
	importDecl = regexp.MustCompile(`(?m)^import\s+(?:\(([^)]*)\)|(.*))$`)
	importPath = regexp.MustCompile(`"([^"]+\.[^"]+)"`) // standard packages have no dot
)

// cellImports returns the paths that the notebook's cells import, without the standard library.
func cellImports(t *testing.T, file string) []string {
	t.Helper()
	var paths []string
	for _, source := range labtest.CodeCells(t, file) {
		for _, declaration := range importDecl.FindAllStringSubmatch(source, -1) {
			for _, path := range importPath.FindAllStringSubmatch(declaration[1]+declaration[2], -1) {
				paths = append(paths, path[1])
			}
		}
	}
	return paths
}
