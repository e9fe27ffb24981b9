package optim

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// LARS scales the step of each layer to the size of its weights, for batches of thousands
// (You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks", 2017, Algorithm 1).
// Of a weight w with gradient g it keeps the velocity v (at first 0) and computes
//
//	d = g + WeightDecay*w
//	v = Momentum*v + Rate*(Trust*|w|/|d|)*d
//	w = w - v
//
// with the Euclidean norms over the whole variable. The ratio Trust*|w|/|d| is 1 where either norm is 0.
// Variables of rank 0 and 1 (biases, the scales and offsets of norms) are neither decayed nor scaled.
// These details are those of SimCLR's release (Chen et al. 2020, Sec. 2.2; lars_optimizer.py); the paper of You et al.
// divides by |g| + WeightDecay*|w| in place of |d|.
//
// Otherwise it is as [SGD]: the global step, gradient accumulation, errors.
type LARS struct {
	Rate        Schedule // global learning rate; SimCLR: 0.3 * batch / 256
	Momentum    float64  // mu, in [0, 1); SimCLR: 0.9
	WeightDecay float64  // beta, at least 0; SimCLR: 1e-6
	Trust       float64  // eta, the trust coefficient; 0 stands for 0.001
}

// Validate says which field is out of its range. The numbers inside Rate are checked when a graph is built.
func (o LARS) Validate() error {
	if err := check("LARS", o.Rate, o.Momentum, o.WeightDecay); err != nil {
		return err
	}
	if !(o.Trust >= 0) || math.IsInf(o.Trust, 1) {
		return fmt.Errorf("optim.LARS: Trust is %g; it must be finite and above 0, or 0 for 0.001", o.Trust)
	}
	return nil
}

// UpdateGraph updates every trainable variable under scope that the graph uses, against the gradient of loss, a scalar.
// It implements optimizer.Interface.
func (o LARS) UpdateGraph(scope *model.Scope, _ *Graph, loss *Node) {
	o.UpdateGraphWithGradients(scope, gradients(scope, loss), loss.DType())
}

// UpdateGraphWithGradients is UpdateGraph with the gradients given, in the order of
// [model.Scope.BuildTrainableVariablesGradientsGraph]. It implements train.OptimizeWithGradients.
func (o LARS) UpdateGraphWithGradients(scope *model.Scope, grads []*Node, _ dtypes.DType) {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	trust := o.Trust
	if trust == 0 {
		trust = 0.001
	}
	update(scope, grads, o.Rate, func(v *model.Variable, w, d, rate *Node) *Node {
		if decays(v) {
			d = Add(d, MulScalar(w, o.WeightDecay))
			rate = Mul(rate, ratio(trust, norm(w), norm(d)))
		}
		step := Mul(rate, d)
		if o.Momentum > 0 {
			velocity := buffer(scope, larsScope, v)
			step = Add(MulScalar(velocity.NodeValue(w), o.Momentum), step)
			velocity.SetNodeValue(step)
		}
		return Sub(w, step)
	})
}

// Clear deletes the velocities. It implements optimizer.Interface.
func (o LARS) Clear(scope *model.Scope) error {
	if err := scope.Store().DeleteVariablesInScope(larsScope); err != nil {
		return fmt.Errorf("optim.LARS: deleting the velocities: %w", err)
	}
	return nil
}

func norm(x *Node) *Node { return Sqrt(ReduceAllSum(Square(x))) }

// ratio is trust*w/d, or 1 where a norm is zero (a new layer of zeros must still move).
func ratio(trust float64, w, d *Node) *Node {
	zero, one := ZerosLike(w), OnesLike(w)
	some := LogicalAnd(GreaterThan(w, zero), GreaterThan(d, zero))
	return Where(some, Div(MulScalar(w, trust), Where(some, d, one)), one)
}
