package view

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Holes are K squares in each image of x [N, H, W, C], of this side in pixels, whose upper left corners are at (top, left),
// [N, K] int32 both: [N, H, W, 1] in x's dtype, 1 inside of any square and 0 elsewhere. Squares may overlap, and what
// reaches beyond the image is cut off. It has no gradient.
func Holes(x, top, left *Node, side int) *Node {
	n, h, w := checkImages("Holes", x)
	checkFloat("Holes", x)
	if side < 1 {
		exceptions.Panicf("view.Holes: the side is %d; it must be at least 1", side)
	}
	for _, p := range []*Node{top, left} {
		if p.Rank() != 2 || p.DType() != dtypes.Int32 || p.Shape().Dim(0) != n || !p.Shape().Equal(top.Shape()) {
			exceptions.Panicf("view.Holes: corners must be [%d, K] int32 for the images %s, got %s and %s", n, x.Shape(), top.Shape(), left.Shape())
		}
	}
	inside := func(start *Node, length int) *Node { // NxKxlength
		return within(Sub(Iota(x.Graph(), shapes.Make(dtypes.Int32, 1, 1, length), 2), InsertAxes(start, -1)), side)
	}
	both := LogicalAnd(InsertAxes(inside(top, h), -1), InsertAxes(inside(left, w), -2)) // NxKxHxW
	return ConvertDType(InsertAxes(LogicalAny(both, 1), -1), x.DType())
}

// RandomHoles are [Holes] within the images x [N, H, W, C], count in each, drawn with the random numbers of scope's store: all
// places of a square are equally likely.
func RandomHoles(scope *model.Scope, x *Node, count, side int) *Node {
	n, h, w := checkImages("RandomHoles", x)
	if count < 1 || side > h || side > w {
		exceptions.Panicf("view.RandomHoles: %d holes of side %d in images %s: choose at least 1, no larger than the images", count, side, x.Shape())
	}
	start := func(length int) *Node {
		return scope.RandomIntN(x.Graph(), int32(length-side+1), shapes.Make(dtypes.Int32, n, count))
	}
	return Holes(x, start(h), start(w), side)
}
