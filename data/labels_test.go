package data

import (
	"slices"
	"strings"
	"testing"
)

// Labels of another kind are of the same examples, of a part of a source too.
func TestBy(t *testing.T) {
	train, _, err := Open("moving-fashion", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	some, err := Subset(train, 40, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []Source{train, some, Pick(some, 3, 1, 2)} {
		if got := Kinds(src); !slices.Equal(got, []string{"what", "direction", "speed"}) {
			t.Errorf("%s: kinds %q", src.Name(), got)
		}
		for kind, classes := range map[string][]string{"": fashionClasses, "what": fashionClasses, "direction": filmDirections, "speed": filmSpeeds} {
			by, err := By(src, kind)
			if err != nil {
				t.Fatal(err)
			}
			if _, moves := by.(Clips); !moves || by.Len() != src.Len() || by.Name() != src.Name() || !slices.Equal(by.Classes(), classes) {
				t.Errorf("%s by %q: %d examples of %q", src.Name(), kind, by.Len(), by.Classes())
			}
			a, b := make([]uint8, 8*filmSide*filmSide), make([]uint8, 8*filmSide*filmSide)
			if err := src.Read(1, a); err != nil {
				t.Fatal(err)
			}
			if err := by.Read(1, b); err != nil || !slices.Equal(a, b) {
				t.Errorf("%s by %q: another clip, %v", src.Name(), kind, err)
			}
		}
		if _, err := By(src, "colour"); err == nil || !strings.Contains(err.Error(), `no labels of "colour": choose one of what, direction, speed`) {
			t.Errorf("unknown kind: %v", err)
		}
	}
	plain := &numbered{n: 8, classes: 4}
	if _, err := By(plain, "speed"); err == nil || !strings.Contains(err.Error(), "one kind of labels") {
		t.Errorf("a source with one kind: %v", err)
	}
	if Kinds(plain) != nil {
		t.Error("kinds of a source with one")
	}
}
