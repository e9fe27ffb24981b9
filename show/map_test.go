package show

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/study"
)

func TestMap(t *testing.T) {
	s, c := small(t)
	m, err := study.Map(t.Context(), s, []study.Variant{{Name: "rotation", Config: c}}, study.MapOptions{By: "pca", Images: 50})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Map(m)
	says(t, f, err, "50 of 100 test examples", "rotation, seed 1", "of the variance; ", "of the 10 nearest kept", m.Classes[0], m.Classes[9])
}

// Of twelve classes the ten commonest are told apart, in their own order, and the other two are grey.
func TestMapOfManyClasses(t *testing.T) {
	m := &study.FeatureMap{Data: sslkit.Data{Name: "many"}, Options: study.MapOptions{By: "umap"}, Layouts: []study.Layout{{Name: "a", By: "UMAP", Seed: 7}}}
	for c := range 12 {
		m.Classes = append(m.Classes, fmt.Sprintf("class-%02d", c))
		for i := range 3 {
			if i > 0 && (c == 1 || c == 5) {
				break
			}
			m.Class = append(m.Class, int32(c))
			m.Layouts[0].Points = append(m.Layouts[0].Points, [2]float64{float64(c), float64(i)})
		}
	}
	f, err := Map(m)
	says(t, f, err, "2 other classes", "class-00", "class-02", "class-11", "a, seed 7")
	for _, rare := range []string{"class-01", "class-05"} {
		if strings.Contains(f.SVG(), rare) {
			t.Errorf("%s has a colour", rare)
		}
	}
}
