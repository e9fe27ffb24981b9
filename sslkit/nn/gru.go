package nn

import (
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// GRU runs gated recurrent units (Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
// Machine Translation", Sec. 2.3) over x [N, T, D], float32 or float64, from a state of 0, and returns their states at each time,
// [N, T, width], the one at t a function of x up to t alone. valid, bool [N, T], says where a sequence goes on: where it does not,
// the state stays as it is, so that the last one is that of the last valid time.
//
// The gates are those of PyTorch's GRU, with the reset after the product: r, z = sigmoid(W x + b + U h + d), n = tanh(W x + b +
// r (U h + d)), h' = (1-z) n + z h. The scope gets "input" [D, 3 width], "state" [width, 3 width] and their biases, in the order r,
// z, n, all uniform in +-1/sqrt(width), as there.
func GRU(scope *model.Scope, x, valid *Node, width int) *Node {
	checkTokens("GRU", x)
	g, n, t, d := x.Graph(), x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	if width < 1 || !valid.Shape().Equal(shapes.Make(valid.DType(), n, t)) {
		exceptions.Panicf("nn.GRU: width %d of at least 1, valid [%d, %d], got %s", width, n, t, valid.Shape())
	}
	bound := 1 / math.Sqrt(float64(width))
	scope = scope.WithInitializer(initializer.RandomUniformFn(scope, -bound, bound))
	variable := func(name string, dims ...int) *Node {
		return scope.VariableWithShape(name, shapes.Make(x.DType(), dims...)).NodeValue(g)
	}
	u, du := variable("state", width, 3*width), variable("state_biases", 3*width)
	w, dw := variable("input", d, 3*width), variable("input_biases", 3*width)
	in := Reshape(Add(DotProduct(Reshape(x, n*t, d), w), InsertAxes(dw, 0)), n, t, 3*width) // of all times at once
	h := Zeros(g, shapes.Make(x.DType(), n, width))
	gate := func(x *Node, i int) *Node { return SliceAxis(x, 1, AxisRange(i*width, (i+1)*width)) }
	states := make([]*Node, t)
	for i := range t {
		a := Squeeze(SliceAxis(in, 1, AxisElem(i)), 1) // Nx3W
		b := Add(DotProduct(h, u), InsertAxes(du, 0))  // Nx3W
		r, z := Sigmoid(Add(gate(a, 0), gate(b, 0))), Sigmoid(Add(gate(a, 1), gate(b, 1)))
		new := Tanh(Add(gate(a, 2), Mul(r, gate(b, 2))))
		next := Add(new, Mul(z, Sub(h, new)))
		on := BroadcastToShape(SliceAxis(valid, 1, AxisElem(i)), shapes.Make(valid.DType(), n, width))
		h = Where(on, next, h)
		states[i] = InsertAxes(h, 1)
	}
	return Concatenate(states, 1)
}
