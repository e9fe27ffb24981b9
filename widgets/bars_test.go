package widgets

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func taskGap() Bars {
	return Bars{
		Title:  "Task Gap: which angles to tell apart",
		Note:   "Probe accuracy after pretraining on each set of angles; mean and standard deviation of 3 seeds. Other data and a smaller network than the paper's: compare the order, not the height.",
		YLabel: "accuracy, %",
		Groups: []string{"0°, 90°, 180°, 270°", "8 angles, 45° apart", "0°, 180°", "90°, 270°"},
		Series: []Series{
			{Name: "Fashion-MNIST, here", Y: []float64{81.9, 81.2, 80.4, 79.6}, Err: []float64{0.4, 0.6, 0.5, 0.9}},
			{Name: "photos, here", Y: []float64{52.3, 51.8, 50.9, math.NaN()}, Err: []float64{1.8, 2.2, 1.6, math.NaN()}},
		},
		Reference: Series{Name: "CIFAR-10, Gidaris et al. 2018", Y: []float64{89.06, 88.51, 87.46, 85.52}},
		Guides:    []Guide{{"chance", 10}},
	}
}

func TestBarsGolden(t *testing.T) {
	fig, err := taskGap().Figure()
	golden(t, "bars", fig, err, true)

	dots := taskGap()
	dots.Title, dots.Note, dots.Dots, dots.Guides = "The same gap, close up", "3 seeds", true, []Guide{{"random init", 76.1}}
	dots.Series = dots.Series[:1]
	fig, err = dots.Figure()
	golden(t, "dots", fig, err, false)
}

func TestBarsErrors(t *testing.T) {
	y := []float64{1, 2}
	ab := []string{"a", "b"}
	for _, c := range []struct {
		name string
		bars Bars
		want string
	}{
		{"empty", Bars{}, "at least one group"},
		{"no series", Bars{Groups: ab}, "one series"},
		{"ragged", Bars{Groups: ab, Series: []Series{{Name: "s", Y: y}, {Name: "t", Y: y[:1]}}}, `series "t": 1 values for 2 names`},
		{"reference", Bars{Groups: ab, Series: []Series{{Name: "s", Y: y}}, Reference: Series{Name: "r", Y: y[:1]}}, `series "r": 1 values`},
		{"reference's spread", Bars{Groups: ab, Series: []Series{{Name: "s", Y: y}}, Reference: Series{Name: "r", Y: y, Err: y}}, "no meaning"},
		{"infinite", Bars{Groups: ab, Series: []Series{{Y: []float64{1, math.Inf(-1)}}}}, "use NaN"},
		{"X", Bars{Groups: ab, Series: []Series{{X: y, Y: y}}}, "positions have names"},
		{"guide", Bars{Groups: ab, Series: []Series{{Y: y}}, Guides: []Guide{{"g", math.Inf(1)}}}, "finite"},
	} {
		_, err := c.bars.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: bars: ")
	}
}

// TestBarsBeginAtZero: a bar that does not begin at 0 shows a false ratio.
func TestBarsBeginAtZero(t *testing.T) {
	bars := Bars{Groups: []string{"a"}, Series: []Series{{Y: []float64{80}}}, Guides: []Guide{{"g", 70}}}
	svg := func() string {
		fig, err := bars.Figure()
		if err != nil {
			t.Fatal(err)
		}
		return fig.SVG()
	}
	if !strings.Contains(svg(), ">0</text>") {
		t.Error("no 0 on the axis of bars")
	}
	bars.Dots = true
	if strings.Contains(svg(), ">0</text>") {
		t.Error("0 on the axis of dots: no room for small differences")
	}
	bars = Bars{Groups: []string{"a", "b"}, Series: []Series{{Y: []float64{-3, -1}}}}
	if s := svg(); !strings.Contains(s, ">0</text>") || !strings.Contains(s, ">\u22123.00</text>") {
		t.Error("negative bars without 0 or value")
	}
}

func ExampleBars() {
	fig, err := Bars{
		YLabel: "accuracy, %", Groups: []string{"0°, 90°, 180°, 270°", "0°, 180°"},
		Series:    []Series{{Name: "here", Y: []float64{81.9, 80.4}, Err: []float64{0.4, 0.5}}},
		Reference: Series{Name: "CIFAR-10, the paper", Y: []float64{89.06, 87.46}},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "CIFAR-10, the paper"))
	// Output: true
}
