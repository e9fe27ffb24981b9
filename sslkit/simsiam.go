package sslkit

import (
	"errors"
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// SimSiam predicts one view's projection from the other's, and has no negatives: that the projection is held still while it is
// predicted keeps it from collapsing.
//
// Chen & He, "Exploring Simple Siamese Representation Learning", CVPR 2021, arXiv:2011.10566. Loss is Algorithm 1, with Eq. 1
// and 4. The norm at the end of the projection is a whole one, as the paper says; the authors' code, facebookresearch/simsiam,
// trains nothing of it. There the predictor's rate can stay constant (--fix-pred-lr) and norms and biases are decayed as well
// (App. A); here all follow one schedule, and only weights are decayed.
type SimSiam struct {
	Backbone nn.Backbone `json:"backbone"` // the backbone of f, Sec. 3
	View     view.Recipe `json:"view"`     // aug of Algorithm 1, App. A
	Layers   int         `json:"layers"`   // of the projection MLP of f, as wide as its output
	Dim      int         `json:"dim"`      // d, of z and p
	Hidden   int         `json:"hidden"`   // of the prediction MLP h: a bottleneck, Sec. 4.3 and App. B

	Free bool `json:"free,omitempty"` // no stop-gradient: the projection that is predicted moves as well, and all collapse (Fig. 2)
}

// SimSiamDefault has the paper's setting for ImageNet (Sec. 3, "Baseline settings").
func SimSiamDefault(backbone nn.Backbone) *SimSiam {
	return &SimSiam{Backbone: backbone, View: view.MoCoV2(), Layers: 3, Dim: 2048, Hidden: 512}
}

// SimSiamCIFAR has the setting for CIFAR-10 (App. D): a projection MLP of 2 layers, no blur.
func SimSiamCIFAR(backbone nn.Backbone) *SimSiam {
	m := SimSiamDefault(backbone)
	m.Layers, m.View.Blur, m.View.SigmaMin, m.View.SigmaMax = 2, 0, 0, 0
	return m
}

// Validate says what cannot be trained.
func (m *SimSiam) Validate() error {
	if m.Layers < 1 {
		return fmt.Errorf("sslkit: simsiam's projection has %d layers: it takes at least 1 (3 in the paper)", m.Layers)
	}
	return errors.Join(checkHead("simsiam", m.Hidden, m.Dim), m.View.Validate(), m.Backbone.Validate())
}

// Reports lists the spread of the unit projections: 0 is collapse, 1/sqrt(Dim) is even (Sec. 4.1).
func (m *SimSiam) Reports() []string { return []string{"projection_std"} }

// MinBatch is 2: the norm of a single projection leaves nothing of it.
func (m *SimSiam) MinBatch() int { return 2 }

// Diagnose names a collapse, which spreads the projections by a quarter or less of what is even.
func (m *SimSiam) Diagnose(h History) string {
	std, even := h.Reports["projection_std"], 1/math.Sqrt(float64(m.Dim))
	if len(std) == 0 || std[len(std)-1] > even/4 {
		return ""
	}
	return fmt.Sprintf("collapse: the projections of all images are nearly the same (standard deviation %.4f of unit rows, %.4f is even): "+
		"is the projection held still while it is predicted? Or try a lower learning rate", std[len(std)-1], even)
}

// Loss builds the prediction of each view's projection from the other's.
func (m *SimSiam) Loss(scope *model.Scope, b Batch) *Node {
	enough("simsiam", m, b)
	x, n := twoViews(scope, b.Image, m.View, view.Recipe{}), b.Image.Shape().Dim(0) // 2NxHxWxC
	z := m.Project(scope, x)                                                        // 2NxD
	p := m.predict(scope, z)                                                        // 2NxD
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	other := Concatenate([]*Node{Slice(z, AxisRange(n)), Slice(z, AxisRange(0, n))}, 0)
	if m.Free {
		return Neg(ReduceAllMean(ReduceSum(Mul(L2Normalize(p, -1), L2Normalize(other, -1)), -1)))
	}
	return loss.NegativeCosine(p, other) // the mean over 2N rows is Eq. 4
}

// Project is f: images [N, H, W, C] to rows [N, Dim].
func (m *SimSiam) Project(scope *model.Scope, image *Node) *Node {
	head, dims := scope.In("head"), slices.Repeat([]int{m.Dim}, m.Layers)
	z := nn.NormMLP(head, nn.Pool(nn.Last(m.Encode(scope, image))), dims...)
	head.At("linear_%d", m.Layers).At("norm").GetVariable("offset").SetTrainable(true)
	return z
}

// predict is h, whose output has neither a norm nor a ReLU.
func (m *SimSiam) predict(scope *model.Scope, z *Node) *Node {
	h := scope.In("predictor")
	hidden := activation.Relu(nn.BatchNorm(h.In("norm"), nn.Dense(h.In("hidden"), z, false, m.Hidden)))
	return nn.Dense(h.In("out"), hidden, true, m.Dim)
}

// Encode is the backbone of f.
func (m *SimSiam) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
