package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

// SimCSE reads each text of a batch twice, and what dropout makes of it is all that tells the two readings apart: each is to find
// the other.
//
// Gao, Yao and Chen, "SimCSE: Simple Contrastive Learning of Sentence Embeddings", EMNLP 2021, arXiv:2104.08821. Loss is Eq. 4, the
// unsupervised one: cosines over a temperature, among the second readings of the N texts of the batch.
//
// The paper starts from BERT as released; this starts from nothing. There a text's embedding is the state of [CLS], in training
// behind one more layer; here it is the mean of its words' states, as what is kept, and that layer is before the loss alone, as
// there. The attention's weights are not dropped.
type SimCSE struct {
	Backbone    nn.Backbone `json:"backbone"`    // "text"
	Dropout     float64     `json:"dropout"`     // 0.1, Sec. 3
	Temperature float64     `json:"temperature"` // tau; 0.05
}

// PaperSimCSE has the numbers of the paper.
func PaperSimCSE(backbone nn.Backbone) *SimCSE {
	return &SimCSE{Backbone: backbone, Dropout: 0.1, Temperature: 0.05}
}

// Validate says what cannot be trained.
func (m *SimCSE) Validate() error {
	switch {
	case m.Backbone.Arch != "text":
		return fmt.Errorf(`sslkit: simcse needs a backbone "text", in which something can be dropped, not %q`, m.Backbone.Arch)
	case !(m.Dropout > 0 && m.Dropout < 1):
		return fmt.Errorf("sslkit: dropout %g: it is all that tells two readings apart, and must be above 0 and below 1 (0.1 in the paper)", m.Dropout)
	case !(m.Temperature > 0) || math.IsInf(m.Temperature, 1):
		return fmt.Errorf("sslkit: the temperature must be finite and above 0 (0.05 in the paper), not %g", m.Temperature)
	}
	return m.Backbone.Validate()
}

// Reports lists how many readings find the other one of their text, and the spread of the unit embeddings, 0 in a collapse.
func (m *SimCSE) Reports() []string { return []string{"accuracy", "projection_std"} }

// MinBatch is 2, for there to be another text.
func (m *SimCSE) MinBatch() int { return 2 }

// GuessLoss is the cross-entropy of a guess.
func (m *SimCSE) GuessLoss(batch int) float64 { return math.Log(float64(batch)) }

// Loss builds both readings and Eq. 4.
func (m *SimCSE) Loss(scope *model.Scope, b Batch) *Node {
	if b.Text == nil {
		exceptions.Panicf("sslkit: simcse needs texts, and the dataset yields none")
	}
	enough("simcse", m, b)
	n := b.Text.Shape().Dim(0)
	twice := Concatenate([]*Node{b.Text, b.Text}, 0) // each row is dropped from anew
	h := m.embed(scope, twice)                       // 2NxD
	Report("projection_std", loss.FeatureStd(h))
	z, other := Slice(h, AxisRange(0, n)), Slice(h, AxisRange(n))
	logits := MulScalar(Einsum("id,jd->ij", z, other), 1/m.Temperature) // NxN
	pair := Iota(b.Text.Graph(), shapes.Make(dtypes.Int32, n), 0)
	Report("accuracy", loss.Accuracy(logits, pair))
	return loss.CrossEntropy(logits, pair)
}

// embed reads texts [N, L] and makes rows [N, D] of length 1 of them.
func (m *SimCSE) embed(scope *model.Scope, text *Node) *Node {
	encoder := scope.In("encoder")
	x := nn.Last(m.Backbone.Contexts(encoder, m.Backbone.Vectors(encoder, text), nn.IsToken(text), m.Dropout)) // NxLxD
	return L2Normalize(Tanh(nn.Dense(scope.In("head"), nn.MeanWord(x, text), true, m.Backbone.Width)), -1)
}

// Encode is the mean over a text's words of their vectors, and of their states, nothing dropped: tokens [N, L] int32 to [N, 1, 1,
// D] each.
func (m *SimCSE) Encode(scope *model.Scope, text *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), text)
}
