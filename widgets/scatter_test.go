package widgets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// temperatures is alignment against uniformity, a point for each temperature.
func temperatures() Scatter {
	p := Points{Labels: []string{"0.05", "0.07", "0.1", "0.2", "0.5", "1", "random init"}}
	p.X = []float64{0.62, 0.55, 0.47, 0.38, 0.24, 0.21, 0.19}
	p.Y = []float64{-3.71, -3.69, -3.6, -3.38, -2.6, -2.53, -1.1}
	p.Values = []float64{75.9, 77.4, 79.2, 81.3, 78.8, 74.1, math.NaN()}
	return Scatter{
		Title:  "Neither alignment nor uniformity alone",
		Note:   "SimCLR on Fashion-MNIST at each temperature; means of 3 seeds; lower is better on both axes",
		XLabel: "alignment", YLabel: "uniformity",
		Points: []Points{p}, Scale: "linear probe, %",
		Guides: []Guide{{"collapsed", 0}},
	}
}

// tasks is pretext against downstream accuracy, a group for each task.
func tasks() Scatter {
	s := Scatter{
		Title:  "A pretext task solved better is not a better encoder",
		Note:   "Each point is an epoch; Fashion-MNIST, seed 1",
		XLabel: "pretext accuracy, %", YLabel: "linear probe, %",
		Guides: []Guide{{"random init", 75.5}},
	}
	for k, name := range []string{"rotation", "context prediction", "jigsaw"} {
		g := Points{Name: name}
		for i := range 12 {
			t := 1 - math.Exp(-float64(i)/4)
			g.X = append(g.X, 25+t*(30+20*float64(k))+math.Sin(float64(3*i+k)))
			g.Y = append(g.Y, 74+t*(8-3*float64(k))+0.4*math.Cos(float64(5*i)))
			g.Labels = append(g.Labels, "")
		}
		g.Labels[11] = "epoch 12"
		s.Points = append(s.Points, g)
	}
	return s
}

// clouds is ten classes in a plane.
func clouds() Scatter {
	random := rand.New(rand.NewPCG(1, 2))
	s := Scatter{Title: "Ten classes", Note: "Two principal components", XLabel: "first", YLabel: "second"}
	for c, name := range fashion {
		g := Points{Name: name}
		for range 60 {
			g.X = append(g.X, 3*math.Cos(float64(c))+random.NormFloat64())
			g.Y = append(g.Y, 3*math.Sin(float64(c))+random.NormFloat64())
		}
		s.Points = append(s.Points, g)
	}
	return s
}

var fashion = []string{"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"}

func TestScatterGolden(t *testing.T) {
	fig, err := temperatures().Figure()
	golden(t, "scatter", fig, err, true)
	fig, err = tasks().Figure()
	golden(t, "scatter_tasks", fig, err, false)
	fig, err = clouds().Figure()
	golden(t, "scatter_classes", fig, err, false)
}

func TestScatterErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	v := []float64{1, 2}
	one := func(p Points) Scatter { return Scatter{Points: []Points{p}, Scale: "s"} }
	eleven := Scatter{}
	for i := range 11 {
		eleven.Points = append(eleven.Points, Points{Name: fmt.Sprint(i), X: v, Y: v})
	}
	many := Points{}
	for i := range 100 {
		many.X, many.Y, many.Labels = append(many.X, float64(i)), append(many.Y, 0), append(many.Labels, "a label of some length")
	}
	for _, c := range []struct {
		name    string
		scatter Scatter
		want    string
	}{
		{"empty", Scatter{}, "no points"},
		{"empty group", one(Points{Name: "a"}), `points "a": no points`},
		{"X longer", one(Points{X: []float64{1, 2, 3}, Y: v}), "3 X for 2 Y"},
		{"values", one(Points{X: v, Y: v, Values: v[:1]}), "1 Values for 2 points"},
		{"labels", one(Points{X: v, Y: v, Labels: []string{"a"}}), "1 Labels for 2 points"},
		{"infinite X", one(Points{X: []float64{1, inf}, Y: v}), "point 1 is (+Inf, 2): use NaN"},
		{"infinite Y", one(Points{X: v, Y: []float64{-inf, 1}}), "use NaN"},
		{"infinite value", one(Points{X: v, Y: v, Values: []float64{1, inf}}), "Values[1] is +Inf"},
		{"all NaN", one(Points{X: []float64{nan, 1}, Y: []float64{1, nan}}), "all are NaN"},
		{"values NaN", one(Points{X: v, Y: v, Values: []float64{nan, nan}}), "all Values are NaN"},
		{"value of what is not drawn", one(Points{X: []float64{nan, 1}, Y: v, Values: []float64{1, nan}}), "all Values are NaN"},
		{"nameless", Scatter{Points: []Points{{X: v, Y: v}, {Name: "b", X: v, Y: v}}}, "without a name"},
		{"values and groups", Scatter{Scale: "s", Points: []Points{{Name: "a", X: v, Y: v}, {Name: "b", X: v, Y: v, Values: v}}}, "cannot mean both"},
		{"no scale", Scatter{Points: []Points{{X: v, Y: v, Values: v}}}, "no Scale"},
		{"role", one(Points{X: v, Y: v, Role: -1}), "unknown role -1"},
		{"palette", eleven, "10 colours are used up"},
		{"label", one(Points{X: v, Y: v, Labels: []string{"", strings.Repeat("long", 20)}}), "too long"},
		{"many labels", one(many), "name fewer points"},
		{"guide", Scatter{Points: []Points{{X: v, Y: v}}, Guides: []Guide{{"g", nan}}}, "finite"},
	} {
		_, err := c.scatter.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: scatter: ")
	}
}

