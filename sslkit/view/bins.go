package view

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Bins is Q, the number of bins of the colours of CIE Lab: squares of 10 by 10 in a and b. (Zhang et al. 2016, "Colorful Image
// Colorization", Sec. 2.1.)
const Bins = 313

// BinStep is the distance of neighbouring bins.
const BinStep = 10

// binRows are the first and the last b, in tens, of the bins of each a from -90 to 100. They are the extent that Zhang et al.
// published (pts_in_hull.npy of their repository richzhang/colorization), and which no simple rule gives: of the squares about these
// centres 261 hold a colour of sRGB, of the centres 229 are one, and with their eight neighbours these are 309 of the 313.
var binRows = [...][2]int{
	{5, 9}, {2, 9}, {0, 9}, {-2, 9}, {-3, 10}, {-4, 10}, {-5, 10}, {-5, 10}, {-6, 10}, {-7, 10},
	{-8, 9}, {-8, 9}, {-9, 9}, {-10, 9}, {-10, 8}, {-11, 8}, {-11, 8}, {-11, 7}, {-11, 7}, {-9, 0},
}

// BinCenters are the centres (a, b) of the bins, by rising a and then b, as in pts_in_hull.npy.
func BinCenters() [][2]float64 {
	centers := make([][2]float64, 0, Bins)
	for i, row := range binRows {
		for b := row[0]; b <= row[1]; b++ {
			centers = append(centers, [2]float64{float64(BinStep * (i - 9)), float64(BinStep * b)})
		}
	}
	return centers
}

// SoftBins spreads each colour of ab [..., 2], float32 or float64, over the so many bins that are nearest to it, in proportion to
// exp(-d^2/(2 sigma^2)) of their distances d: [..., Bins], each a distribution. Among equally near ones the first bins count.
// It has no gradient. (Zhang et al. 2016, Sec. 2.1: "soft-encoding", with 5 bins and sigma = 5; their code has 10 bins.)
func SoftBins(ab *Node, neighbours int, sigma float64) *Node {
	if neighbours < 1 || neighbours > Bins || !(sigma > 0) {
		exceptions.Panicf("view.SoftBins: %d neighbours of %d bins, sigma %g: want 1 or more, and a sigma above 0", neighbours, Bins, sigma)
	}
	d := binDistances("SoftBins", ab)
	none := AddScalar(ZerosLike(d), math.Inf(-1))
	rest, weight := Neg(d), none
	for range neighbours {
		nearest := Equal(InsertAxes(ArgMax(rest, -1), -1), Iota(d.Graph(), shapes.Make(dtypes.Int32, d.Shape().Dimensions...), -1))
		weight, rest = Where(nearest, rest, weight), Where(nearest, none, rest)
	}
	return Softmax(DivScalar(weight, 2*sigma*sigma))
}

// NearestBin is the bin whose centre is nearest to each colour of ab [..., 2], float32 or float64: [...] int32. Among equally near
// ones it is the first.
func NearestBin(ab *Node) *Node { return ArgMin(binDistances("NearestBin", ab), -1) }

// AnnealedMean is the mean colour (a, b) of distributions over the bins, given as logits [..., Bins], float32 or float64, after
// their temperature was lowered: the weights are softmax(logits/temperature). 1 is the mean, and 0, the limit, the mode: the first
// one among equals, which has no gradient. The result is [..., 2]. (Zhang et al. 2016, Eq. 5; their choice is 0.38.)
func AnnealedMean(logits *Node, temperature float64) *Node {
	checkLast("AnnealedMean", logits, Bins)
	if !(temperature >= 0) || math.IsInf(temperature, 1) {
		exceptions.Panicf("view.AnnealedMean: temperature %g; it must be finite and at least 0", temperature)
	}
	rows := Reshape(logits, -1, Bins)
	var weights *Node
	if temperature == 0 {
		weights = OneHot(ArgMax(StopGradient(rows), -1), Bins, rows.DType())
	} else {
		weights = Softmax(DivScalar(rows, temperature))
	}
	dims := append([]int{}, logits.Shape().Dimensions...)
	dims[len(dims)-1] = 2
	return Reshape(MatMul(weights, ConstAs(logits, BinCenters())), dims...)
}

// binDistances are the squared distances of colours [..., 2] from the bins, [..., Bins].
func binDistances(name string, ab *Node) *Node {
	checkLast(name, ab, 2)
	ab = StopGradient(ab)
	axis := func(i int) *Node {
		at := make([]float64, Bins)
		for k, c := range BinCenters() {
			at[k] = c[i]
		}
		return Square(Sub(SliceAxis(ab, -1, AxisElem(i)), ExpandLeftToRank(ConstAs(ab, at), ab.Rank())))
	}
	return Add(axis(0), axis(1))
}

func checkLast(name string, x *Node, size int) {
	checkFloat(name, x)
	if x.Rank() < 2 || x.Shape().Size() == 0 || x.Shape().Dim(-1) != size {
		exceptions.Panicf("view.%s: want [..., %d], none of them 0, got %s", name, size, x.Shape())
	}
}
