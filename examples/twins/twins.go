package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "twins", Paper: "Zbontar et al., 2021", Chapter: 3,
		New: func() sslkit.Method {
			return &Twins{Backbone: nn.ResNet(8, 8), View: view.SimCLRCIFAR(), Dim: 128, Lambda: 0.0051}
		},
		NoPaper: "its network is a ResNet-50, for ImageNet",
	})
}

// Twins has each number of a projection agree in both views of an image, and tell what no other number tells.
//
// Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021, arXiv:2103.03230. Loss is
// Algorithm 1, with Eq. 1 and 2. The projector has a norm at its end as well, which the loss would undo.
type Twins struct {
	Backbone nn.Backbone `json:"backbone"` // f, Sec. 2.2
	View     view.Recipe `json:"view"`     // T, Sec. 2.2
	Dim      int         `json:"dim"`      // of all three layers of the projector; 8192 in the paper
	Lambda   float64     `json:"lambda"`   // λ of Eq. 1
}

// Validate says what cannot be trained.
func (m *Twins) Validate() error {
	if m.Dim < 1 || !(m.Lambda >= 0) {
		return fmt.Errorf("twins: dim %d and lambda %g: choose at least 1 and at least 0, such as 128 and 0.0051", m.Dim, m.Lambda)
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// MinBatch is 2: of the views of one image nothing is left when they are normalised.
func (m *Twins) MinBatch() int { return 2 }

// Reports lists the spread of the unit projections: 0 is collapse, 1/sqrt(Dim) is even.
func (m *Twins) Reports() []string { return []string{"projection_std"} }

// Loss builds the cross-correlation of the projections of two views, which is to be the identity.
func (m *Twins) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	n := b.Image.Shape().Dim(0)
	nn.SplitBatchNorm(scope, b.Image.Graph(), 2)                       // each view is a batch of its own
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0)) // 2NxHxWxC
	h := nn.Pool(nn.Last(m.Encode(scope, x)))                          // 2NxC
	z := nn.NormMLP(scope.In("projector"), h, m.Dim, m.Dim, m.Dim)     // 2NxD
	sslkit.Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	return loss.BarlowTwins(Slice(z, AxisRange(0, n)), Slice(z, AxisRange(n)), m.Lambda)
}

// Encode is f, without the projector.
func (m *Twins) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// GuessLoss is the loss of views that have nothing in common.
func (m *Twins) GuessLoss(int) float64 { return float64(m.Dim) }
