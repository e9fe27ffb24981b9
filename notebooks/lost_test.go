package notebooks

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
)

func TestLost(t *testing.T) {
	got, err := lost("main.go", []byte(`package main

import "fmt"

var config, other = struct{ Epochs int; Data struct{ Name string } }{}, map[string]int{}
var pointer *int
var shadow = 3

func changes() { config.Epochs = 3 } // is called by who wants it each time

func main() {
	config.Epochs = 4
	var mine int
	mine = 2
	other["a"]++
	*pointer = 2
	{
		shadow := 1
		shadow = 2
		fmt.Println(shadow, mine)
	}
	fmt.Print(1)
	func() { config.Epochs += 1 }()
}`))
	if want := []string{"config.Epochs", "other[...]", "pointer"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := lost("main.go", []byte("package")); err == nil {
		t.Error("no program is one")
	}
}

// No cell of a chapter changes what the next one has the old value of.
func TestChaptersLoseNothing(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) < 9 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		declared := ""
		for i, source := range labtest.CodeCells(t, file) {
			above, below, _ := strings.Cut(source+"\n", "%%\n")
			if !strings.HasPrefix(above, "import") {
				declared += above
			}
			names, err := lost(file, []byte("package main\n"+declared+"\nfunc main() {\n"+below+"}\n"))
			if err != nil || names != nil {
				t.Errorf("%s, cell of code %d: changes %q below %%%%, %v", file, i, names, err)
			}
		}
	}
}

// Links from one chapter to another lead to one.
func TestChaptersLinkToChapters(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`\]\(([^():]+\.(?:ipynb|md))\)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(found[1]); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			links++
		}
	}
	if links < 2*len(files)-2 {
		t.Errorf("%d links between %d chapters", links, len(files))
	}
}
