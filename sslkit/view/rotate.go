package view

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Rotate90 turns each image of x [N, S, S, C], of any dtype, counter-clockwise by its number of quarter turns: quarter is
// [N] int32, of any sign. It moves pixels and computes none: the result is exact.
func Rotate90(x, quarter *Node) *Node {
	n, size := checkSquare("Rotate90", x)
	if !quarter.Shape().Equal(shapes.Make(dtypes.Int32, n)) {
		exceptions.Panicf("view.Rotate90: quarter must be [%d] int32, one for each image of %s, got %s", n, x.Shape(), quarter.Shape())
	}
	// Two bits of a two's complement number are its remainder by 4, whatever the sign.
	quarter = BitwiseAnd(InsertAxes(quarter, -1, -1), Const(x.Graph(), int32(3))) // Nx1x1
	rows, columns := quarterTurns(x.Graph(), size)
	pick := func(sources [4]*Node) *Node {
		picked := BroadcastToDims(sources[0], n, size, size)
		for k := 1; k < 4; k++ {
			is := Equal(quarter, Const(x.Graph(), int32(k)))
			picked = Where(BroadcastToDims(is, n, size, size), BroadcastToDims(sources[k], n, size, size), picked)
		}
		return picked
	}
	return take(x, pick(rows), pick(columns))
}

// quarterTurns returns where the pixels of k counter-clockwise quarter turns come from, k from 0 to 3.
func quarterTurns(g *Graph, size int) (rows, columns [4]*Node) {
	row, column := grid(g, size, size)
	back := func(i *Node) *Node { return Neg(AddScalar(i, 1-size)) } // size-1-i
	return [4]*Node{row, column, back(row), back(column)}, [4]*Node{column, back(row), back(column), row}
}

// Rotate turns all images of x [N, S, S, C] counter-clockwise about their centre by degrees, a multiple of 45 of any sign.
//
// Multiples of 90 move pixels, of any dtype, and are exact. The others need float32 or float64 and interpolate linearly
// between four pixels; the four of them are exact quarter turns of each other. What comes from outside
// the image repeats its edge: see [Disc] for hiding that, and [Soften] for what interpolation does to the sharpness.
func Rotate(x *Node, degrees int) *Node {
	_, size := checkSquare("Rotate", x)
	if degrees%45 != 0 {
		exceptions.Panicf("view.Rotate: %d degrees; they must be a multiple of 45", degrees)
	}
	eighths := (degrees/45%8 + 8) % 8
	if eighths%2 == 1 {
		checkFloat("Rotate", x)
		x = rotate45(x, size)
	}
	if eighths < 2 {
		return x
	}
	rows, columns := quarterTurns(x.Graph(), size)
	return take(x, rows[eighths/2], columns[eighths/2])
}

// rotate45 turns x counter-clockwise by 45 degrees. The four pixels and their weights are constants of the graph.
func rotate45(x *Node, size int) *Node {
	g := x.Graph()
	centre, last := float64(size-1)/2, float64(size-1)
	row0, row1 := make([]int32, size*size), make([]int32, size*size)
	column0, column1 := make([]int32, size*size), make([]int32, size*size)
	down, right := make([]float64, size*size), make([]float64, size*size)
	for i := range size {
		for j := range size {
			u, v := float64(j)-centre, centre-float64(i) // right and up of the centre
			y := min(max(centre-(v-u)*math.Sqrt2/2, 0), last)
			x := min(max(centre+(u+v)*math.Sqrt2/2, 0), last)
			k := i*size + j
			row0[k], row1[k], down[k] = int32(y), int32(min(math.Floor(y)+1, last)), y-math.Floor(y)
			column0[k], column1[k], right[k] = int32(x), int32(min(math.Floor(x)+1, last)), x-math.Floor(x)
		}
	}
	index := func(i []int32) *Node { return Reshape(Const(g, i), 1, size, size) }
	weight := func(w []float64) *Node { return Reshape(ConstAs(x, w), 1, size, size, 1) }
	mix := func(a, b, w *Node) *Node { return Add(a, Mul(w, Sub(b, a))) }
	r0, r1, c0, c1 := index(row0), index(row1), index(column0), index(column1)
	d, r := weight(down), weight(right)
	return mix(mix(take(x, r0, c0), take(x, r0, c1), r), mix(take(x, r1, c0), take(x, r1, c1), r), d)
}

