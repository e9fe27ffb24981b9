package sslkit

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/view"
)

// blocks draws, for the patches [N, L, P], those of the context [N, V] and those of the M blocks, one after the other [N, M*K].
func (m *IJEPA) blocks(scope *model.Scope, patches *Node) (context, blocks *Node) {
	g, n, l := patches.Graph(), patches.Shape().Dim(0), patches.Shape().Dim(1)
	grid, area := math.Sqrt(float64(l)), m.Scale*float64(l)
	long, short := int(math.Round(math.Sqrt(area*m.Aspect))), int(max(1, math.Round(math.Sqrt(area/m.Aspect))))
	k := long * short
	if long > int(grid) || l-m.Blocks*k < 1 {
		exceptions.Panicf("sslkit: %d blocks of %dx%d of %d patches leave ijepa no context: lower blocks or scale, or cut smaller patches", m.Blocks, long, short, l)
	}
	draw := func() *Node { return scope.RandomUniform(g, shapes.Make(dtypes.Float32, n, m.Blocks, 1)) } // NxMx1
	i, wide := Iota(g, shapes.Make(dtypes.Int32, n, m.Blocks, k), 2), LessThan(draw(), Const(g, float32(0.5)))
	place := func(width, height int) *Node { // NxMxK
		from := func(size int) *Node { // at most grid-size: a draw is below 1, but its product is rounded
			free := float64(int(grid) - size)
			return ConvertDType(MinScalar(Floor(MulScalar(draw(), free+1)), free), dtypes.Int32)
		}
		column := Add(from(width), Mod(i, AddScalar(ZerosLike(i), width)))
		return Add(MulScalar(Add(from(height), DivScalar(i, width)), int(grid)), column)
	}
	blocks = Reshape(Where(BroadcastToShape(wide, shapes.Make(dtypes.Bool, n, m.Blocks, k)), place(long, short), place(short, long)), n, m.Blocks*k)
	taken := Equal(InsertAxes(blocks, -1), Iota(g, shapes.Make(dtypes.Int32, 1, 1, l), 2))
	key := Add(view.RandomMask(scope, patches), MulScalar(ReduceMax(ConvertDType(taken, dtypes.Int32), 1), l)) // what is taken last
	before := ReduceSum(ConvertDType(LessThan(InsertAxes(key, 2), InsertAxes(key, 1)), dtypes.Float32), 1)
	order := view.Ranks(ConvertDType(before, dtypes.Int32))
	return Slice(order, AxisRange(), AxisRange(0, l-m.Blocks*k)), blocks
}
