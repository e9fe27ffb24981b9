package view

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Patchify cuts each image of x [N, S, S, C], of any dtype, into a grid of squares of patch pixels a side, row by row:
// [N, L, patch*patch*C], where L = (S/patch)^2 and a patch's values are ordered by row, column and channel, as in MAE's
// code (models_mae.py, patchify). It moves pixels and computes none. Panics with an error where S is no multiple of patch.
func Patchify(x *Node, patch int) *Node {
	n, size := checkSquare("Patchify", x)
	if patch < 1 || size%patch != 0 {
		exceptions.Panicf("view.Patchify: patches of %d pixels do not tile images %s: their side must be a multiple", patch, x.Shape())
	}
	grid, c := size/patch, x.Shape().Dim(3)
	x = Reshape(x, n, grid, patch, grid, patch, c)
	x = TransposeAllAxes(x, 0, 1, 3, 2, 4, 5) // N, grid row, grid column, p, q, c
	return Reshape(x, n, grid*grid, patch*patch*c)
}

// Unpatchify puts what [Patchify] cut, [N, L, patch*patch*C], together again: [N, S, S, C]. L is a square number.
func Unpatchify(patches *Node, patch int) *Node {
	s := patches.Shape()
	if s.Rank() != 3 || s.Size() == 0 || patch < 1 || s.Dim(2)%(patch*patch) != 0 {
		exceptions.Panicf("view.Unpatchify: want [N, L, %d*%d*C], none of them 0, got %s", patch, patch, s)
	}
	n, grid, c := s.Dim(0), int(math.Sqrt(float64(s.Dim(1)))), s.Dim(2)/(patch*patch)
	if grid*grid != s.Dim(1) {
		exceptions.Panicf("view.Unpatchify: %d patches are no square grid", s.Dim(1))
	}
	x := Reshape(patches, n, grid, grid, patch, patch, c)
	x = TransposeAllAxes(x, 0, 1, 3, 2, 4, 5) // N, grid row, p, grid column, q, c
	return Reshape(x, n, grid*patch, grid*patch, c)
}
