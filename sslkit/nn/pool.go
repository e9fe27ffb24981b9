package nn

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// maxPool is the largest value in each window of 3x3 pixels of x [N, H, W, C], two pixels apart, with a padding of 1 that
// is never the largest, as PyTorch's MaxPool2d(3, 2, 1): [N, ceil(H/2), ceil(W/2), C]. The gradient goes to the first of
// equal values, in the order of rows, as there.
func maxPool(x *Node) *Node {
	// Each window that sees a padding also sees the edge beside it, so to repeat the edge is to ignore the padding.
	return pool(x, func(edge *Node) *Node { return edge }, Max)
}

// avgPool is the mean of the same windows, as PyTorch's AvgPool2d(3, 2, 1): the zeros of the padding count.
func avgPool(x *Node) *Node { return MulScalar(pool(x, ZerosLike, Add), 1./9) }

// pool combines the three columns, then the three rows that a window sees; padding gets an edge and returns what is to
// lie beyond.
//
// Windows are taken from pairs of pixels, since the gradient of a slice with a stride is slow on XLA: NIN(4, 24) takes 10 %
// less time for a training step than with strided slices or with GoMLX's pooling, whose gradient the pure Go backend
// lacks besides.
func pool(x *Node, padding func(edge *Node) *Node, combine func(a, b *Node) *Node) *Node {
	for _, axis := range []int{2, 1} {
		if x.Shape().Dim(axis)%2 == 1 {
			x = Concatenate([]*Node{x, padding(SliceAxis(x, axis, AxisElem(-1)))}, axis)
		}
		dims := slices.Insert(slices.Clone(x.Shape().Dimensions), axis+1, 2)
		dims[axis] /= 2
		pairs := Reshape(x, dims...)
		centre := Squeeze(SliceAxis(pairs, axis+1, AxisElem(0)), axis+1)
		after := Squeeze(SliceAxis(pairs, axis+1, AxisElem(1)), axis+1)
		before := padding(SliceAxis(x, axis, AxisElem(0)))
		if dims[axis] > 1 {
			before = Concatenate([]*Node{before, SliceAxis(after, axis, AxisRange(0, -1))}, axis)
		}
		x = combine(combine(before, centre), after)
	}
	return x
}
