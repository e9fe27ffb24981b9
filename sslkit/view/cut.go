package view

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Cut copies K squares of size by size pixels out of each image of x [N, H, W, C], of any dtype: [N*K, size, size, C], all
// of the first image first. Their upper left corners, top and left, are [N, K] int32; a square that would reach beyond the
// image is moved into it. It moves pixels and computes none.
func Cut(x, top, left *Node, size int) *Node {
	n, h, w := checkImages("Cut", x)
	if size < 1 || size > min(h, w) {
		exceptions.Panicf("view.Cut: size is %d; it must be at least 1 and fit into images %s", size, x.Shape())
	}
	if s := top.Shape(); s.Rank() != 2 || s.DType != dtypes.Int32 || s.Dim(0) != n || !left.Shape().Equal(s) {
		exceptions.Panicf("view.Cut: top and left must be [%d, K] int32 for images %s, got %s and %s", n, x.Shape(), s, left.Shape())
	}
	k := top.Shape().Dim(1)
	pixels := func(start *Node, length, axis int) *Node {
		start = InsertAxes(ClipScalar(start, 0, float64(length-size)), -1, -1)
		i := Iota(x.Graph(), shapes.Make(dtypes.Int32, 1, 1, size, size), axis)
		return Reshape(Add(start, i), n, k*size, size)
	}
	y := take(x, pixels(top, h, 2), pixels(left, w, 3)) // NxKsxsxC
	return Reshape(y, n*k, size, size, x.Shape().Dim(3))
}
