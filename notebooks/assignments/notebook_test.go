package assignments_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	begin = "// ### BEGIN SOLUTION\n"
	end   = "// ### END SOLUTION\n"
	stub  = "// YOUR CODE HERE\npanic(\"not written yet\")\n" // as nbgrader_config.py has it
)

// notebook is an assignment with its solutions.
type notebook struct {
	file  string
	cells []cell
}

type cell struct {
	kind, source string
	outputs      int
	mark         *mark // nil of text
}

// mark is what nbgrader knows of a cell.
type mark struct {
	ID       string  `json:"grade_id"`
	Points   float64 `json:"points"`
	Grade    bool    `json:"grade"`
	Locked   bool    `json:"locked"`
	Solution bool    `json:"solution"`
	Schema   int     `json:"schema_version"`
}

// test reports whether the cell is run for points.
func (c cell) test() bool { return c.kind == "code" && c.mark != nil && c.mark.Grade }

// answer reports whether students write code there.
func (c cell) answer() bool { return c.kind == "code" && c.mark != nil && c.mark.Solution }

func read(t *testing.T, chapter int) notebook {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("%d_*.ipynb", chapter))
	if err != nil || len(files) != 1 {
		t.Fatalf("assignment %d: %d notebooks, %v; want one", chapter, len(files), err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Cells []struct {
			Type     string            `json:"cell_type"`
			Source   []string          `json:"source"`
			Outputs  []json.RawMessage `json:"outputs"`
			Metadata struct {
				Mark *mark `json:"nbgrader"`
			} `json:"metadata"`
		} `json:"cells"`
	}
	if err := json.Unmarshal(content, &raw); err != nil {
		t.Fatalf("%s: %v", files[0], err)
	}
	n := notebook{file: files[0]}
	for _, c := range raw.Cells {
		n.cells = append(n.cells, cell{c.Type, strings.Join(c.Source, ""), len(c.Outputs), c.Metadata.Mark})
	}
	return n
}

func (n notebook) cell(t *testing.T, id string) cell {
	t.Helper()
	for _, c := range n.cells {
		if c.mark != nil && c.mark.ID == id {
			return c
		}
	}
	t.Fatalf("%s has no cell %q", n.file, id)
	return cell{}
}

// What nbgrader takes for granted, and what students are told.
func TestNotebooks(t *testing.T) {
	config, err := os.ReadFile("nbgrader_config.py")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.ReplaceAll(strings.TrimSpace(stub), "\n", `\n`); !strings.Contains(string(config), "'"+text+"'") {
		t.Errorf("nbgrader_config.py does not put %s in the place of solutions", text)
	}
	for chapter := 1; chapter <= chapters; chapter++ {
		n := read(t, chapter)
		ids, points, told := make(map[string]bool), 0.0, 0.0
		for line := range strings.Lines(n.cells[0].source) { // | task | points |
			var p float64
			if cut := strings.LastIndex(strings.TrimRight(line, " |\n"), "|"); cut > 0 {
				if _, err := fmt.Sscanf(line[cut+1:], "%f", &p); err == nil {
					told += p
				}
			}
		}
		for i, c := range n.cells {
			if c.outputs > 0 {
				t.Errorf("%s, cell %d: outputs are not kept: they are the solution's", n.file, i)
			}
			if c.mark == nil {
				if c.kind == "code" {
					t.Errorf("%s, cell %d: code that nbgrader does not know is not restored before grading", n.file, i)
				}
				continue
			}
			where := n.file + ", " + c.mark.ID
			if ids[c.mark.ID] || c.mark.ID == "" || c.mark.Schema != 3 {
				t.Errorf("%s: nbgrader wants a name of its own for each cell, and schema 3", where)
			}
			ids[c.mark.ID] = true
			points += c.mark.Points
			if open := c.mark.Solution; open == c.mark.Locked {
				t.Errorf("%s: what students write is open, and all else is locked", where)
			}
			if c.mark.Grade != (c.mark.Points > 0) {
				t.Errorf("%s: %g points, graded: %v", where, c.mark.Points, c.mark.Grade)
			}
			if solutions := strings.Count(c.source, "### BEGIN SOLUTION\n"); (solutions == 1) != c.mark.Solution || solutions != strings.Count(c.source, "### END SOLUTION") {
				t.Errorf("%s has %d solutions", where, solutions)
			}
			if lines := strings.Count(c.source, "\n") + 1; c.test() && (lines > 28 || !strings.HasPrefix(c.source, "%%\n")) {
				t.Errorf("%s: a test is a program (%%%%) that can be read: 28 lines at most, it has %d", where, lines)
			}
		}
		if points != 20 || told != 20 {
			t.Errorf("%s: %g points, and the table has %g; want 20", n.file, points, told)
		}
		for _, want := range []string{"90 minutes", "two cores", "Hints"} {
			if !strings.Contains(n.cells[0].source, want) {
				t.Errorf("%s does not begin with %q", n.file, want)
			}
		}
	}
}
