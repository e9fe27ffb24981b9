package widgets

import (
	"strings"
	"testing"
)

// TestSpreadTags: labels never overlap, keep their order, and stay where they
// are wanted if there is room.
func TestSpreadTags(t *testing.T) {
	tags := []*tag{{lines: []string{"c"}, y: 50}, {lines: []string{"a", "a"}, y: 48}, {lines: []string{"b"}, y: 49}, {lines: []string{"d"}, y: 150}, {lines: []string{"e"}, y: 200}}
	spreadTags(tags, 0, 200)
	for i := 1; i < len(tags); i++ {
		a, b := tags[i-1], tags[i]
		if a.y > b.y || b.placed-a.placed < (a.height()+b.height())/2-1e-9 {
			t.Errorf("%v at %v, then %v at %v", a.lines, a.placed, b.lines, b.placed)
		}
	}
	if tags[3].placed != 150 {
		t.Errorf("a free label moved to %v", tags[3].placed)
	}
	if last := tags[4]; last.placed+last.height()/2 > 200+1e-9 {
		t.Errorf("a label ends at %v", last.placed+last.height()/2)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		r     interval
		want  int
		least float64
		ticks string
	}{
		{interval{0, 1}, 5, 0, "0 0.2 0.4 0.6 0.8 1.0"},
		{interval{57.5, 91}, 6, 0, "60 70 80 90"},
		{interval{1, 3}, 8, 1, "1 2 3"},
		{interval{-1.1, 1.1}, 5, 0, "\u22121.0 \u22120.5 0 0.5 1.0"},
		{interval{0, 2e6}, 4, 0, "0 500000 1e+06 1.5e+06 2e+06"},
		{interval{0.001, 0.004}, 6, 0, "0.0010 0.0015 0.0020 0.0025 0.0030 0.0035 0.0040"},
	} {
		var got []string
		for _, tick := range ticks(c.r, c.want, c.least) {
			got = append(got, tick.label)
		}
		if s := strings.Join(got, " "); s != c.ticks {
			t.Errorf("%v: %s, want %s", c.r, s, c.ticks)
		}
	}
	var got []string
	for _, tick := range logTicks(interval{-2, 0}) {
		got = append(got, tick.label)
	}
	if s := strings.Join(got, " "); s != "0.01 0.02 0.05 0.1 0.2 0.5 1" {
		t.Errorf("decades: %s", s)
	}
}
