package nn

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// BatchNorm normalises x [..., C], float32 or float64, along all axes but the last (Ioffe & Szegedy 2015, Algorithm 1),
// with momentum and epsilon as in PyTorch.
//
// In training mode it normalises with the batch's mean and biased variance, through which gradients flow, and moves the
// running mean and the running variance, the latter towards the unbiased variance, by a tenth. Built twice on the
// same scope, it moves them twice. Otherwise it normalises with the running figures and changes nothing.
//
// The scope gets "scale" (1) and "offset" (0), to be trained, and "mean" (0) and "variance" (1), not to be trained, all
// [C]. A caller who wants the norm frozen sets Trainable of the first two to false: building again leaves it at that.
//
// It panics where there is only one value for each channel to train on, since its variance tells nothing.
func BatchNorm(scope *model.Scope, x *Node) *Node {
	const momentum, epsilon = 0.9, 1e-5
	if x.Rank() < 2 || !x.DType().IsFloat() {
		exceptions.Panicf("nn.BatchNorm: need floats [N, ..., C], got %s", x.Shape())
	}
	g, c := x.Graph(), x.Shape().Dim(-1)
	variable := func(name string, init model.VariableInitializer) *model.Variable {
		return scope.WithInitializer(init).VariableWithShape(name, shapes.Make(x.DType(), c))
	}
	scale, offset := variable("scale", initializer.One).NodeValue(g), variable("offset", initializer.Zero).NodeValue(g)
	// On every build, since checkpoints do not keep it.
	runningMean := variable("mean", initializer.Zero).SetTrainable(false)
	runningVariance := variable("variance", initializer.One).SetTrainable(false)
	mean, variance := runningMean.NodeValue(g), runningVariance.NodeValue(g)

	row := func(v *Node) *Node { return Reshape(v, 1, c) }
	rows := Reshape(x, -1, c) // MxC
	if scope.IsTraining(g) {
		m := rows.Shape().Dim(0)
		if m < 2 {
			exceptions.Panicf("nn.BatchNorm: training needs more than one value for each channel, got %s", x.Shape())
		}
		// Normalising ignores a shift. Taking off the first row keeps the sum small where the mean is large beside the
		// spread: summed as it is, 1e4 +- 1 over a batch of feature maps would put the mean off by a tenth of the spread.
		shift := StopGradient(SliceAxis(rows, 0, AxisElem(0)))
		rows = Sub(rows, shift)
		batchMean := ReduceMean(rows, 0)
		batchVariance := ReduceMean(Square(Sub(rows, row(batchMean))), 0)
		move := func(v *model.Variable, from, to *Node) {
			v.SetNodeValue(StopGradient(Add(MulScalar(from, momentum), MulScalar(to, 1-momentum))))
		}
		move(runningMean, mean, Add(batchMean, Reshape(shift, c)))
		move(runningVariance, variance, MulScalar(batchVariance, float64(m)/float64(m-1)))
		mean, variance = batchMean, batchVariance
	}
	// Not Rsqrt: it has no gradient.
	y := Mul(Sub(rows, row(mean)), row(Div(scale, Sqrt(AddScalar(variance, epsilon)))))
	return Reshape(Add(y, row(offset)), x.Shape().Dimensions...)
}
