package data

import (
	"bytes"
	"testing"
)

func TestFashion10kIsBalanced(t *testing.T) {
	train, test, err := Open("fashion-mnist-10k", OpenOptions{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []struct {
		src  Source
		each int
	}{{train, 1000}, {test, 200}} {
		count := make([]int, 10)
		for _, l := range Labels(split.src) {
			count[l]++
		}
		for label, n := range count {
			if n != split.each {
				t.Errorf("%s has %d of class %s, want %d", split.src.Name(), n, fashionClasses[label], split.each)
			}
		}
	}
}

// The embedded examples are the first of each class of the real files, where
// these can be found.
func TestFashion10kIsOfTheFullSet(t *testing.T) {
	full := openFull(t, fashionMNIST)
	train, test, err := Open("fashion-mnist-10k", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for k, part := range []Source{train, test} {
		each := part.Len() / 10
		have := make([]int, 10)
		next := 0
		a, b := make([]uint8, 28*28), make([]uint8, 28*28)
		for i := range full[k].Len() {
			label := full[k].Label(i)
			if have[label] == each {
				continue
			}
			have[label]++
			if err := full[k].Read(i, a); err != nil {
				t.Fatal(err)
			}
			if err := part.Read(next, b); err != nil {
				t.Fatal(err)
			}
			if part.Label(next) != label || !bytes.Equal(a, b) {
				t.Fatalf("example %d of %s is not example %d of %s: run go generate", next, part.Name(), i, full[k].Name())
			}
			next++
		}
		if next != part.Len() {
			t.Errorf("%s has %d examples, want %d", part.Name(), part.Len(), next)
		}
	}
}

// openFull opens a full set without the network, or skips the test.
func openFull(t *testing.T, s *idxSet) [2]Source {
	t.Helper()
	train, test, err := Open(s.name, OpenOptions{Offline: true})
	if err != nil {
		t.Skip(err)
	}
	if train.Len() != s.train || test.Len() != s.test {
		t.Errorf("%s has %d and %d examples", s.name, train.Len(), test.Len())
	}
	return [2]Source{train, test}
}
