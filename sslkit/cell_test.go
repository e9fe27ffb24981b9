package sslkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What GoNB makes of a notebook's cells.
const cells = `package main

import "fmt"

type mine struct{ Dim, rate int }

func (m *mine) Loss() int {
	other := width(m.Dim)
	return other + scale // doubled
}

func width(n int) int { return 2 * n }

var scale = 3

var config = mine{Dim: 1}

func main() { fmt.Println(config) }
`

// An edited method is another, and whatever else the cells declare leaves it as it is.
func TestDigestIsOfTheMethod(t *testing.T) {
	digest := func(source string) string {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		return sourceDigest(file, "mine")
	}
	want := digest(cells)
	if len(want) != KeyDigits {
		t.Fatalf("the digest is %q", want)
	}
	for edit, changes := range map[[2]string]bool{
		{"other + scale", "other - scale"}:                               true, // the method
		{"2 * n", "3 * n"}:                                               true, // a function that it calls
		{"scale = 3", "scale = 4"}:                                       true, // a variable that it reads
		{"Dim, rate", "Dim, pace"}:                                       true,
		{"// doubled", "// and more"}:                                    false,
		{"\tother := ", "\n\n\tother  :=  "}:                             false,
		{"config = mine{Dim: 1}", "config = mine{Dim: 2}"}:               false,
		{"func main() {", "func main() { fmt.Println(1);"}:               false,
		{"var config", "var other = 5\n\nvar config"}:                    false, // called like a variable of Loss
		{"var config", "var rate, Dim, n, m = 1, 2, 3, 4\n\nvar config"}: false, // like fields and arguments
	} {
		edited := strings.Replace(cells, edit[0], edit[1], 1)
		if edited == cells {
			t.Fatalf("%q is not there", edit[0])
		}
		if changed := digest(edited) != want; changed != changes {
			t.Errorf("%q for %q: changed %v, want %v", edit[1], edit[0], changed, changes)
		}
	}
	if got := digest("package main"); got != "" {
		t.Errorf("without the type: %q", got)
	}
}
