package show

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func tinyFilms(t *testing.T, method string) sslkit.Config {
	t.Helper()
	c, err := recipe.Preset(t.Context(), method, sslkit.Smoke, "moving-fashion")
	if err != nil {
		t.Fatal(err)
	}
	switch b := sslkit.Backbone(c.Method); b.Arch {
	case "tubes":
		b.Depth, b.Width = 1, 32
	default:
		b.Depth, b.Width, b.State = 1, 8, min(b.State, 4)
	}
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch, c.Optimizer.Warmup = 40, 20, 1, 10, 0
	return c
}

// What comes is drawn in pixels and as frames that features find, and how wrong pixels are.
func TestFutures(t *testing.T) {
	s, rotation := small(t)
	pixels, features := tinyFilms(t, "nextframe"), tinyFilms(t, "cpc")
	f, err := Futures(t.Context(), s, pixels, features, 5, 0, 7)
	says(t, f, err, "pixels", "features", "5 frames seen")
	for want, seen := range map[string]int{"at least 1 is seen, and not all": 8, "of moving-fashion": 0} {
		if _, err := Futures(t.Context(), s, pixels, features, seen, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d seen: %v", seen, err)
		}
	}
	if _, err := Futures(t.Context(), s, features, features, 5, 0); err == nil || !strings.Contains(err.Error(), "by nextframe, not by cpc") {
		t.Errorf("cpc's pixels: %v", err)
	}
	future, err := study.Foresee(t.Context(), s, pixels, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err = Horizon(future)
	says(t, f, err, "constant velocity", "copy the last frame", "frames ahead", "20 test films, 5 frames seen; one seed")

	f, err = NearFilms(t.Context(), s, features, 2, 1, 3)
	says(t, f, err, "1: ", "the nearest of 40 training films; cpc")
	if _, err := NearFilms(t.Context(), s, rotation, 0, 1, 3); err == nil {
		t.Error("images have films")
	}
	if _, err := NearFilms(t.Context(), s, features, 0, 1, 20); err == nil || !strings.Contains(err.Error(), "which has 20") {
		t.Errorf("film 20 of 20: %v", err)
	}
}

// The frame that is found has the largest score of all: found in the graph, too.
func TestFind(t *testing.T) {
	s, _ := small(t)
	j, m, err := trained[*sslkit.CPC](t.Context(), s, tinyFilms(t, "cpc"), "")
	if err != nil {
		t.Fatal(err)
	}
	index := []int{2, 9}
	found, err := find(t.Context(), j, m, j.Test, 5, index)
	if err != nil || len(found) != 2 {
		t.Fatalf("%d films: %v", len(found), err)
	}
	films := func(src data.Source, index ...int) *tensors.Tensor {
		var pixels []uint8
		for _, i := range index {
			film := make([]uint8, 8*32*32)
			if err := src.Read(i, film); err != nil {
				t.Fatal(err)
			}
			pixels = append(pixels, film...)
		}
		return tensors.FromFlatDataAndDimensions(pixels, len(index), 8, 32, 32, 1)
	}
	all := make([]int, j.Train.Len())
	for i := range all {
		all[i] = i
	}
	out, err := model.CallOnce(j.Backend, j.Store, func(scope *model.Scope, asked, among *Node) *Node {
		x := func(clip *Node) *Node { return DivScalar(ConvertDType(clip, dtypes.Float32), 255) }
		p := m.Predict(scope, SliceAxis(x(asked), 1, AxisRange(0, 5)))
		return ArgMax(Einsum("qkd,nd->qkn", p, Reshape(m.Frames(scope, x(among)), -1, m.Backbone.Width)), -1)
	}, films(j.Test, index...), films(j.Train, all...))
	if err != nil {
		t.Fatal(err)
	}
	for q, row := range out.Value().([][]int32) {
		for k, at := range row {
			film, err := frames(j.Train.(data.Clips), int(at)/8)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(film[at%8].Pixels, found[q][k].Pixels) {
				t.Errorf("film %d, %d ahead: another frame is found", index[q], m.Ahead[k])
			}
		}
	}
}

// Triplets are drawn with what is said of them, right or wrong.
func TestInOrder(t *testing.T) {
	s, _ := small(t)
	c := tinyFilms(t, "order")
	c.Method.(*sslkit.Order).Backbone.State = 0
	f, err := InOrder(t.Context(), s, c, 0, 5)
	says(t, f, err, "in order", "not in order", "seed 1")
	if svg := f.SVG(); !strings.Contains(svg, ">yes<") && !strings.Contains(svg, ">no<") {
		t.Error("nothing is said of the triplets")
	}
	if _, err := InOrder(t.Context(), s, tinyFilms(t, "cpc"), 0); err == nil || !strings.Contains(err.Error(), "by order, not by cpc") {
		t.Errorf("cpc's order: %v", err)
	}
}

func TestKnown(t *testing.T) {
	knows := func(name string, mean float64) *study.Comparison {
		return &study.Comparison{Config: sslkit.Config{Data: sslkit.Data{Name: "films"}}, Seeds: []int64{1, 2}, Rows: []study.Row{
			{Name: name, Linear: []eval.Spread{{Mean: 0.1, N: 2}, {Mean: mean, Std: 0.01, N: 2}}}, {Name: "random init", Linear: []eval.Spread{{Mean: 0.2, N: 1}}},
		}}
	}
	text, err := Known([]string{"what", "speed"}, knows("pixels", 0.4), knows("pixels", 0.6))
	if err != nil || !strings.Contains(text, "| pixels | 40.0 ± 1.0 | 60.0 ± 1.0 |") || !strings.Contains(text, "| random init | 20.0 | 20.0 |") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := Known([]string{"what", "speed"}, knows("pixels", 0.4), knows("features", 0.6)); err == nil || !strings.Contains(err.Error(), "different encoders") {
		t.Errorf("two tables of other encoders: %v", err)
	}
}

// What is explained of hidden pieces is that of the records, each at its place.
func TestHiddenShares(t *testing.T) {
	s, _ := small(t)
	variants, axes, err := study.Grid(tinyFilms(t, "videomae"), study.Field{Path: "mask", Values: []any{0.5, 0.9}}, study.Field{Path: "random", Values: []any{false, true}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := HiddenShares(t.Context(), s, variants, axes, "tubes", "one by one")
	says(t, f, err, "mask 0.5", "mask 0.9", "tubes", "one by one")
	want := widgets.Bars{YLabel: "explained in training, %", Groups: []string{"mask 0.5", "mask 0.9"},
		Series: []widgets.Series{{Name: "tubes"}, {Name: "one by one"}}, Note: "moving-fashion, seed 1, mean of the last epoch"}
	for i, v := range variants {
		record, err := s.Pretrain(t.Context(), v.Config)
		if err != nil {
			t.Fatal(err)
		}
		want.Series[i%2].Y = append(want.Series[i%2].Y, 100*record.History.Reports["explained"][0])
	}
	other, err := want.Figure()
	if err != nil || other.SVG() != f.SVG() {
		t.Errorf("bars are not those of the records: %v", err)
	}
	for _, names := range [][]string{{"tubes"}, nil} {
		if _, err := HiddenShares(t.Context(), s, variants, axes, names...); err == nil || !strings.Contains(err.Error(), "no grid") {
			t.Errorf("names %v: %v", names, err)
		}
	}
	if _, err := HiddenShares(t.Context(), s, variants[:3], axes, "a", "b"); err == nil || !strings.Contains(err.Error(), "no grid") {
		t.Errorf("three of four: %v", err)
	}
}
