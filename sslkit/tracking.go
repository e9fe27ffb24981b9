package sslkit

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// VideoColorization colours a grey frame by pointing at places of earlier frames and copying their colours, which takes
// following what moves.
//
// Vondrick et al., "Tracking Emerges by Colorizing Videos", ECCV 2018, arXiv:1806.09594. Loss is Eq. 3, of the copies of Eq. 1 and
// 2. Left out is the 3D convolution over the frames: each is embedded by itself.
type VideoColorization struct {
	Backbone    nn.Backbone `json:"backbone"`              // of single frames
	Dim         int         `json:"dim"`                   // D, of the embedding f, Sec. 3.1
	References  int         `json:"references"`            // frames that are copied from; each frame after the first so many is a target
	Colors      int         `json:"colors"`                // clusters of ab, Sec. 3.2
	Temperature float64     `json:"temperature,omitempty"` // 0: f as it comes, as in the paper; else f has the length 1/sqrt(temperature)
}

// PaperVideoColorization has the numbers of Sec. 3.
func PaperVideoColorization(backbone nn.Backbone) *VideoColorization {
	return &VideoColorization{Backbone: backbone, Dim: 64, References: 3, Colors: 16}
}

// Validate says what cannot be trained.
func (m *VideoColorization) Validate() error {
	switch {
	case m.Dim < 1 || m.References < 1:
		return fmt.Errorf("sslkit: %d dimensions and %d reference frames: both must be at least 1", m.Dim, m.References)
	case m.Colors < 2:
		return fmt.Errorf("sslkit: video colorization needs at least 2 colors to tell apart, got %d", m.Colors)
	case !(m.Temperature >= 0) || math.IsInf(m.Temperature, 1):
		return fmt.Errorf("sslkit: temperature %g: it must be finite and above 0, or 0 for embeddings of any length", m.Temperature)
	}
	return m.Backbone.Validate()
}

// NeedsColor is true: of grey frames there is nothing to copy.
func (m *VideoColorization) NeedsColor() bool { return true }

// Reports lists how many places get their own colour, and how many would if each copied from the same place of the frame before:
// what is to be gained by following what moves.
func (m *VideoColorization) Reports() []string { return []string{"accuracy", "still"} }

// Loss builds the colouring of all frames but the first References from those just before them.
func (m *VideoColorization) Loss(scope *model.Scope, b Batch) *Node {
	s := b.Image.Shape()
	if s.Rank() != 5 || s.Dim(4) != 3 || s.Dim(1) <= m.References {
		exceptions.Panicf("sslkit: video colorization needs clips [N, T, H, W, 3] of more than %d frames, got %s", m.References, s)
	}
	n, t := s.Dim(0), s.Dim(1)
	x := Frames(b.Image)                                                    // NTxHxWx3
	f := m.Embed(scope, x)                                                  // NTxhxwxD
	c := m.quantize(scope, x, f.Shape().Dim(1), f.Shape().Dim(2))           // NTxP
	target, reference := windows(Reshape(f, n, t, -1, m.Dim), m.References) // MxPxD, MxRPxD
	to, from := windows(Reshape(c, n, t, -1, 1), m.References)
	to, from = Squeeze(to, -1), Squeeze(from, -1) // MxP, MxRP
	l, accuracy := loss.CopiedColors(loss.Pointers(target, reference, nil, 1), from, to, m.Colors)
	Report("accuracy", accuracy)
	before := SliceAxis(from, 1, AxisRangeToEnd(-to.Shape().Dim(1))) // of the last reference
	Report("still", ReduceAllMean(ConvertDType(Equal(before, to), l.DType())))
	return l
}

// Frames are those of clips [N, T, H, W, C], one clip's after the other's: [N*T, H, W, C].
func Frames(clip *Node) *Node {
	return Reshape(clip, append([]int{-1}, clip.Shape().Dimensions[2:]...)...)
}

// windows are the frames of x [N, T, P, D] after the first r, [M, P, D], and the r frames before each, [M, r*P, D].
func windows(x *Node, r int) (target, reference *Node) {
	d := x.Shape().Dimensions
	var targets, references []*Node
	for t := r; t < d[1]; t++ {
		targets = append(targets, Squeeze(SliceAxis(x, 1, AxisElem(t)), 1))
		references = append(references, Reshape(SliceAxis(x, 1, AxisRange(t-r, t)), d[0], r*d[2], d[3]))
	}
	return Concatenate(targets, 0), Concatenate(references, 0)
}

// Embed is f of images [N, H, W, C], of which only the lightness is seen: [N, h, w, D]. Where a place is, from -1 to 1, goes in
// beside the features of the backbone, as in the paper (Sec. 3.4).
func (m *VideoColorization) Embed(scope *model.Scope, image *Node) *Node {
	x, head := nn.Last(m.Encode(scope, image)), scope.At("head") // NxhxwxC
	place := x.Shape().Clone()
	place.Dimensions[3] = 1
	coordinate := func(axis int) *Node {
		return AddScalar(MulScalar(AddScalar(Iota(x.Graph(), place, axis), 0.5), 2/float64(place.Dimensions[axis])), -1)
	}
	x = Concatenate([]*Node{x, coordinate(1), coordinate(2)}, -1)
	x = activation.Relu(nn.BatchNorm(head.At("norm"), nn.Conv(head.At("hidden"), x, m.Dim, 3, 1, false)))
	f := nn.Conv(head.At("out"), x, m.Dim, 1, 1, true)
	if m.Temperature > 0 {
		f = DivScalar(L2Normalize(f, -1), math.Sqrt(m.Temperature))
	}
	return f
}

// Encode is the backbone, on the lightness of images [N, H, W, C].
func (m *VideoColorization) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.At("encoder"), view.Lightness(image))
}
