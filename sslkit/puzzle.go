package sslkit

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// permutations looks up the permutations y [M], or their inverses: [M, 9] int32.
func (m *Jigsaw) permutations(y *Node, inverse bool) *Node {
	flat := make([]int32, 0, m.Permutations*nine)
	for _, p := range Permutations(m.Permutations, m.Distance, m.Seed) {
		for i := range nine {
			if inverse {
				flat = append(flat, int32(slices.Index(p, i)))
			} else {
				flat = append(flat, int32(p[i]))
			}
		}
	}
	all := Reshape(Const(y.Graph(), flat), m.Permutations, nine)
	return Gather(all, InsertAxes(y, -1))
}

// shuffle lays what belongs to the tiles, [9N, ...], out in the order of each permutation [kN, 9]: [kN, 9, ...].
func shuffle(tiles, permutation *Node) *Node {
	n, puzzles := tiles.Shape().Dim(0)/nine, permutation.Shape().Dim(0)
	image := Reshape(Iota(tiles.Graph(), shapes.Make(dtypes.Int32, puzzles/n, n), 1), puzzles, 1)
	return Gather(tiles, InsertAxes(Add(MulScalar(image, nine), permutation), -1))
}

// Solve shuffles images [N, S, S, C] and has the network put them right: the pictures before and after,
// [N, 3t+2, 3t+2, C] with white lines between the tiles, and the permutation's number, drawn and guessed, [N] int32.
func (m *Jigsaw) Solve(scope *model.Scope, image *Node) (before, after, drawn, guess *Node) {
	tiles := m.Tiles(scope, floatImage(image))
	drawn = m.draw(scope, tiles, 1)
	guess = ArgMax(m.tell(scope, m.Guards.Apply(scope, tiles), drawn), -1)
	puzzle := shuffle(tiles, m.permutations(drawn, false))
	solved := shuffle(Reshape(puzzle, tiles.Shape().Dimensions...), m.permutations(guess, true))
	return picture(puzzle), picture(solved), drawn, guess
}

// picture joins tiles [N, 9, t, t, C] to [N, 3t+2, 3t+2, C].
func picture(tiles *Node) *Node {
	d := tiles.Shape().Dimensions
	n, t, c := d[0], d[2], d[4]
	tiles = Concatenate([]*Node{tiles, OnesLike(SliceAxis(tiles, 2, AxisElem(0)))}, 2)
	tiles = Concatenate([]*Node{tiles, OnesLike(SliceAxis(tiles, 3, AxisElem(0)))}, 3)
	x := TransposeAllAxes(Reshape(tiles, n, 3, 3, t+1, t+1, c), 0, 1, 3, 2, 4, 5)
	x = Reshape(x, n, 3*t+3, 3*t+3, c)
	return Slice(x, AxisRange(), AxisRange(0, 3*t+2), AxisRange(0, 3*t+2))
}
