package optim

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// adamScope holds the moments, at first/<path of the weight> and second/<path of the weight>, and the number of updates.
const adamScope = "/adamw"

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization",
// Algorithm 2, with the decay scaled by the rate) as in PyTorch's torch.optim.AdamW. Of a weight w with gradient g it
// keeps the moments m and s (at first 0) and computes in update t = 1, 2, ...
//
//	m = Beta1*m + (1-Beta1)*g
//	s = Beta2*s + (1-Beta2)*g^2
//	w = w - Rate*(m/(1-Beta1^t) / (sqrt(s/(1-Beta2^t)) + 1e-8) + WeightDecay*w)
//
// Weight decay skips variables of rank 0 and 1, biases and the scales and offsets of norms, as MAE's and most recipes of
// transformers do. GoMLX's own Adam decays those too and takes no [Schedule].
//
// Otherwise it is as [SGD]: the global step, gradient accumulation, errors.
type AdamW struct {
	Rate        Schedule // learning rate
	Beta1       float64  // in [0, 1); 0 stands for 0.9
	Beta2       float64  // in [0, 1); 0 stands for 0.999; MAE and many transformers: 0.95
	WeightDecay float64  // at least 0; MAE: 0.05
}

// Validate says which field is out of its range. The numbers inside Rate are checked when a graph is built.
func (o AdamW) Validate() error {
	if err := check("AdamW", o.Rate, 0, o.WeightDecay); err != nil {
		return err
	}
	for i, beta := range []float64{o.Beta1, o.Beta2} {
		if !(beta >= 0 && beta < 1) {
			return fmt.Errorf("optim.AdamW: Beta%d is %g; it must be in [0, 1)", i+1, beta)
		}
	}
	return nil
}

// UpdateGraph updates every trainable variable under scope that the graph uses, against the gradient of loss, a scalar.
// It implements optimizer.Interface.
func (o AdamW) UpdateGraph(scope *model.Scope, _ *Graph, loss *Node) {
	o.UpdateGraphWithGradients(scope, gradients(scope, loss), loss.DType())
}

// UpdateGraphWithGradients is UpdateGraph with the gradients given, in the order of
// [model.Scope.BuildTrainableVariablesGradientsGraph]. It implements train.OptimizeWithGradients.
func (o AdamW) UpdateGraphWithGradients(scope *model.Scope, grads []*Node, _ dtypes.DType) {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	beta1, beta2 := o.Beta1, o.Beta2
	if beta1 == 0 {
		beta1 = 0.9
	}
	if beta2 == 0 {
		beta2 = 0.999
	}
	var t *Node
	update(scope, grads, o.Rate, func(v *model.Variable, w, grad, rate *Node) *Node {
		if t == nil {
			t = updates(scope.Store().Scope(adamScope), w.Graph())
		}
		moment := func(name string, beta float64, of *Node) *Node {
			m := buffer(scope, model.JoinPath(adamScope, name), v)
			next := Add(MulScalar(m.NodeValue(w), beta), MulScalar(of, 1-beta))
			m.SetNodeValue(next)
			// 1-beta^t: beta near 1 would cancel in float32.
			return Div(next, Neg(Expm1(MulScalar(ConvertDType(t, w.DType()), math.Log(beta)))))
		}
		step := Div(moment("first", beta1, grad), AddScalar(Sqrt(moment("second", beta2, Square(grad))), 1e-8))
		if decays(v) && o.WeightDecay > 0 {
			step = Add(step, MulScalar(w, o.WeightDecay))
		}
		return Sub(w, Mul(rate, step))
	})
}

// updates raises the number of updates, once a step, which [Players] share.
func updates(scope *model.Scope, g *Graph) *Node {
	if v := scope.GetVariable("updates"); v != nil && v.ChangedInGraph(g) {
		return v.NodeValue(g)
	}
	return optimizer.IncrementCounter(scope, g, "updates", dtypes.Float32)
}

// Clear deletes the moments. It implements optimizer.Interface.
func (o AdamW) Clear(scope *model.Scope) error {
	if err := scope.Store().DeleteVariablesInScope(adamScope); err != nil {
		return fmt.Errorf("optim.AdamW: deleting the moments: %w", err)
	}
	return nil
}
