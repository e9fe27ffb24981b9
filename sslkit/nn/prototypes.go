package nn

import (
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Prototypes returns k trained directions for features of d dimensions, [k, d] float32 with rows of length 1 (Caron et al. 2020,
// SwAV, Sec. 3.1). They are normalised before each step, and the step updates what they were normalised to, as in the
// authors' main_swav.py. The scope gets the variable "prototypes".
//
// Where frozen, a scalar, is not 0, they stay in this step as they were drawn: neither gradient, weight decay nor
// momentum reach them; nil is never. All of that is undone after the optimizer's update, so this holds for any optimizer of GoMLX or
// of package optim that begins with zeros and keeps them at the variable's path below its own.
func Prototypes(scope *model.Scope, g *Graph, k, d int, frozen *Node) *Node {
	if k < 1 || d < 1 || frozen != nil && !frozen.IsScalar() {
		exceptions.Panicf("nn.Prototypes: %d prototypes of %d dimensions, frozen where %v; need at least 1 and 1, and a scalar", k, d, frozen)
	}
	normal := initializer.RandomNormalFn(scope, 1)
	direction := func(g *Graph, shape shapes.Shape) *Node { return L2Normalize(normal(g, shape), -1) }
	v := scope.WithInitializer(direction).VariableWithShape("prototypes", shapes.Make(dtypes.Float32, k, d))
	drawn := v.NodeValue(g)
	c := L2Normalize(drawn, -1)
	v.SetNodeValue(c)
	if frozen == nil {
		return c
	}
	frozen = NotEqual(frozen, ZerosLike(frozen))
	train.AddPerStepUpdateGraphFn(scope.At("prototypes"), g, func(_ *model.Scope, g *Graph) {
		for w := range scope.Store().IterVariables() {
			switch {
			case w == v:
				w.SetNodeValue(Where(frozen, drawn, w.NodeValue(g)))
			case strings.Contains(w.Path(), v.Path()) && w.ChangedInGraph(g):
				w.SetNodeValue(Where(frozen, ZerosLike(w.NodeValue(g)), w.NodeValue(g)))
			}
		}
	})
	return c
}
