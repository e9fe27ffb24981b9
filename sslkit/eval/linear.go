package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/loss"
)

// Linear is the linear probe: multinomial logistic regression on frozen features.
//
// Features are standardised, each dimension by its mean and standard deviation over the training examples, so that one
// setting fits all stages. The objective, mean cross-entropy plus L2/2 times the squared weights (not biases), is convex,
// so it is minimised with L-BFGS on the full batch (as CLIP's probes: Radford et al. 2021, App. A.3), of which loss and
// gradient are one compiled program. Compared with SGD there is no learning rate to tune for each stage, no order of
// examples and no initial draw: the result is deterministic, takes a few dozen passes over the data, and no
// choice of epoch could be made on the test set.
type Linear struct {
	Side       int     `json:"side"`       // maps are average-pooled to at most side x side, see Grid; 1: to one vector, 0: not at all
	L2         float64 `json:"l2"`         // weight of the penalty, at least 0
	Iterations int     `json:"iterations"` // of L-BFGS at most; it stops before at a gradient below 1e-4
	PerClass   int     `json:"per_class"`  // labelled examples of each class that the probe may see; 0: all
}

// Fit is the outcome of a trained probe.
type Fit struct {
	Test     float64 `json:"test"`     // accuracy in [0, 1] of the final classifier
	Train    float64 `json:"train"`    // likewise, on the examples it was trained on
	Examples int     `json:"examples"` // how many these were
}

// Validate says what cannot be run.
func (p Linear) Validate() error {
	switch {
	case p.Side < 0:
		return fmt.Errorf("eval: linear probe of maps of side %d, want at least 0", p.Side)
	case !(p.L2 >= 0) || math.IsInf(p.L2, 1):
		return fmt.Errorf("eval: linear probe with l2 %g, want a finite one of at least 0 (1e-3 is the default)", p.L2)
	case p.Iterations < 1:
		return fmt.Errorf("eval: linear probe of %d iterations, want at least 1 (200 is the default)", p.Iterations)
	case p.PerClass < 0:
		return fmt.Errorf("eval: linear probe of %d labels a class, want at least 0 (all)", p.PerClass)
	}
	return nil
}

// Fit trains the probe on train and measures it on test. The seed draws the examples where PerClass is set, and does
// nothing else. A cancelled context stops it with the context's error.
func (p Linear) Fit(ctx context.Context, backend compute.Backend, train, test Set, classes int, seed int64) (Fit, error) {
	if err := p.Validate(); err != nil {
		return Fit{}, err
	}
	if err := checkPair(train, test, classes); err != nil {
		return Fit{}, err
	}
	train, err := train.draw(Labels{PerClass: p.PerClass}, classes, seed)
	if err != nil {
		return Fit{}, err
	}
	f, err := p.compile(backend)
	if err != nil {
		return Fit{}, err
	}
	defer f.close()
	return f.fit(ctx, train, test, classes)
}

// fitter is the probe's loss, with its gradient, and its predictions: compiled once for all sets of the same size.
type fitter struct {
	Linear
	step, predict *Exec
}

func (p Linear) compile(backend compute.Backend) (*fitter, error) {
	step, err := NewExec(backend, func(x, y, w, b *Node) []*Node {
		l := loss.CrossEntropy(Add(DotProduct(x, w), InsertAxes(b, 0)), y)
		l = Add(l, MulScalar(ReduceAllSum(Square(w)), p.L2/2))
		return append([]*Node{l}, Gradient(l, w, b)...)
	})
	if err != nil {
		return nil, fmt.Errorf("eval: building the linear probe: %w", err)
	}
	predict, err := NewExec(backend, func(x, w, b *Node) *Node { return ArgMax(Add(DotProduct(x, w), InsertAxes(b, 0)), -1) })
	if err != nil {
		step.Finalize()
		return nil, fmt.Errorf("eval: building the linear probe: %w", err)
	}
	return &fitter{p, step, predict}, nil
}

