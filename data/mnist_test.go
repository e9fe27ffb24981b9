package data

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestMNISTInModuleCache(t *testing.T) {
	t.Setenv("GOMODCACHE", "/modules")
	want := filepath.Join("/modules", "github.com", "petar", "!go!m!n!i!s!t@v0.0.0-20150320212226-2fbe10d0fa63", "data")
	if got := mnist.places(); !slices.Equal(got, []string{want}) {
		t.Errorf("looked for in %v", got)
	}
	t.Setenv("GOMODCACHE", "")
	if got := mnist.places(); len(got) == 0 {
		t.Error("not looked for in GOPATH")
	}
}

// The digits of each class in the real files, where these can be found.
func TestMNIST(t *testing.T) {
	full := openFull(t, mnist)
	count := make([]int, 10)
	for _, l := range Labels(full[0]) {
		count[l]++
	}
	// As the set's authors and many since have counted.
	if want := []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}; !slices.Equal(count, want) {
		t.Errorf("%v of each digit, want %v", count, want)
	}
}
