package sslkit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// LeJEPA makes several views of an image the same, while the embeddings of each view are to be spread as an isotropic Gaussian, which
// is tested along random directions; there is no predictor, no second network and no stopped gradient.
//
// Balestriero & LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics", 2025, arXiv:2511.08544. Loss is that
// of the authors' minimal example, rbalestr-lab/lejepa, MINIMAL.md: lambda times SIGReg and 1 - lambda times the prediction, the mean
// squared distance of the views' embeddings from their mean. All views are of one size, as there.
type LeJEPA struct {
	Backbone   nn.Backbone `json:"backbone"`
	View       view.Recipe `json:"view"`
	Views      int         `json:"views"`      // V, of each image
	Hidden     int         `json:"hidden"`     // units of the projector's two hidden layers
	Dim        int         `json:"dim"`        // of the embeddings
	Lambda     float64     `json:"lambda"`     // in [0, 1]
	Directions int         `json:"directions"` // that are drawn for each step, the slices
}

// LeJEPADefault has the setting of the minimal example, but for the network and the views.
func LeJEPADefault(backbone nn.Backbone) *LeJEPA {
	return &LeJEPA{Backbone: backbone, View: view.SimCLR(1), Views: 4, Hidden: 2048, Dim: 16, Lambda: 0.02, Directions: 256}
}

// Validate says what cannot be trained.
func (m *LeJEPA) Validate() error {
	switch {
	case m.Views < 2:
		return fmt.Errorf("sslkit: lejepa makes %d views of an image: it takes at least 2 (4 in the authors' example)", m.Views)
	case m.Directions < 1:
		return fmt.Errorf("sslkit: lejepa looks along %d directions: choose at least 1 (256 in the authors' example)", m.Directions)
	case !(m.Lambda >= 0 && m.Lambda <= 1):
		return fmt.Errorf("sslkit: lejepa's lambda %g is not in [0, 1]", m.Lambda)
	}
	return errors.Join(checkHead("lejepa", m.Hidden, m.Dim), m.View.Validate(), m.Backbone.Validate())
}

// Reports lists the spread of the embeddings as unit rows, for which 0 is collapse and 1/sqrt(Dim) even; "std", the mean of their
// features' deviations as they are, which is to be 1; and SIGReg, which of a Gaussian is 1.05.
func (m *LeJEPA) Reports() []string { return []string{"projection_std", "std", "sigreg"} }

// MinBatch is 2: a single image is spread like nothing.
func (m *LeJEPA) MinBatch() int { return 2 }

// Diagnose names a collapse, as [VICReg.Diagnose] does.
func (m *LeJEPA) Diagnose(h History) string {
	std := h.Reports["std"]
	if len(std) == 0 || std[len(std)-1] >= 0.1 {
		return ""
	}
	return fmt.Sprintf("collapsed: the embeddings of all images are the same (standard deviation %.3f, where the loss wants 1); try a higher lambda "+
		"(now %g, 0.02 in the authors' example) or a lower learning rate", std[len(std)-1], m.Lambda)
}

// Loss builds the distance of the views from their mean, and how far each view's embeddings are from a Gaussian.
func (m *LeJEPA) Loss(scope *model.Scope, b Batch) *Node {
	enough("lejepa", m, b)
	n := b.Image.Shape().Dim(0)
	x := m.View.View(scope, Concatenate(slices.Repeat([]*Node{b.Image}, m.Views), 0)) // VNxHxWxC
	z := m.Project(scope, x)                                                          // VNxD
	directions := scope.RandomNormal(z.Graph(), shapes.Make(z.DType(), m.Directions, m.Dim))
	far := ZerosLike(ReduceAllSum(z))
	for _, one := range views(z, n) {
		far = Add(far, DivScalar(loss.SIGReg(one, directions), float64(m.Views)))
	}
	Report("projection_std", loss.FeatureStd(L2Normalize(z, -1)))
	Report("std", loss.FeatureStd(z))
	Report("sigreg", far)
	each := Reshape(z, m.Views, n, m.Dim)
	apart := ReduceAllMean(Square(Sub(each, ReduceAndKeep(each, ReduceMean, 0))))
	return Add(MulScalar(far, m.Lambda), MulScalar(apart, 1-m.Lambda))
}

// Project is the network with its projector: images [N, H, W, C] to embeddings [N, Dim].
func (m *LeJEPA) Project(scope *model.Scope, image *Node) *Node {
	return expand(scope.In("head"), nn.Pool(nn.Last(m.Encode(scope, image))), m.Hidden, m.Dim)
}

// Encode is the network without the projector.
func (m *LeJEPA) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// GuessLoss is that of a batch whose embeddings are all 0: SIGReg is then N times the integral of (1 - exp(-t^2/2))^2 exp(-t^2/2).
func (m *LeJEPA) GuessLoss(batch int) float64 {
	const integral = 0.4020 // sqrt(2 pi) (1 - 2/sqrt 2 + 1/sqrt 3), less what is beyond 3
	return m.Lambda * float64(batch) * integral
}
