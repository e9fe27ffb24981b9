package show

import (
	"fmt"
	"slices"

	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// mapped is how many classes have a colour of their own.
const mapped = 10

// Map draws where a map has the features of each encoder, a panel each, coloured by class: of more than ten classes the commonest
// ten, with the others in grey.
func Map(m *study.FeatureMap) (*widgets.Figure, error) {
	count := make([]int, len(m.Classes))
	for _, c := range m.Class {
		if c >= 0 {
			count[c]++
		}
	}
	var colored []int // classes
	for c := range m.Classes {
		colored = append(colored, c)
	}
	slices.SortStableFunc(colored, func(a, b int) int { return count[b] - count[a] })
	colored = colored[:min(mapped, len(colored))]
	slices.Sort(colored) // in their own order, as everywhere

	f := widgets.Map{Note: m.Caption()}
	class := make([]int, len(m.Class))
	for i, c := range m.Class {
		if class[i] = slices.Index(colored, int(c)); class[i] < 0 {
			f.Other = fmt.Sprintf("%d other classes", len(m.Classes)-len(colored))
		}
	}
	for _, c := range colored {
		f.Classes = append(f.Classes, m.Classes[c])
	}
	for _, l := range m.Layouts {
		f.Panels = append(f.Panels, widgets.Panel{Name: fmt.Sprintf("%s, seed %d", l.Name, l.Seed), Note: m.Note(l), Points: l.Points, Class: class})
	}
	return f.Figure()
}
