package sslkit

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// NNCLR takes for a view's positive not the other view but what it remembers as nearest to that.
//
// Dwibedi et al., "With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning of Visual Representations", ICCV
// 2021, arXiv:2104.14548. Loss is Algorithm 1, with Eq. 3 of both views and their predictions. Eq. 3's other term, whose sum goes
// over the neighbours, is left out, as in Algorithm 1: the authors saw no difference.
type NNCLR struct {
	Backbone    nn.Backbone `json:"backbone"`    // of φ, Sec. 3
	View        view.Recipe `json:"view"`        // aug of Algorithm 1
	Hidden      int         `json:"hidden"`      // units of the projection's two hidden layers, Sec. 4.1
	Dim         int         `json:"dim"`         // d, of z and of the predictions
	Predictor   int         `json:"predictor"`   // units of the prediction head's hidden layer; 0: no head, as in Eq. 3
	Queue       int         `json:"queue"`       // m, of the support set Q: a multiple of the batch
	Temperature float64     `json:"temperature"` // τ
}

// NNCLRDefault has the paper's setting for ImageNet (Sec. 4.1).
func NNCLRDefault(backbone nn.Backbone) *NNCLR {
	return &NNCLR{Backbone: backbone, View: view.SimCLR(1), Hidden: 2048, Dim: 256, Predictor: 4096, Queue: 98304, Temperature: 0.1}
}

// Validate says what cannot be trained.
func (m *NNCLR) Validate() error {
	if m.Queue < 1 || m.Predictor < 0 {
		return fmt.Errorf("sslkit: nnclr's queue is %d and its predictor %d: choose at least 1, and 0 or more", m.Queue, m.Predictor)
	}
	return errors.Join(checkHead("nnclr", m.Hidden, m.Dim), checkTemperature(m.Temperature), m.View.Validate(), m.Backbone.Validate())
}

// Reports lists how many neighbours find the prediction of their view, and the spread of the unit projections: 0 is collapse,
// 1/sqrt(Dim) is even.
func (m *NNCLR) Reports() []string { return []string{"accuracy", "projection_std"} }

// MinBatch is 2: one view has none to be told from.
func (m *NNCLR) MinBatch() int { return 2 }

// Loss builds the search of each view's neighbour for the prediction of the other view, among those of the batch.
func (m *NNCLR) Loss(scope *model.Scope, b Batch) *Node {
	enough("nnclr", m, b)
	n := b.Image.Shape().Dim(0)
	z := m.Project(scope, twoViews(scope, b.Image, m.View, view.Recipe{})) // 2NxD
	p := L2Normalize(m.predict(scope.In("predictor"), z), -1)
	z = L2Normalize(z, -1)
	Report("projection_std", loss.FeatureStd(z))

	first := func(x *Node) *Node { return Slice(x, AxisRange(0, n)) }
	second := func(x *Node) *Node { return Slice(x, AxisRange(n)) }
	support := nn.Queue(scope.In("queue"), StopGradient(first(z)), m.Queue) // KxD, without z
	near := nearest(z, support)                                             // 2NxD
	one, found := m.search(first(near), second(p))
	two, foundToo := m.search(second(near), first(p))
	Report("accuracy", DivScalar(Add(found, foundToo), 2))
	return DivScalar(Add(one, two), 2)
}

// search is L of Algorithm 1, of unit rows.
func (m *NNCLR) search(near, p *Node) (l, accuracy *Node) {
	logits := MulScalar(Einsum("id,jd->ij", near, p), 1/m.Temperature) // NxN
	pair := Iota(p.Graph(), shapes.Make(dtypes.Int32, p.Shape().Dim(0)), 0)
	return loss.CrossEntropy(logits, pair), loss.Accuracy(logits, pair)
}

// nearest is NN(z, Q) of Eq. 2: for each row of z [N, D] the one of support [K, D] with the largest cosine, both of length 1.
func nearest(z, support *Node) *Node {
	at := ArgMax(Einsum("nd,kd->nk", StopGradient(z), support), -1) // N
	return Gather(support, InsertAxes(at, -1))
}

// Project is φ: images [N, H, W, C] to rows [N, Dim].
func (m *NNCLR) Project(scope *model.Scope, image *Node) *Node {
	return nn.NormMLP(scope.In("head"), nn.Pool(nn.Last(m.Encode(scope, image))), m.Hidden, m.Hidden, m.Dim)
}

// predict is g.
func (m *NNCLR) predict(scope *model.Scope, z *Node) *Node {
	if m.Predictor == 0 {
		return z
	}
	z = activation.Relu(nn.BatchNorm(scope.In("norm"), nn.Dense(scope.In("hidden"), z, false, m.Predictor)))
	return nn.Dense(scope.In("out"), z, true, m.Dim)
}

// Encode is φ without its projection.
func (m *NNCLR) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// GuessLoss is the cross-entropy of a guess.
func (*NNCLR) GuessLoss(batch int) float64 { return math.Log(float64(batch)) }
