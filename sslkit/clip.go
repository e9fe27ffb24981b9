package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// CLIP learns which caption of the batch belongs to which image, in a space that both share.
//
// Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
// arXiv:2103.00020. Loss is Fig. 3: every other caption of the batch is a negative, also one of the
// same words. Where captions repeat within a batch these are false negatives.
//
// It departs from the paper and its code (openai/CLIP) where small data and networks ask for it, and in details:
//   - The image's features are the mean of the backbone's last map. Theirs are pooled by attention (a modified ResNet), or are those
//     of the class token (a ViT, with learned positions and one more norm before its blocks).
//   - Tokens are words in lower case, those not in the vocabulary all one; theirs are byte pairs, which spell out any word.
//   - Blocks of the text encoder have the exact GELU, not x*sigmoid(1.702x), and begin Xavier-uniform, not with normals that
//     narrow with the depth.
//   - The crop is a square of random side and place, enlarged to the images' size; theirs is one of full size out of a larger image.
//   - Batch, schedule and optimizer are the run's. The paper's batches have 32,768 of 400 million pairs, and as many negatives.
type CLIP struct {
	Backbone   nn.Backbone `json:"backbone"`   // image encoder, Sec. 2.4
	Crop       float64     `json:"crop"`       // least side of a random square crop, of the image's; the only augmentation, Sec. 2.3
	Vocabulary int         `json:"vocabulary"` // tokens; 49,152 in Sec. 2.4
	Length     int         `json:"length"`     // tokens a text, start and end included; 76
	Width      int         `json:"width"`      // of the text encoder; 512
	Depth      int         `json:"depth"`      // layers; 12
	Heads      int         `json:"heads"`      // 8
	Dim        int         `json:"dim"`        // d_e of Fig. 3, of the shared space
}

// SmallCLIP has a text encoder for captions of a few words.
func SmallCLIP(backbone nn.Backbone) *CLIP {
	return &CLIP{Backbone: backbone, Crop: 0.8, Vocabulary: 2048, Length: 16, Width: 128, Depth: 2, Heads: 4, Dim: 64}
}

// Validate says what cannot be trained.
func (m *CLIP) Validate() error {
	if !(m.Crop > 0 && m.Crop <= 1) {
		return fmt.Errorf("sslkit: crop %g is not in (0, 1]", m.Crop)
	}
	if m.Vocabulary < 5 || m.Length < 3 {
		return fmt.Errorf("sslkit: a vocabulary of %d, texts of %d tokens: there must be room for start, end and a word", m.Vocabulary, m.Length)
	}
	if m.Width < 1 || m.Depth < 1 || m.Heads < 1 || m.Width%m.Heads != 0 || m.Dim < 1 {
		return fmt.Errorf("sslkit: width %d, depth %d, %d heads, dim %d: all must be at least 1 and the heads divide the width",
			m.Width, m.Depth, m.Heads, m.Dim)
	}
	return m.Backbone.Validate()
}

// Reports lists how many images find their caption in the batch.
func (m *CLIP) Reports() []string { return []string{"accuracy"} }

// MinBatch is 2: one image and one caption belong to each other.
func (m *CLIP) MinBatch() int { return 2 }

// Loss builds the symmetric loss of Fig. 3.
func (m *CLIP) Loss(scope *model.Scope, b Batch) *Node {
	if b.Text == nil {
		exceptions.Panicf("sslkit: CLIP needs captions, and the dataset yields none")
	}
	enough("clip", m, b)
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	image := m.EmbedImage(scope, m.crop(scope, b.Image)) // NxD
	text := m.EmbedText(scope, b.Text)                   // NxD
	pair := Iota(g, shapes.Make(dtypes.Int32, n), 0)
	Report("accuracy", loss.Accuracy(Einsum("id,jd->ij", image, text), pair))
	return loss.CLIP(image, text, m.scale(scope, g))
}

