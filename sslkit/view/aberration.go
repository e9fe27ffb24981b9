package view

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// ChromaticAberration plants the lens error of the same name into x [N, H, W, 3], float32 or float64: green is shrunk
// towards the image's centre, to 1/(1+strength) of its size, so that edges get a fringe which points to the centre and
// is as wide as they are far from it: strength times their distance. strength is at least 0, which leaves the image as it is;
// 0.05 is a coarse lens: 1.6 pixels at the edge of 64. Bilinear; the edge is repeated where green would run out.
//
// Of some cameras it is green that shrinks: Doersch et al. 2015, "Unsupervised Visual Representation Learning by Context
// Prediction", Sec. 3.1.
func ChromaticAberration(x *Node, strength float64) *Node {
	_, h, w := checkImages("ChromaticAberration", x)
	checkFloat("ChromaticAberration", x)
	if x.Shape().Dim(3) != 3 {
		exceptions.Panicf("view.ChromaticAberration: images must be [N, H, W, 3], got %s", x.Shape())
	}
	if !(strength >= 0) {
		exceptions.Panicf("view.ChromaticAberration: strength is %g; it must be at least 0", strength)
	}
	channel := func(i int) *Node { return SliceAxis(x, 3, AxisElem(i)) }
	// Larger than the image and about the same centre.
	sources := func(length int) *Node {
		start, extent := -strength/2*float64(length), (1+strength)*float64(length)
		return Squeeze(taps(ConstAs(x, []float64{start}), ConstAs(x, []float64{extent}), nil, length, length), 0)
	}
	green := Einsum("ih,nhwc->niwc", sources(h), channel(1))
	green = Einsum("jw,niwc->nijc", sources(w), green)
	return Concatenate([]*Node{channel(0), green, channel(2)}, 3)
}
