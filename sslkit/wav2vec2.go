package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Wav2Vec2 hides spans of a sound, and tells from the rest which of its hidden frames stood where.
//
// Baevski, Zhou, Mohamed and Auli, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", NeurIPS 2020,
// arXiv:2006.11477. Loss is the contrastive one, Eq. 3, with the spans of Sec. 3.1.
//
// It departs from the paper where a sound is some twenty frames of cepstra: the feature encoder is one linear layer, where theirs
// are seven convolutions over the waveform; targets are its outputs as they are, which the paper tries as well, and not entries of
// a codebook, so that there is no diversity loss; all other hidden frames of the same sound are distractors, of which the paper
// draws 100. Positions are fixed.
type Wav2Vec2 struct {
	Backbone    nn.Backbone `json:"backbone"`    // "tubes" of whole frames
	Starts      float64     `json:"starts"`      // p, the share of the frames at which spans start: 0.065
	Span        int         `json:"span"`        // M, frames of a span: 10, of 20 ms each
	Dim         int         `json:"dim"`         // of the space in which frames are compared: 256
	Temperature float64     `json:"temperature"` // kappa, 0.1
	Dropout     float64     `json:"dropout"`     // 0.1, Sec. 4.2
}

// SmallWav2Vec2 hides half of the frames, as the paper, in shorter spans.
func SmallWav2Vec2(backbone nn.Backbone) *Wav2Vec2 {
	return &Wav2Vec2{Backbone: backbone, Starts: 0.2, Span: 3, Dim: 64, Temperature: 0.1}
}

// Validate says what cannot be trained.
func (m *Wav2Vec2) Validate() error {
	switch {
	case m.Backbone.Arch != "tubes" || m.Backbone.Patch != 0:
		return fmt.Errorf(`sslkit: wav2vec2 hides whole frames: its backbone is "tubes" with a patch of 0, not %q with %d`, m.Backbone.Arch, m.Backbone.Patch)
	case !(m.Starts > 0 && m.Starts <= 1) || m.Span < 1 || m.Dim < 1:
		return fmt.Errorf("sslkit: spans of %d frames at a share of %g of them, compared in %d dimensions: choose at least 1, a share in (0, 1], at least 1", m.Span, m.Starts, m.Dim)
	case !(m.Temperature > 0) || math.IsInf(m.Temperature, 1):
		return fmt.Errorf("sslkit: the temperature must be finite and above 0 (0.1 in the paper), not %g", m.Temperature)
	case !(m.Dropout >= 0 && m.Dropout < 1):
		return fmt.Errorf("sslkit: dropout %g is not in [0, 1)", m.Dropout)
	}
	return m.Backbone.Validate()
}

// Reports lists how many hidden frames are told from the others of their sound, and the share of the frames that is hidden.
func (m *Wav2Vec2) Reports() []string { return []string{"accuracy", "hidden"} }

// Loss builds hiding, reading and Eq. 3.
func (m *Wav2Vec2) Loss(scope *model.Scope, b Batch) *Node {
	if b.Image == nil || b.Image.Rank() != 5 {
		exceptions.Panicf("sslkit: wav2vec2 needs sounds or films [N, T, H, W, C], got %s", b.Example().Shape())
	}
	pieces, there, _ := m.Backbone.Cut(b.Image) // NxTxP, NxT
	hidden := m.hide(scope, there)              // NxT
	count := func(x *Node) *Node { return ReduceAllSum(ConvertDType(x, dtypes.Float32)) }
	Report("hidden", Div(count(hidden), MaxScalar(count(there), 1)))
	c, z := m.read(scope, pieces, there, hidden)
	l, accuracy := m.contrast(scope, c, z, hidden)
	Report("accuracy", accuracy)
	return l
}

// hide draws which of the frames that are there, bool [N, T], are hidden: spans of so many from a share of them on, at least one,
// rounded. Spans may overlap, and end with the sound.
func (m *Wav2Vec2) hide(scope *model.Scope, there *Node) *Node {
	g, n, t := there.Graph(), there.Shape().Dim(0), there.Shape().Dim(1)
	frames := ReduceAndKeep(ConvertDType(there, dtypes.Float32), ReduceSum, 1)                           // Nx1
	starts := MaxScalar(Floor(AddScalar(MulScalar(frames, m.Starts), 0.5)), 1)                           // Nx1
	rank := ConvertDType(view.Ranks(view.RandomOrder(scope, there)), dtypes.Float32)                     // NxT
	start := ConvertDType(LessThan(rank, BroadcastToDims(starts, n, t)), dtypes.Float32)                 // NxT
	from, to := Iota(g, shapes.Make(dtypes.Int32, t, t), 0), Iota(g, shapes.Make(dtypes.Int32, t, t), 1) // a span from a frame reaches so many
	reached := LogicalAnd(GreaterOrEqual(to, from), LessThan(to, AddScalar(from, m.Span)))               // TxT
	spans := Einsum("ns,st->nt", start, ConvertDType(reached, dtypes.Float32))                           // NxT
	return LogicalAnd(there, GreaterThan(spans, ZerosLike(spans)))
}

// read is c, the contexts [N, T, D] of frames [N, T, P] of which those that are hidden are all the same, and z, what the frames are
// by themselves. Positions are added after z: else where a frame stands would tell it.
func (m *Wav2Vec2) read(scope *model.Scope, pieces, there, hidden *Node) (c, z *Node) {
	encoder := scope.In("encoder")
	z = m.Backbone.Embed(encoder, pieces)
	token := scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02)).
		VariableWithShape("mask_token", shapes.Make(z.DType(), 1, 1, m.Backbone.Width)).NodeValue(z.Graph())
	x := Where(BroadcastToShape(InsertAxes(hidden, -1), shapes.Make(dtypes.Bool, z.Shape().Dimensions...)), BroadcastToShape(token, z.Shape()), z)
	x = Add(x, nn.TubePositions(x, x.Shape().Dim(1), 1))
	return nn.Last(m.Backbone.TransformOver(encoder, x, there, m.Dropout)), z
}

// contrast is Eq. 3, the mean over the hidden frames of the batch, and how many find theirs.
func (m *Wav2Vec2) contrast(scope *model.Scope, c, z, hidden *Node) (l, accuracy *Node) {
	n, t := hidden.Shape().Dim(0), hidden.Shape().Dim(1)
	c = L2Normalize(nn.Dense(scope.In("context"), c, true, m.Dim), -1)
	z = L2Normalize(nn.Dense(scope.In("target"), z, true, m.Dim), -1)
	logits := MulScalar(Einsum("ntd,nsd->nts", c, z), 1/m.Temperature) // NxTxT
	own := BroadcastToDims(InsertAxes(Diagonal(c.Graph(), t), 0), n, t, t)
	open := LogicalOr(own, BroadcastToDims(InsertAxes(hidden, 1), n, t, t))
	logits = Where(open, logits, Infinity(c.Graph(), c.DType(), -1))
	at := Iota(c.Graph(), shapes.Make(dtypes.Int32, n, t), 1)
	return loss.MaskedCrossEntropy(Reshape(logits, n*t, t), Reshape(at, n*t), Reshape(ConvertDType(hidden, c.DType()), n*t))
}

// Encode is the mean of the frames' states after each quarter of the blocks, nothing hidden.
func (m *Wav2Vec2) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}
