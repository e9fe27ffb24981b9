package widgets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// similarities are cosines of pairs as a contrastive method leaves them.
func similarities() Histogram {
	random := rand.New(rand.NewPCG(3, 4))
	positive, negative := Series{Name: "positive pairs"}, Series{Name: "negative pairs"}
	for range 500 {
		positive.Y = append(positive.Y, 1-math.Abs(random.NormFloat64()*0.22))
	}
	for range 4000 {
		negative.Y = append(negative.Y, math.Tanh(random.NormFloat64()*0.33+0.05))
	}
	return Histogram{
		Title:  "Positive pairs are near, negative pairs spread",
		Note:   "Cosine similarities of 500 positive and 4,000 negative pairs; Fashion-MNIST, temperature 0.2",
		XLabel: "cosine similarity", Series: []Series{positive, negative}, Range: [2]float64{-1, 1},
	}
}

func TestHistogramGolden(t *testing.T) {
	fig, err := similarities().Figure()
	golden(t, "histogram", fig, err, true)

	density := similarities()
	density.Title, density.Note, density.Density, density.Bins, density.Range = "", "", true, 20, [2]float64{}
	density.Series = density.Series[1:]
	fig, err = density.Figure()
	golden(t, "histogram_density", fig, err, false)
}

// TestHistogramHeights reads the bins' heights from the axis: values fall into
// half-open bins, the last closed, whatever the order; NaN is not counted.
func TestHistogramHeights(t *testing.T) {
	h := Histogram{Series: []Series{{Y: []float64{3.5, 0, math.NaN(), 1, 1.5, 4}}}, Bins: 4, Range: [2]float64{0, 4}}
	for _, c := range []struct {
		density bool
		bins    int
		want    []float64
	}{
		{false, 4, []float64{1. / 5, 2. / 5, 0, 2. / 5}},
		{true, 4, []float64{1. / 5, 2. / 5, 0, 2. / 5}},
		{false, 2, []float64{3. / 5, 2. / 5}},
		{true, 2, []float64{3. / 10, 2. / 10}},
	} {
		h.Density, h.Bins = c.density, c.bins
		got := h.heights(h.Series[0].Y, interval{0, 4})
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%d bins, density %v: %v, want %v", c.bins, c.density, got, c.want)
		}
	}
	rounded := Histogram{Series: []Series{{Y: []float64{-1.0000001, 1.0000001}}}, Range: [2]float64{-1, 1}}
	if _, err := rounded.Figure(); err != nil {
		t.Error(err)
	}
}

func TestHistogramErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	y := []float64{1, 2}
	one := Series{Y: y}
	for _, c := range []struct {
		name string
		h    Histogram
		want string
	}{
		{"empty", Histogram{}, "no series"},
		{"no values", Histogram{Series: []Series{{Name: "a"}}}, `series "a": no values`},
		{"all NaN", Histogram{Series: []Series{{Y: []float64{nan}}}}, "all values are NaN"},
		{"infinite", Histogram{Series: []Series{{Y: []float64{1, inf}}}}, "Y[1] is +Inf"},
		{"X", Histogram{Series: []Series{{X: y, Y: y}}}, "no meaning"},
		{"Err", Histogram{Series: []Series{{Y: y, Err: y}}}, "no meaning"},
		{"nameless", Histogram{Series: []Series{{Name: "a", Y: y}, {Y: y}}}, "without a name"},
		{"role", Histogram{Series: []Series{{Y: y, Role: 77}}}, "unknown role"},
		{"bins", Histogram{Series: []Series{one}, Bins: -1}, "-1 bins"},
		{"many bins", Histogram{Series: []Series{one}, Bins: 1001}, "want 1 to 1000"},
		{"descending", Histogram{Series: []Series{one}, Range: [2]float64{2, 1}}, "ascending"},
		{"infinite range", Histogram{Series: []Series{one}, Range: [2]float64{0, inf}}, "finite"},
		{"NaN range", Histogram{Series: []Series{one}, Range: [2]float64{nan, 1}}, "finite"},
		{"outside", Histogram{Series: []Series{one}, Range: [2]float64{0, 1.5}}, "out of the range"},
		{"over the top", Histogram{Series: []Series{one}, Top: 0.4}, "over the top"},
		{"negative top", Histogram{Series: []Series{one}, Top: -1}, "top -1"},
		{"NaN top", Histogram{Series: []Series{one}, Top: nan}, "top NaN"},
	} {
		_, err := c.h.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: histogram: ")
	}
}

func TestHistogramDegenerate(t *testing.T) {
	for name, y := range map[string][]float64{"one value": {3}, "constant": {0, 0, 0}, "large": {1e12, 1e12}, "tiny": {1e-9, 2e-9}} {
		fig, err := Histogram{Series: []Series{{Y: y}}}.Figure()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if svg := fig.SVG(); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: coordinates that are no numbers", name)
		}
	}
}

func ExampleHistogram() {
	fig, err := Histogram{
		XLabel: "cosine similarity", Bins: 10, Range: [2]float64{-1, 1},
		Series: []Series{
			{Name: "positive pairs", Y: []float64{0.91, 0.85, 0.7, 0.95}},
			{Name: "negative pairs", Y: []float64{-0.2, 0.1, 0.05, 0.33, -0.4}},
		},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "negative pairs"))
	// Output: true
}
