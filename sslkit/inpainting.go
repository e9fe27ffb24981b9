package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// ContextEncoder cuts a hole into an image and paints what was there, for which it has to know what is around.
//
// Pathak et al., "Context Encoders: Feature Learning by Inpainting", CVPR 2016, arXiv:1604.07379. Loss is Eq. 3, of the
// reconstruction (Eq. 1) and of an adversary that tells what is painted from what was there (Eq. 2).
type ContextEncoder struct {
	Backbone   nn.Backbone `json:"backbone"`
	Holes      int         `json:"holes"`       // 0: one in the centre, of half the side, Fig. 3a; else so many squares anywhere, of up to 1/4 of the area, Fig. 3b
	Overlap    int         `json:"overlap"`     // pixels around the central hole that are seen and painted, too, Sec. 5.1
	Seen       float64     `json:"seen"`        // weight of the error on painted pixels that are seen; 1 on hidden ones
	Rec        float64     `json:"rec"`         // lambda_rec
	Adv        float64     `json:"adv"`         // lambda_adv; 0: there is no critic
	CriticRate float64     `json:"critic_rate"` // the critic's learning rate, as a share of the other's
	Decoder    int         `json:"decoder"`     // channels at the size of what is painted, twice as many for each halving of it
	Critic     int         `json:"critic"`      // channels of its first layer
	Flip       bool        `json:"flip"`        // mirror half of the images
}

// SemanticInpainting has the recipe for pictures, which is not that for features: the joint loss, and a hole in the centre (Sec.
// 5.1; train.lua of pathak22/context-encoder). Its overlap is for sides of some 32 pixels: the release has 4 of 128.
func SemanticInpainting(backbone nn.Backbone) *ContextEncoder {
	return &ContextEncoder{Backbone: backbone, Overlap: 1, Seen: 10, Rec: 0.999, Adv: 0.001, CriticRate: 0.1, Decoder: 32, Critic: 32, Flip: true}
}

// InpaintingFeatures has the recipe for features: holes anywhere, since features "latch onto the boundary of the central mask",
// and the reconstruction alone, since the adversarial loss did not converge with the paper's AlexNet (Sec. 3.3, 5.2).
func InpaintingFeatures(backbone nn.Backbone) *ContextEncoder {
	return &ContextEncoder{Backbone: backbone, Holes: 4, Rec: 1, Decoder: 32, Flip: true}
}

// Validate says what cannot be trained.
func (m *ContextEncoder) Validate() error {
	switch {
	case m.Holes < 0 || m.Overlap < 0 || m.Holes > 0 && m.Overlap > 0:
		return fmt.Errorf("sslkit: %d holes with an overlap of %d: neither may be negative, and only the central hole (0 holes) has an overlap", m.Holes, m.Overlap)
	case !(m.Seen >= 0 && m.Rec >= 0 && m.Adv >= 0 && m.Rec+m.Adv > 0) || math.IsInf(m.Seen+m.Rec+m.Adv, 1):
		return fmt.Errorf("sslkit: weights seen %g, rec %g, adv %g: all must be finite and at least 0, and one of rec and adv above", m.Seen, m.Rec, m.Adv)
	case m.Decoder < 1:
		return fmt.Errorf("sslkit: a decoder of width %d, want at least 1", m.Decoder)
	case m.Adv > 0 && (m.Critic < 1 || !(m.CriticRate > 0) || math.IsInf(m.CriticRate, 1)):
		return fmt.Errorf("sslkit: a critic of width %d and rate %g: choose at least 1, and above 0", m.Critic, m.CriticRate)
	}
	return m.Backbone.Validate()
}

// Reports lists, of hidden pixels in [0, 1], the mean squared error and its peak signal-to-noise ratio in dB; and, where there is
// one, the critic's accuracy, half for images and half for what is painted: 0.5 where it is fooled.
func (m *ContextEncoder) Reports() []string {
	if m.Adv == 0 {
		return []string{"l2", "psnr"}
	}
	return []string{"l2", "psnr", "critic"}
}

// turn is what the players of a step look at.
type turn struct{ painted, l2, real, fake *Node }

const turnKey = "/inpainting_turn"

// Loss builds the holes, what is painted there and the joint loss, against the critic as it is at the start of the step. The
// critic's own loss comes with [ContextEncoder.Optimizer].
func (m *ContextEncoder) Loss(scope *model.Scope, b Batch) *Node {
	x := b.Image
	if m.Flip {
		x = view.Flip(scope, x)
	}
	hidden := m.Hide(scope, x)
	t, truth, mask := turn{painted: m.paint(scope, x, hidden)}, m.region(signed(x)), m.region(hidden)
	t.l2 = loss.Inpainting(t.painted, truth, mask, m.Seen)
	l2 := DivScalar(loss.MaskedMSE(listed(t.painted), listed(truth), Squeeze(listed(mask), -1)), 4)
	Report("l2", l2)
	Report("psnr", MulScalar(Log(MaxScalar(l2, 1e-10)), -10/math.Ln10))
	if m.Adv == 0 {
		return MulScalar(t.l2, m.Rec)
	}
	t.real, t.fake = m.judge(scope, truth), m.judge(scope, t.painted)
	Report("critic", MulScalar(Add(loss.Accuracy(t.real, says(t.real, 1)), loss.Accuracy(t.fake, says(t.fake, 0))), 0.5))
	model.SetGraphParam(x.Graph(), turnKey, &t)
	return m.joint(&t, t.fake)
}

// joint is Eq. 3, with -log(D) in place of log(1-D) as in the release ("fake labels are real for generator cost").
func (m *ContextEncoder) joint(t *turn, fake *Node) *Node {
	return Add(MulScalar(t.l2, m.Rec), MulScalar(loss.CrossEntropy(fake, says(fake, 1)), m.Adv))
}

// Optimizer lets the critic move first, at its own rate, and then encoder and decoder against the critic that has moved.
func (m *ContextEncoder) Optimizer(base optimizer.Interface) optimizer.Interface {
	if m.Adv == 0 {
		return base
	}
	read := func(g *Graph) *turn { t, _ := model.GetGraphParam(g, turnKey); return t.(*turn) }
	return optim.Players{
		{Scopes: []string{"critic"}, Optimizer: optim.Scaled(base, m.CriticRate), Loss: func(_ *model.Scope, g *Graph) *Node {
			t := read(g)
			return Add(loss.CrossEntropy(t.real, says(t.real, 1)), loss.CrossEntropy(t.fake, says(t.fake, 0)))
		}},
		{Scopes: []string{"encoder", "decoder"}, Optimizer: base, Loss: func(scope *model.Scope, g *Graph) *Node {
			t := read(g)
			return m.joint(t, m.judge(scope, t.painted))
		}},
	}
}

// judge has the critic's logits of x being painted, which is 0, and real, [N, 2].
func (m *ContextEncoder) judge(scope *model.Scope, x *Node) *Node {
	z := nn.Critic(scope.At("critic"), x, m.Critic)
	return Stack([]*Node{ZerosLike(z), z}, -1)
}

// says is the same label for all rows of logits.
func says(logits *Node, label int) *Node {
	return AddScalar(Zeros(logits.Graph(), shapes.Make(dtypes.Int32, logits.Shape().Dim(0))), label)
}

// Encode is the encoder on the whole image, without the decoder.
func (m *ContextEncoder) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}
