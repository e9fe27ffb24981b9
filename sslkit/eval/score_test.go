package eval

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
)

func TestEvaluateChangesNothing(t *testing.T) {
	f := fixture(t)
	m, store, d, test := f.m, f.store, f.train, f.test
	before := contents(t, store)
	for _, path := range []string{"/#rngState", "/labels", "/global_step"} {
		if before[path] == "" {
			t.Errorf("the store has no %s to watch", path)
		}
	}
	p := quick()
	p.Stage, p.Epochs, p.Side = 2, 2, 2
	o := Defaults()
	o.NonLinear = &p
	o.Linear.Side = 2
	s, err := Evaluate(context.Background(), testBackend(t), store, m, d, test, d.labels(), test.labels(), 2, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Live(context.Background(), encoder(t, testBackend(t), store, m, Pooled), d, test, d.labels(), test.labels(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Test(context.Background(), testBackend(t), store, test, test.labels(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := AttentionMaps(context.Background(), testBackend(t), store, m, test); err != nil {
		t.Fatal(err)
	}
	after := contents(t, store)
	if !maps.Equal(before, after) {
		for path := range after {
			if before[path] != after[path] {
				t.Errorf("%s has changed", path)
			}
		}
		t.Error("evaluation changed the store")
	}
	if s.Train != 96 || s.Test != 64 || s.Classes != 2 || len(s.Stages) != 3 {
		t.Errorf("%+v", s)
	}
	for i, stage := range s.Stages {
		if stage.Stage != i+1 || stage.Dims != 4<<i || stage.LinearDims != 4*stage.Dims || (stage.NonLinear != nil) != (i == 1) {
			t.Errorf("stage %d: %+v", i+1, stage)
		}
		if stage.EffectiveRank < 1 || stage.EffectiveRank > float64(stage.Dims) || stage.FeatureStd <= 0 || stage.FeatureStd > 1 {
			t.Errorf("stage %d: figures out of range: %+v", i+1, stage)
		}
	}
}

// The encoder must use running statistics: then what is measured of an image does not depend on its batch.
func TestEvaluateIsInEvaluationMode(t *testing.T) {
	f := fixture(t)
	m, store, d := f.m, f.store, f.train
	d.n = 48
	var features [2][][][]float32
	for i, batch := range []int{24, 48} {
		d.batch = batch
		var err error
		if features[i], err = extract(context.Background(), encoder(t, testBackend(t), store, m, Pooled), d, "test", 48); err != nil {
			t.Fatal(err)
		}
	}
	for s := range features[0] {
		for i, row := range features[0][s] {
			for j, v := range row {
				if w := features[1][s][i][j]; math.Abs(float64(v-w)) > 1e-4*(1+math.Abs(float64(v))) { // float32 sums in another order
					t.Fatalf("stage %d, image %d: %g in a batch of 24, %g in one of 48", s+1, i, v, w)
				}
			}
		}
	}
}

func TestEvaluateKnownFeatures(t *testing.T) {
	d, test := bars{n: 60, classes: 4, batch: 16}, bars{n: 30, classes: 4, batch: 16, seed: 1}
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Linear.Side = 0
	o.Cache = Cache{t.TempDir(), "pixels"}
	evaluate := func(m pixels) Scores {
		s, err := Evaluate(context.Background(), testBackend(t), store, m, d, test, d.labels(), test.labels(), 4, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := evaluate(pixels{})
	for i, stage := range s.Stages {
		// Whole maps show where the bar is, their average doesn't; one dimension has one direction only.
		if stage.Linear < 0.95 || stage.LinearDims != 64>>(2*i) || stage.Dims != 1 || stage.FeatureStd > 1e-6 || stage.KNN > 0.6 {
			t.Errorf("%+v", stage)
		}
	}
	if s.Last().Stage != 2 || s.Best().Linear < s.Last().Linear {
		t.Errorf("last %+v, best %+v", s.Last(), s.Best())
	}
	// The same key: features of another encoder aren't even computed.
	if again := evaluate(pixels{scale: math.NaN()}); !slices.Equal(again.Stages, s.Stages) {
		t.Errorf("%+v from the cache, %+v at first", again, s)
	}
	for _, part := range []string{"k=20", "T=0.07", "standardised", "whole map", "60 training and 30 test", "4 classes", "seed 0"} {
		if text := s.String(); !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func TestEvaluateRefuses(t *testing.T) {
	reversed := func(n int) []int {
		order := make([]int, n)
		for i := range order {
			order[i] = n - 1 - i
		}
		return order
	}
	type request struct {
		d, test      bars
		train, tests []int32
		classes      int
		m            sslkit.Method
		o            Options
	}
	for want, change := range map[string]func(r *request){
		"evaluate without shuffling":   func(r *request) { r.d.order = reversed },
		"keep its last batch":          func(r *request) { r.test.order = func(int) []int { return []int{0, 1, 2, 3} } },
		"test set bars is empty":       func(r *request) { r.test.n = 0 },
		"0 training and 8 test labels": func(r *request) { r.train = nil },
		"test label 1 is 7":            func(r *request) { r.tests[1] = 7 },
		"at least 2":                   func(r *request) { r.classes = 1 },
		"k 0":                          func(r *request) { r.o = Options{} },
		"stage 3, but the encoder":     func(r *request) { p := DefaultNonLinear(3); r.o.NonLinear = &p },
		"stages count from 1":          func(r *request) { p := DefaultNonLinear(0); r.o.NonLinear = &p },
		"not finite (NaN)":             func(r *request) { r.m = pixels{scale: math.NaN()} },
		"lacks":                        func(r *request) { r.m = newSupervised(r.d) },
	} {
		d := bars{n: 8, classes: 2, batch: 8}
		r := request{d, d, d.labels(), d.labels(), 2, pixels{}, Defaults()}
		change(&r)
		store, err := sslkit.NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Evaluate(context.Background(), quickBackend(t), store, r.m, r.d, r.test, r.train, r.tests, r.classes, r.o)
		wantError(t, want, err, want)
	}
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := bars{n: 8, classes: 2, batch: 8}
	if _, err := Evaluate(ctx, quickBackend(t), store, pixels{}, d, d, d.labels(), d.labels(), 2, Defaults()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestLive(t *testing.T) {
	d := bars{n: 40, classes: 2, batch: 20}
	store, err := RandomInit(context.Background(), quickBackend(t), newSupervised(d), d, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Live(context.Background(), encoder(t, quickBackend(t), store, newSupervised(d), Pooled), d, d, d.labels(), d.labels(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3+3 || got["knn"] != got["knn_3"] || got["knn"] < 0.5 || got["feature_std"] <= 0 || got["effective_rank"] < 1 || got["effective_rank"] > 16 {
		t.Errorf("%v", got)
	}
}

func TestOptionsJSON(t *testing.T) {
	o := Defaults()
	o.Cache = Cache{"folder", "key"}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"k":20,"temperature":0.07,"linear":{"side":1,"l2":0,"folds":3,"iterations":200,"per_class":0},"seed":0}`
	if string(text) != want {
		t.Errorf("%s, want %s: it goes into the keys of runs", text, want)
	}
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}

func encoder(t *testing.T, backend compute.Backend, store *model.Store, m sslkit.Method, read func(maps []*Node) []*Node) *sslkit.Encoder {
	t.Helper()
	e, err := sslkit.NewEncoder(backend, store, m, read)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}
