package main

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "hypersphere", Paper: "Wang & Isola, 2020", Chapter: 3,
		New: func() sslkit.Method {
			return &Hypersphere{Backbone: nn.ResNet(8, 8), View: view.SimCLRCIFAR(), Dim: 128, Alignment: 1, Uniformity: 1}
		},
		NoPaper: "its network for small images is an AlexNet",
	})
}

// Hypersphere has the views of an image lie together on the sphere, and all images spread over it evenly.
//
// Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere", ICML
// 2020, arXiv:2005.10242. Loss is the weighted sum of both that Sec. 5 minimises directly.
type Hypersphere struct {
	Backbone   nn.Backbone `json:"backbone"`   // f, with the head
	View       view.Recipe `json:"view"`       // of both views
	Dim        int         `json:"dim"`        // of the sphere's space
	Alignment  float64     `json:"alignment"`  // weight of L_align, Sec. 4.1.1
	Uniformity float64     `json:"uniformity"` // λ, weight of L_uniform, Sec. 4.1.2
}

// Validate says what cannot be trained.
func (m *Hypersphere) Validate() error {
	if weights := m.Alignment + m.Uniformity; m.Dim < 1 || !(m.Alignment >= 0 && m.Uniformity >= 0) || math.IsInf(weights, 1) {
		return fmt.Errorf("hypersphere: dim %d, weights %g and %g: choose at least 1, and finite weights of at least 0", m.Dim, m.Alignment, m.Uniformity)
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// MinBatch is 2: one image cannot be spread.
func (m *Hypersphere) MinBatch() int { return 2 }

// Reports lists both terms, and the spread of the rows on the sphere: 0 is collapse, 1/sqrt(Dim) is even.
func (m *Hypersphere) Reports() []string {
	return []string{"alignment", "uniformity", "projection_std"}
}

// Loss builds both terms for two views of each image.
func (m *Hypersphere) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	n := b.Image.Shape().Dim(0)
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0)) // 2NxHxWxC
	z := m.Project(scope, x)                                           // 2NxD
	one, other := Slice(z, AxisRange(0, n)), Slice(z, AxisRange(n))
	alignment := loss.Alignment(one, other)
	uniformity := DivScalar(Add(loss.Uniformity(one), loss.Uniformity(other)), 2)
	sslkit.Report("alignment", alignment)
	sslkit.Report("uniformity", uniformity)
	sslkit.Report("projection_std", loss.FeatureStd(z))
	return Add(MulScalar(alignment, m.Alignment), MulScalar(uniformity, m.Uniformity))
}

// Project maps images [N, H, W, C] to rows [N, Dim] of length 1.
func (m *Hypersphere) Project(scope *model.Scope, image *Node) *Node {
	h := nn.Pool(nn.Last(m.Encode(scope, image)))
	return L2Normalize(nn.NormMLP(scope.In("head"), h, h.Shape().Dim(1), m.Dim), -1)
}

// Encode is the backbone.
func (m *Hypersphere) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
