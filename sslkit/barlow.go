package sslkit

import (
	"errors"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// BarlowTwins makes each feature say the same of two views of an image, and each another thing than all others.
//
// Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021, arXiv:2103.03230. Loss is Eq. 1.
// The authors' code (facebookresearch/barlowtwins) scales it by 0.024, which is a rate; here it is as in the paper.
type BarlowTwins struct {
	Backbone nn.Backbone `json:"backbone"`       // f, with the projector
	View     view.Recipe `json:"view"`           // T, Sec. 2.2, "Image augmentations"
	Other    view.Recipe `json:"other,omitzero"` // of the second view, which BYOL draws otherwise; without one it is View
	Hidden   int         `json:"hidden"`         // units of the projector's two hidden layers, Sec. 2.2
	Dim      int         `json:"dim"`            // of its output, Fig. 4
	Lambda   float64     `json:"lambda"`         // λ of Eq. 1
}

// BarlowTwinsDefault has the paper's setting for ImageNet (Sec. 2.2).
func BarlowTwinsDefault(backbone nn.Backbone) *BarlowTwins {
	m := &BarlowTwins{Backbone: backbone, Hidden: 8192, Dim: 8192, Lambda: 0.005}
	m.View, m.Other = twoRecipes()
	return m
}

// Validate says what cannot be trained.
func (m *BarlowTwins) Validate() error {
	if !(m.Lambda >= 0) || math.IsInf(m.Lambda, 1) {
		return fmt.Errorf("sslkit: barlow's lambda is %g; it must be finite and at least 0 (0.005 in the paper)", m.Lambda)
	}
	return errors.Join(checkHead("barlow", m.Hidden, m.Dim), m.View.Validate(), m.Other.Validate(), m.Backbone.Validate())
}

// Reports lists the spread of the embeddings as unit rows: 0 is collapse, 1/sqrt(Dim) is even.
func (m *BarlowTwins) Reports() []string { return []string{"projection_std"} }

// MinBatch is 2: a single image has no correlations.
func (m *BarlowTwins) MinBatch() int { return 2 }

// Loss builds the cross-correlation of the embeddings and what it lacks of the identity.
func (m *BarlowTwins) Loss(scope *model.Scope, b Batch) *Node {
	enough("barlow", m, b)
	n := b.Image.Shape().Dim(0)
	z := m.Project(scope, twoViews(scope, b.Image, m.View, m.Other)) // 2NxD
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	return loss.BarlowTwins(Slice(z, AxisRange(0, n)), Slice(z, AxisRange(n)), m.Lambda)
}

// Project is the network with its projector: images [N, H, W, C] to embeddings [N, Dim].
func (m *BarlowTwins) Project(scope *model.Scope, image *Node) *Node {
	return expand(scope.In("head"), nn.Pool(nn.Last(m.Encode(scope, image))), m.Hidden, m.Dim)
}

// Encode is f without the projector: "the 'representations'" of Sec. 2.2.
func (m *BarlowTwins) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// expand is the projector of Barlow Twins, and VICReg's expander: "The first two layers of the projector are followed by a batch
// normalization layer and rectified linear units", the third is linear.
func expand(scope *model.Scope, x *Node, hidden, dim int) *Node {
	for i := range 2 {
		layer := scope.In("hidden_%d", i+1)
		x = activation.Relu(nn.BatchNorm(layer.In("norm"), nn.Dense(layer, x, false, hidden)))
	}
	return nn.Dense(scope.In("out"), x, false, dim)
}

// twoViews draws both views of each image, [2N, H, W, C], the first ones first, the second ones by the other recipe where there
// is one. Batch norms that are built from there on take the statistics of either view apart, as where the views come as two batches.
func twoViews(scope *model.Scope, image *Node, first, other view.Recipe) *Node {
	nn.SplitBatchNorm(scope, image.Graph(), 2)
	if other == (view.Recipe{}) {
		return first.View(scope, Concatenate([]*Node{image, image}, 0))
	}
	return Concatenate([]*Node{first.View(scope, image), other.View(scope, image)}, 0)
}

// twoRecipes are T and T' of Grill et al. 2020, BYOL, App. B, Table 6, by which Barlow Twins and VICReg draw their views as well.
func twoRecipes() (first, other view.Recipe) {
	first = view.SimCLR(0.5)
	first.Saturation, first.Hue, first.Blur = 0.2, 0.1, 1
	other = first
	other.Blur, other.Solarize = 0.1, 0.2
	return first, other
}

func checkHead(name string, hidden, dim int) error {
	if hidden < 1 || dim < 1 {
		return fmt.Errorf("sslkit: %s's head has %d hidden units and a dim of %d: both must be at least 1", name, hidden, dim)
	}
	return nil
}
