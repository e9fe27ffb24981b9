package loss

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// CLIP is a stand-in until branch contrast is merged.
func CLIP(image, text, logitScale *Node) *Node {
	logits := Mul(Einsum("id,jd->ij", image, text), logitScale) // NxN
	pair := Iota(image.Graph(), shapes.Make(dtypes.Int32, image.Shape().Dim(0)), 0)
	return DivScalar(Add(CrossEntropy(logits, pair), CrossEntropy(Transpose(logits, 0, 1), pair)), 2)
}
