package widgets

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// knnCurves is a typical monitor: accuracy over epochs, with a short run, a gap
// and curves that end close together.
func knnCurves() Curves {
	series := func(name string, role Role, n int, from, to, spread float64) Series {
		s := Series{Name: name, Role: role}
		for i := range n {
			t := 1 - math.Exp(-float64(i)/9)
			s.Y = append(s.Y, from+(to-from)*t+0.5*math.Sin(float64(i)*1.7))
			s.Err = append(s.Err, spread*(0.6+0.4*math.Cos(float64(i))))
		}
		return s
	}
	rotation := series("rotation", Auto, 40, 62, 78.4, 1.2)
	rotation.Y[20], rotation.Y[21] = math.NaN(), math.NaN()
	return Curves{
		Title:  "Rotation learns features that random initialisation does not have",
		Note:   "Fashion-MNIST, 10,000 images; k-NN (k = 20) on block 2; mean of 3 seeds, band: standard deviation",
		XLabel: "epoch", YLabel: "k-NN accuracy, %",
		Series: []Series{
			rotation,
			series("rotation, 8 angles", Auto, 40, 60, 77.6, 0.9),
			series("rotation, {0°, 180°}", Auto, 28, 58, 74, 1.5),
			series("supervised", Supervised, 40, 70, 86, 0.4),
		},
		Guides: []Guide{{"random init", 66.3}},
	}
}

func blocks() Curves {
	return Curves{
		Title:  "The middle of the network is best",
		Note:   "Linear probe on every block; mean and standard deviation of 3 seeds",
		XLabel: "encoder block", YLabel: "accuracy, %",
		Names: []string{"block 1", "block 2", "block 3", "block 4", "pooled features of the last block"},
		Series: []Series{
			{Name: "rotation", Role: Blue, Y: []float64{76.2, 81.9, 80.5, 68.4, 60.1}, Err: []float64{0.5, 0.4, 0.8, 2.1, 2.6}},
			{Name: "random init", Role: RandomInit, Y: []float64{74.9, 75.5, 73.8, 70.2, 66}, Err: []float64{0.9, 0.7, 1.1, 1.4, 1.2}},
			{Name: "supervised", Role: Supervised, Y: []float64{78, 84.1, 88.3, 89.9, 90}, Err: []float64{0.4, 0.3, 0.2, 0.2, math.NaN()}},
		},
		Guides: []Guide{{"raw pixels", 79.5}},
	}
}

func lossLog() Curves {
	s := Series{Name: "loss"}
	for i := range 9 {
		s.X = append(s.X, math.Pow(2, float64(i)))
		s.Y = append(s.Y, math.Log(4)*math.Pow(float64(i+1), -0.8))
	}
	return Curves{XLabel: "batch size", YLabel: "cross-entropy, nats", Series: []Series{s}, LogX: true,
		Guides: []Guide{{"chance, ln 4", math.Log(4)}}}
}

func TestCurvesGolden(t *testing.T) {
	fig, err := knnCurves().Figure()
	golden(t, "curves", fig, err, true)
	fig, err = blocks().Figure()
	golden(t, "blocks", fig, err, false)
	fig, err = lossLog().Figure()
	golden(t, "curves_log", fig, err, false)
}

func TestCurvesErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	y := []float64{1, 2}
	nine := make([]Series, 9)
	for i := range nine {
		nine[i] = Series{Name: fmt.Sprint(i), Y: y}
	}
	one := func(s Series) Curves { return Curves{Series: []Series{s}} }
	for _, c := range []struct {
		name   string
		curves Curves
		want   string
	}{
		{"empty", Curves{}, "no series"},
		{"no values", one(Series{Name: "a"}), "no values"},
		{"X longer", one(Series{X: []float64{1, 2, 3}, Y: y}), "3 X for 2 Y"},
		{"Err shorter", one(Series{Y: y, Err: []float64{1}}), "1 Err for 2 Y"},
		{"unsorted", one(Series{X: []float64{2, 1}, Y: y}), "sort"},
		{"repeated X", one(Series{X: []float64{1, 1}, Y: y}), "sort"},
		{"NaN in X", one(Series{X: []float64{1, nan}, Y: y}), "only Y may have gaps"},
		{"infinite Y", one(Series{Y: []float64{1, inf}}), "use NaN for a gap"},
		{"all NaN", one(Series{Name: "a", Y: []float64{nan, nan}}), `series "a": all values are NaN`},
		{"negative Err", one(Series{Y: y, Err: []float64{0, -1}}), "not negative"},
		{"infinite Err", one(Series{Y: y, Err: []float64{0, inf}}), "finite spread"},
		{"nameless", Curves{Series: []Series{{Name: "a", Y: y}, {Y: y}}}, "without a name"},
		{"names and values", Curves{Names: []string{"a"}, Series: []Series{{Y: y}}}, "2 values for 1 names"},
		{"names and X", Curves{Names: []string{"a", "b"}, Series: []Series{{X: y, Y: y}}}, "the positions have names"},
		{"names and log", Curves{Names: []string{"a", "b"}, LogX: true, Series: []Series{{Y: y}}}, "no logarithm"},
		{"log of 0", Curves{LogX: true, Series: []Series{{X: []float64{0, 1}, Y: y}}}, "no logarithm"},
		{"role", one(Series{Y: y, Role: 99}), "unknown role 99"},
		{"palette", Curves{Series: nine}, "split the figure"},
		{"guide", Curves{Series: []Series{{Y: y}}, Guides: []Guide{{"chance", nan}}}, `guide "chance"`},
		{"guide's name", Curves{Series: []Series{{Y: y}}, Guides: []Guide{{"", 1}}}, "want a name"},
	} {
		_, err := c.curves.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: curves: ")
	}
}

// TestCurvesDegenerate draws what has no extent: it must neither fail nor write
// NaN coordinates.
func TestCurvesDegenerate(t *testing.T) {
	nan := math.NaN()
	for name, s := range map[string]Series{
		"one point":      {Y: []float64{3}},
		"constant":       {Y: []float64{0, 0, 0}},
		"constant large": {Y: []float64{1e12, 1e12}},
		"tiny":           {X: []float64{1e-9, 2e-9}, Y: []float64{1e-8, -1e-8}},
		"gap at end":     {Y: []float64{1, 2, nan}, Err: []float64{nan, 1, nan}},
		"lone points":    {Y: []float64{nan, 1, nan, 2, nan}, Err: []float64{1, 1, 1, 1, 1}},
	} {
		for _, log := range []bool{false, true} {
			fig, err := Curves{Series: []Series{s}, LogX: log}.Figure()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if svg := fig.SVG(); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("%s: coordinates that are no numbers", name)
			}
		}
	}
}

// TestGapIsNotBridged: four values around a gap are two lines, not one.
func TestGapIsNotBridged(t *testing.T) {
	lines := func(y ...float64) int {
		fig, err := Curves{Series: []Series{{Y: y}}}.Figure()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(fig.SVG(), "stroke-width:1.6")
	}
	if whole, gap := lines(1, 2, 3, 4, 5), lines(1, 2, math.NaN(), 4, 5); whole != 1 || gap != 2 {
		t.Errorf("%d and %d lines, want 1 and 2", whole, gap)
	}
}

func ExampleCurves() {
	fig, err := Curves{
		Title: "Rotation pretext task", XLabel: "epoch", YLabel: "loss",
		Series: []Series{{Y: []float64{1.31, 0.92, 0.71, 0.60}, Err: []float64{0.03, 0.04, 0.02, 0.02}}},
		Guides: []Guide{{Name: "chance, ln 4", Y: math.Log(4)}},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "chance, ln 4"))
	// Output: true
}

// Accuracy on every block of an encoder, beside its floor and its ceiling.
func ExampleCurves_blocks() {
	fig, err := Curves{
		YLabel: "accuracy, %", Names: []string{"block 1", "block 2", "block 3"},
		Series: []Series{
			{Name: "rotation", Y: []float64{76.2, 81.9, 80.5}, Err: []float64{0.5, 0.4, 0.8}},
			{Name: "random init", Role: RandomInit, Y: []float64{74.9, 75.5, 73.8}},
			{Name: "supervised", Role: Supervised, Y: []float64{78, 84.1, 88.3}},
		},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "block 2"))
	// Output: true
}
