package view

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/internal/shard"
)

// Hidden is how many of n patches a mask of this ratio hides: ratio*n, rounded.
func Hidden(n int, ratio float64) int { return int(math.Round(ratio * float64(n))) }

// RandomMask draws a random order of the patches [N, L, P] of each image, with the random numbers of scope's store: [N, L]
// int32, all L! orders of an image equally likely. To mask is to hide the last [Hidden] of them and to keep the others, so
// that every image hides equally many; sets of hidden patches are nested in the ratio. It has no gradient.
func RandomMask(scope *model.Scope, patches *Node) *Node {
	n, l := checkPatches("RandomMask", patches)
	return argsort(scope.RandomUniform(patches.Graph(), shapes.Make(dtypes.Float32, n, l)))
}

// RandomOrder draws, as [RandomMask] does, a random order of the places of each row of among, bool [N, L], in which those where it is
// true come first: [N, L] int32. To choose k of these is to take the first k.
func RandomOrder(scope *model.Scope, among *Node) *Node {
	if among.Rank() != 2 || among.Shape().Size() == 0 || among.DType() != dtypes.Bool {
		exceptions.Panicf("view.RandomOrder: the places to order must be bool [N, L], none of them 0, got %s", among.Shape())
	}
	noise := scope.RandomUniform(among.Graph(), shapes.Make(dtypes.Float32, among.Shape().Dimensions...)) // in [0, 1)
	return argsort(Where(among, noise, AddScalar(noise, 1)))
}

// argsort counts, for each number of x [N, L], the lower ones, and of equal ones those before it. For some hundred numbers
// that is as quick as sorting, and much quicker on the pure Go backend, if sums run along the first of the two axes.
func argsort(x *Node) *Node {
	l := x.Shape().Dim(1)
	i, j := Iota(x.Graph(), shapes.Make(dtypes.Int32, 1, l, l), 1), Iota(x.Graph(), shapes.Make(dtypes.Int32, 1, l, l), 2)
	other, own := InsertAxes(x, 2), InsertAxes(x, 1)                                        // NxLx1, Nx1xL
	lower := LogicalOr(LessThan(other, own), LogicalAnd(Equal(other, own), LessThan(i, j))) // NxLxL
	return Ranks(ConvertDType(ReduceSum(ConvertDType(lower, dtypes.Float32), 1), dtypes.Int32))
}

// Ranks returns the place of each patch in order [N, L] int32, which is its inverse permutation and of the same shape.
func Ranks(order *Node) *Node {
	checkIndex("Ranks", order)
	n, l := order.Shape().Dim(0), order.Shape().Dim(1)
	k := Iota(order.Graph(), shapes.Make(dtypes.Int32, n, l, l), 1)
	is := Equal(InsertAxes(order, 2), Iota(order.Graph(), shapes.Make(dtypes.Int32, 1, 1, l), 2)) // the k-th is i
	return ReduceSum(Where(is, k, ZerosLike(k)), 1)
}

// Pick returns the patches x [N or 1, L, D] at the places index [N, K] int32, in [0, L): [N, K, D]. It copies, bit by bit.
func Pick(x, index *Node) *Node {
	images, l := checkPatches("Pick", x)
	checkIndex("Pick", index)
	if images != 1 && images != index.Shape().Dim(0) {
		exceptions.Panicf("view.Pick: index %s is for other than the %d images of %s", index.Shape(), images, x.Shape())
	}
	n, k, d := index.Shape().Dim(0), index.Shape().Dim(1), x.Shape().Dim(2)
	if images > 1 {
		index = Add(index, MulScalar(Iota(x.Graph(), shapes.Make(dtypes.Int32, n, 1), 0), l))
	}
	return shard.Batch(Reshape(Gather(Reshape(x, images*l, d), Reshape(index, n*k, 1)), n, k, d))
}

func checkPatches(name string, x *Node) (n, l int) {
	if x.Rank() != 3 || x.Shape().Size() == 0 || !x.DType().IsFloat() {
		exceptions.Panicf("view.%s: patches must be floats [N, L, D], none of them 0, got %s", name, x.Shape())
	}
	return x.Shape().Dim(0), x.Shape().Dim(1)
}

func checkIndex(name string, x *Node) {
	if x.Rank() != 2 || x.Shape().Size() == 0 || x.DType() != dtypes.Int32 {
		exceptions.Panicf("view.%s: places of patches must be [N, K] int32, none of them 0, got %s", name, x.Shape())
	}
}
