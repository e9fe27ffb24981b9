package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Linear is the linear probe: multinomial logistic regression on frozen features.
//
// How strong its penalty should be depends on the number of labels, so it is chosen for each fit by cross-validation within
// the labels that the probe may see, out of [L2Grid]; see Folds. The test set has no say in it.
//
// Features are standardised, each dimension by its mean and standard deviation over the training examples, so that one
// setting fits all stages. The objective, mean cross-entropy plus L2/2 times the squared weights (not biases), is convex,
// so it is minimised with L-BFGS on the full batch (as CLIP's probes: Radford et al. 2021, App. A.3), of which loss and
// gradient are one compiled program. Compared with SGD there is no learning rate to tune for each stage, no order of
// examples and no initial draw: the result is deterministic, takes a few dozen passes over the data, and no
// choice of epoch could be made on the test set.
type Linear struct {
	Side       int     `json:"side"`       // maps are average-pooled to at most side x side, see Grid; 1: to one vector, 0: not at all
	L2         float64 `json:"l2"`         // weight of the penalty, at least 0; with Folds it is chosen, and this is 0
	Folds      int     `json:"folds"`      // of the cross-validation that chooses the penalty, at least 2; 0: it is L2
	Iterations int     `json:"iterations"` // of L-BFGS at most; it stops before at a gradient below 1e-4
	PerClass   int     `json:"per_class"`  // labelled examples of each class that the probe may see; 0: all
}

// Fit is the outcome of a trained probe.
type Fit struct {
	Tested           // of the final classifier
	Train    float64 `json:"train"`        // accuracy on the examples it was trained on
	Examples int     `json:"examples"`     // how many these were
	L2       float64 `json:"l2,omitempty"` // the linear probe's penalty, given or chosen
}

// Validate says what cannot be run.
func (p Linear) Validate() error {
	switch {
	case p.Side < 0:
		return fmt.Errorf("eval: linear probe of maps of side %d, want at least 0", p.Side)
	case !(p.L2 >= 0) || math.IsInf(p.L2, 1):
		return fmt.Errorf("eval: linear probe with l2 %g, want a finite one of at least 0", p.L2)
	case p.Folds < 0 || p.Folds == 1:
		return fmt.Errorf("eval: linear probe with cross-validation of %d folds, want at least 2, or 0 for none", p.Folds)
	case p.Folds > 0 && p.L2 != 0:
		return fmt.Errorf("eval: linear probe with l2 %g, and %d folds to choose it by: give one of them", p.L2, p.Folds)
	case p.Iterations < 1:
		return fmt.Errorf("eval: linear probe of %d iterations, want at least 1 (200 is the default)", p.Iterations)
	case p.PerClass < 0:
		return fmt.Errorf("eval: linear probe of %d labels a class, want at least 0 (all)", p.PerClass)
	}
	return nil
}

// Fit trains the probe on train and measures it on test. The seed draws the examples where PerClass is set, and the folds.
// A cancelled context stops it with the context's error.
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
	return f.fit(ctx, train, test, classes, seed)
}

// fitter is the probe's programs, compiled once for all sets of the same size. In all of them share [N] is the weight of each
// example, by which a fold is left out without another program.
type fitter struct {
	Linear
	step    *Exec // loss, and its gradient in weights and biases
	judge   *Exec // cross-entropy
	predict *Exec
}

