package sslkit

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// SimCLR finds the other view of an image among the views of all images of the batch.
//
// Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
// arXiv:2002.05709. Loss is Algorithm 1, with Eq. 1. The head's batch norms are those of the authors'
// code, google-research/simclr; the paper does not mention them.
type SimCLR struct {
	Backbone    nn.Backbone `json:"backbone"`      // f(·), Sec. 2.1
	View        view.Recipe `json:"view"`          // T, Sec. 2.1 and App. A
	Head        string      `json:"head"`          // g(·), Sec. 4.2: "none", "linear" or "mlp", of one hidden layer
	Dim         int         `json:"dim,omitempty"` // of z; without a head it is f's
	Temperature float64     `json:"temperature"`   // τ of Eq. 1
}

// SimCLRDefault has the paper's default setting for ImageNet (Sec. 2.3), and τ of Table 5.
func SimCLRDefault(backbone nn.Backbone) *SimCLR {
	return &SimCLR{Backbone: backbone, View: view.SimCLR(1), Head: "mlp", Dim: 128, Temperature: 0.1}
}

// SimCLRCIFAR has the setting for CIFAR-10 (App. B.9): weaker colours, no blur, a higher τ.
func SimCLRCIFAR(backbone nn.Backbone) *SimCLR {
	return &SimCLR{Backbone: backbone, View: view.SimCLRCIFAR(), Head: "mlp", Dim: 128, Temperature: 0.5}
}

// Validate says what cannot be trained.
func (m *SimCLR) Validate() error {
	switch m.Head {
	case "none":
	case "linear", "mlp":
		if m.Dim < 1 {
			return fmt.Errorf("sslkit: simclr's dim is %d; with a head it is at least 1 (128 in the paper)", m.Dim)
		}
	default:
		return fmt.Errorf(`sslkit: simclr has no head %q: choose "none", "linear" or "mlp"`, m.Head)
	}
	if err := checkTemperature(m.Temperature); err != nil {
		return err
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// Reports lists how many views find their pair, and the spread of the unit projections: 0 is
// collapse, 1/sqrt(Dim) is even.
func (m *SimCLR) Reports() []string { return []string{"accuracy", "projection_std"} }

// MinBatch is 2: the views of one image have none to be told from.
func (m *SimCLR) MinBatch() int { return 2 }

// Loss builds the search of 2N views for their pairs, each among 2N-1.
func (m *SimCLR) Loss(scope *model.Scope, b Batch) *Node {
	enough("simclr", m, b)
	// One batch of both views, so that the batch norms see both.
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0)) // 2NxHxWxC
	z := m.Project(scope, x)                                           // 2NxD
	l, accuracy := loss.NTXentWithAccuracy(z, m.Temperature)
	Report("accuracy", accuracy)
	Report("projection_std", loss.FeatureStd(z))
	return l
}

// Project is f and g: images [N, H, W, C] to rows [N, Dim] of length 1, which the loss compares.
func (m *SimCLR) Project(scope *model.Scope, image *Node) *Node {
	return L2Normalize(m.project(scope, nn.Pool(nn.Last(m.Encode(scope, image)))), -1)
}

// project is g.
func (m *SimCLR) project(scope *model.Scope, h *Node) *Node {
	switch m.Head {
	case "linear":
		return nn.NormMLP(scope.In("head"), h, m.Dim)
	case "mlp":
		return nn.NormMLP(scope.In("head"), h, h.Shape().Dim(1), m.Dim)
	}
	return h
}

// Encode is f: Algorithm 1 ends with "return encoder network f(·), and throw away g(·)".
func (m *SimCLR) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

func checkTemperature(temperature float64) error {
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		return fmt.Errorf("sslkit: temperature %g: it must be finite and above 0", temperature)
	}
	return nil
}

// GuessLoss is the cross-entropy of a guess.
func (*SimCLR) GuessLoss(batch int) float64 { return math.Log(float64(2*batch - 1)) }
