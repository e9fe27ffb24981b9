package nn

import (
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Prototypes returns k trained directions for features of d dimensions, [k, d] float32 with rows of length 1 (Caron et al. 2020,
// SwAV, Sec. 3.1). They are normalised before each step, and the step updates what they were normalised to, as in the
// authors' main_swav.py. The scope gets the variable "prototypes".
//
// For the first freeze steps of the store's global step they stay as they were drawn: neither gradient, weight decay nor
// momentum reach them. All of that is undone after the optimizer's update, so this holds for any optimizer of GoMLX or
// of package optim that begins with zeros and keeps them at the variable's path below its own.
func Prototypes(scope *model.Scope, g *Graph, k, d, freeze int) *Node {
	if k < 1 || d < 1 || freeze < 0 {
		exceptions.Panicf("nn.Prototypes: %d prototypes of %d dimensions, frozen for %d steps; need at least 1, 1 and 0", k, d, freeze)
	}
	normal := initializer.RandomNormalFn(scope, 1)
	direction := func(g *Graph, shape shapes.Shape) *Node { return L2Normalize(normal(g, shape), -1) }
	v := scope.WithInitializer(direction).VariableWithShape("prototypes", shapes.Make(dtypes.Float32, k, d))
	drawn := v.NodeValue(g)
	c := L2Normalize(drawn, -1)
	v.SetNodeValue(c)
	if freeze == 0 {
		return c
	}
	frozen := LessThan(optimizer.GetGlobalStepVar(scope).NodeValue(g), Const(g, int64(freeze)))
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
