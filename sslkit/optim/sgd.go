// Package optim has the optimizers and learning-rate schedules of the field's recipes, as GoMLX optimizers.
package optim

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// sgdScope and larsScope hold the momentum buffers, one at <scope>/<path of the weight>: they are saved and restored with
// the weights, so that a resumed run goes on exactly.
const (
	sgdScope  = "/sgd"
	larsScope = "/lars"
)

// Scopes are those of a store in which this package's optimizers keep what they need, which an encoder does not.
func Scopes() []string { return []string{sgdScope, larsScope, adamScope} }

// SGD is stochastic gradient descent with momentum as in PyTorch's torch.optim.SGD without dampening. Of a weight w with
// gradient g it keeps the velocity v (at first 0) and computes
//
//	d = g + WeightDecay*w
//	v = Momentum*v + d
//	w = w - Rate*v                  or, with Nesterov,
//	w = w - Rate*(d + Momentum*v)
//
// Weight decay skips variables of rank 0 and 1, that is biases and the scales and offsets of norms (He et al. 2019,
// "Bag of Tricks", Sec. 3.1, "No bias decay"). There it parts from PyTorch's default, which decays everything.
//
// SGD raises GoMLX's global step by one each update, works with gradient accumulation of train.Trainer, and is safe to
// copy. Building a graph with a field out of its range panics with the error of [SGD.Validate].
type SGD struct {
	Rate        Schedule // learning rate
	Momentum    float64  // mu, in [0, 1); 0 keeps no velocities
	WeightDecay float64  // at least 0
	Nesterov    bool     // needs Momentum above 0
}

// Validate says which field is out of its range. The numbers inside Rate are checked when a graph is built.
func (o SGD) Validate() error {
	if err := check("SGD", o.Rate, o.Momentum, o.WeightDecay); err != nil {
		return err
	}
	if o.Nesterov && o.Momentum == 0 {
		return fmt.Errorf("optim.SGD: Nesterov needs a Momentum above 0; set one, such as 0.9, or Nesterov to false")
	}
	return nil
}

func check(name string, rate Schedule, momentum, decay float64) error {
	if rate == nil {
		return fmt.Errorf("optim.%s: Rate is nil; set a schedule, such as optim.Constant(0.1)", name)
	}
	if !(momentum >= 0 && momentum < 1) {
		return fmt.Errorf("optim.%s: Momentum is %g; it must be in [0, 1)", name, momentum)
	}
	if !(decay >= 0) || math.IsInf(decay, 1) {
		return fmt.Errorf("optim.%s: WeightDecay is %g; it must be finite and at least 0", name, decay)
	}
	return nil
}

// UpdateGraph updates every trainable variable under scope that the graph uses, against the gradient of loss, a scalar.
// It implements optimizer.Interface.
func (o SGD) UpdateGraph(scope *model.Scope, _ *Graph, loss *Node) {
	o.UpdateGraphWithGradients(scope, gradients(scope, loss), loss.DType())
}

// UpdateGraphWithGradients is UpdateGraph with the gradients given, in the order of
// [model.Scope.BuildTrainableVariablesGradientsGraph]. It implements train.OptimizeWithGradients.
func (o SGD) UpdateGraphWithGradients(scope *model.Scope, grads []*Node, _ dtypes.DType) {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	update(scope, grads, o.Rate, func(v *model.Variable, w, d, rate *Node) *Node {
		if decays(v) && o.WeightDecay > 0 {
			d = Add(d, MulScalar(w, o.WeightDecay))
		}
		step := d
		if o.Momentum > 0 {
			velocity := buffer(scope, sgdScope, v)
			step = Add(MulScalar(velocity.NodeValue(w), o.Momentum), d)
			velocity.SetNodeValue(step)
			if o.Nesterov {
				step = Add(d, MulScalar(step, o.Momentum))
			}
		}
		return Sub(w, Mul(rate, step))
	})
}

// Clear deletes the velocities. It implements optimizer.Interface.
func (o SGD) Clear(scope *model.Scope) error {
	if err := scope.Store().DeleteVariablesInScope(sgdScope); err != nil {
		return fmt.Errorf("optim.SGD: deleting the velocities: %w", err)
	}
	return nil
}

// decays tells the weights of layers from biases and from what norms scale and shift by, by their rank.
func decays(v *model.Variable) bool { return v.Shape().Rank() > 1 }

func gradients(scope *model.Scope, loss *Node) []*Node {
	if !loss.IsScalar() {
		exceptions.Panicf("optim: the loss must be a scalar, got shape %s; reduce it, for instance with ReduceAllMean", loss.Shape())
	}
	return scope.BuildTrainableVariablesGradientsGraph(loss)
}

// update raises the global step and sets every trained variable to what move makes of it: w is its value, and rate has
// w's dtype.
func update(scope *model.Scope, grads []*Node, rate Schedule, move func(v *model.Variable, w, grad, rate *Node) *Node) {
	if len(grads) == 0 {
		exceptions.Panicf("optim: no trainable variable under scope %q is used by the loss, so there is nothing to train", scope.Scope())
	}
	g := grads[0].Graph()
	// The list is made before the buffers: they are variables, too, and a checkpoint gives them back marked trainable.
	var trained []*model.Variable
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			trained = append(trained, v)
		}
	}
	if len(trained) != len(grads) {
		exceptions.Panicf("optim: %d gradients for %d trainable variables; a variable was made, or changed its Trainable, after the gradients",
			len(grads), len(trained))
	}
	done := optimizer.IncrementGlobalStep(g, dtypes.Int64)
	now := rate(ConvertDType(SubScalar(done, 1), dtypes.Float32))
	for i, v := range trained {
		w := v.NodeValue(g)
		v.SetNodeValue(move(v, w, grads[i], ConvertDType(now, w.DType())))
	}
}

// buffer returns v's companion under the scope prefix, of v's shape and at first zero.
func buffer(scope *model.Scope, prefix string, v *model.Variable) *model.Variable {
	return scope.Store().Scope(model.JoinPath(prefix, v.Scope())).
		WithInitializer(initializer.Zero).
		VariableWithShape(v.Name(), v.Shape().Clone()).
		SetTrainable(false)
}
