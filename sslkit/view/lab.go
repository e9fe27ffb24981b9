package view

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Linear sRGB to CIE XYZ, from the primaries and the white point D65 of ITU-R BT.709 to six digits, as in scikit-image and
// OpenCV. A row's sum is the white's coordinate: taken as that, in place of the tabulated 0.95047 and 1.08883, grey has exactly no
// colour. The two whites differ by less than 0.006 in a and b.
var (
	toXYZ   = [3][3]float64{{0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}}
	fromXYZ = inverse(toXYZ)
	whiteXY = [3]float64{0.950456, 1, 1.088754}
)

// The break points of the two curves, below which they are straight lines.
const (
	sRGBBreak = 0.04045      // of sRGB, IEC 61966-2-1
	rgbBreak  = 0.0031308    // of linear RGB
	labBreak  = 6. / 29      // of the f of CIE 15
	labCube   = 216. / 24389 // its cube
	labSlope  = 841. / 108   // of f below that
	labOffset = 4. / 29      // of f there
	sRGBPower = 2.4
	sRGBSlope = 12.92
	sRGBAlpha = 0.055
)

// RGBToLab converts images x [N, H, W, 3], float32 or float64 and sRGB in [0, 1], to CIE L*a*b* of the white D65, [N, H, W, 3]: L
// from 0 to 100; a, from green to red, from -86 to 98; b, from blue to yellow, from -108 to 94. Grey has a = b = 0 but for
// rounding. The gradient is finite everywhere. Panics with an error on other shapes and dtypes.
func RGBToLab(x *Node) *Node {
	f := product(toXYZ, linear(threePlanes("RGBToLab", x)))
	for i := range f {
		f[i] = labCurve(DivScalar(f[i], whiteXY[i]))
	}
	l := AddScalar(MulScalar(f[1], 116), -16)
	return join([]*Node{l, MulScalar(Sub(f[0], f[1]), 500), MulScalar(Sub(f[1], f[2]), 200)})
}

// LabToRGB is the inverse of [RGBToLab]. Colours that sRGB lacks are clipped to [0, 1], channel by channel, where their gradient is 0.
func LabToRGB(x *Node) *Node {
	p := threePlanes("LabToRGB", x)
	y := DivScalar(AddScalar(p[0], 16), 116)
	f := []*Node{Add(y, DivScalar(p[1], 500)), y, Sub(y, DivScalar(p[2], 200))}
	for i, t := range f {
		below := DivScalar(AddScalar(t, -labOffset), labSlope)
		f[i] = MulScalar(Where(GreaterThan(t, ConstAs(t, labBreak)), Mul(t, Square(t)), below), whiteXY[i])
	}
	rgb := product(fromXYZ, f)
	for i, v := range rgb {
		above := AddScalar(MulScalar(power(v, rgbBreak, 1/sRGBPower), 1+sRGBAlpha), -sRGBAlpha)
		rgb[i] = unit(Where(GreaterThan(v, ConstAs(v, rgbBreak)), above, MulScalar(v, sRGBSlope)))
	}
	return join(rgb)
}

// Lightness is L*/100 of images x [N, H, W, 3] as for [RGBToLab], or of grey ones [N, H, W, 1]: [N, H, W, 1] in [0, 1].
func Lightness(x *Node) *Node {
	y := linear(checkColours("Lightness", x))
	if len(y) == 3 {
		y = product(toXYZ, y)[1:2]
	}
	return join([]*Node{AddScalar(MulScalar(labCurve(y[0]), 1.16), -0.16)})
}

// linear undoes sRGB's gamma.
func linear(p []*Node) []*Node {
	y := make([]*Node, len(p))
	for i, v := range p {
		above := power(DivScalar(AddScalar(v, sRGBAlpha), 1+sRGBAlpha), (sRGBBreak+sRGBAlpha)/(1+sRGBAlpha), sRGBPower)
		y[i] = Where(GreaterThan(v, ConstAs(v, sRGBBreak)), above, DivScalar(v, sRGBSlope))
	}
	return y
}

func labCurve(t *Node) *Node {
	below := AddScalar(MulScalar(t, labSlope), labOffset)
	return Where(GreaterThan(t, ConstAs(t, labCube)), power(t, labCube, 1./3), below)
}

// power is x^exponent of what is above least, and something finite below, where it is not used: else the gradient at 0 would be
// infinite, and NaN behind Where.
func power(x *Node, least, exponent float64) *Node {
	return Exp(MulScalar(Log(MaxScalar(x, least)), exponent))
}

// product of a matrix with three planes.
func product(m [3][3]float64, p []*Node) []*Node {
	y := make([]*Node, 3)
	for i, row := range m {
		y[i] = Add(Add(MulScalar(p[0], row[0]), MulScalar(p[1], row[1])), MulScalar(p[2], row[2]))
	}
	return y
}

// inverse has the cross products of the rows as its columns, over the determinant.
func inverse(m [3][3]float64) (out [3][3]float64) {
	for i := range 3 {
		a, b := m[(i+1)%3], m[(i+2)%3]
		var det float64
		for j := range 3 {
			out[j][i] = a[(j+1)%3]*b[(j+2)%3] - a[(j+2)%3]*b[(j+1)%3]
			det += m[i][j] * out[j][i]
		}
		for j := range 3 {
			out[j][i] /= det
		}
	}
	return out
}

func threePlanes(name string, x *Node) []*Node {
	p := checkColours(name, x)
	if len(p) != 3 {
		exceptions.Panicf("view.%s: images must have 3 channels, got %s", name, x.Shape())
	}
	return p
}
