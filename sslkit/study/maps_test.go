package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/plane"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

func TestMap(t *testing.T) {
	s, news := newStore(t)
	ctx, c := t.Context(), labtest.Tiny(t)
	other := c
	other.Seed = 2
	variants := []Variant{{"rotation", c}, {"rotation", other}, {"random init", recipe.RandomInit(c)}}
	for _, by := range Layouts() {
		o := MapOptions{By: by, Images: 24, Seed: 3}
		m, err := Map(ctx, s, variants, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Layouts) != 3 || len(m.Class) != 24 || len(m.Classes) != 4 || m.Test != 40 {
			t.Fatalf("%s: %d layouts of %d images of %d, %v", by, len(m.Layouts), len(m.Class), m.Test, m.Classes)
		}
		for i, l := range m.Layouts {
			if len(l.Points) != 24 || l.Seed != variants[i].Config.Seed || !(l.Kept > 0 && l.Kept <= 1) {
				t.Errorf("%s: %d points, training seed %d, %g kept", l.Name, len(l.Points), l.Seed, l.Kept)
			}
		}
		if fmt.Sprint(m.Layouts[0].Points) == fmt.Sprint(m.Layouts[1].Points) {
			t.Errorf("%s: two encoders have one layout", by)
		}
		again, err := Map(ctx, s, variants, o)
		if err != nil || asJSON(t, again) != asJSON(t, m) {
			t.Errorf("%s: asked again it is another one, %v", by, err)
		}
		o.Seed = 4
		if again, err = Map(ctx, s, variants, o); err != nil || (asJSON(t, again.Layouts) == asJSON(t, m.Layouts)) != (by == "pca") {
			t.Errorf("%s: with another seed, %v", by, err)
		}
		caption := m.Caption()
		for _, part := range map[string][]string{"pca": {"PCA"}, "tsne": {"t-SNE, perplexity 7.667, seed 3"}, "umap": {"UMAP, 15 neighbours, seed 3"}}[by] {
			if !strings.Contains(caption, part) || !strings.Contains(caption, "24 of 40 test examples") {
				t.Errorf("%s: the caption is %q", by, caption)
			}
		}
		if note := m.Note(m.Layouts[0]); strings.Contains(note, "of the variance; ") != (by == "pca") || !strings.Contains(note, "% of the 10 nearest kept") {
			t.Errorf("%s: the note is %q", by, note)
		}
	}
	if !strings.Contains(news.String(), "laying 24 images out") {
		t.Errorf("news: %s", news)
	}

	// What is laid out are the last stage's pooled features as unit rows, in the order of the classes that are told.
	m, err := Map(ctx, s, variants[:1], MapOptions{By: "pca", Images: 24})
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Trained(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	some, err := data.Subset(j.Test, 24, 0)
	if err != nil {
		t.Fatal(err)
	}
	in, err := runs.InOrder(some)
	if err != nil {
		t.Fatal(err)
	}
	features, err := sslkit.Features(ctx, j.Backend, j.Store, j.Method, in.Loader, func(maps []*Node) []*Node { return []*Node{nn.Pool(nn.Last(maps))} })
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range features[0] {
		sum := float32(0)
		for _, v := range row {
			sum += v * v
		}
		for i := range row {
			row[i] /= float32(math.Sqrt(float64(sum)))
		}
	}
	want, _, err := plane.PCA(features[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range m.Layouts[0].Points {
		for c := range at {
			if d := at[c] - want[i][c]; d > 1e-5 || d < -1e-5 { // rounding of float32
				t.Fatalf("image %d is at %v, want %v", i, at, want[i])
			}
		}
		if m.Class[i] != some.Label(i) {
			t.Fatalf("image %d is of class %d, want %d", i, m.Class[i], some.Label(i))
		}
	}
}

func TestMapMistakes(t *testing.T) {
	s, _ := newStore(t)
	ctx, c := t.Context(), labtest.Tiny(t)
	o := MapOptions{By: "pca", Images: 20}
	unlabelled, larger := c, c
	unlabelled.Data.Name, larger.Data.Size = labtest.Folder(t, false), 16
	_, err := Map(ctx, s, nil, o)
	labtest.WantError(t, "no encoder", err, "at least one encoder")
	_, err = Map(ctx, s, []Variant{{"a", c}}, MapOptions{By: "tnse", Images: 20})
	labtest.WantError(t, "another layout", err, `called "tnse"`, "tsne")
	for _, n := range []int{0, 19, mapLimit + 1} {
		_, err = Map(ctx, s, []Variant{{"a", c}}, MapOptions{By: "pca", Images: n})
		labtest.WantError(t, "images", err, "choose 20 to 10000")
	}
	_, err = Map(ctx, s, []Variant{{"small", c}, {"large", larger}}, o)
	labtest.WantError(t, "two sizes", err, "small and large have different data")
	_, err = Map(ctx, s, []Variant{{"a", unlabelled}}, o)
	labtest.WantError(t, "no labels", err, "has no labels")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = Map(gone, s, []Variant{{"a", c}}, o); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("cancelled: %v", err)
	}
	if err := DefaultMap().Validate(); err != nil {
		t.Error(err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
