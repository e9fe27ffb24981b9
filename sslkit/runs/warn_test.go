package runs

import (
	"math"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
)

func TestWarnings(t *testing.T) {
	healthy := func() *Record {
		c := labtest.Full()
		c.Method.(*sslkit.Rotation).Angles = []int{0, 90, 180, 270}
		return &Record{Config: c, History: sslkit.History{
			Loss:    []float64{1.4, 0.5},
			Reports: map[string][]float64{"projection_std": {0.1, 0.12}},
			Figures: map[string][]float64{"effective_rank": {1, 20}}, // at first it may be anything
		}}
	}
	if w := healthy().Warnings(); len(w) > 0 {
		t.Errorf("a healthy run: %q", w)
	}
	for _, test := range []struct {
		spoil func(r *Record)
		want  string
	}{
		{func(r *Record) { r.History.Loss[1] = math.Log(4) }, "what guessing gives (1.386)"},
		{func(r *Record) { r.History.Reports["projection_std"][1] = 0.001 }, "collapse: the projections"},
		{func(r *Record) { r.History.Figures["effective_rank"][1] = 1.2 }, "collapse: the features"},
	} {
		r := healthy()
		test.spoil(r)
		if w := r.Warnings(); len(w) != 1 || !strings.Contains(w[0], test.want) {
			t.Errorf("got %q, want %q", w, test.want)
		}
	}
	if w := (&Record{Config: labtest.Full()}).Warnings(); len(w) > 0 {
		t.Errorf("a run that was only begun: %q", w)
	}
}
