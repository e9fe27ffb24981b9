// Package cell tells a notebook's cells from other programs.
package cell

import (
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// folder is the variable with the folder in which GoNB compiles the cells of a notebook.
const folder = "GONB_TMP_DIR"

// Files are the sources of the cells, where they have called, however indirectly, the latest call first; elsewhere there are none.
// GoNB compiles what the cells declare as one program, which lies there while it runs.
func Files() iter.Seq[string] {
	return func(yield func(string) bool) {
		within := os.Getenv(folder)
		for skip := 1; within != ""; skip++ {
			_, file, _, ok := runtime.Caller(skip)
			if !ok {
				return
			}
			if inside, err := filepath.Rel(within, file); err == nil && !strings.HasPrefix(inside, "..") && !yield(file) {
				return
			}
		}
	}
}