// Disc sets to fill what lies outside the inscribed disc of x [N, S, S, C], float32 or float64: all pixels whose centre is
// (S-1)/2 or farther from the image's. The mask is the same at all angles, and within it no angle of [Rotate], and no tap
// of [Soften], sees beyond the square: the frame of the interpolation is no cue of the angle.
func Disc(x *Node, fill float64) *Node {
	_, size := checkSquare("Disc", x)
	checkFloat("Disc", x)
	// In half pixels and integers: exact, thus symmetric.
	row, column := grid(x.Graph(), size, size)
	twice := func(i *Node) *Node { return Square(AddScalar(MulScalar(i, 2), 1-size)) }
	radius2 := Add(twice(row), twice(column)) // 1xSxS
	inside := InsertAxes(LessThan(radius2, AddScalar(ZerosLike(radius2), (size-1)*(size-1))), -1)
	return Where(BroadcastToShape(inside, shapes.Make(dtypes.Bool, x.Shape().Dimensions...)), x, AddScalar(ZerosLike(x), fill))
}

// The kernel of Soften. Least squares over the frequencies between the log power spectra of softened upright images and of
// images turned by 45 degrees, for isotropic noise of power 1/f^2 and 1/f^3 seen through square pixels. A separable
// (1/12, 10/12, 1/12), which has the mean response of linear interpolation at a random fraction of a pixel to second
// order, leaves twice the error: with the grid turned, the diagonals are blurred more.
const (
	softenEdge   = 0.050 // each of the 4 neighbours
	softenCorner = 0.036 // each of the 4 diagonal neighbours
)

// Soften blurs x [N, H, W, C], float32 or float64, by a 3x3 kernel, with the edge repeated, by as
// much as [Rotate] does at odd multiples of 45 degrees. To be applied at the even ones, whose sharpness would give
// them away otherwise: on natural-like noise the energy of the Laplacian at odd angles is 0.4 to 0.5 of that at even ones
// without it, and within a tenth of it with it.
//
// It matches the average, not everything: interpolation blurs less where a pixel happens to fall on a pixel of the
// source, and this pattern, the same in all images, still tells odd from even angles to a detector made for it. So read
// the pretext accuracy on eight angles with care: one of its three bits can be had without looking at the content.
func Soften(x *Node) *Node {
	checkImages("Soften", x)
	checkFloat("Soften", x)
	column := Add(shift(x, 1, -1), shift(x, 1, 1))
	edges := Add(column, Add(shift(x, 2, -1), shift(x, 2, 1)))
	corners := Add(shift(column, 2, -1), shift(column, 2, 1))
	y := MulScalar(x, 1-4*softenEdge-4*softenCorner)
	return Add(y, Add(MulScalar(edges, softenEdge), MulScalar(corners, softenCorner)))
}

// shift moves x by one pixel along axis, up or down the index as by tells, and repeats the edge.
func shift(x *Node, axis, by int) *Node {
	size := x.Shape().Dim(axis)
	if size == 1 {
		return x
	}
	if by > 0 {
		return Concatenate([]*Node{SliceAxis(x, axis, AxisElem(0)), SliceAxis(x, axis, AxisRange(0, size-1))}, axis)
	}
	return Concatenate([]*Node{SliceAxis(x, axis, AxisRange(1, size)), SliceAxis(x, axis, AxisElem(size-1))}, axis)
}
