package eval

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
)

// SupCon is SimCLR that is told which images are of one class, and has all of their views together: a second upper row, which owes
// nothing to a classifier.
//
// Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv:2004.11362. Loss is L_out of Eq. 2. Like [Supervised] it
// brings its labels and finds them by Batch.Index.
type SupCon struct {
	sslkit.SimCLR         // its network, views, head and temperature
	Classes       int     `json:"classes,omitempty"`
	Labels        []int32 `json:"-"` // of the training set, in the order of Batch.Index
}

// Validate says what cannot be trained, before there are labels or after.
func (m *SupCon) Validate() error {
	if err := checkTaught(m.Labels, m.Classes); err != nil {
		return err
	}
	return m.SimCLR.Validate()
}

// Teach returns m with the labels of the training set, in the order of Batch.Index.
func (m *SupCon) Teach(labels []int32, classes int) (sslkit.Method, error) {
	if err := checkLabels("training", labels, len(labels), classes); err != nil {
		return nil, err
	}
	taught := *m
	taught.Labels, taught.Classes = labels, classes
	return &taught, m.SimCLR.Validate()
}

// Reports lists the spread of the unit projections: 0 is collapse, 1/sqrt(Dim) is even.
func (m *SupCon) Reports() []string { return []string{"projection_std"} }

// Loss builds the search of 2N views for their pairs and for all of their class. It is NaN where an index has no label.
func (m *SupCon) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	z := m.Project(scope, m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0))) // 2NxD
	sslkit.Report("projection_std", loss.FeatureStd(z))
	return loss.SupCon(z, labelsOf(scope, m.Labels, b.Index), m.Temperature)
}
