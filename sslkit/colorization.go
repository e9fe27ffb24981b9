package sslkit

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Colorization predicts the colours of an image from its lightness: not one colour a place but a distribution, since an apple may be
// red or green.
//
// Zhang, Isola & Efros, "Colorful Image Colorization", ECCV 2016, arXiv:1603.08511. Loss is Eq. 2 with the weights of Eq. 3 and 4,
// or with Regression Eq. 1; either as a mean over places.
type Colorization struct {
	Backbone    nn.Backbone `json:"backbone"`             // sees nothing but the lightness
	Stride      int         `json:"stride"`               // side in pixels of a place, the square that gets one colour; 4 in the paper's network
	Hidden      int         `json:"hidden"`               // units of the decoder's hidden layer
	Neighbours  int         `json:"neighbours"`           // bins that share a colour, Sec. 2.1; 1 is a hard encoding
	Sigma       float64     `json:"sigma"`                // of the kernels that share colours and that smooth the prior
	Lambda      float64     `json:"lambda"`               // share of the uniform distribution in Eq. 4; with 1 all colours weigh alike
	Temperature float64     `json:"temperature"`          // T of Eq. 5, of the colours that reports speak of; training does not depend on it
	Regression  bool        `json:"regression,omitempty"` // ablation: one colour, by least squares, Eq. 1
	Flip        bool        `json:"flip"`                 // mirror half of the images
}

// Colorful has the numbers of Sec. 2.
func Colorful(backbone nn.Backbone) *Colorization {
	return &Colorization{Backbone: backbone, Stride: 4, Hidden: 256, Neighbours: 5, Sigma: 5, Lambda: 0.5, Temperature: 0.38, Flip: true}
}

// Validate says what cannot be trained.
func (m *Colorization) Validate() error {
	switch {
	case m.Stride < 1 || m.Hidden < 1:
		return fmt.Errorf("sslkit: stride %d, hidden %d: both must be at least 1", m.Stride, m.Hidden)
	case m.Neighbours < 1 || m.Neighbours > view.Bins:
		return fmt.Errorf("sslkit: %d neighbours of %d bins: choose from 1 (5 in the paper)", m.Neighbours, view.Bins)
	case !(m.Sigma > 0) || math.IsInf(m.Sigma, 1):
		return fmt.Errorf("sslkit: sigma %g must be finite and above 0 (5 in the paper)", m.Sigma)
	case !(m.Lambda > 0 && m.Lambda <= 1):
		return fmt.Errorf("sslkit: lambda %g is not in (0, 1]: 0.5 in the paper, 1 for no rebalancing", m.Lambda)
	case !(m.Temperature >= 0) || math.IsInf(m.Temperature, 1):
		return fmt.Errorf("sslkit: temperature %g must be finite and at least 0: 0 is the mode, 1 the mean", m.Temperature)
	}
	return m.Backbone.Validate()
}

// NeedsColor is true: of grey images there is nothing to predict.
func (m *Colorization) NeedsColor() bool { return true }

// SeesLightness is true, see Encode.
func (m *Colorization) SeesLightness() bool { return true }

// Reports lists the share of places whose likeliest bin is that of their colour; "ab_error", the mean distance in the plane of a and
// b; and "psnr" of the painted images in dB, 100 where they are the same.
func (m *Colorization) Reports() []string { return []string{"accuracy", "ab_error", "psnr"} }

// Loss builds the prediction of the colours of each place.
func (m *Colorization) Loss(scope *model.Scope, b Batch) *Node {
	x := b.Image
	if m.Flip {
		x = view.Flip(scope, x)
	}
	ab := m.Colours(x) // NxhxwX2
	nearest := view.NearestBin(ab)
	pred := m.Predict(scope, x)
	m.report(pred, ab, nearest, x)
	if m.Regression {
		return MulScalar(ReduceAllMean(ReduceSum(Square(Sub(pred, ab)), -1)), 0.5)
	}
	w := ConvertDType(loss.Rebalance(m.prior(scope, x.Graph()), m.Lambda), x.DType()) // Q
	v := Gather(w, Reshape(nearest, -1, 1))                                           // Nhw, Eq. 3
	z := view.SoftBins(ab, m.Neighbours, m.Sigma)                                     // NxhxwxQ
	return loss.SoftCrossEntropy(Reshape(pred, -1, view.Bins), Reshape(z, -1, view.Bins), v)
}

// Predict is all of the network: of images [N, H, W, 3 or 1] the logits of the bins of each place, [N, H/Stride, W/Stride, Q], or with
// Regression its a and b.
//
// The decoder is a hypercolumn (Larsson et al., "Learning Representations for Automatic Colorization", ECCV 2016, Sec. 3.1): all maps
// of the backbone, brought to the size of the result, and a network of two layers on each place. In images of 32 pixels the last map
// has 8x8 positions: it knows what there is, and the earlier ones where it ends.
func (m *Colorization) Predict(scope *model.Scope, image *Node) *Node {
	maps := m.Encode(scope, image)
	h, w := m.places(image)
	decoder := scope.In("decoder")
	x := nn.Dense(decoder.In("hidden"), hypercolumn(maps, h, w), false, m.Hidden)
	x = activation.Relu(nn.BatchNorm(decoder.In("norm"), x))
	if m.Regression {
		return MulScalar(nn.Dense(decoder.In("out"), x, true, 2), view.BinStep)
	}
	return nn.Dense(decoder.In("out"), x, true, view.Bins)
}

// Paint gives images [N, H, W, 3 or 1] the colours of a prediction, at a temperature of its distributions, and keeps their lightness
// as far as there are such colours: [N, H, W, 3] in [0, 1].
func (m *Colorization) Paint(image, pred *Node, temperature float64) *Node {
	_, ab := m.Decode(pred, temperature)
	ab = resampled(ab, image.Shape().Dim(1), image.Shape().Dim(2))
	return view.LabToRGB(Concatenate([]*Node{MulScalar(view.Lightness(image), 100), ab}, -1))
}

// Colorize is Paint with what is predicted: the colours of images, unseen.
func (m *Colorization) Colorize(scope *model.Scope, image *Node, temperature float64) *Node {
	return m.Paint(image, m.Predict(scope, image), temperature)
}

// Encode is the network without its decoder. Of images with colours, or grey ones, it sees the lightness only, in one channel, [0, 1].
func (m *Colorization) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), view.Lightness(image))
}

// Start sets the prior of Eq. 4 to that of the training images.
func (m *Colorization) Start(r *Run) error {
	if m.Regression {
		return nil
	}
	p, err := m.Prior(r)
	if err != nil {
		return err
	}
	return set(r.Store, "/bins/prior", p, view.Bins)
}
