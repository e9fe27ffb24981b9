package sslkit

import (
	"errors"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// SimSiam predicts one view's projection from the other's, which counts as a constant: that alone keeps it from collapsing.
//
// Chen & He, "Exploring Simple Siamese Representation Learning", CVPR 2021, arXiv:2011.10566. Loss is Eq. 4, which is Algorithm 1.
// The norm at the end of f has a scale, which the release leaves out, and the rate of h falls with the others' (Table 1, row (c),
// has it fixed).
type SimSiam struct {
	Backbone nn.Backbone `json:"backbone"`           // of f, Sec. 3
	View     view.Recipe `json:"view"`               // aug, Algorithm 1
	Layers   int         `json:"layers"`             // of the projection MLP of f: 3, of CIFAR-10 2 (App. D)
	Dim      int         `json:"dim"`                // of z and p, and of the layers before z
	Hidden   int         `json:"hidden"`             // of h, a bottleneck (Sec. 3, Prediction MLP)
	Gradient bool        `json:"gradient,omitempty"` // to z as well, without stop-gradient: the row of Sec. 4.1 that collapses
}

// SimSiamCIFAR has the paper's setting for CIFAR-10 (App. D).
func SimSiamCIFAR(backbone nn.Backbone) *SimSiam {
	return &SimSiam{Backbone: backbone, View: view.SimCLRCIFAR(), Layers: 2, Dim: 2048, Hidden: 512}
}

// Validate says what cannot be trained.
func (m *SimSiam) Validate() error {
	if m.Layers < 1 {
		return fmt.Errorf("sslkit: simsiam's projection has %d layers: choose at least 1", m.Layers)
	}
	return errors.Join(checkHead("simsiam", m.Hidden, m.Dim), m.View.Validate(), m.Backbone.Validate())
}

// Reports lists the standard deviation of z as unit rows: 0 is collapse, 1/sqrt(Dim) is even (Sec. 4.1, Fig. 2).
func (m *SimSiam) Reports() []string { return []string{"projection_std"} }

// MinBatch is 2: the norms take away all that a single image says.
func (m *SimSiam) MinBatch() int { return 2 }

// Loss builds D(p1, stopgrad(z2))/2 + D(p2, stopgrad(z1))/2.
func (m *SimSiam) Loss(scope *model.Scope, b Batch) *Node {
	enough("simsiam", m, b)
	n := b.Image.Shape().Dim(0)
	x := twoViews(scope, b.Image, m.View, view.Recipe{})                           // 2NxHxWxC
	z := m.Project(scope, x)                                                       // 2NxD
	p := m.predict(scope.In("predictor"), z)                                       // 2NxD
	z = Concatenate([]*Node{Slice(z, AxisRange(n)), Slice(z, AxisRange(0, n))}, 0) // of the other view
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	if m.Gradient {
		return Neg(ReduceAllMean(ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(z, -1)), -1)))
	}
	return loss.NegativeCosine(p, z) // its mean over 2N rows is that of the two halves
}

// Project is f: images [N, H, W, C] to rows [N, Dim].
func (m *SimSiam) Project(scope *model.Scope, image *Node) *Node {
	dims := make([]int, m.Layers)
	for i := range dims {
		dims[i] = m.Dim
	}
	return nn.NormMLP(scope.In("projector"), nn.Pool(nn.Last(m.Encode(scope, image))), dims...)
}

// predict is h, whose output has neither norm nor ReLU (Sec. 3).
func (m *SimSiam) predict(scope *model.Scope, z *Node) *Node {
	h := activation.Relu(nn.BatchNorm(scope.In("norm"), layers.Dense(scope.In("hidden"), z, false, m.Hidden)))
	return layers.Dense(scope.In("out"), h, true, m.Dim)
}

// Encode is the backbone of f, without the projection.
func (m *SimSiam) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
