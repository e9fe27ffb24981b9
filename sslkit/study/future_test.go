package study

import (
	"math"
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

// tinyFuture trains in a second.
func tinyFuture(t *testing.T) sslkit.Config {
	t.Helper()
	c, err := recipe.Preset(t.Context(), "nextframe", sslkit.Smoke, "moving-fashion")
	if err != nil {
		t.Fatal(err)
	}
	b := sslkit.Backbone(c.Method)
	b.Depth, b.Width, b.State = 2, 8, 4
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch, c.Optimizer.Warmup = 40, 20, 1, 20, 0
	return c
}

// The velocity of a frame is found, of a dark one it is none, and what moves by it is where it will be.
func TestVelocity(t *testing.T) {
	const h, w, channels = 9, 11, 3
	frame, moved := make([]uint8, h*w*channels), make([]uint8, h*w*channels)
	if down, right := Velocity(frame, moved, h, w); down != 0 || right != 0 {
		t.Errorf("a dark frame moves by %d, %d", down, right)
	}
	for i := range frame {
		frame[i] = uint8(i * i * 7)
	}
	for _, v := range [][2]int{{0, 0}, {-1, 2}, {4, -4}, {3, 0}} {
		shift(moved, frame, h, w, v[0], v[1])
		if down, right := Velocity(frame, moved, h, w); down != v[0] || right != v[1] {
			t.Errorf("moved by %v it is said to move by %d, %d", v, down, right)
		}
	}
	shift(moved, frame, h, w, 1, -2)
	if at := func(p []uint8, y, x, c int) uint8 { return p[(y*w+x)*channels+c] }; at(moved, 5, 3, 2) != at(frame, 4, 5, 2) || at(moved, 0, 3, 1) != at(frame, 0, 5, 1) {
		t.Error("a frame that moves down and left is not there, or has no edge of its own")
	}
}

// What is known of films that are drawn: at a constant velocity nothing is wrong, a copy is the more so the farther, and a network
// that has hardly learnt copies. Errors are those of the films, read here once more.
func TestForesee(t *testing.T) {
	s, news := newStore(t)
	c := tinyFuture(t)
	f, err := Foresee(t.Context(), s, c, 5, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	_, src := opened(t, c)
	films, pixels := src.(data.Clips), make([]uint8, 8*32*32)
	want := make([]float64, 3)
	for i := range films.Len() {
		if err := films.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		for step := range want {
			for p := range 32 * 32 {
				off := float64(pixels[4*32*32+p]) - float64(pixels[(5+step)*32*32+p])
				want[step] += off * off / 255 / 255 / float64(films.Len()*32*32)
			}
		}
	}
	for i, e := range f.Each {
		for step := range want {
			if math.Abs(e.Copied[step]-want[step]) > 1e-12 || e.Constant[step] != 0 {
				t.Errorf("seed %d, %d ahead: a copy is wrong by %v, want %v, and constant velocity by %v", i+1, step+1, e.Copied[step], want[step], e.Constant[step])
			}
			if e.Painted[step] == e.Copied[step] || math.Abs(e.Painted[step]/e.Copied[step]-1) > 0.5 { // of two steps of training
				t.Errorf("seed %d, %d ahead: what is painted is wrong by %v, a copy by %v", i+1, step+1, e.Painted[step], e.Copied[step])
			}
			if e.Truth[step] <= 0 || e.Detail[step] <= 0 {
				t.Errorf("seed %d, %d ahead: fine structure %v of %v", i+1, step+1, e.Detail[step], e.Truth[step])
			}
		}
		if e.Films != 20 || e.Copied[2] < e.Copied[0] {
			t.Errorf("seed %d: %+v", i+1, e)
		}
	}
	head, rows := f.Table()
	if len(head) != 4 || len(rows) != 4 || !strings.Contains(rows[0][1], " ± ") || strings.Contains(rows[1][1], "±") || rows[2][3] != "0.0" {
		t.Errorf("%v\n%v", head, rows)
	}
	if text := f.Caption(); !strings.Contains(text, "20 test films") || !strings.Contains(text, "2 training seeds") {
		t.Error(text)
	}
	steps := news.Steps
	if again, err := Foresee(t.Context(), s, c, 5, 1, 2); err != nil || again.Each[1].Painted[2] != f.Each[1].Painted[2] || news.Steps != steps {
		t.Errorf("asked again it is measured again: %v", err)
	}
	cpc, err := recipe.CPC(sslkit.Smoke, "moving-fashion")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []struct {
		c    sslkit.Config
		seen int
		want string
	}{{cpc, 5, "by nextframe, not by cpc"}, {c, 1, "show at least 2"}, {c, 8, "no films of more than 8 frames"}} {
		_, err := Foresee(t.Context(), s, wrong.c, wrong.seen, 1)
		labtest.WantError(t, wrong.want, err, wrong.want)
	}
}
