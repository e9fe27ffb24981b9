package study

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/plane"
	"github.com/sslkit/lab/sslkit/runs"
)

// MapOptions is how [Map] lays features out in the plane.
type MapOptions struct {
	By     string `json:"by"`     // "pca", "tsne" or "umap", see package plane
	Images int    `json:"images"` // at most so many test images: t-SNE of 1,000 takes seconds, of 10,000 a minute and much memory
	Seed   int64  `json:"seed"`   // of the layout; PCA has no chance in it
}

// Layouts are the names of what lays features out.
func Layouts() []string { return []string{"pca", "tsne", "umap"} }

// mapLimit keeps the matrix of distances below a gigabyte.
const mapLimit = 10000

// DefaultMap is t-SNE of 1,000 images.
func DefaultMap() MapOptions { return MapOptions{By: "tsne", Images: 1000, Seed: 1} }

// Validate says what cannot be laid out.
func (o MapOptions) Validate() error {
	if !slices.Contains(Layouts(), o.By) {
		return fmt.Errorf("study: no layout is called %q%s", o.By, sslkit.Suggest(o.By, Layouts()))
	}
	if o.Images < 20 || o.Images > mapLimit {
		return fmt.Errorf("study: a map of %d images: choose 20 to %d", o.Images, mapLimit)
	}
	return nil
}

// place lays rows out, and says by what.
func (o MapOptions) place(ctx context.Context, x [][]float32) (y [][2]float64, by string, err error) {
	switch o.By {
	case "tsne":
		t := plane.DefaultTSNE(len(x))
		t.Seed = o.Seed
		y, err = t.Map(ctx, x)
		by = fmt.Sprintf("t-SNE, perplexity %.4g, seed %d", t.Perplexity, o.Seed)
	case "umap":
		u := plane.DefaultUMAP(len(x))
		u.Seed = o.Seed
		y, err = u.Map(ctx, x)
		by = fmt.Sprintf("UMAP, %d neighbours, seed %d", u.Neighbours, o.Seed)
	default:
		var share [2]float64
		y, share, err = plane.PCA(x)
		by = fmt.Sprintf("PCA, %.0f and %.0f %% of the variance", 100*share[0], 100*share[1])
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w while laying features out: %w", sslkit.ErrInterrupted, err)
	}
	return y, by, err
}

// FeatureMap is the features of encoders, laid out in the plane: the same test images for each.
type FeatureMap struct {
	Data    sslkit.Data `json:"data"`
	Options MapOptions  `json:"options"`
	Test    int         `json:"test"` // images that they are drawn from
	Classes []string    `json:"classes"`
	Class   []int32     `json:"class"` // of each image
	Layouts []Layout    `json:"layouts"`
}

// Layout is one encoder's.
type Layout struct {
	Name   string       `json:"name"`
	By     string       `json:"by"` // what laid it out, in words
	Seed   int64        `json:"training_seed"`
	Points [][2]float64 `json:"points"`
	Kept   float64      `json:"kept"` // share of each image's KeptOf nearest, by the features' cosine, that are among its nearest in the plane
}

// KeptOf is how many neighbours [Layout].Kept looks at.
const KeptOf = 10

// Map lays out the features of each variant's encoder, which are trained first if need be and have the same data: of some test
// images the pooled features of the last stage, as k-NN sees them, that is scaled to length 1.
func Map(ctx context.Context, s *runs.Store, variants []Variant, o MapOptions) (*FeatureMap, error) {
	if len(variants) == 0 {
		return nil, errors.New("study: a map needs at least one encoder")
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	for _, v := range variants[1:] {
		if !reflect.DeepEqual(v.Config.Data, variants[0].Config.Data) {
			return nil, fmt.Errorf("study: %s and %s have different data, which one map cannot show", variants[0].Name, v.Name)
		}
	}
	out := &FeatureMap{Data: variants[0].Config.Data, Options: o}
	for _, v := range variants {
		l, err := out.layout(ctx, s, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.Name, err)
		}
		out.Layouts = append(out.Layouts, l)
	}
	return out, nil
}

func (m *FeatureMap) layout(ctx context.Context, s *runs.Store, v Variant) (Layout, error) {
	l := Layout{Name: v.Name, Seed: v.Config.Seed}
	j, err := s.Trained(ctx, v.Config)
	if err == nil {
		err = runs.Labelled(j)
	}
	if err != nil {
		return l, err
	}
	some, err := runs.Part(j.Test, min(m.Options.Images, j.Test.Len()))
	if err != nil {
		return l, err
	}
	in, err := runs.InOrder(some)
	if err != nil {
		return l, err
	}
	features, err := sslkit.Features(ctx, j.Backend, j.Store, j.Method, in.Loader, func(maps []*Node) []*Node {
		return []*Node{L2Normalize(nn.Pool(nn.Last(maps)), -1)}
	})
	if err != nil {
		return l, err
	}
	m.Test, m.Classes, m.Class = j.Test.Len(), j.Train.Classes(), in.Labels
	s.Tell(runs.Progress{Key: j.Key, Now: fmt.Sprintf("%v: laying %d images out", j, some.Len())})
	if l.Points, l.By, err = m.Options.place(ctx, features[0]); err != nil {
		return l, err
	}
	l.Kept, err = plane.Kept(features[0], l.Points, min(KeptOf, some.Len()-1))
	return l, err
}

// Caption says what the points are.
func (m *FeatureMap) Caption() string {
	by := m.Layouts[0].By
	if m.Options.By == "pca" {
		by = "PCA"
	}
	of := fmt.Sprintf("%d test examples", len(m.Class))
	if len(m.Class) < m.Test {
		of = fmt.Sprintf("%d of %d test examples", len(m.Class), m.Test)
	}
	return fmt.Sprintf("%s, %s, the same for all; pooled features of the last stage, scaled to length 1; %s", m.Data.Name, of, by)
}

// Note says of one layout how far it can be trusted.
func (m *FeatureMap) Note(l Layout) string {
	note := fmt.Sprintf("%.0f %% of the %d nearest kept", 100*l.Kept, min(KeptOf, len(l.Points)-1))
	if m.Options.By == "pca" {
		note = strings.TrimPrefix(l.By, "PCA, ") + "; " + note
	}
	return note
}
