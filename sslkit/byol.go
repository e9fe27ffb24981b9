package sslkit

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// BYOL predicts what a slowly moving copy of the network makes of the other view of an image, and has no negatives.
//
// Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020, arXiv:2006.07733. Loss is
// Eq. 2, of both views against each other; the target moves by Eq. 1 with the τ of Sec. 3.3. The target begins as a copy of the
// online network, and not with parameters of its own as in the authors' code, who saw no difference.
type BYOL struct {
	Backbone  nn.Backbone `json:"backbone"`       // f, Sec. 3.1
	View      view.Recipe `json:"view"`           // T, App. B
	Other     view.Recipe `json:"other,omitzero"` // T', App. B, of the second view; without one it is T
	Hidden    int         `json:"hidden"`         // units in the hidden layers of g and q, Sec. 3.3
	Dim       int         `json:"dim"`            // of z and of what q predicts
	Predictor bool        `json:"predictor"`      // q; without it, it is Table 5b's row that collapses
	Momentum  float64     `json:"momentum"`       // τ_base, in [0, 1]; τ goes from there to 1 (Sec. 3.3)
}

// BYOLDefault has the paper's setting for ImageNet, of 1,000 epochs (Sec. 3.3 and App. B).
func BYOLDefault(backbone nn.Backbone) *BYOL {
	m := &BYOL{Backbone: backbone, Hidden: 4096, Dim: 256, Predictor: true, Momentum: 0.996}
	m.View, m.Other = twoRecipes()
	return m
}

// Validate says what cannot be trained.
func (m *BYOL) Validate() error {
	if !(m.Momentum >= 0 && m.Momentum <= 1) {
		return fmt.Errorf("sslkit: byol's momentum %g is not in [0, 1]", m.Momentum)
	}
	return errors.Join(checkHead("byol", m.Hidden, m.Dim), m.View.Validate(), m.Other.Validate(), m.Backbone.Validate())
}

// Reports lists the spread of the online projections as unit rows: 0 is collapse, 1/sqrt(Dim) is even.
func (m *BYOL) Reports() []string { return []string{"projection_std"} }

// MinBatch is 2: the norms take away all that a single image says.
func (m *BYOL) MinBatch() int { return 2 }

// Loss builds the prediction of each view's target from the other view.
func (m *BYOL) Loss(scope *model.Scope, b Batch) *Node {
	enough("byol", m, b)
	x, n := twoViews(scope, b.Image, m.View, m.Other), b.Image.Shape().Dim(0) // 2NxHxWxC
	z := m.Project(scope, x)                                                  // 2NxD
	p := z
	if m.Predictor {
		p = m.mlp(scope.In("predictor"), z)
	}
	target := m.follow(scope, x.Graph())
	t := m.Project(target, x)
	nn.Freeze(target)
	t = Concatenate([]*Node{Slice(t, AxisRange(n)), Slice(t, AxisRange(0, n))}, 0) // of the other view
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	return AddScalar(MulScalar(loss.NegativeCosine(p, t), 4), 4) // 2 - 2 cos in the mean over N, of two orders
}

// Project is f and g: images [N, H, W, C] to rows [N, Dim].
func (m *BYOL) Project(scope *model.Scope, image *Node) *Node {
	return m.mlp(scope.In("projector"), nn.Pool(nn.Last(m.Encode(scope, image))))
}

// mlp is the form of g and q, whose output has no norm.
func (m *BYOL) mlp(scope *model.Scope, x *Node) *Node {
	x = activation.Relu(nn.BatchNorm(scope.In("norm"), nn.Dense(scope.In("hidden"), x, false, m.Hidden)))
	return nn.Dense(scope.In("out"), x, false, m.Dim)
}

// follow moves the parameters of the target, ξ ← τξ + (1-τ)θ with τ = 1 - (1-τ_base)(cos(πk/K)+1)/2, for the step before this
// one, which was k of K, and returns the target's scope.
func (m *BYOL) follow(scope *model.Scope, g *Graph) *model.Scope {
	target := scope.In("target")
	steps := target.VariableWithValue("steps", float32(0)).SetTrainable(false).NodeValue(g) // see Start
	k := AddScalar(ConvertDType(optimizer.GetGlobalStepVar(scope).NodeValue(g), dtypes.Float32), -1)
	tau := cosineMomentum(Div(k, steps), m.Momentum)
	for _, part := range []string{"encoder", "projector"} {
		follow(target.At("%s", part), scope.At("%s", part), tau)
	}
	return target
}

// Start tells the schedule of τ how many steps there are, and makes the target a copy of the online network.
func (m *BYOL) Start(r *Run) error {
	return errors.Join(set(r.Store, "/target/steps", []float32{float32(r.Epochs * r.Train.Steps())}),
		nn.Copy(r.Store, "/target/encoder", "/encoder"), nn.Copy(r.Store, "/target/projector", "/projector"))
}

// Encode is f of the online network.
func (m *BYOL) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
