package view

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// What follows guards patches of an image against shortcuts: traces of where they were that have nothing to do with what
// they show. An image of one channel has no colours to guard, and passes.

// Standardize gives each image of x [N, H, W, C], float32 or float64, a mean of 0.5 in each channel and a deviation of 0.25
// over all of its pixels and channels, which is what photos in [0, 1] have on average, so that a backbone takes both.
// The one deviation keeps the channels' proportions, and flat images flat: it is never taken for less than a grey level,
// 1/255. (Doersch's and Noroozi's code subtract the channels' means as well, and Doersch's divides by the one deviation.)
func Standardize(x *Node) *Node {
	checkImages("Standardize", x)
	checkFloat("Standardize", x)
	const level2 = 1. / (255 * 255)
	x = Sub(x, ReduceAndKeep(x, ReduceMean, 1, 2))
	variance := ReduceAndKeep(Square(x), ReduceMean, 1, 2, 3) // Nx1x1x1
	return AddScalar(MulScalar(Div(x, Sqrt(MaxScalar(variance, level2))), 0.25), 0.5)
}

// ProjectColors takes the green-magenta axis out of x [N, H, W, 1 or 3], float32 or float64: every colour is multiplied by
// B = I - a'a/(aa') with a = (-1, 2, -1), after which green is the mean of red and blue. Values may leave [0, 1].
//
// Doersch et al. 2015, "Unsupervised Visual Representation Learning by Context Prediction", Sec. 3.1, "projection".
func ProjectColors(x *Node) *Node {
	checkImages("ProjectColors", x)
	checkFloat("ProjectColors", x)
	c := x.Shape().Dim(3)
	if c == 1 {
		return x
	}
	if c != 3 {
		exceptions.Panicf("view.ProjectColors: images must have 1 or 3 channels, got %s", x.Shape())
	}
	b := DivScalar(ConstAs(x, [][]float64{{5, 2, -1}, {2, 2, 2}, {-1, 2, 5}}), 6)
	return Einsum("nhwc,cd->nhwd", x, b)
}

// DropColors keeps one channel of each image of x [N, H, W, C], float32 or float64, drawn for each, and replaces the
// others by Gaussian noise about 0.5, whose deviation is a hundredth of the kept channel's. (The noise has no gradient.)
//
// Doersch et al. 2015, "Unsupervised Visual Representation Learning by Context Prediction", Sec. 3.1, "color dropping".
func DropColors(scope *model.Scope, x *Node) *Node {
	n, _, _ := checkImages("DropColors", x)
	checkFloat("DropColors", x)
	g, c := x.Graph(), x.Shape().Dim(3)
	if c == 1 {
		return x
	}
	kept := scope.RandomIntN(g, int32(c), shapes.Make(dtypes.Int32, n, 1, 1, 1))
	isKept := Equal(kept, Iota(g, shapes.Make(dtypes.Int32, 1, 1, 1, c), 3)) // Nx1x1xC
	isKept = BroadcastToDims(isKept, x.Shape().Dimensions...)
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, 1, 2))
	variance := ReduceAndKeep(Where(isKept, Square(centred), ZerosLike(x)), ReduceMean, 1, 2) // Nx1x1xC
	deviation := Sqrt(ReduceAndKeep(variance, ReduceSum, 3))
	noise := Mul(MulScalar(deviation, 0.01), scope.RandomNormal(g, x.Shape()))
	return Where(isKept, x, StopGradient(AddScalar(noise, 0.5)))
}

// ShiftColors moves each channel of each image of x [N, H, W, C], of any dtype, by up to so many pixels in each direction:
// each of the (2*by+1)^2 shifts is equally likely, and drawn for each channel. The edge is repeated.
//
// Noroozi & Favaro 2016, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", "Preventing
// Shortcuts": they "(spatially) jitter the color channels" of tiles of 64 pixels by up to 2.
func ShiftColors(by int) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		n, h, w := checkImages("ShiftColors", x)
		if by < 0 {
			exceptions.Panicf("view.ShiftColors: channels are to move by %d pixels; it must be at least 0", by)
		}
		g, channels := x.Graph(), make([]*Node, x.Shape().Dim(3))
		if len(channels) == 1 {
			return x
		}
		row, column := grid(g, h, w)
		moved := func(i *Node, length int) *Node {
			shift := AddScalar(scope.RandomIntN(g, int32(2*by+1), shapes.Make(dtypes.Int32, n, 1, 1)), -by)
			return ClipScalar(Add(i, shift), 0, float64(length-1))
		}
		for i := range channels {
			channels[i] = take(SliceAxis(x, 3, AxisElem(i)), moved(row, h), moved(column, w))
		}
		return Concatenate(channels, 3)
	}
}

// Pixelate shrinks a share, in [0, 1], of the images of x [N, S, S, C], float32 or float64, and enlarges them again. The
// area that is left is uniform between (10/96)^2 and all of it: by averaging to whole numbers of pixels, then bilinear.
//
// Doersch et al. 2015, "Unsupervised Visual Representation Learning by Context Prediction", Sec. 3.2: "randomly
// downsampling some patches to as little as 100 total pixels, and then upsampling"; of 96x96 pixels, and a third of
// the patches in the authors' code.
func Pixelate(share float64) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		n, size := checkSquare("Pixelate", x)
		checkFloat("Pixelate", x)
		if !(share >= 0 && share <= 1) {
			exceptions.Panicf("view.Pixelate: a share of %g; it must be in [0, 1]", share)
		}
		const least = 100. / (96 * 96)
		draw := func() *Node { return scope.RandomUniform(x.Graph(), shapes.Make(x.DType(), n, 1, 1)) }
		area := AddScalar(MulScalar(draw(), 1-least), least)
		side := MaxScalar(Round(MulScalar(Sqrt(area), float64(size))), 1) // Nx1x1
		coarse := coarsen(side, size)                                     // NxSxS
		y := Einsum("nij,njwc->niwc", coarse, x)
		y = Einsum("nij,nhjc->nhic", coarse, y)
		chosen := InsertAxes(LessThan(draw(), ConstAs(x, share)), -1) // Nx1x1x1
		return Where(BroadcastToDims(chosen, x.Shape().Dimensions...), y, x)
	}
}

// coarsen returns the matrices [N, size, size] that shrink a line of size pixels to side pixels [N, 1, 1] and enlarge it.
func coarsen(side *Node, size int) *Node {
	i := Iota(side.Graph(), shapes.Make(side.DType(), 1, size, 1), 1)
	j := Iota(side.Graph(), shapes.Make(side.DType(), 1, 1, size), 2)
	width := Div(ConstAs(side, float64(size)), side) // of a coarse pixel
	// Coarse pixel i covers [i*width, (i+1)*width) of the line, and those from side on nothing.
	covered := Sub(Min(Mul(AddScalar(i, 1), width), AddScalar(j, 1)), Max(Mul(i, width), j))
	shrink := Div(MaxScalar(covered, 0), width)
	at := AddScalar(Div(AddScalar(i, 0.5), width), -0.5) // of fine pixel i among the coarse
	at = Min(MaxScalar(at, 0), AddScalar(side, -1))
	enlarge := MaxScalar(OneMinus(Abs(Sub(j, at))), 0)
	return Einsum("nij,njk->nik", enlarge, shrink)
}
