package data

import (
	"slices"
	"testing"
)

// Turning is counter-clockwise, as view.Rotate90 is: what was at the right edge comes to the top.
func TestTurned(t *testing.T) {
	train, _, err := Open("scenes", OpenOptions{Size: 16})
	if err != nil {
		t.Fatal(err)
	}
	h, w, c := train.Shape()
	read := func(s Source) []uint8 {
		pixels := make([]uint8, h*w*c)
		if err := s.Read(3, pixels); err != nil {
			t.Fatal(err)
		}
		return pixels
	}
	plain := read(train)
	pixel := func(p []uint8, y, x int) []uint8 { return p[(y*w+x)*c:][:c] }
	once, err := Turned(train, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := read(once)
	for k := range w { // the right column, from its top, is the top row from its left
		if !slices.Equal(pixel(got, 0, k), pixel(plain, k, w-1)) {
			t.Fatalf("pixel 0, %d is %v, want that of row %d at the right edge, %v", k, pixel(got, 0, k), k, pixel(plain, k, w-1))
		}
	}
	if slices.Equal(got, plain) || once.Name() == train.Name() || once.Label(3) != train.Label(3) {
		t.Error("the image is not turned, or its label is another's")
	}
	// Quarters add up.
	for quarters := range 5 {
		many, err := Turned(train, quarters)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := Turned(many, 4-quarters)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(read(rest), plain) {
			t.Errorf("%d and %d quarters are not one turn", quarters, 4-quarters)
		}
		if quarters == 2 {
			if again, _ := Turned(once, 1); !slices.Equal(read(again), read(many)) {
				t.Error("a quarter twice is not a half")
			}
		}
	}
	clips, _, err := Open("clips", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Turned(clips, 1); err == nil {
		t.Error("clips were turned")
	}
}
