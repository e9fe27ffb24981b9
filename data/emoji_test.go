package data

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestEmoji(t *testing.T) {
	train, test, err := Open("emoji", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := train.Len() + test.Len(); n != 2*1388 {
		t.Errorf("%d pictures", n)
	}
	// 1,388 draws of 1/5 have a standard deviation of 15.
	if n := test.Len() / 2; n < 230 || n > 325 {
		t.Errorf("%d of 1388 emoji are for testing", n)
	}
	seen := map[string]string{}
	for _, src := range []Source{train, test} {
		count := make([]int, len(src.Classes()))
		pair := [2][]uint8{make([]uint8, 32*32*3), make([]uint8, 32*32*3)}
		for i := 0; i < src.Len(); i += 2 {
			a, b := src.(Captioned).Captions(i), src.(Captioned).Captions(i+1)
			if !slices.Equal(a, b) || src.Label(i) != src.Label(i+1) {
				t.Errorf("two pictures of one emoji: %q and %q", a, b)
			}
			if len(a) != 2 || !strings.HasPrefix(a[0], a[1]+": ") {
				t.Errorf("captions %q, want the name with keywords and the name", a)
			}
			if other := seen[a[1]]; other != "" {
				t.Errorf("%q is in %s and %s", a[1], other, src.Name())
			}
			seen[a[1]] = src.Name()
			count[src.Label(i)]++
			for k, pixels := range pair {
				if err := src.Read(i+k, pixels); err != nil {
					t.Fatal(err)
				}
				if slices.Min(pixels) == slices.Max(pixels) {
					t.Errorf("picture %d of %q is blank", k, a[1])
				}
			}
			if slices.Equal(pair[0], pair[1]) {
				t.Errorf("both vendors draw %q alike", a[1])
			}
		}
		if slices.Min(count) < 8 {
			t.Errorf("%s has %d of each class", src.Name(), count)
		}
	}
}

// Captions belong to their pictures: what is called red is red.
func TestEmojiShowWhatTheyAreCalled(t *testing.T) {
	train, test, err := Open("emoji", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string][3]uint8{}
	for _, src := range []Source{train, test} {
		for i := range src.Len() {
			name := src.(Captioned).Captions(i)[1]
			pixels := make([]uint8, 32*32*3)
			if err := src.Read(i, pixels); err != nil {
				t.Fatal(err)
			}
			colours[fmt.Sprint(name, i%2)] = [3]uint8(pixels[3*(18*32+16):])
		}
	}
	for k := range 2 {
		for name, is := range map[string]func(r, g, b int) bool{
			"red circle":   func(r, g, b int) bool { return r > 180 && g < 90 && b < 90 },
			"blue heart":   func(r, g, b int) bool { return b > 180 && r < 120 },
			"green square": func(r, g, b int) bool { return g > 120 && r < 140 && b < 110 },
		} {
			c, found := colours[fmt.Sprint(name, k)]
			if !found || !is(int(c[0]), int(c[1]), int(c[2])) {
				t.Errorf("the %s of %s has the colour %v", name, emojiVendors[k], c)
			}
		}
	}
}