func TestScatterDegenerate(t *testing.T) {
	nan := math.NaN()
	for name, p := range map[string]Points{
		"one point":       {X: []float64{3}, Y: []float64{0}, Values: []float64{5}},
		"the same points": {X: []float64{0, 0}, Y: []float64{1e12, 1e12}, Values: []float64{0, 0}, Labels: []string{"a", "b"}},
		"tiny":            {X: []float64{1e-9, 2e-9}, Y: []float64{1e-8, -1e-8}, Values: []float64{1e-12, 2e-12}},
		"not measured":    {X: []float64{1, nan}, Y: []float64{1, 2}, Values: []float64{1, 2}, Labels: []string{"a", "b"}},
	} {
		fig, err := Scatter{Points: []Points{p}, Scale: "s"}.Figure()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if svg := fig.SVG(); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: coordinates that are no numbers", name)
		}
	}
}

// TestScatterLabels: where points crowd, labels cover neither points nor guides
// nor each other.
func TestScatterLabels(t *testing.T) {
	var g Points
	for i := range 24 {
		g.X = append(g.X, math.Cos(float64(i))*float64(i%5)/5)
		g.Y = append(g.Y, math.Sin(float64(i))*float64(i%5)/5)
		g.Labels = append(g.Labels, fmt.Sprint("point ", i))
	}
	fig, err := Scatter{Points: []Points{g}, Guides: []Guide{{"zero", 0}}}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	p := &probe{Canvas: vgsvg.New(vg.Length(fig.width), vg.Length(fig.height))}
	fig.draw(pen{p, fig.width, fig.height})
	line := regexp.MustCompile(`M[\d.]+,([\d.]+)L[^"]*"[^>]*stroke-dasharray:4`).FindStringSubmatch(fig.SVG())
	if line == nil {
		t.Fatal("no guide")
	}
	guide, _ := strconv.ParseFloat(line[1], 64)
	var labels []vg.Rectangle
	for i, b := range p.boxes {
		if !strings.HasPrefix(p.text[i], "point ") {
			continue
		}
		for _, d := range p.dots {
			if d.X > b.Min.X && d.X < b.Max.X && d.Y > b.Min.Y && d.Y < b.Max.Y {
				t.Errorf("%q lies on a point", p.text[i])
			}
		}
		for _, o := range labels {
			if b.Min.X < o.Max.X && o.Min.X < b.Max.X && b.Min.Y < o.Max.Y && o.Min.Y < b.Max.Y {
				t.Errorf("%q lies on a label", p.text[i])
			}
		}
		if float64(b.Min.Y) < guide && guide < float64(b.Max.Y) {
			t.Errorf("%q lies on the guide", p.text[i])
		}
		labels = append(labels, b)
	}
	if len(labels) != 24 || len(p.dots) == 0 {
		t.Errorf("%d labels and %d dots", len(labels), len(p.dots))
	}
}

func ExampleScatter() {
	fig, err := Scatter{
		XLabel: "alignment", YLabel: "uniformity", Scale: "k-NN, %",
		Points: []Points{{
			X: []float64{0.55, 0.38, 0.21}, Y: []float64{-3.7, -3.4, -2.5},
			Values: []float64{77.4, 81.3, 74.1}, Labels: []string{"0.07", "0.2", "1"},
		}},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "81.3"))
	// Output: true
}

// What a pretext task's accuracy says about the encoder, task by task.
func ExampleScatter_groups() {
	fig, err := Scatter{
		XLabel: "pretext accuracy, %", YLabel: "linear probe, %",
		Points: []Points{
			{Name: "rotation", X: []float64{61, 72, 80}, Y: []float64{78, 81, 80.5}},
			{Name: "jigsaw", X: []float64{35, 58, 77}, Y: []float64{76.4, 78, 79.1}},
		},
		Guides: []Guide{{Name: "random init", Y: 75.5}},
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "jigsaw"))
	// Output: true
}
