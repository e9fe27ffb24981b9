// Package view makes the views that self-supervised methods compare, inside the graph: random draws come from the store,
// so that they are saved and resumed with it. Images are [N, H, W, C].
package view

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/internal/shard"
)

// Transform draws one random view of each image of the batch x [N, H, W, C], with the random numbers of scope's store.
type Transform func(scope *model.Scope, x *Node) *Node

// Chain applies the transforms from left to right.
func Chain(transforms ...Transform) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		for _, t := range transforms {
			x = t(scope, x)
		}
		return x
	}
}

// Flip mirrors each image of x [N, H, W, C], of any dtype, left to right with probability one half.
func Flip(scope *model.Scope, x *Node) *Node {
	n, h, w := checkImages("Flip", x)
	g := x.Graph()
	coin := LessThan(scope.RandomUniform(g, shapes.Make(dtypes.Float32, n, 1, 1)), Const(g, float32(0.5)))
	row, column := grid(g, h, w)
	mirrored := Neg(AddScalar(column, 1-w)) // w-1-column
	column = Where(BroadcastToDims(coin, n, 1, w), BroadcastToDims(mirrored, n, 1, w), BroadcastToDims(column, n, 1, w))
	return take(x, row, column)
}

// RandomCrop pads every side of x [N, H, W, C], of any dtype, with pad zeros and cuts a window of H by W out, at a place
// drawn for each image: each of the (2*pad+1)^2 shifts is equally likely. With pad 4 and then [Flip] it is the usual recipe
// for CIFAR, RotNet's too; zero is black, as there. Shifts have no preferred direction, so that their black
// margins tell nothing about a rotation that follows.
func RandomCrop(pad int) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		n, h, w := checkImages("RandomCrop", x)
		if pad < 0 {
			exceptions.Panicf("view.RandomCrop: pad is %d; it must be at least 0", pad)
		}
		g := x.Graph()
		draw := func() *Node {
			return AddScalar(scope.RandomIntN(g, int32(2*pad+1), shapes.Make(dtypes.Int32, n, 1, 1)), -pad)
		}
		row, column := grid(g, h, w)
		row, column = Add(row, draw()), Add(column, draw()) // Nxhx1, Nx1xw
		y := take(x, ClipScalar(row, 0, float64(h-1)), ClipScalar(column, 0, float64(w-1)))
		inside := LogicalAnd(within(row, h), within(column, w)) // Nxhxw
		return Where(BroadcastToShape(InsertAxes(inside, -1), shapes.Make(dtypes.Bool, y.Shape().Dimensions...)), y, ZerosLike(y))
	}
}

// within tells where 0 <= i < n.
func within(i *Node, n int) *Node {
	return LogicalAnd(GreaterOrEqual(i, ZerosLike(i)), LessThan(i, AddScalar(ZerosLike(i), n)))
}

// grid returns the rows [1, h, 1] and columns [1, 1, w] of an image, int32.
func grid(g *Graph, h, w int) (row, column *Node) {
	return Iota(g, shapes.Make(dtypes.Int32, 1, h, 1), 1), Iota(g, shapes.Make(dtypes.Int32, 1, 1, w), 2)
}

// take builds the images whose pixels are x's pixels at (row, column), int32 and in range, which broadcast to
// [N or 1, h, w]. It copies, bit by bit: a product with a permutation matrix would round on hardware that multiplies in
// TF32 or bfloat16. And it has a gradient, which Reverse has not.
func take(x, row, column *Node) *Node {
	g, d := x.Graph(), x.Shape().Dimensions
	n, h, w, c := d[0], d[1], d[2], d[3]
	image := Iota(g, shapes.Make(dtypes.Int32, n, 1, 1), 0)
	flat := Add(MulScalar(Add(MulScalar(image, h), row), w), column) // Nxhxw
	oh, ow := flat.Shape().Dim(1), flat.Shape().Dim(2)
	return shard.Batch(Reshape(Gather(Reshape(x, n*h*w, c), Reshape(flat, n*oh*ow, 1)), n, oh, ow, c))
}

func checkImages(name string, x *Node) (n, h, w int) {
	if x.Rank() != 4 || x.Shape().Size() == 0 {
		exceptions.Panicf("view.%s: images must be [N, H, W, C], none of them 0, got %s", name, x.Shape())
	}
	d := x.Shape().Dimensions
	return d[0], d[1], d[2]
}

func checkSquare(name string, x *Node) (n, size int) {
	n, h, w := checkImages(name, x)
	if h != w {
		exceptions.Panicf("view.%s: images must be square, got %s; crop them first", name, x.Shape())
	}
	return n, h
}

func checkFloat(name string, x *Node) {
	if t := x.DType(); t != dtypes.Float32 && t != dtypes.Float64 {
		exceptions.Panicf("view.%s: pixels must be float32 or float64, got %s", name, x.Shape())
	}
}
