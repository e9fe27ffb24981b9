package runs

import (
	"reflect"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
)

func TestFinal(t *testing.T) {
	r := &Record{History: sslkit.History{
		Loss:    []float64{2, 1},
		Reports: map[string][]float64{"accuracy": {0.3, 0.4}},
		Figures: map[string][]float64{"knn": {0.5}, "feature_std": nil},
	}}
	if got, want := r.Final(), map[string]float64{"loss": 1, "accuracy": 0.4, "knn": 0.5}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := new(Record).Final(); len(got) != 0 {
		t.Errorf("a run that was just begun has %v", got)
	}
}

func TestDiff(t *testing.T) {
	s, _ := newStore(t)
	a := labtest.Tiny(t)
	b := a.WithEpochs(3)
	rotation := *a.Method.(*sslkit.Rotation)
	rotation.Angles = []int{0, 180}
	b.Method = &rotation
	for _, r := range []*Record{
		{Key: a.Key(), Config: a, Revision: sslkit.Revision{Number: 1}, History: sslkit.History{Loss: []float64{0.5}, Seconds: 2}},
		{Key: b.Key(), Config: b, Revision: sslkit.Revision{Number: 1}, History: sslkit.History{Loss: []float64{0.25}, Figures: map[string][]float64{"knn": {0.75}}}},
	} {
		if err := s.write(r); err != nil {
			t.Fatal(err)
		}
	}
	// Both were measured with the first options, only one with the second.
	measure := func(key, name string, o eval.Options, knn float64) {
		scores := &Scores{Scores: eval.Scores{Options: o, Stages: []eval.Stage{{Stage: 1, KNN: knn, Linear: 0.5}}}}
		file := "scores-" + name + ".json"
		if err := write(s.path(key, file), measurement[Scores]{origin{Key: key, File: file}, scores}); err != nil {
			t.Fatal(err)
		}
	}
	other := eval.Defaults()
	other.K = 3
	measure(a.Key(), "1", eval.Defaults(), 0.25)
	measure(b.Key(), "1", eval.Defaults(), 0.5)
	measure(b.Key(), "2", other, 0.9)

	head, rows, err := s.Diff(a.Key(), b.Key()[:12])
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"", a.Key(), b.Key()}; !reflect.DeepEqual(head, want) {
		t.Errorf("head %q, want %q", head, want)
	}
	want := [][]string{
		{"epochs", "2", "3"},
		{"method.rotation.angles", "[0 90 180 270]", "[0 180]"},
		{"knn", "-", "0.75"},
		{"loss", "0.5", "0.25"},
		{"seconds", "2.0", "0.0"},
		{"block 1, k-NN", "25.0 %", "50.0 %"},
		{"block 1, linear", "50.0 %", "50.0 %"},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("got\n%q, want\n%q", rows, want)
	}

	_, _, err = s.Diff(a.Key())
	labtest.WantError(t, "one run", err, "two runs or more")
	_, _, err = s.Diff(a.Key(), "x")
	labtest.WantError(t, "a key of nothing", err, "no run's key begins with")
}

// Records are told apart by what is not the same in all of one method and data, but for the seed.
func TestDifferences(t *testing.T) {
	a := labtest.Tiny(t)
	b, c, d := a.WithEpochs(3), a, a
	d.Data.Name = "scenes"
	c.Seed = 7
	rotation := *a.Method.(*sslkit.Rotation)
	rotation.Angles = []int{0, 180}
	c.Method = &rotation
	var records []*Record
	for _, config := range []sslkit.Config{a, b, c, d} {
		records = append(records, &Record{Config: config})
	}
	got, err := Differences(records)
	want := []string{"epochs=2 angles=[0 90 180 270]", "epochs=3 angles=[0 90 180 270]", "epochs=2 angles=[0 180]", ""}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
