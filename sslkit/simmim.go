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

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// SimMIM puts a mask token in the place of most patches of an image, and one linear layer on the encoder paints their pixels.
//
// Xie et al., "SimMIM: A Simple Framework for Masked Image Modeling", CVPR 2022, arXiv:2111.09886. Loss is the mean absolute
// error on masked pixels of Sec. 3.4 ("Prediction targets"), as in the repository microsoft/SimMIM, models/simmim.py.
//
// The paper's ViT has relative positions and scaled residuals, this one MAE's fixed positions and neither. Pixels are scaled by
// one number for all channels. Where the grid of patches is no multiple of Unit, units of the last row and column are cut
// off, and images differ in how many patches they hide: the mean is over all that are.
type SimMIM struct {
	Backbone nn.Backbone `json:"backbone"`            // the encoder, a ViT
	Mask     float64     `json:"mask"`                // share of the units that is masked, rounded up; Table 1
	Unit     int         `json:"unit"`                // side of what is masked as one, in patches: 2 in the paper, 32 pixels of 16 ("masked patch size", Sec. 3.2)
	MinScale float64     `json:"min_scale,omitempty"` // least share of the area that a crop keeps, the most is 1; 0: no crop
	Pad      int         `json:"pad,omitempty"`       // shift by up to so many pixels, in place of a crop
	Flip     bool        `json:"flip"`                // mirror half of the images
}

// PaperSimMIM has the setting for a ViT of patches of 16 pixels (Sec. 4.1 and 4.3): crops of 0.67 to 1 of the area.
func PaperSimMIM(backbone nn.Backbone) *SimMIM {
	return &SimMIM{Backbone: backbone, Mask: 0.6, Unit: 2, MinScale: 0.67, Flip: true}
}

// SmallSimMIM is for images of some 32 pixels and patches of 4, of which each is masked on its own, as there are so few. It shifts,
// as [SmallMAE] does.
func SmallSimMIM(backbone nn.Backbone) *SimMIM {
	return &SimMIM{Backbone: backbone, Mask: 0.6, Unit: 1, Pad: 2, Flip: true}
}

// Validate says what cannot be trained.
func (m *SimMIM) Validate() error {
	switch {
	case m.Backbone.Arch != "vit":
		return fmt.Errorf(`sslkit: simmim masks patches, which only the backbone "vit" has, not %q`, m.Backbone.Arch)
	case !(m.Mask > 0 && m.Mask < 1):
		return fmt.Errorf("sslkit: mask %g: the share of masked patches is above 0 and below 1 (0.6 in the paper)", m.Mask)
	case m.Unit < 1:
		return fmt.Errorf("sslkit: unit %d: what is masked as one is at least 1 patch wide (2 in the paper)", m.Unit)
	case !(m.MinScale >= 0 && m.MinScale <= 1) || m.Pad < 0 || m.Pad > 0 && m.MinScale > 0:
		return fmt.Errorf("sslkit: min_scale %g and pad %d: choose a crop of a share of at most 1, or a shift of some pixels, or neither", m.MinScale, m.Pad)
	}
	return errors.Join(m.Backbone.Bare(), m.Backbone.Validate())
}

// Reports lists the share of the masked pixels' mean absolute deviation that is predicted; the mean colour everywhere has 0.
func (m *SimMIM) Reports() []string { return []string{"explained"} }

// Loss builds masking, encoding, the linear head and the error on what was masked.
func (m *SimMIM) Loss(scope *model.Scope, b Batch) *Node {
	x := view.RandomCrop(m.Pad)(scope, b.Image)
	if m.MinScale > 0 {
		_, side := square("simmim", x)
		x = view.RandomResizedCrop(side, m.MinScale, 1)(scope, x)
	}
	if m.Flip {
		x = view.Flip(scope, x)
	}
	patches := view.Patchify(nn.Centre(x), m.Backbone.Patch) // NxLxP
	mask := m.mask(scope, patches)                           // NxL
	l := maskedL1(m.predict(scope, patches, mask), patches, mask)
	blind := maskedL1(BroadcastToShape(ReduceAllMean(patches), patches.Shape()), patches, mask)
	Report("explained", OneMinus(Div(l, AddScalar(blind, 1e-6)))) // images of one colour have nothing to explain
	return l
}

// mask draws which of the patches [N, L, P] of each image are masked: [N, L] of their dtype, 1 where they are.
func (m *SimMIM) mask(scope *model.Scope, patches *Node) *Node {
	g, n, l := patches.Graph(), patches.Shape().Dim(0), patches.Shape().Dim(1)
	grid := int(math.Sqrt(float64(l)))
	side := (grid + m.Unit - 1) / m.Unit // units
	masked := int(math.Ceil(m.Mask * float64(side*side)))
	if masked == side*side {
		exceptions.Panicf("sslkit: masking all of %d units of %d patches a side leaves nothing to see: lower the mask or the unit", masked, m.Unit)
	}
	order := view.RandomMask(scope, Zeros(g, shapes.Make(dtypes.Float32, n, side*side, 1)))
	mask := ConvertDType(LessThan(order, AddScalar(ZerosLike(order), masked)), patches.DType())
	mask = BroadcastToDims(Reshape(mask, n, side, 1, side, 1), n, side, m.Unit, side, m.Unit)
	mask = Reshape(mask, n, side*m.Unit, side*m.Unit)
	return Reshape(Slice(mask, AxisRange(), AxisRange(0, grid), AxisRange(0, grid)), n, l)
}

// predict paints all patches [N, L, P] from those whose mask [N, L] is 0.
func (m *SimMIM) predict(scope *model.Scope, patches, mask *Node) *Node {
	encoder := scope.In("encoder")
	x := m.Backbone.Embed(encoder, patches) // NxLxD
	token := scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02)).
		VariableWithShape("mask_token", shapes.Make(x.DType(), 1, 1, x.Shape().Dim(2))).NodeValue(x.Graph())
	w := InsertAxes(mask, -1)
	x = Add(Add(Mul(x, OneMinus(w)), Mul(token, w)), nn.Positions(x, int(math.Sqrt(float64(x.Shape().Dim(1))))))
	x = nn.Last(m.Backbone.Transform(encoder, x))
	return nn.Dense(scope.In("head"), x, true, patches.Shape().Dim(2))
}

// maskedL1 is the mean absolute error over the masked patches.
func maskedL1(pred, target, mask *Node) *Node {
	return Div(ReduceAllSum(Mul(ReduceMean(Abs(Sub(pred, target)), -1), mask)), ReduceAllSum(mask))
}

// Encode is the encoder on all patches, without masking and without the head.
func (m *SimMIM) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
