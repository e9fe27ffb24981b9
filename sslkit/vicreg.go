package sslkit

import (
	"errors"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// VICReg makes two views of an image the same, while each feature is held to vary over the batch and no two to vary together.
//
// Bardes, Ponce & LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR 2022,
// arXiv:2105.04906. Loss is Eq. 6, with the means of the authors' code (facebookresearch/vicreg): see [loss.VICReg].
type VICReg struct {
	Backbone   nn.Backbone `json:"backbone"`       // f
	View       view.Recipe `json:"view"`           // T, Sec. 4.1; App. C
	Other      view.Recipe `json:"other,omitzero"` // of the second view; without one it is View
	Hidden     int         `json:"hidden"`         // units of the expander's two hidden layers, Sec. 4.2
	Dim        int         `json:"dim"`            // d, of its output
	Invariance float64     `json:"invariance"`     // λ of Eq. 6
	Variance   float64     `json:"variance"`       // μ
	Covariance float64     `json:"covariance"`     // ν
}

// VICRegDefault has the paper's setting for ImageNet (Sec. 4.2).
func VICRegDefault(backbone nn.Backbone) *VICReg {
	m := &VICReg{Backbone: backbone, Hidden: 8192, Dim: 8192, Invariance: 25, Variance: 25, Covariance: 1}
	m.View, m.Other = twoRecipes()
	return m
}

// Validate says what cannot be trained.
func (m *VICReg) Validate() error {
	for _, weight := range []float64{m.Invariance, m.Variance, m.Covariance} {
		if !(weight >= 0) || math.IsInf(weight, 1) {
			return fmt.Errorf("sslkit: vicreg's weights %g, %g, %g must be finite and at least 0 (25, 25 and 1 in the paper)", m.Invariance, m.Variance, m.Covariance)
		}
	}
	return errors.Join(checkHead("vicreg", m.Hidden, m.Dim), m.View.Validate(), m.Other.Validate(), m.Backbone.Validate())
}

// Reports lists the spread of the embeddings as unit rows, for which 0 is collapse and 1/sqrt(Dim) even, and "std", the mean of
// their features' deviations as they are, which the variance term drives to 1.
func (m *VICReg) Reports() []string { return []string{"projection_std", "std"} }

// MinBatch is 2: a single image has no variance.
func (m *VICReg) MinBatch() int { return 2 }

// Diagnose names a collapse towards zero, which unit rows do not show: a tenth of what the hinge of Eq. 1 asks for.
func (m *VICReg) Diagnose(h History) string {
	std := h.Reports["std"]
	if len(std) == 0 || std[len(std)-1] >= 0.1 {
		return ""
	}
	return fmt.Sprintf("collapsed: the embeddings of all images are the same (standard deviation %.3f, where the loss wants 1); try a higher weight of the "+
		"variance (now %g, 25 in the paper) or a lower learning rate", std[len(std)-1], m.Variance)
}

// Loss builds the three terms of the embeddings of both views.
func (m *VICReg) Loss(scope *model.Scope, b Batch) *Node {
	enough("vicreg", m, b)
	n := b.Image.Shape().Dim(0)
	z := m.Project(scope, twoViews(scope, b.Image, m.View, m.Other)) // 2NxD
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	Report("std", loss.FeatureStd(z))
	return loss.VICReg(Slice(z, AxisRange(0, n)), Slice(z, AxisRange(n)), m.Invariance, m.Variance, m.Covariance)
}

// Project is f and the expander: images [N, H, W, C] to embeddings [N, Dim].
func (m *VICReg) Project(scope *model.Scope, image *Node) *Node {
	return expand(scope.In("head"), nn.Pool(nn.Last(m.Encode(scope, image))), m.Hidden, m.Dim)
}

// Encode is f without the expander.
func (m *VICReg) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
