package widgets

import (
	"bytes"
	"fmt"
	"math"
	"testing"
)

func TestAttentionGolden(t *testing.T) {
	g := Gallery{Title: "Where the network looks", Cols: []string{"image", "block 1", "block 2", "block 3"}}
	m := scene(32, 32, 3)
	g.Images = [][]Image{{m}}
	for _, n := range []int{16, 8, 4} {
		attention := make([]float32, n*n)
		for i := range attention {
			u, v := (float64(i%n)+0.5)/float64(n), (float64(i/n)+0.5)/float64(n)
			attention[i] = float32(math.Exp(-12*((u-0.72)*(u-0.72)+(v-0.25)*(v-0.25))) + 0.4*math.Exp(-80*(v-0.7)*(v-0.7)))
		}
		overlay, err := Attention(m, attention, n, n)
		if err != nil {
			t.Fatal(err)
		}
		g.Images[0] = append(g.Images[0], overlay)
	}
	fig, err := g.Figure()
	golden(t, "attention", fig, err, false)
}

// TestAttentionInterpolation: a ramp from 0 to 1 over two samples has its
// centres at a quarter and three quarters; outside them the ends are kept.
func TestAttentionInterpolation(t *testing.T) {
	grey := Image{H: 8, W: 8, C: 1, Pixels: bytes.Repeat([]uint8{100}, 64)}
	out, err := Attention(grey, []float32{-5, 7}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if out.H != 96 || out.W != 96 || out.C != 3 || out.check() != nil {
		t.Fatalf("%d x %d x %d", out.H, out.W, out.C)
	}
	for col, want := range map[int]float64{0: 0, 23: 0, 47: (47.5/96*2 - 0.5), 72: 1, 95: 1} {
		w := mix(grey.at(0, 0), heat(want), 0.6)
		if got := out.at(40, col); got != w {
			t.Errorf("column %d is %v, want %v", col, got, w)
		}
	}
}

func TestAttentionErrors(t *testing.T) {
	m := scene(4, 4, 3)
	_, err := Attention(Image{}, []float32{1}, 1, 1)
	wantError(t, "image", err, "0 channels")
	_, err = Attention(m, []float32{1, 2, 3}, 2, 2)
	wantError(t, "length", err, "3 values for a map of 2 x 2")
	_, err = Attention(m, nil, 0, 0)
	wantError(t, "empty", err, "a map of 0 x 0")
	_, err = Attention(m, []float32{1, float32(math.NaN())}, 1, 2)
	wantError(t, "NaN", err, "value 1 is NaN")
	constant, err := Attention(m, []float32{3, 3}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	least, err := Attention(m, []float32{0, 0, 0, 1}, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := constant.at(0, 0), least.at(0, 0); got != want {
		t.Errorf("a constant map is %v, want the colour of the least value, %v", got, want)
	}
}

func ExampleAttention() {
	m := Image{H: 2, W: 2, C: 1, Pixels: []uint8{0, 80, 160, 240}}
	overlay, err := Attention(m, []float32{0, 1, 0, 0}, 2, 2)
	fmt.Println(overlay.H, overlay.W, overlay.C, err)
	// Output: 96 96 3 <nil>
}