func (p Linear) compile(backend compute.Backend) (*fitter, error) {
	logits := func(x, w, b *Node) *Node { return Add(DotProduct(x, w), InsertAxes(b, 0)) } // NxK
	entropy := func(x, y, share, w, b *Node) *Node {
		logp := LogSoftmax(logits(x, w, b))
		return Neg(ReduceAllSum(Mul(InsertAxes(share, -1), Mul(logp, OneHot(y, logp.Shape().Dim(1), logp.DType())))))
	}
	f := &fitter{Linear: p}
	var errs [3]error
	f.step, errs[0] = NewExec(backend, func(x, y, share, l2, w, b *Node) []*Node {
		l := Add(entropy(x, y, share, w, b), Mul(DivScalar(l2, 2), ReduceAllSum(Square(w))))
		return append([]*Node{l}, Gradient(l, w, b)...)
	})
	f.judge, errs[1] = NewExec(backend, entropy)
	f.predict, errs[2] = NewExec(backend, func(x, w, b *Node) *Node { return ArgMax(logits(x, w, b), -1) })
	if err := errors.Join(errs[:]...); err != nil {
		f.close()
		return nil, fmt.Errorf("eval: building the linear probe: %w", err)
	}
	return f, nil
}

func (f *fitter) close() {
	for _, exec := range []*Exec{f.step, f.judge, f.predict} {
		if exec != nil {
			exec.Finalize()
		}
	}
}

// fit trains on train, with a penalty that is chosen if need be. Of the test set it sees nothing before the classifier is final.
func (f *fitter) fit(ctx context.Context, train, test Set, classes int, seed int64) (Fit, error) {
	n, d := len(train.Features), len(train.Features[0])
	shift, scale := moments(train.Features)
	x := standardized(train.Features, shift, scale)
	defer x.MustFinalizeAll()
	y := tensors.FromFlatDataAndDimensions(train.Labels, n)
	defer y.MustFinalizeAll()

	fit := Fit{Examples: n, L2: f.L2}
	var err error
	if f.Folds > 0 {
		if fit.L2, err = f.choose(ctx, x, y, train.Labels, classes, seed); err != nil {
			return Fit{}, err
		}
	}
	theta, err := f.minimum(ctx, x, y, shares(n, nil), fit.L2, make([]float64, d*classes+classes), classes, f.Iterations)
	if err != nil {
		return Fit{}, err
	}

	w, b := split(theta, d, classes)
	defer w.MustFinalizeAll()
	defer b.MustFinalizeAll()
	predictions := func(x *tensors.Tensor) ([]int32, error) {
		out, err := f.predict.Call1(x, w, b)
		if err != nil {
			return nil, fmt.Errorf("eval: linear probe: %w", err)
		}
		defer out.MustFinalizeAll()
		predicted, err := tensors.CopyFlatData[int32](out)
		if err != nil {
			return nil, fmt.Errorf("eval: linear probe: %w", err)
		}
		return predicted, nil
	}
	predicted, err := predictions(x)
	if err != nil {
		return Fit{}, err
	}
	fit.Train = accuracy(predicted, train.Labels)
	xt := standardized(test.Features, shift, scale)
	defer xt.MustFinalizeAll()
	if predicted, err = predictions(xt); err != nil {
		return Fit{}, err
	}
	fit.Tested = Compare(predicted, test.Labels, test.Groups)
	return fit, nil
}

// L2Grid is the penalties that cross-validation chooses from, strongest first: 13 from 10 to 1e-5, half a decade apart. The
// literature has 45 over more decades (Chen et al. 2020, App. B.8; Radford et al. 2021, App. A.3); on standardised features the
// best lie within these, and a step from the best changes accuracy by a point or so.
func L2Grid() []float64 {
	grid := make([]float64, 13)
	for i := range grid {
		grid[i] = math.Pow(10, 1-float64(i)/2)
	}
	return grid
}

const (
	searchIterations = 40   // of L-BFGS for each penalty of the grid and each fold, from the minimum of the one before
	usualL2          = 1e-2 // where no class has two examples: nothing can be held out
)

