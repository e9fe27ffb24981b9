package sslkit

import (
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/sslkit/nn"
)

// What methods share whose targets a slow copy of the network makes: a momentum that rises over the training, which the step reads
// from the store, so that a resumed run goes on exactly.

const clockPath = "/clock/steps"

// clock tells how far the training is when a step begins: the epochs that are done, and the share of all of it, from 0 to below 1.
// Without [setClock] in Start it stands for a training of one step.
func clock(scope *model.Scope, g *Graph) (epoch, share *Node) {
	steps := scope.At("clock").VariableWithValue("steps", []float32{1, 1}).SetTrainable(false).NodeValue(g)
	done := ConvertDType(optimizer.GetGlobalStepVar(scope).NodeValue(g), dtypes.Float32)
	of := func(i int) *Node { return Div(done, Squeeze(SliceAxis(steps, 0, AxisElem(i)), 0)) }
	return Floor(of(0)), of(1)
}

// setClock keeps the steps of an epoch and of the training.
func setClock(r *Run) error {
	return set(r.Store, clockPath, []float32{float32(r.Train.Steps()), float32(r.Epochs * r.Train.Steps())}, 2)
}

// cosineMomentum rises from base to 1 along half a cosine: 1 - (1-base) (cos(pi share) + 1) / 2.
func cosineMomentum(share *Node, base float64) *Node {
	return OneMinus(MulScalar(AddScalar(Cos(MulScalar(share, math.Pi)), 1), (1-base)/2))
}

// follow moves what is under slow towards its namesakes under fast as [nn.EMA] does, by a momentum that is a scalar of the graph.
func follow(slow, fast *model.Scope, momentum *Node) {
	g := momentum.Graph()
	nn.EMA(slow, fast, g, 1) // makes them, and leaves them where they are
	for v := range fast.IterVariables() {
		if v.Trainable && fast.IsTraining(g) {
			s := slow.Store().GetVariable(model.JoinPath(slow.Scope(), strings.TrimPrefix(v.Path(), fast.Scope())))
			s.SetNodeValue(StopGradient(Add(Mul(s.NodeValue(g), momentum), Mul(v.NodeValue(g), OneMinus(momentum)))))
		}
	}
}
