package sslkit

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Hide draws the holes of images [N, S, S, C], for each image anew: [N, S, S, 1], 1 where a pixel is hidden. It panics unless S
// is a multiple of 4, of at least 8, of which an overlap leaves a hole.
func (m *ContextEncoder) Hide(scope *model.Scope, image *Node) *Node {
	n, side := square("inpainting", image)
	if side < 8 || side%4 != 0 {
		exceptions.Panicf("sslkit: inpainting needs images whose side is a multiple of 4 and at least 8, got %s: choose another size", image.Shape())
	}
	if m.Holes > 0 {
		return view.RandomHoles(scope, image, m.Holes, max(1, int(float64(side)/2/math.Sqrt(float64(m.Holes)))))
	}
	if side/2 <= 2*m.Overlap {
		exceptions.Panicf("sslkit: an overlap of %d leaves nothing of a hole of %d pixels: lower it", m.Overlap, side/2)
	}
	at := AddScalar(Zeros(image.Graph(), shapes.Make(dtypes.Int32, n, 1)), side/4+m.Overlap)
	return view.Holes(image, at, at, side/2-2*m.Overlap)
}

// Inpaint returns the images [N, S, S, C] as the encoder sees them and with what the network paints where hidden [N, S, S, 1] is
// 1, such as [ContextEncoder.Hide] draws it. A network for a central hole knows nothing of others.
func (m *ContextEncoder) Inpaint(scope *model.Scope, image, hidden *Node) (masked, completed *Node) {
	painted := MulScalar(AddScalar(m.paint(scope, image, hidden), 1), 0.5)
	if m.Holes == 0 {
		for _, axis := range []int{1, 2} { // the rest is seen
			margin := painted.Shape().Clone()
			margin.Dimensions[axis] = image.Shape().Dim(1) / 4
			zeros := Zeros(image.Graph(), margin)
			painted = Concatenate([]*Node{zeros, painted, zeros}, axis)
		}
	}
	return fill(image, hidden), Add(Mul(image, OneMinus(hidden)), Mul(painted, hidden))
}

// paint is what the network makes of the region to be painted, in (-1, 1).
func (m *ContextEncoder) paint(scope *model.Scope, image, hidden *Node) *Node {
	h := nn.Last(m.Encode(scope, fill(image, hidden))) // Nxhxhxc
	side := m.region(image).Shape().Dim(1)
	decoder := scope.In("decoder")
	h = nn.ChannelDense(decoder.In("bottleneck"), h)
	return Tanh(nn.Decoder(decoder, h, side, m.Decoder, image.Shape().Dim(3)))
}

// region is the part of x [N, S, S, C] that is painted: the central half of both sides, or all where holes are anywhere.
func (m *ContextEncoder) region(x *Node) *Node {
	if m.Holes > 0 {
		return x
	}
	side := x.Shape().Dim(1)
	middle := AxisRange(side/4, side/4+side/2)
	return Slice(x, AxisRange(), middle, middle)
}

// fill gives hidden pixels the mean of the image's others, in each channel, so that nothing of them is left. (The paper
// fills with the mean colour of its dataset.)
func fill(x, hidden *Node) *Node {
	seen := OneMinus(hidden)
	mean := Div(ReduceAndKeep(Mul(x, seen), ReduceSum, 1, 2), ReduceAndKeep(seen, ReduceSum, 1, 2)) // Nx1x1xC
	return Add(Mul(x, seen), Mul(mean, hidden))
}

// signed maps pixels in [0, 1] to [-1, 1].
func signed(x *Node) *Node { return AddScalar(MulScalar(x, 2), -1) }

// listed are the pixels of x [N, H, W, C] in one list, [N, H*W, C].
func listed(x *Node) *Node { return Reshape(x, x.Shape().Dim(0), -1, x.Shape().Dim(3)) }
