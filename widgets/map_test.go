package widgets

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// layouts is one layout a panel of ten classes, of which the last panel tells nothing apart.
func layouts(panels int) Map {
	random := rand.New(rand.NewPCG(4, 2))
	m := Map{Title: "What the features keep apart", Note: "Fashion-MNIST, 300 test images, t-SNE", Classes: fashion}
	for k := range panels {
		p := Panel{Name: []string{"SimCLR", "BYOL", "VICReg", "collapsed"}[k%4], Note: "k-NN 81.3 %; 47 % of 10 neighbours kept"}
		for i := range 300 {
			class := i % 10
			spread := float64(k%4) * 2
			p.Points = append(p.Points, [2]float64{6*math.Cos(float64(class)) + (0.4+spread)*random.NormFloat64(), 3*math.Sin(float64(class)) + (0.4+spread)*random.NormFloat64()})
			p.Class = append(p.Class, class)
		}
		m.Panels = append(m.Panels, p)
	}
	return m
}

func TestMap(t *testing.T) {
	for name, panels := range map[string]int{"map_one": 1, "map_four": 4, "map_five": 5} {
		f, err := layouts(panels).Figure()
		golden(t, name, f, err, false)
	}
	m := layouts(1)
	m.Classes, m.Other = fashion[:3], "other classes"
	for i, c := range m.Panels[0].Class {
		if c > 2 {
			m.Panels[0].Class[i] = -1
		}
	}
	f, err := m.Figure()
	golden(t, "map_other", f, err, true)
}

// One point, and points all at one place, are drawn in the middle.
func TestMapAtOnePlace(t *testing.T) {
	m := Map{Classes: []string{"a"}, Panels: []Panel{{Points: [][2]float64{{3, 3}, {3, 3}}, Class: []int{0, 0}}}}
	f, err := m.Figure()
	if err != nil {
		t.Fatal(err)
	}
	if svg := f.SVG(); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("it has coordinates that are no numbers")
	}
}

func TestMapMistakes(t *testing.T) {
	for want, change := range map[string]func(m *Map){
		"no panels":                func(m *Map) { m.Panels = nil },
		"0 classes of 0 points":    func(m *Map) { m.Panels[0] = Panel{} },
		"299 classes of 300":       func(m *Map) { m.Panels[0].Class = m.Panels[0].Class[1:] },
		"point 7 is at":            func(m *Map) { m.Panels[0].Points[7][1] = math.NaN() },
		"point 5 is of class 5 of": func(m *Map) { m.Classes = m.Classes[:5] },
		"class -2 of":              func(m *Map) { m.Panels[0].Class[0] = -2 },
		"of no class":              func(m *Map) { m.Panels[0].Class[0] = -1 },
		"used up":                  func(m *Map) { m.Classes = append(m.Classes[:10:10], "bag", "shoe") },
	} {
		m := layouts(1)
		change(&m)
		if _, err := m.Figure(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "widgets: map: ") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
