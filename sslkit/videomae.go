package sslkit

import (
	"fmt"

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

// VideoMAE hides nearly all of a film, the same places at all times, and a small decoder paints it from what is left.
//
// Tong, Song, Wang and Wang, "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training",
// NeurIPS 2022, arXiv:2203.12602. Loss is Eq. 1, on normalised targets: [MAE]'s, of pieces of some frames (cubes, Sec. 3.3). A
// place that was hidden at some times only could be copied from others, of which tubes leave nothing.
//
// Positions are MAE's for places beside the like for times, where theirs count all pieces through. A target is normalised over all
// its channels, theirs over each. There is no crop, no mirror and no stride between frames.
type VideoMAE struct {
	Backbone     nn.Backbone `json:"backbone"`         // the encoder, "tubes"
	Mask         float64     `json:"mask"`             // rho, the share that is hidden: 0.9, Fig. 3
	Random       bool        `json:"random,omitempty"` // ablation of Table 1b: pieces are hidden one by one, not tubes
	DecoderDepth int         `json:"decoder_depth"`    // blocks: 4, Table 1a
	DecoderWidth int         `json:"decoder_width"`    // half of the encoder's in the paper; a multiple of 32, the size of its heads
	Normalize    bool        `json:"normalize"`        // each target to mean 0 and variance 1
}

// SmallVideoMAE is for films of some 32 pixels and 8 frames.
func SmallVideoMAE(backbone nn.Backbone) *VideoMAE {
	return &VideoMAE{Backbone: backbone, Mask: 0.9, DecoderDepth: 1, DecoderWidth: 64, Normalize: true}
}

// Validate says what cannot be trained.
func (m *VideoMAE) Validate() error {
	switch {
	case m.Backbone.Arch != "tubes":
		return fmt.Errorf(`sslkit: videomae leaves pieces of films out, which only the backbone "tubes" can, not %q`, m.Backbone.Arch)
	case !(m.Mask > 0 && m.Mask < 1):
		return fmt.Errorf("sslkit: mask %g: the share that is hidden is above 0 and below 1 (0.9 in the paper)", m.Mask)
	case m.DecoderDepth < 1 || m.DecoderWidth < 32 || m.DecoderWidth%32 != 0:
		return fmt.Errorf("sslkit: a decoder of depth %d and width %d: at least 1, and a positive multiple of 32", m.DecoderDepth, m.DecoderWidth)
	}
	return m.Backbone.Validate()
}

// Reports lists the share of the variance of the hidden pieces' targets that is predicted.
func (m *VideoMAE) Reports() []string { return []string{"explained"} }

// Loss builds masking, encoding, decoding and the error on what was hidden; pieces stay in the order that masking drew, as in [MAE].
func (m *VideoMAE) Loss(scope *model.Scope, b Batch) *Node {
	if b.Image == nil || b.Image.Rank() != 5 || b.Image.Shape().Dim(2) == 1 {
		exceptions.Panicf("sslkit: videomae needs films [N, T, H, W, C], whose frames have places to hide, got %s", b.Example().Shape())
	}
	pieces, _, grid := m.Backbone.Cut(b.Image)            // NxLxP
	order, hidden := m.mask(scope, pieces, grid)          // NxL
	pred := m.predict(scope, pieces, order, hidden, grid) // NxLxP, in this order
	target := pieces
	if m.Normalize {
		target = loss.NormalizePatches(pieces)
	}
	target = view.Pick(target, order)
	mask := OneMinus(visible(Iota(order.Graph(), order.Shape(), 1), hidden, pieces.DType())) // NxL
	l := loss.MaskedMSE(pred, target, mask)
	variance := loss.MaskedMSE(BroadcastToShape(ReduceAllMean(target), target.Shape()), target, mask)
	Report("explained", OneMinus(Div(l, AddScalar(variance, 1e-6))))
	return l
}

// mask draws the order [N, L] in which the last so many of the pieces [N, L, P] are hidden: those of the same places at all times.
func (m *VideoMAE) mask(scope *model.Scope, pieces *Node, grid int) (order *Node, hidden int) {
	g, n, l, s := pieces.Graph(), pieces.Shape().Dim(0), pieces.Shape().Dim(1), grid*grid
	if m.Random {
		order, hidden = view.RandomMask(scope, pieces), view.Hidden(l, m.Mask)
	} else {
		places, tubes := view.RandomMask(scope, Zeros(g, shapes.Make(dtypes.Float32, n, s, 1))), view.Hidden(s, m.Mask)
		at := func(from, to int) *Node { // of all times: NxT(to-from)
			time := MulScalar(Iota(g, shapes.Make(dtypes.Int32, 1, l/s, 1), 1), s)
			return Reshape(Add(InsertAxes(SliceAxis(places, 1, AxisRange(from, to)), 1), time), n, -1)
		}
		if hidden = tubes * l / s; tubes > 0 && tubes < s {
			order = Concatenate([]*Node{at(0, s-tubes), at(s-tubes, s)}, 1)
		}
	}
	if hidden == 0 || hidden == l {
		exceptions.Panicf("sslkit: hiding %d of %d pieces leaves nothing to paint or to see: change the mask, or cut smaller patches", hidden, l)
	}
	return order, hidden
}

// predict paints all pieces [N, L, P] from those that come first in order [N, L]: the last so many are hidden.
func (m *VideoMAE) predict(scope *model.Scope, pieces, order *Node, hidden, grid int) *Node {
	l, p := pieces.Shape().Dim(1), pieces.Shape().Dim(2)
	times, seen := l/(grid*grid), SliceAxis(order, 1, AxisRange(0, l-hidden)) // NxV
	encoder, decoder := scope.In("encoder"), scope.In("decoder")
	decoder = decoder.WithInitializer(initializer.XavierUniformFn(decoder))
	x := m.Backbone.Embed(encoder, view.Pick(pieces, seen)) // NxVxD
	x = nn.Last(m.Backbone.Transform(encoder, Add(x, view.Pick(nn.TubePositions(x, times, grid), seen))))
	x = withTokens(scope, nn.Dense(decoder.In("embed"), x, true, m.DecoderWidth), hidden) // NxLxD'
	x = nn.Transformer(decoder, Add(x, view.Pick(nn.TubePositions(x, times, grid), order)), m.DecoderDepth, m.DecoderWidth/32, false)
	return nn.Dense(decoder.In("pixels"), nn.LayerNorm(decoder.In("norm"), x), true, p)
}

// Encode is the encoder on all pieces: their mean after each quarter of the blocks.
func (m *VideoMAE) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}
