package study

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Geometry is how what a method compares lies on the sphere.
type Geometry struct {
	Alignment  float64 `json:"alignment"`  // of two views of an image, the lower the nearer, see eval.Pairs
	Uniformity float64 `json:"uniformity"` // of all, the lower the more even, likewise
	Tolerance  float64 `json:"tolerance"`  // mean cosine of two images of one class (Wang & Liu, CVPR 2021, Sec. 4.3)
}

// Projector is a method that compares images by the unit rows which Project makes of them, [N, D].
type Projector interface {
	Project(scope *model.Scope, image *Node) *Node
}

// OnSphere measures c's projections of views of 1,000 test images.
func OnSphere(ctx context.Context, s *runs.Store, c sslkit.Config) (*Geometry, error) {
	m, ok := c.Method.(Projector)
	if !ok || sslkit.View(c.Method) == nil {
		return nil, fmt.Errorf("study: pairs of images are compared by what projects them, which %s does not", sslkit.NameOf(c.Method))
	}
	return runs.Once(ctx, s, c, "geometry.json", runs.Labelled, func(j *runs.Job, _ *runs.Record) (*Geometry, error) {
		some, err := data.Subset(j.Test, min(1000, j.Test.Len()), 0)
		if err != nil {
			return nil, err
		}
		in, err := runs.InOrder(some)
		if err != nil {
			return nil, err
		}
		pairs, err := eval.DrawPairs(ctx, j.Backend, j.Store, sslkit.View(c.Method).View, m.Project, in.Loader)
		if err != nil {
			return nil, err
		}
		g := &Geometry{Tolerance: pairs.Tolerance(in.Labels)}
		g.Alignment, g.Uniformity, err = pairs.Geometry(j.Backend)
		return g, err
	})
}