func (f *fitter) close() {
	f.step.Finalize()
	f.predict.Finalize()
}

func (f *fitter) fit(ctx context.Context, train, test Set, classes int) (Fit, error) {
	n, d := len(train.Features), len(train.Features[0])
	shift, scale := moments(train.Features)
	x := standardized(train.Features, shift, scale)
	defer x.MustFinalizeAll()
	y := tensors.FromFlatDataAndDimensions(train.Labels, n)
	defer y.MustFinalizeAll()

	theta, err := minimize(make([]float64, d*classes+classes), f.Iterations, func(theta, grad []float64) (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		w, b := split(theta, d, classes)
		defer w.MustFinalizeAll()
		defer b.MustFinalizeAll()
		out, err := f.step.Call(x, y, w, b)
		if err != nil {
			return 0, fmt.Errorf("eval: linear probe: %w", err)
		}
		return read(out, grad)
	})
	if err != nil {
		return Fit{}, err
	}

	w, b := split(theta, d, classes)
	defer w.MustFinalizeAll()
	defer b.MustFinalizeAll()
	measure := func(x *tensors.Tensor, labels []int32) (float64, error) {
		out, err := f.predict.Call1(x, w, b)
		if err != nil {
			return 0, fmt.Errorf("eval: linear probe: %w", err)
		}
		defer out.MustFinalizeAll()
		predicted, err := tensors.CopyFlatData[int32](out)
		if err != nil {
			return 0, fmt.Errorf("eval: linear probe: %w", err)
		}
		return accuracy(predicted, labels), nil
	}
	fit := Fit{Examples: n}
	if fit.Train, err = measure(x, train.Labels); err != nil {
		return Fit{}, err
	}
	xt := standardized(test.Features, shift, scale)
	defer xt.MustFinalizeAll()
	fit.Test, err = measure(xt, test.Labels)
	return fit, err
}

// moments returns each dimension's mean, and one over its standard deviation, or 0 for a dimension that is constant up to
// rounding: it would be noise blown up.
func moments(x [][]float32) (shift, scale []float64) {
	n, d := float64(len(x)), len(x[0])
	shift, scale = make([]float64, d), make([]float64, d)
	for _, row := range x {
		for j, v := range row {
			shift[j] += float64(v) / n
		}
	}
	for _, row := range x {
		for j, v := range row {
			scale[j] += (float64(v) - shift[j]) * (float64(v) - shift[j]) / n
		}
	}
	for j, v := range scale {
		scale[j] = 0
		if std := math.Sqrt(v); std > 1e-6*math.Abs(shift[j]) && std > 0 {
			scale[j] = 1 / std
		}
	}
	return shift, scale
}

func standardized(x [][]float32, shift, scale []float64) *tensors.Tensor {
	flat := make([]float32, 0, len(x)*len(shift))
	for _, row := range x {
		for j, v := range row {
			flat = append(flat, float32((float64(v)-shift[j])*scale[j]))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, len(x), len(shift))
}

// split returns the weights [d, classes] and biases [classes] that theta holds one after the other.
func split(theta []float64, d, classes int) (w, b *tensors.Tensor) {
	flat := make([]float32, len(theta))
	for i, v := range theta {
		flat[i] = float32(v)
	}
	return tensors.FromFlatDataAndDimensions(flat[:d*classes], d, classes), tensors.FromFlatDataAndDimensions(flat[d*classes:], classes)
}

// read copies the gradient into grad and returns the loss.
func read(out []*tensors.Tensor, grad []float64) (float64, error) {
	var flat []float32
	for _, t := range out {
		part, err := tensors.CopyFlatData[float32](t)
		if err != nil {
			return 0, fmt.Errorf("eval: linear probe: %w", err)
		}
		flat = append(flat, part...)
		t.MustFinalizeAll()
	}
	for i, v := range flat[1:] {
		grad[i] = float64(v)
	}
	return float64(flat[0]), nil
}
