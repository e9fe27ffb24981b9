package nn

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Tubes is a transformer over clips, as a ViT is one over images: its tokens are pieces of so many frames and of patch pixels a
// side, or with a patch of 0 of whole frames, as those of sounds must be, of one frame each. What it encodes a clip to is the mean
// over its tokens; those after the end of a sound are not seen.
func Tubes(blocks, width, patch, span int) Backbone {
	return Backbone{Arch: "tubes", Depth: blocks, Width: width, Patch: patch, Span: span}
}

// Cut cuts clips [N, T, H, W, C] in [0, 1] into the pieces [N, L, P] of a backbone of [Tubes], centred, those of the first frames
// first and each time's row by row, and tells which are there: bool [N, L]. Of each time there are so many pieces: a square of grid
// times grid.
func (b Backbone) Cut(clip *Node) (pieces, there *Node, grid int) {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	valid, d := Valid(clip), clip.Shape().Dimensions
	n, t, h, w, c := d[0], d[1], d[2], d[3], d[4]
	p := b.Patch
	switch {
	case b.Arch != "tubes":
		exceptions.Panicf(`nn.Backbone.Cut: a %s has no pieces of clips, "tubes" have`, b.Arch)
	case t%b.Span != 0:
		exceptions.Panicf("nn.Backbone.Cut: clips of %d frames cannot be cut into pieces of %d frames: choose another span, or other frames", t, b.Span)
	case h == 1 && (p != 0 || b.Span != 1):
		exceptions.Panicf("nn.Backbone.Cut: of a sound each frame is a piece: patch 0 and span 1, not %d and %d", p, b.Span)
	case p > 0 && (h != w || h%p != 0):
		exceptions.Panicf("nn.Backbone.Cut: patches of %d pixels need square frames whose side is a multiple of that, got %s", p, clip.Shape())
	}
	x := Centre(clip)
	if grid = 1; p == 0 {
		pieces = Reshape(x, n, t/b.Span, b.Span*h*w*c)
	} else {
		grid = h / p
		x = TransposeAllAxes(Reshape(x, n, t/b.Span, b.Span, grid, p, grid, p, c), 0, 1, 3, 5, 2, 4, 6, 7)
		pieces = Reshape(x, n, t/b.Span*grid*grid, b.Span*p*p*c)
	}
	if h == 1 {
		return pieces, valid, grid
	}
	return pieces, LogicalNot(Zeros(clip.Graph(), shapes.Make(dtypes.Bool, n, pieces.Shape().Dim(1)))), grid
}

// TransformOver is [Backbone.Transform] of tokens [N, L, Width] that are there where bool [N, L] says so, or where that is nil all:
// see [TransformerOver].
func (b Backbone) TransformOver(scope *model.Scope, tokens, there *Node, dropout float64) []*Node {
	maps, _ := b.transform(scope, tokens, seeing{there: there, dropout: dropout})
	return maps
}

// TubePositions are those of pieces of a clip, as a constant [1, times*grid*grid, D], for tokens x [N, L, D] and of their dtype,
// where D is a multiple of 8: half of each is [SinCos2D] of its place, the other half tells the time in the same way.
func TubePositions(x *Node, times, grid int) *Node {
	d := x.Shape().Dim(-1)
	if d%8 != 0 || times < 1 {
		exceptions.Panicf("nn.TubePositions: %d times and dimension %d: want at least 1 and a multiple of 8", times, d)
	}
	var rows [][]float32
	place := SinCos2D(grid, d/2)
	for t := range times {
		var sines, cosines []float32
		for k := range d / 4 {
			sin, cos := math.Sincos(float64(t) / math.Pow(10000, float64(k)/float64(d/4)))
			sines, cosines = append(sines, float32(sin)), append(cosines, float32(cos))
		}
		for _, p := range place {
			rows = append(rows, append(append(append([]float32(nil), p...), sines...), cosines...))
		}
	}
	return InsertAxes(ConvertDType(Const(x.Graph(), rows), x.DType()), 0)
}

// tubeStages are the means of the tokens that are there after each quarter of the blocks.
func (b Backbone) tubeStages(scope *model.Scope, clip *Node) []*Node {
	pieces, there, grid := b.Cut(clip)
	x := b.Embed(scope, pieces)
	l := x.Shape().Dim(1)
	maps := b.TransformOver(scope, Add(x, TubePositions(x, l/(grid*grid), grid)), there, 0)
	for i, m := range maps {
		maps[i] = Reshape(meanWhere(m, there), -1, 1, 1, b.Width)
	}
	return maps
}
