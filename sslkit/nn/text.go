package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Text is a transformer over the words of a text, as a ViT is one over patches: blocks of so many dimensions, with heads as there,
// for a vocabulary and texts of so many tokens. Positions are learned, and words with their positions are normalised before the
// first block (Devlin et al. 2019, "BERT", as released); norms stand before the layers, and after the last (Radford et al. 2019,
// "Language Models are Unsupervised Multitask Learners", Sec. 2.3). Padding is not seen.
func Text(blocks, width, vocabulary, length int) Backbone {
	return Backbone{Arch: "text", Depth: blocks, Width: width, Words: vocabulary, Length: length}
}

// IsToken tells where tokens, int32, are not padding.
func IsToken(tokens *Node) *Node {
	return GreaterThan(tokens, Scalar(tokens.Graph(), dtypes.Int32, 0))
}

// Contexts are the states of words in their texts, by a backbone of [Text] from their vectors x [N, L, Width]: [N, L, Width] after
// each quarter of the blocks, the last after the final norm. Where there, bool [N, L], is false, is padding. In training so much is
// dropped, see [TransformerOver], of the words as well.
func (b Backbone) Contexts(scope *model.Scope, x, there *Node, dropout float64) []*Node {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	checkTokens("Backbone.Contexts", x)
	if s := x.Shape(); b.Arch != "text" || s.Dim(1) != b.Length || s.Dim(2) != b.Width {
		exceptions.Panicf(`nn.Backbone.Contexts: need vectors [N, %d, %d] and a backbone "text", got %s and %q`, b.Length, b.Width, s, b.Arch)
	}
	place := scope.In("positions")
	place = place.WithInitializer(initializer.RandomNormalFn(place, 0.02))
	x = Add(x, InsertAxes(place.VariableWithShape("vectors", shapes.Make(x.DType(), b.Length, b.Width)).NodeValue(x.Graph()), 0))
	x = Dropout(scope, LayerNorm(scope.In("begin"), x), dropout)
	maps, _ := b.transform(scope, x, seeing{there: there, causal: b.Causal, dropout: dropout})
	return maps
}
