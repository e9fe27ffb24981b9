package sslkit

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// IJEPA predicts, from some patches of an image, what a slow copy of the encoder makes of other blocks of it, told where these are.
//
// Assran et al., "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture", CVPR 2023,
// arXiv:2301.08243. Loss is Sec. 3, "Loss", with the smooth L1 and the layer-normalised targets of facebookresearch/ijepa, src/train.py.
//
// Shapes are fixed: a block is of one area, tall or wide by a coin, where the paper draws area and form. A context is as many
// patches as any image has outside its blocks, at random among them; the release cuts a batch's contexts to the shortest. The context
// encoder is kept, where the paper keeps the target encoder. Weight decay is the run's, and constant.
type IJEPA struct {
	Backbone nn.Backbone `json:"backbone"`            // f, a ViT
	Blocks   int         `json:"blocks"`              // M, of targets, Sec. 3
	Scale    float64     `json:"scale"`               // share of the image that a block is; from 0.15 to 0.2 in the paper
	Aspect   float64     `json:"aspect"`              // its longer side to its shorter, at least 1; 0.75 to 1.5 in the paper
	Depth    int         `json:"predictor_depth"`     // blocks of the predictor g, App. A.1
	Width    int         `json:"predictor_width"`     // its bottleneck; a multiple of 32, the size of its heads; Table 14
	Momentum float64     `json:"momentum"`            // of the target encoder at first, in [0, 1]; 1 at the end, linearly; App. A.1
	MinScale float64     `json:"min_scale,omitempty"` // least share of the area that a crop keeps, the most is 1; 0: no crop
}

// PaperIJEPA has the setting of App. A.1 for a ViT-B.
func PaperIJEPA(backbone nn.Backbone) *IJEPA {
	return &IJEPA{Backbone: backbone, Blocks: 4, Scale: 0.175, Aspect: 1.25, Depth: 6, Width: 384, Momentum: 0.996, MinScale: 0.3}
}

// SmallIJEPA is for images of some 32 pixels, patches of 4 and some hundred steps, within which its target has to follow.
func SmallIJEPA(backbone nn.Backbone) *IJEPA {
	return &IJEPA{Backbone: backbone, Blocks: 4, Scale: 0.175, Aspect: 1.5, Depth: 2, Width: 64, Momentum: 0.98, MinScale: 0.6}
}

// Validate says what cannot be trained.
func (m *IJEPA) Validate() error {
	switch {
	case m.Backbone.Arch != "vit":
		return fmt.Errorf(`sslkit: ijepa leaves patches out, which only the backbone "vit" can, not %q`, m.Backbone.Arch)
	case m.Blocks < 1 || !(m.Scale > 0 && m.Scale < 1) || !(m.Aspect >= 1) || math.IsInf(m.Aspect, 1):
		return fmt.Errorf("sslkit: %d blocks of scale %g and aspect %g: choose at least 1, a share between 0 and 1, and at least 1", m.Blocks, m.Scale, m.Aspect)
	case m.Depth < 1 || m.Width < 32 || m.Width%32 != 0:
		return fmt.Errorf("sslkit: a predictor of depth %d and width %d: at least 1, and a positive multiple of 32", m.Depth, m.Width)
	case !(m.Momentum >= 0 && m.Momentum <= 1) || !(m.MinScale >= 0 && m.MinScale <= 1):
		return fmt.Errorf("sslkit: momentum %g and min_scale %g: both must be in [0, 1]", m.Momentum, m.MinScale)
	}
	return errors.Join(m.Backbone.Bare(), m.Backbone.Validate())
}

// Reports lists the spread of the images' unit mean targets, 0 in a collapse, and the share of the targets' variance that is predicted.
func (m *IJEPA) Reports() []string { return []string{"projection_std", "explained"} }

// Loss builds the prediction of the blocks' representations [N*M, K, D] from the context's.
func (m *IJEPA) Loss(scope *model.Scope, b Batch) *Node {
	x := b.Image
	if _, side := square("ijepa", x); m.MinScale > 0 {
		x = view.RandomResizedCrop(side, m.MinScale, 1)(scope, x)
	}
	patches := view.Patchify(nn.Centre(x), m.Backbone.Patch) // NxLxP
	context, blocks := m.blocks(scope, patches)              // NxV, Nx(MK)
	pred := m.predict(scope, patches, context, blocks)       // Nx(MK)xD
	target := m.target(scope, x)                             // NxLxD
	d := Abs(Sub(pred, view.Pick(target, blocks)))
	near := MinScalar(d, 1) // smooth L1: d^2/2 up to 1, then d - 1/2
	h := ReduceMean(target, 1)
	Report("projection_std", loss.FeatureStd(L2Normalize(h, -1)))
	Report("explained", OneMinus(ReduceAllMean(Square(d)))) // layer-normalised targets have variance 1
	return ReduceAllMean(Mul(near, Sub(d, MulScalar(near, 0.5))))
}

// target moves the target encoder and is what it makes of whole images, each token normalised, without gradient: [N, L, D].
func (m *IJEPA) target(scope *model.Scope, x *Node) *Node {
	_, share := clock(scope, x.Graph())
	slow := scope.In("target").At("encoder")
	follow(slow, scope.At("encoder"), AddScalar(MulScalar(share, 1-m.Momentum), m.Momentum))
	h := nn.Last(m.Backbone.Stages(slow, x))
	nn.Freeze(slow)
	h = StopGradient(Reshape(h, h.Shape().Dim(0), -1, m.Backbone.Width))
	h = Sub(h, ReduceAndKeep(h, ReduceMean, -1))
	return Div(h, Sqrt(AddScalar(ReduceAndKeep(Square(h), ReduceMean, -1), 1e-5)))
}

// predict is g of f: of the context [N, V], at the places of each block [N, M*K] on its own: [N, M*K, D].
func (m *IJEPA) predict(scope *model.Scope, patches, context, blocks *Node) *Node {
	n, grid := patches.Shape().Dim(0), int(math.Sqrt(float64(patches.Shape().Dim(1))))
	encoder, predictor := scope.In("encoder"), scope.In("predictor")
	x := m.Backbone.Embed(encoder, view.Pick(patches, context)) // NxVxD
	x = nn.Last(m.Backbone.Transform(encoder, Add(x, view.Pick(nn.Positions(x, grid), context))))
	x = nn.Dense(predictor.In("embed"), x, true, m.Width) // NxVxD'
	place := nn.Positions(x, grid)
	x = Add(x, view.Pick(place, context))
	token := scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02)).
		VariableWithShape("mask_token", shapes.Make(x.DType(), 1, 1, m.Width)).NodeValue(x.Graph())
	v, asked := x.Shape().Dim(1), Reshape(Add(view.Pick(place, blocks), token), n*m.Blocks, -1, m.Width) // NMxKxD'
	x = Reshape(BroadcastToDims(InsertAxes(x, 1), n, m.Blocks, v, m.Width), n*m.Blocks, v, m.Width)
	x = nn.Transformer(predictor, Concatenate([]*Node{x, asked}, 1), m.Depth, m.Width/32, false)
	x = nn.LayerNorm(predictor.In("norm"), Slice(x, AxisRange(), AxisRange(v)))
	return Reshape(nn.Dense(predictor.In("out"), x, true, m.Backbone.Width), n, -1, m.Backbone.Width)
}

// Start makes the target encoder a copy of the context's.
func (m *IJEPA) Start(r *Run) error {
	return errors.Join(setClock(r), nn.Copy(r.Store, "/target/encoder", "/encoder"))
}

// Encode is f on all patches.
func (m *IJEPA) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
