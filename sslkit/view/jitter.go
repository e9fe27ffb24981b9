package view

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// ColorJitter changes the brightness, contrast, saturation and hue of each image with probability p, as torchvision's: by
// factors drawn evenly from [max(0, 1-s), 1+s) for the first three, where s is the strength, at least 0, and from
// [-hue, hue) for the last, where hue is at most 0.5, in an order drawn for each image, too. What has strength 0 is left
// out, as are saturation and hue of images of one channel. Shapes as for [AdjustBrightness].
func ColorJitter(p, brightness, contrast, saturation, hue float64) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		in := checkColours("ColorJitter", x)
		checkProbability("ColorJitter", p)
		if !(min(brightness, contrast, saturation, hue) >= 0 && hue <= 0.5) {
			exceptions.Panicf("view.ColorJitter: strengths %g, %g, %g and %g must be at least 0, that of the hue at most 0.5",
				brightness, contrast, saturation, hue)
		}
		var steps []adjustment
		add := func(kind adjustable, strength, low, high float64) {
			if strength > 0 && (len(in) == 3 || kind == isBrightness || kind == isContrast) {
				u := uniforms(scope, x, 2)
				steps = append(steps, adjustment{kind, between(u[0], low, high), u[1]})
			}
		}
		add(isBrightness, brightness, max(0, 1-brightness), 1+brightness)
		add(isContrast, contrast, max(0, 1-contrast), 1+contrast)
		add(isSaturation, saturation, max(0, 1-saturation), 1+saturation)
		add(isHue, hue, -hue, hue)
		if len(steps) == 0 {
			return x
		}
		return join(where(chance(scope, x, p), jitter(in, steps), in))
	}
}

// RandomGrayscale applies [Grayscale] to each image with probability p.
func RandomGrayscale(p float64) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		in := checkColours("RandomGrayscale", x)
		checkProbability("RandomGrayscale", p)
		if len(in) == 1 {
			return x
		}
		y := luma(in)
		return join(where(chance(scope, x, p), []*Node{y, y, y}, in))
	}
}

// RandomSolarize applies [Solarize] to each image with probability p.
func RandomSolarize(p, threshold float64) Transform {
	return func(scope *model.Scope, x *Node) *Node {
		checkProbability("RandomSolarize", p)
		return Where(chance(scope, x, p), Solarize(x, threshold), x)
	}
}

type adjustable int

const (
	isBrightness adjustable = iota
	isContrast
	isSaturation
	isHue
)

// adjustment changes each image by its factor [N] after those of a smaller place [N], in [0, 1).
type adjustment struct {
	kind          adjustable
	factor, place *Node
}

// jitter makes the adjustments to the planes p, in each image's own order: each round makes all of them and keeps, for each
// image, the one whose turn it is. That is cheap, since three of the four are one blend. (A round for each blend before
// the hue and another after it, of which each image idles through half, takes as long.)
func jitter(p []*Node, steps []adjustment) []*Node {
	for turn := range steps {
		gray := luma(p)
		factor, with := ZerosLike(steps[0].factor), ZerosLike(gray)
		var hued []*Node
		var isHued *Node
		for i, s := range steps {
			now := Equal(rank(steps, i), AddScalar(ZerosLike(s.place), float64(turn)))
			factor = Where(now, s.factor, factor)
			switch s.kind {
			case isContrast:
				with = Where(now, BroadcastToShape(mean(gray), gray.Shape()), with)
			case isSaturation:
				with = Where(now, gray, with)
			case isHue:
				hued, isHued = turnHue(p, InsertAxes(s.factor, -1, -1)), now
			}
		}
		p = blend(p, with, InsertAxes(factor, -1, -1))
		if hued != nil {
			p = where(isHued, hued, p)
		}
		for c := range p {
			p[c] = settle(p[c], steps[0].place)
		}
	}
	return p
}

// rank counts the adjustments before the i-th; of equal places, the first is first.
func rank(steps []adjustment, i int) *Node {
	n := ZerosLike(steps[i].place)
	for j, s := range steps {
		before := LessThan(s.place, steps[i].place)
		if j < i {
			before = LessOrEqual(s.place, steps[i].place)
		}
		n = Add(n, ConvertDType(before, n.DType()))
	}
	return n
}

// settle divides the plane by a 1 that XLA does not see through, any being numbers [N] of at least 0. XLA on CPU computes
// what is cheap anew for each use, and each plane of a round is used by all those of the next, so that four rounds on
// 256 images of 32x32 would take 5 s in place of 5 ms. A division is dear to it, and made once.
func settle(plane, any *Node) *Node {
	any = AddScalar(any, 1)
	return Div(plane, InsertAxes(Div(any, any), -1, -1))
}

// uniforms draws k numbers in [0, 1) for each image of x, [N] each of x's dtype.
func uniforms(scope *model.Scope, x *Node, k int) []*Node {
	u := scope.RandomUniform(x.Graph(), shapes.Make(x.DType(), k, x.Shape().Dim(0)))
	out := make([]*Node, k)
	for i := range out {
		out[i] = Squeeze(SliceAxis(u, 0, AxisElem(i)), 0)
	}
	return out
}

// between maps [0, 1) to [low, high).
func between(u *Node, low, high float64) *Node { return AddScalar(MulScalar(u, high-low), low) }

// chance is true for each image of x with probability p, [N].
func chance(scope *model.Scope, x *Node, p float64) *Node {
	u := uniforms(scope, x, 1)[0]
	return LessThan(u, ConstAs(u, p))
}

// where chooses between planes. Done before they are joined, since XLA on CPU is three times slower with a choice between
// images that are being joined.
func where(condition *Node, a, b []*Node) []*Node {
	y := make([]*Node, len(a))
	for c := range y {
		y[c] = Where(condition, a[c], b[c])
	}
	return y
}

func checkProbability(name string, p float64) {
	if !(p >= 0 && p <= 1) {
		exceptions.Panicf("view.%s: the probability is %g; it must be in [0, 1]", name, p)
	}
}
