package sslkit

import (
	"errors"
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

// MAE hides most patches of an image from the encoder, and a small decoder paints them from what is left.
//
// He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, arXiv:2111.06377. Loss is the mean squared
// error on hidden patches of Sec. 3, "Reconstruction target".
type MAE struct {
	Backbone     nn.Backbone `json:"backbone"`              // the encoder, a ViT
	Mask         float64     `json:"mask"`                  // share of the patches that is hidden, Fig. 5; 0 hides none and scores all
	DecoderDepth int         `json:"decoder_depth"`         // blocks, Table 1a
	DecoderWidth int         `json:"decoder_width"`         // Table 1b; a multiple of 32, the size of its heads
	Normalize    bool        `json:"normalize"`             // each target patch to mean 0 and variance 1, Table 1d
	MaskTokens   bool        `json:"mask_tokens,omitempty"` // ablation of Table 1c: the encoder sees mask tokens, not the decoder
	Pad          int         `json:"pad"`                   // shift by up to so many pixels: "crop, fixed size" of Table 1e
	MinScale     float64     `json:"min_scale,omitempty"`   // least share of the area that a crop keeps, the most is 1: "crop, rand size" of Table 1e, bicubic as in the release; 0: no crop
	Flip         bool        `json:"flip"`                  // mirror half of the images
}

// PaperMAE has the defaults of Table 1 and of main_pretrain.py in facebookresearch/mae, with normalised targets: the decoder for
// images of 224 pixels, and crops of 0.2 to 1 of the area.
func PaperMAE(backbone nn.Backbone) *MAE {
	return &MAE{Backbone: backbone, Mask: 0.75, DecoderDepth: 8, DecoderWidth: 512, Normalize: true, MinScale: 0.2, Flip: true}
}

// SmallMAE is for images of some 32 pixels and patches of 4: its decoder is small beside a ViT(4, 96, 4). It shifts and does not
// crop: a fifth of such an image has nothing to show that is not blurred. (After three epochs on 2,000 of Fashion-MNIST's images,
// of one seed, k-NN has 50.4 % with shifts and 48.6 % with the paper's crops, ± 2.2 for 500 test images: no difference shown.)
func SmallMAE(backbone nn.Backbone) *MAE {
	return &MAE{Backbone: backbone, Mask: 0.75, DecoderDepth: 2, DecoderWidth: 64, Normalize: true, Pad: 2, Flip: true}
}

// Validate says what cannot be trained.
func (m *MAE) Validate() error {
	switch {
	case m.Backbone.Arch != "vit":
		return fmt.Errorf(`sslkit: MAE leaves patches out, which only the backbone "vit" can, not %q`, m.Backbone.Arch)
	case !(m.Mask >= 0 && m.Mask < 1):
		return fmt.Errorf("sslkit: mask %g: the share of hidden patches is at least 0 and below 1 (0.75 in the paper)", m.Mask)
	case m.DecoderDepth < 1:
		return fmt.Errorf("sslkit: the decoder has at least 1 block, not %d", m.DecoderDepth)
	case m.DecoderWidth < 32 || m.DecoderWidth%32 != 0:
		return fmt.Errorf("sslkit: the decoder's width is a positive multiple of 32, not %d", m.DecoderWidth)
	case m.Pad < 0:
		return fmt.Errorf("sslkit: pad %d is negative", m.Pad)
	case !(m.MinScale >= 0 && m.MinScale <= 1):
		return fmt.Errorf("sslkit: min_scale %g: the share of the area that a crop keeps is at most 1 (0.2 in the paper), or 0 for no crop", m.MinScale)
	case m.Pad > 0 && m.MinScale > 0:
		return fmt.Errorf("sslkit: a crop is of fixed size, by pad %d, or of random size, by min_scale %g: set one of them to 0", m.Pad, m.MinScale)
	}
	return errors.Join(m.Backbone.Bare(), m.Backbone.Validate())
}

// Reports lists the share of the variance of the hidden patches' targets that is predicted; 0 where they have none to predict, as
// images of one colour.
func (m *MAE) Reports() []string { return []string{"explained"} }

// Loss builds masking, encoding, decoding and the error on what was hidden. Patches stay in the random order that masking
// drew, and positions and targets follow them: attention knows no order, so that there is nothing to restore.
func (m *MAE) Loss(scope *model.Scope, b Batch) *Node {
	x := b.Image
	if m.Pad > 0 {
		x = view.RandomCrop(m.Pad)(scope, x)
	}
	if m.MinScale > 0 {
		_, side := square("MAE", x)
		x = view.RandomResizedCropBicubic(side, m.MinScale, 1)(scope, x)
	}
	if m.Flip {
		x = view.Flip(scope, x)
	}
	patches := view.Patchify(nn.Centre(x), m.Backbone.Patch) // NxLxP
	order, hidden := view.RandomMask(scope, patches), view.Hidden(patches.Shape().Dim(1), m.Mask)
	pred := m.predict(scope, patches, order, hidden) // NxLxP, in this order
	target := patches
	if m.Normalize {
		target = loss.NormalizePatches(patches)
	}
	target = view.Pick(target, order)
	mask := OneMinus(visible(Iota(x.Graph(), order.Shape(), 1), hidden, x.DType())) // NxL
	if hidden == 0 {
		mask = OnesLike(mask)
	}
	l := loss.MaskedMSE(pred, target, mask)
	mean := BroadcastToShape(ReduceAllMean(target), target.Shape())
	variance := loss.MaskedMSE(mean, target, mask)
	// Rounding alone gives normalised patches of one colour a variance of up to 1e-7, and the narrowest texture gives one in 100
	// patches 1e-2.
	none := LessThan(variance, ConstAs(variance, 1e-6))
	Report("explained", Where(none, ZerosLike(l), OneMinus(Div(l, AddScalar(variance, 1e-12)))))
	return l
}

// predict paints all patches [N, L, P] from those that come first in order [N, L]: the last so many are hidden.
func (m *MAE) predict(scope *model.Scope, patches, order *Node, hidden int) *Node {
	l, p := patches.Shape().Dim(1), patches.Shape().Dim(2)
	if hidden >= l {
		exceptions.Panicf("sslkit: hiding %d of %d patches leaves none to the encoder: lower the mask, or cut smaller patches", hidden, l)
	}
	grid, seen := int(math.Sqrt(float64(l))), Slice(order, AxisRange(), AxisRange(0, l-hidden)) // NxV
	encoder, decoder := scope.In("encoder"), scope.In("decoder")
	decoder = decoder.WithInitializer(initializer.XavierUniformFn(decoder))

	x := m.Backbone.Embed(encoder, view.Pick(patches, seen)) // NxVxD
	if m.MaskTokens {
		x, seen = withTokens(scope, x, hidden), order
	}
	x = nn.Last(m.Backbone.Transform(encoder, Add(x, view.Pick(nn.Positions(x, grid), seen))))

	x = nn.Dense(decoder.In("embed"), x, true, m.DecoderWidth)
	if !m.MaskTokens {
		x = withTokens(scope, x, hidden) // NxLxD'
	}
	x = nn.Transformer(decoder, Add(x, view.Pick(nn.Positions(x, grid), order)), m.DecoderDepth, m.DecoderWidth/32, false)
	return nn.Dense(decoder.In("pixels"), nn.LayerNorm(decoder.In("norm"), x), true, p)
}

// withTokens appends to the tokens x [N, V, D] of each image the mask token, so many times.
func withTokens(scope *model.Scope, x *Node, times int) *Node {
	if times == 0 {
		return x
	}
	n, d := x.Shape().Dim(0), x.Shape().Dim(2)
	token := scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02)).
		VariableWithShape("mask_token", shapes.Make(x.DType(), 1, 1, d)).NodeValue(x.Graph())
	return Concatenate([]*Node{x, BroadcastToDims(token, n, times, d)}, 1)
}

// visible is 1 where the rank [N, L] of a patch is not among the last so many.
func visible(rank *Node, hidden int, dtype dtypes.DType) *Node {
	return ConvertDType(LessThan(rank, AddScalar(ZerosLike(rank), rank.Shape().Dim(1)-hidden)), dtype)
}

// Encode is the encoder on all patches, without masking and without the decoder.
func (m *MAE) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
