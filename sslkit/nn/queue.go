package nn

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Queue returns the keys of earlier steps [size, D], the newest first, and puts keys [N, D], float32 or float64, in their
// front for the next step, in training mode: the N oldest leave. (He et al. 2020, MoCo, Sec. 3.2, "Dictionary as a queue".)
// At first there are random directions, of length 1. The scope gets the variable "keys" [size, D], not to be trained;
// nothing here has a gradient.
//
// It panics where size is no multiple of N.
func Queue(scope *model.Scope, keys *Node, size int) *Node {
	if keys.Rank() != 2 || !keys.DType().IsFloat() {
		exceptions.Panicf("nn.Queue: need float keys [N, D], got %s", keys.Shape())
	}
	n, d := keys.Shape().Dim(0), keys.Shape().Dim(1)
	if size < 1 || size%n != 0 {
		exceptions.Panicf("nn.Queue: a queue of %d keys is no multiple of the batch of %d: change one of them", size, n)
	}
	normal := initializer.RandomNormalFn(scope, 1)
	direction := func(g *Graph, shape shapes.Shape) *Node { return L2Normalize(normal(g, shape), -1) }
	v := scope.WithInitializer(direction).VariableWithShape("keys", shapes.Make(keys.DType(), size, d))
	v.SetTrainable(false) // on every build, since checkpoints do not keep it
	old := StopGradient(v.NodeValue(keys))
	if scope.IsTraining(keys.Graph()) {
		// To move all of them, not a pointer: XLA writes each variable that changes anew in any case. What was tried against
		// that is in bench/README.md.
		fresh := []*Node{keys}
		if size > n {
			fresh = append(fresh, Slice(old, AxisRange(0, size-n)))
		}
		v.SetNodeValue(Concatenate(fresh, 0))
	}
	return old
}
