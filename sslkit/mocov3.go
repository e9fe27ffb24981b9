package sslkit

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// MoCoV3 finds the other view of an image, which a slow copy of the network has seen, among those of the batch, without a queue,
// and leaves a ViT's patches embedded at random.
//
// Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021, arXiv:2104.02057. Loss is
// Algorithm 1, with Eq. 1, of both views: ctr(q1, k2) + ctr(q2, k1), each 2 tau times the cross-entropy.
//
// Both views are drawn alike, where the paper's (BYOL's) differ in blur and solarization. Features are the mean of the tokens, as
// everywhere here, without a class token.
type MoCoV3 struct {
	Backbone    nn.Backbone `json:"backbone"`     // f, Sec. 3
	View        view.Recipe `json:"view"`         // aug of Algorithm 1
	Hidden      int         `json:"hidden"`       // units of the hidden layers of both heads, App. A, "MLP heads"
	Dim         int         `json:"dim"`          // C of Algorithm 1, of q and k
	Momentum    float64     `json:"momentum"`     // m of Algorithm 1 at first, in [0, 1]; 1 at the end, by a cosine (App. A)
	Temperature float64     `json:"temperature"`  // tau of Eq. 1
	FreezePatch bool        `json:"freeze_patch"` // a ViT's patch embedding stays as it was drawn, Sec. 4.2, "A trick for improving stability"
}

// PaperMoCoV3 has the paper's setting for a ViT (Sec. 4.3, App. A), but for the views, which are MoCo v2's.
func PaperMoCoV3(backbone nn.Backbone) *MoCoV3 {
	return &MoCoV3{Backbone: backbone, View: view.MoCoV2(), Hidden: 4096, Dim: 256, Momentum: 0.99, Temperature: 0.2, FreezePatch: true}
}

// SmallMoCoV3 is for images of some 32 pixels, without blur, and for some hundred steps.
func SmallMoCoV3(backbone nn.Backbone) *MoCoV3 {
	m := PaperMoCoV3(backbone)
	m.View, m.Hidden, m.Dim, m.Momentum = view.SimCLRCIFAR(), 256, 64, 0.95
	m.View.MinScale = 0.2
	return m
}

// Validate says what cannot be trained.
func (m *MoCoV3) Validate() error {
	switch {
	case m.Hidden < 1 || m.Dim < 1:
		return fmt.Errorf("sslkit: heads of %d hidden units and %d dimensions: both must be at least 1", m.Hidden, m.Dim)
	case !(m.Momentum >= 0 && m.Momentum <= 1):
		return fmt.Errorf("sslkit: momentum %g is not in [0, 1]", m.Momentum)
	case m.FreezePatch && m.Backbone.Arch != "vit":
		return fmt.Errorf(`sslkit: only a "vit" has a patch embedding to freeze, not %q: set freeze_patch to false`, m.Backbone.Arch)
	}
	return errors.Join(checkTemperature(m.Temperature), m.View.Validate(), m.Backbone.Validate())
}

// Reports lists how many queries find their key, and the spread of the unit queries: 0 is collapse, 1/sqrt(Dim) is even.
func (m *MoCoV3) Reports() []string { return []string{"accuracy", "projection_std"} }

// MinBatch is 2: the views of one image have none to be told from.
func (m *MoCoV3) MinBatch() int { return 2 }

// Loss builds the search of 2N queries for the key of the other view, each among the N of that view.
func (m *MoCoV3) Loss(scope *model.Scope, b Batch) *Node {
	enough("mocov3", m, b)
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	nn.SplitBatchNorm(scope, g, 2)                                     // each view on its own
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0)) // 2NxHxWxC
	q := L2Normalize(head(scope.In("predictor"), m.project(scope, x), m.Hidden, m.Dim), -1)

	_, share := clock(scope, g)
	slow, momentum := scope.In("key"), cosineMomentum(share, m.Momentum)
	follow(slow.At("encoder"), scope.At("encoder"), momentum)
	follow(slow.At("head"), scope.At("head"), momentum)
	k := StopGradient(L2Normalize(m.project(slow, x), -1))
	nn.Freeze(slow)

	i := Iota(g, shapes.Make(dtypes.Int32, n), 0)
	ctr := func(q, k *Node) (l, accuracy *Node) {
		logits := DivScalar(Einsum("id,jd->ij", q, k), m.Temperature) // NxN
		return MulScalar(loss.CrossEntropy(logits, i), 2*m.Temperature), loss.Accuracy(logits, i)
	}
	l1, accuracy1 := ctr(Slice(q, AxisRange(0, n)), Slice(k, AxisRange(n)))
	l2, accuracy2 := ctr(Slice(q, AxisRange(n)), Slice(k, AxisRange(0, n)))
	Report("accuracy", MulScalar(Add(accuracy1, accuracy2), 0.5))
	Report("projection_std", loss.FeatureStd(q))
	return Add(l1, l2)
}

// project is f with its projection head, of three layers: images [N, H, W, C] to rows [N, Dim].
func (m *MoCoV3) project(scope *model.Scope, image *Node) *Node {
	h := nn.Pool(nn.Last(m.Encode(scope, image)))
	if m.FreezePatch {
		nn.Freeze(scope.At("encoder").At("patch"))
	}
	return head(scope.In("head"), h, m.Hidden, m.Hidden, m.Dim)
}

// head is nn.NormMLP whose last norm has nothing to train.
func head(scope *model.Scope, x *Node, dims ...int) *Node {
	x = nn.NormMLP(scope, x, dims...)
	scope.At("linear_%d", len(dims)).At("norm").GetVariable("scale").SetTrainable(false)
	return x
}

// Start makes the key's network a copy of the query's, and tells the momentum how long the training is.
func (m *MoCoV3) Start(r *Run) error { return errors.Join(setClock(r), copyToKey(r.Store)) }

// Encode is f, without its heads.
func (m *MoCoV3) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// GuessLoss is that of a guess, of both views.
func (m *MoCoV3) GuessLoss(batch int) float64 { return 4 * m.Temperature * math.Log(float64(batch)) }

// GuessAccuracy is that of one key of the batch.
func (m *MoCoV3) GuessAccuracy(batch int) float64 { return 1 / float64(batch) }
