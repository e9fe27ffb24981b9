package widgets

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestHeatmapGolden(t *testing.T) {
	fig, err := Heatmap{
		Title:    "180° is mistaken for 0° most often",
		Note:     "Share of test crops, %",
		RowLabel: "true", ColLabel: "predicted angle",
		Rows:   []string{"0°", "90°", "180°", "270°"},
		Cols:   []string{"0°", "90°", "180°", "270°", "no answer given"},
		Values: [][]float64{{91.2, 2.1, 5.4, 1.3, 0}, {2.4, 88.7, 1.9, 7, 0}, {12.6, 2, 83.3, 2.1, 0}, {1.1, 6.2, 2.2, 90.5, math.NaN()}},

		Decimals: 1,
	}.Figure()
	golden(t, "heatmap", fig, err, true)
}

func TestHeatmapErrors(t *testing.T) {
	ab := []string{"a", "b"}
	for _, c := range []struct {
		name string
		m    Heatmap
		want string
	}{
		{"empty", Heatmap{}, "want names"},
		{"rows", Heatmap{Rows: ab, Cols: ab, Values: [][]float64{{1, 2}}}, "1 rows of values for 2 names"},
		{"ragged", Heatmap{Rows: ab, Cols: ab, Values: [][]float64{{1, 2}, {3}}}, "row 1 has 1 values"},
		{"spread", Heatmap{Rows: ab, Cols: ab, Values: [][]float64{{1, 2}, {3, 4}}, Spread: [][]float64{{1, 2}, {3}}}, "the spread of row 1"},
		{"infinite", Heatmap{Rows: ab[:1], Cols: ab, Values: [][]float64{{1, math.Inf(1)}}}, "row 0, column 1 is +Inf"},
		{"all NaN", Heatmap{Rows: ab[:1], Cols: ab[:1], Values: [][]float64{{math.NaN()}}}, "all values are NaN"},
		{"decimals", Heatmap{Rows: ab[:1], Cols: ab[:1], Values: [][]float64{{1}}, Decimals: -1}, "-1 decimals"},
	} {
		_, err := c.m.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: heatmap: ")
	}
	if _, err := (Heatmap{Rows: ab[:1], Cols: ab, Values: [][]float64{{2, 2}}}).Figure(); err != nil {
		t.Errorf("constant matrix: %v", err)
	}
}

func ExampleHeatmap() {
	fig, err := Heatmap{
		RowLabel: "k", Rows: []string{"5", "20"}, ColLabel: "temperature", Cols: []string{"0.07", "0.2"},
		Values: [][]float64{{71.2, 70.8}, {72.4, 71.9}}, Decimals: 1,
		Spread: [][]float64{{0.3, 0.2}, {0.5, math.NaN()}},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "72.4 ± 0.5"))
	// Output: true
}
