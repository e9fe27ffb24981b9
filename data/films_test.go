package data

import (
	"testing"
)

// What the labels say is what is to be seen: from frame to frame the same pixels, moved by the direction at the speed.
func TestFilmsMoveAsLabelled(t *testing.T) {
	for _, split := range openBoth(t, "moving-fashion") {
		src := split.(*films)
		seen := map[[2]int32]int{}
		for i := range 200 {
			pixels := make([]uint8, 8*filmSide*filmSide)
			if err := src.Read(i, pixels); err != nil {
				t.Fatal(err)
			}
			direction, speed := src.kinds[1].labels[i], src.kinds[2].labels[i]
			seen[[2]int32{direction, speed}]++
			want := [2]int{[]int{1, 1, 0, -1, -1, -1, 0, 1}[direction], []int{0, 1, 1, 1, 0, -1, -1, -1}[direction]}
			at := func(frame, x, y int) uint8 {
				if x < 0 || y < 0 || x >= filmSide || y >= filmSide {
					return 0
				}
				return pixels[(frame*filmSide+y)*filmSide+x]
			}
			sum := 0
			for frame := range 7 {
				for y := range filmSide {
					for x := range filmSide {
						step := int(speed) + 1
						if at(frame, x, y) != at(frame+1, x+step*want[0], y+step*want[1]) {
							t.Fatalf("clip %d, %s and %s: frame %d is not moved so", i, filmDirections[direction], filmSpeeds[speed], frame)
						}
						sum += int(at(frame, x, y))
					}
				}
			}
			if sum == 0 {
				t.Fatalf("clip %d is dark", i)
			}
		}
		if len(seen) != 16 {
			t.Errorf("%d of 16 motions among 200", len(seen))
		}
	}
}

func openBoth(t *testing.T, name string) []Source {
	t.Helper()
	train, test, err := Open(name, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return []Source{train, test}
}

// Finer steps are of the same motion, and another seed is another one.
func TestFilmsFollowTheirOptions(t *testing.T) {
	few := openBoth(t, "moving-fashion")[0]
	many, _, err := Open("moving-fashion", OpenOptions{Frames: 15})
	if err != nil {
		t.Fatal(err)
	}
	a, b := make([]uint8, 8*filmSide*filmSide), make([]uint8, 15*filmSide*filmSide)
	if err := few.Read(5, a); err != nil {
		t.Fatal(err)
	}
	if err := many.Read(5, b); err != nil {
		t.Fatal(err)
	}
	const size = filmSide * filmSide
	for frame := range 8 {
		if string(a[frame*size:(frame+1)*size]) != string(b[2*frame*size:(2*frame+1)*size]) {
			t.Errorf("frame %d of 8 is not frame %d of 15", frame, 2*frame)
		}
	}
	other, _, err := Open("moving-fashion", OpenOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range 800 {
		if few.(*films).kinds[1].labels[i] == other.(*films).kinds[1].labels[i] {
			same++
		}
	}
	if same < 50 || same > 150 { // one in eight; 5 deviations
		t.Errorf("%d of 800 directions are those of another seed", same)
	}
}
