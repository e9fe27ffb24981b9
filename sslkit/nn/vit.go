package nn

import (
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// vit is the stages, and where looked at, what the last block attends to.
func vit(scope *model.Scope, x *Node, b Backbone, looked bool) (maps []*Node, weights *Node) {
	h, w := x.Shape().Dim(1), x.Shape().Dim(2)
	if h != w || h%b.Patch != 0 {
		exceptions.Panicf("nn.Backbone.Stages: a vit with patches of %d pixels needs square images whose side is a multiple of that, got %s",
			b.Patch, x.Shape())
	}
	n, grid, p, c := x.Shape().Dim(0), h/b.Patch, b.Patch, x.Shape().Dim(3)
	x = TransposeAllAxes(Reshape(x, n, grid, p, grid, p, c), 0, 1, 3, 2, 4, 5)
	x = b.Embed(scope, Reshape(x, n, grid*grid, p*p*c))           // NxLxD
	x, first := b.place(scope, x, grid)                           // Nxf+LxD
	maps, weights = b.transform(scope, x, seeing{looked: looked}) // Nxf+LxD each
	for i, m := range maps {
		side := grid
		switch {
		case b.Pool == "class":
			m, side = SliceAxis(m, 1, AxisRange(0, 1)), 1
		case first > 0:
			m = SliceAxis(m, 1, AxisRange(first))
		}
		maps[i] = Reshape(m, n, side, side, b.Width)
	}
	if first > 0 && weights != nil {
		weights = Slice(weights, AxisRange(), AxisRange(), AxisRange(first), AxisRange(first))
	}
	return maps, weights
}

// place adds the positions to the patches x [N, L, D], and what comes before them: the class token and the registers, so many tokens.
func (b Backbone) place(scope *model.Scope, x *Node, grid int) (tokens *Node, before int) {
	n := x.Shape().Dim(0)
	variable := func(name string, tokens int) *Node {
		in := scope.In("%s", name)
		return in.WithInitializer(initializer.RandomNormalFn(in, 0.02)).VariableWithShape("tokens", shapes.Make(x.DType(), 1, tokens, b.Width)).NodeValue(x.Graph())
	}
	spread := func(name string, tokens int) *Node {
		return BroadcastToDims(variable(name, tokens), n, tokens, b.Width)
	}
	var class []*Node
	if b.Class {
		class = []*Node{spread("class", 1)}
	}
	switch {
	case b.Registers > 0: // Darcet et al. 2024, "Vision Transformers Need Registers", Sec. 2.2
		// Positions are of the patches only, as in timm: what the class token's would add, it can have of itself.
		place := Positions
		if b.Learnt {
			place = func(*Node, int) *Node { return variable("positions", grid*grid) }
		}
		x = Add(x, place(x, grid))
		return Concatenate(append(class, spread("registers", b.Registers), x), 1), len(class) + b.Registers
	case b.Class:
		x = Concatenate(append(class, x), 1) // Nx1+LxD
	}
	switch {
	case b.Learnt:
		x = Add(x, variable("positions", len(class)+grid*grid))
	case b.Class: // whose position is 0, as in MAE's code
		place := Positions(x, grid)
		x = Add(x, Concatenate([]*Node{ZerosLike(SliceAxis(place, 1, AxisElem(0))), place}, 1))
	default:
		x = Add(x, Positions(x, grid))
	}
	return x, len(class)
}

// Attention is what the last block of a ViT attends to in image [N, H, W, C], as in Stages, whose scope it takes: [N, heads, L, L],
// the weight that the token in a row, of L patches row by row, gives to each; rows sum to 1, but for what goes to a class token and registers. It panics with an error on another
// network, and as Stages does.
func (b Backbone) Attention(scope *model.Scope, image *Node) *Node {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	if b.Arch != "vit" {
		exceptions.Panicf("nn.Backbone.Attention: a vit attends to its patches, a %s has none", b.Arch)
	}
	checkImage("Backbone.Attention", image)
	_, weights := vit(scope, b.normalise(image), b, true)
	return Identity(weights) // the last node: GoMLX v0.28.1's pure-Go backend fails on a result with unused nodes after it
}

// Embed maps patches [N, L, P] of a ViT, centred and ordered by row, column and channel, to tokens [N, L, Width], without
// positions; no gradient reaches the patches. With [Backbone.Transform] it is for methods that show the network some patches only; Stages is all of it.
func (b Backbone) Embed(scope *model.Scope, patches *Node) *Node {
	checkTokens("Backbone.Embed", patches)
	scope = scope.In("patch")
	// GoMLX v0.28.1's fused layer on pure Go would ask for the gradient of the pixels, and of the views they come from.
	return Dense(scope.WithInitializer(initializer.XavierUniformFn(scope)), StopGradient(patches), true, b.Width)
}

// Transform runs the blocks of a ViT on tokens [N, L, Width], positions added. It returns the tokens after each quarter of
// the blocks, or after each block where there are fewer than four, the last after the final layer norm.
func (b Backbone) Transform(scope *model.Scope, tokens *Node) []*Node {
	maps, _ := b.transform(scope, tokens, seeing{})
	return maps
}

func (b Backbone) transform(scope *model.Scope, tokens *Node, see seeing) (maps []*Node, weights *Node) {
	checkTokens("Backbone.Transform", tokens)
	heads := b.AttentionHeads()
	stages := b.Blocks()
	see.scale = b.LayerScale
	last := len(stages) - 1
	for i, depth := range stages {
		stage := see
		stage.looked = see.looked && i == last
		tokens, weights = blocks(scope.In("stage_%d", i+1), tokens, depth, heads, stage)
		maps = append(maps, tokens)
	}
	maps[last] = LayerNorm(scope.In("norm"), tokens)
	return maps, weights
}

// AttentionHeads are those of a vit, see [ViT].
func (b Backbone) AttentionHeads() int {
	switch {
	case b.Heads > 0:
		return b.Heads
	case b.Width >= 192 && b.Width%64 == 0:
		return b.Width / 64
	}
	return b.Width / 32
}

// Positions are [SinCos2D] as a constant [1, grid*grid, D], for tokens x [N, L, D] and of their dtype.
func Positions(x *Node, grid int) *Node {
	return InsertAxes(ConvertDType(Const(x.Graph(), SinCos2D(grid, x.Shape().Dim(-1))), x.DType()), 0)
}

// SinCos2D are fixed embeddings of the positions of a grid, row by row: [grid*grid, dim], where dim is a multiple of 4.
// The first half of each tells the column x, the other half the row y: of either, sin(x*f) for dim/4 frequencies f from
// 1 down to nearly 1/10000, in geometric progression, then cos(x*f). There is no row for a class token. (He et al. 2022,
// App. A.1; the repository facebookresearch/mae, util/pos_embed.py.)
func SinCos2D(grid, dim int) [][]float32 {
	if grid < 1 || dim < 4 || dim%4 != 0 {
		exceptions.Panicf("nn.SinCos2D: grid %d and dimension %d: want at least 1 and a positive multiple of 4", grid, dim)
	}
	rows, quarter := make([][]float32, grid*grid), dim/4
	for i := range rows {
		rows[i] = make([]float32, dim)
		for half, at := range []int{i % grid, i / grid} {
			for k := range quarter {
				sin, cos := math.Sincos(float64(at) / math.Pow(10000, float64(k)/float64(quarter)))
				rows[i][2*half*quarter+k], rows[i][(2*half+1)*quarter+k] = float32(sin), float32(cos)
			}
		}
	}
	return rows
}