// scale is exp(t) of Fig. 3, "initialized to the equivalent of 0.07 from (Wu et al., 2018) and clipped to
// prevent scaling the logits by more than 100" (Sec. 2.5): t itself is clipped, to [0, ln 100] after the
// step, since a loss that clips it would have no gradient to bring it back. A scalar has no weight decay.
func (m *CLIP) scale(scope *model.Scope, g *Graph) *Node {
	scope = scope.In("temperature")
	t := scope.VariableWithValue("log_scale", float32(math.Log(1/0.07)))
	train.AddPerStepUpdateGraphFn(scope, g, func(_ *model.Scope, g *Graph) {
		t.SetNodeValue(ClipScalar(t.NodeValue(g), 0, math.Log(100)))
	})
	return Exp(t.NodeValue(g))
}

// crop cuts a square out of each image, its side uniform in Crop to 1 of the image's shorter one, its
// place uniform. Captions may speak of left and right, so nothing is mirrored.
func (m *CLIP) crop(scope *model.Scope, x *Node) *Node {
	if m.Crop == 1 {
		return x
	}
	g, d := x.Graph(), x.Shape().Dimensions
	unit := func() *Node { return scope.RandomUniform(g, shapes.Make(x.DType(), d[0])) }
	size := min(d[1], d[2])
	side := MulScalar(AddScalar(MulScalar(unit(), 1-m.Crop), m.Crop), float64(size))
	place := func(length int) *Node { return Mul(unit(), AddScalar(Neg(side), float64(length))) }
	return view.CropResize(x, place(d[1]), place(d[2]), side, side, size)
}

// Encode is the image encoder.
func (m *CLIP) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// EmbedImage maps images [N, H, W, C] to rows [N, Dim] of length 1.
func (m *CLIP) EmbedImage(scope *model.Scope, image *Node) *Node {
	return m.project(scope.In("image_projection"), nn.Pool(nn.Last(m.Encode(scope, image))))
}

// EmbedText maps tokens [N, Length] int32, which end in padding of 0, to rows [N, Dim] of length 1: "the
// activations of the highest layer of the transformer at the [EOS] token", the last before the padding,
// are "layer normalized and then linearly projected" (Sec. 2.4). Attention is causal, so that the end has
// seen all words and nothing sees the padding.
func (m *CLIP) EmbedText(scope *model.Scope, text *Node) *Node {
	if s := text.Shape(); s.Rank() != 2 || s.Dim(1) != m.Length || s.DType != dtypes.Int32 {
		exceptions.Panicf("sslkit: CLIP's text must be [N, %d] int32, got %s", m.Length, s)
	}
	scope = scope.In("text")
	g := text.Graph()
	table := func(name string, rows int, deviation float64) *Node { // started as in the authors' code
		scope := scope.WithInitializer(initializer.RandomNormalFn(scope, deviation))
		return scope.VariableWithShape(name, shapes.Make(dtypes.Float32, rows, m.Width)).NodeValue(g)
	}
	x := Gather(table("words", m.Vocabulary, 0.02), InsertAxes(text, -1)) // NxLxW
	x = Add(x, InsertAxes(table("positions", m.Length, 0.01), 0))
	x = nn.Transformer(scope, x, m.Depth, m.Heads, true)

	used := ConvertDType(NotEqual(text, ZerosLike(text)), dtypes.Int32)
	end := AddScalar(ReduceAndKeep(used, ReduceSum, -1), -1)                                   // Nx1
	x = Einsum("nl,nlw->nw", ConvertDType(Equal(Iota(g, text.Shape(), 1), end), x.DType()), x) // NxW
	return m.project(scope.In("projection"), nn.LayerNorm(scope.In("norm"), x))
}

// project maps features to the shared space, without a bias, and to length 1.
func (m *CLIP) project(scope *model.Scope, x *Node) *Node {
	normal := initializer.RandomNormalFn(scope, 1/math.Sqrt(float64(x.Shape().Dim(1))))
	return L2Normalize(nn.Dense(scope.WithInitializer(normal), x, false, m.Dim), -1)
}

// GuessLoss is the cross-entropy of a guess.
func (*CLIP) GuessLoss(batch int) float64 { return math.Log(float64(batch)) }

// Reads tells how captions are tokenised.
func (m *CLIP) Reads() (vocabulary, length int) { return m.Vocabulary, m.Length }