// choose returns the penalty of the grid with the lowest cross-entropy on held-out examples: with few of them how many are
// right says little. It goes from strong to weak, and stops when two in turn were worse than the best. Folds are stratified and
// drawn by seed. Features are standardised over all folds, which takes no label. It costs folds times grid times
// searchIterations passes over the training set at most.
func (f *fitter) choose(ctx context.Context, x, y *tensors.Tensor, labels []int32, classes int, seed int64) (float64, error) {
	folds := stratified(labels, f.Folds, classes, seed)
	var held [][]bool
	var theta [][]float64 // of each fold
	for k := range f.Folds {
		out := make([]bool, len(folds))
		for i, fold := range folds {
			out[i] = fold == k
		}
		if slices.Contains(out, true) {
			held, theta = append(held, out), append(theta, make([]float64, x.Shape().Dim(1)*classes+classes))
		}
	}
	if held == nil {
		return usualL2, nil
	}
	grid := L2Grid()
	best, least := 0, math.Inf(1)
	for i, l2 := range grid {
		sum := 0.0
		for k, out := range held {
			var err error
			if theta[k], err = f.minimum(ctx, x, y, shares(len(out), out), l2, theta[k], classes, min(searchIterations, f.Iterations)); err != nil {
				return 0, err
			}
			entropy, err := f.entropy(x, y, out, theta[k], classes)
			if err != nil {
				return 0, err
			}
			sum += entropy
		}
		if sum < least {
			best, least = i, sum
		}
		if i >= best+2 {
			break
		}
	}
	return grid[best], nil
}

// stratified deals the examples of each class out to folds, in an order drawn by seed; what is the only one of its class is
// in none of them, -1, and always trained on.
func stratified(labels []int32, folds, classes int, seed int64) []int {
	count := make([]int, classes)
	for _, c := range labels {
		count[c]++
	}
	of := make([][]int, classes)
	for _, i := range rand.New(rand.NewPCG(uint64(seed), 1)).Perm(len(labels)) {
		of[labels[i]] = append(of[labels[i]], i)
	}
	out := slices.Repeat([]int{-1}, len(labels))
	next := 0 // goes on from class to class, so that folds are equal, too
	for c, members := range of {
		if count[c] < 2 {
			continue
		}
		for _, i := range members {
			out[i] = next % folds
			next++
		}
	}
	return out
}

// shares weighs n examples equally, those that are held out with 0; their sum is 1.
func shares(n int, out []bool) []float32 {
	weights, left := make([]float32, n), n
	for _, held := range out {
		if held {
			left--
		}
	}
	for i := range weights {
		if out == nil || !out[i] {
			weights[i] = 1 / float32(left)
		}
	}
	return weights
}

// minimum is where L-BFGS gets to from theta.
func (f *fitter) minimum(ctx context.Context, x, y *tensors.Tensor, weights []float32, l2 float64, theta []float64, classes, iterations int) ([]float64, error) {
	share := tensors.FromFlatDataAndDimensions(weights, len(weights))
	defer share.MustFinalizeAll()
	penalty := tensors.FromScalar(float32(l2))
	defer penalty.MustFinalizeAll()
	return minimize(theta, iterations, func(theta, grad []float64) (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		w, b := split(theta, x.Shape().Dim(1), classes)
		defer w.MustFinalizeAll()
		defer b.MustFinalizeAll()
		out, err := f.step.Call(x, y, share, penalty, w, b)
		if err != nil {
			return 0, fmt.Errorf("eval: linear probe: %w", err)
		}
		return read(out, grad)
	})
}

// entropy is the summed cross-entropy of what is held out.
func (f *fitter) entropy(x, y *tensors.Tensor, out []bool, theta []float64, classes int) (float64, error) {
	weights := make([]float32, len(out))
	for i, held := range out {
		if held {
			weights[i] = 1
		}
	}
	share := tensors.FromFlatDataAndDimensions(weights, len(weights))
	defer share.MustFinalizeAll()
	w, b := split(theta, x.Shape().Dim(1), classes)
	defer w.MustFinalizeAll()
	defer b.MustFinalizeAll()
	result, err := f.judge.Call1(x, y, share, w, b)
	if err != nil {
		return 0, fmt.Errorf("eval: linear probe: %w", err)
	}
	return read([]*tensors.Tensor{result}, nil)
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
