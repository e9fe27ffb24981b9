package widgets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// directions draws n points of each class around a direction of its own, spread
// by noise, and as long as they come.
func directions(d, n int, noise float64) (points [][]float32, class []int) {
	random := rand.New(rand.NewPCG(5, 6))
	for c := range fashion {
		center := make([]float64, d)
		for i := range center {
			center[i] = random.NormFloat64()
		}
		for range n {
			p := make([]float32, d)
			for i := range p {
				p[i] = float32(center[i] + noise*random.NormFloat64())
			}
			points, class = append(points, p), append(class, c)
		}
	}
	return points, class
}

func ball() Sphere {
	s := Sphere{Title: "Features on the sphere", Note: "SimCLR with 3 output features, temperature 0.2", Names: fashion, Turn: 30}
	s.Points, s.Class = directions(3, 60, 0.3)
	return s
}

func circle() Sphere {
	s := Sphere{Title: "Features on the circle", Note: "SimCLR with 2 output features; stacked where there are many", Names: fashion}
	s.Points, s.Class = directions(2, 60, 0.4)
	return s
}

func TestSphereGolden(t *testing.T) {
	fig, err := ball().Figure()
	golden(t, "sphere", fig, err, false)
	fig, err = circle().Figure()
	golden(t, "circle", fig, err, false)
	collapsed := Sphere{Title: "Collapsed"}
	collapsed.Points, _ = directions(2, 30, 0.1)
	for i := range collapsed.Points {
		if i%4 > 0 {
			collapsed.Points[i] = []float32{5, 5}
		}
	}
	fig, err = collapsed.Figure()
	golden(t, "circle_collapsed", fig, err, true)
}

// TestSphereProjection: lengths do not matter, axes lie where Sphere says, and
// what is behind is smaller and paler.
func TestSphereProjection(t *testing.T) {
	type dot struct {
		x, y, r float64 // y grows upwards
		ink     string
	}
	pattern := regexp.MustCompile(`M([\d.]+),([\d.]+)A([\d.]+),.*\n?.*fill:(#\w+)`)
	at := func(turn float64, p ...float32) (d dot) {
		t.Helper()
		fig, err := Sphere{Points: [][]float32{p}, Turn: turn}.Figure()
		if err != nil {
			t.Fatal(err)
		}
		svg := fig.SVG()
		m := pattern.FindStringSubmatch(svg[strings.LastIndex(svg, "<path"):])
		if m == nil {
			t.Fatalf("no dot at the end of %s", svg)
		}
		for i, v := range []*float64{&d.x, &d.y, &d.r} {
			if _, err := fmt.Sscan(m[i+1], v); err != nil {
				t.Fatal(err)
			}
		}
		d.x -= d.r // a path begins at the circle's right
		d.ink = m[4]
		return d
	}
	front, back := at(0, 0, -1, 0), at(0, 0, 1, 0)
	if at(0, 1, 2, 3) != at(0, 0.25, 0.5, 0.75) || at(0, 1, 2) != at(0, 3, 6) {
		t.Error("the length of a point matters")
	}
	if right := at(0, 1, 0, 0); right.x < front.x+100 {
		t.Error("the first axis does not go to the right")
	}
	if up := at(0, 0, 0, 1); up.y < front.y+100 || front.y >= back.y {
		t.Error("the third axis does not go up, or is not seen from above")
	}
	if front.r <= back.r || front.ink == back.ink || front.ink != "#0072B2" {
		t.Errorf("in front %v, behind %v", front, back)
	}
	if at(90, 1, 0, 0) != back || at(-90, 1, 0, 0) != front || at(90, 0, 0, 1) != at(0, 0, 0, 1) {
		t.Error("a quarter turn does not bring the first axis to the back, about the third")
	}
	if right, up := at(0, 1, 0), at(0, 0, 1); right.x < up.x+50 || up.y < right.y+50 {
		t.Error("the axes of the circle do not go to the right and up")
	}
}

func TestSphereErrors(t *testing.T) {
	nan := float32(math.NaN())
	two := [][]float32{{1, 0}, {0, 1}}
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = fmt.Sprint(i)
	}
	for _, c := range []struct {
		name   string
		sphere Sphere
		want   string
	}{
		{"empty", Sphere{}, "no points"},
		{"one dimension", Sphere{Points: [][]float32{{1}}}, "1 dimensions: want 2 or 3"},
		{"many dimensions", Sphere{Points: [][]float32{make([]float32, 128)}}, "project them"},
		{"ragged", Sphere{Points: [][]float32{{1, 0}, {1, 0, 0}}}, "point 1 has 3 dimensions, point 0 has 2"},
		{"zero", Sphere{Points: [][]float32{{1, 0}, {0, 0}}}, "point 1 is [0 0], which has no direction"},
		{"NaN", Sphere{Points: [][]float32{{1, nan}}}, "no direction"},
		{"infinite", Sphere{Points: [][]float32{{1, float32(math.Inf(-1))}}}, "no direction"},
		{"classes", Sphere{Points: two, Class: []int{0}, Names: []string{"a"}}, "1 classes for 2 points"},
		{"class", Sphere{Points: two, Class: []int{0, 1}, Names: []string{"a"}}, "point 1 is of class 1 of 1"},
		{"negative class", Sphere{Points: two, Class: []int{0, -1}, Names: []string{"a"}}, "class -1"},
		{"names", Sphere{Points: two, Names: []string{"a"}}, "no Class"},
		{"palette", Sphere{Points: two, Class: []int{0, 1}, Names: eleven}, "10 colours are used up"},
		{"turn", Sphere{Points: two, Turn: math.NaN()}, "turn NaN"},
	} {
		_, err := c.sphere.Figure()
		wantError(t, c.name, err, c.want)
		wantError(t, c.name, err, "widgets: sphere: ")
	}
	if _, err := (Sphere{Points: [][]float32{{3e38, 3e38}, {1e-40, 0}}}).Figure(); err != nil {
		t.Errorf("lengths at the ends of float32: %v", err)
	}
}

func ExampleSphere() {
	fig, err := Sphere{
		Points: [][]float32{{0.9, 0.1, 0.3}, {1.2, -0.2, 0.1}, {-0.4, 0.8, 0.1}},
		Class:  []int{0, 0, 1}, Names: []string{"sandal", "coat"}, Turn: 30,
	}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(fig.SVG(), "sandal"))
	// Output: true
}
