package sslkit

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// views takes [V*N, K] apart.
func views(x *Node, n int) (each []*Node) {
	for v := 0; v < x.Shape().Dim(0); v += n {
		each = append(each, SliceAxis(x, 0, AxisRange(v, v+n)))
	}
	return each
}

// head is h: features [N, D] to unit rows [N, Bottleneck] and their products [N, K] with directions, which get no gradient where
// frozen. (A decay of their lengths is without effect.)
func (m *DINO) head(scope *model.Scope, x *Node, frozen *Node) (z, out *Node) {
	scope = scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02))
	for i, d := range []int{m.Hidden, m.Hidden, m.Bottleneck} {
		if i > 0 {
			x = activation.Gelu(x)
		}
		x = nn.Dense(scope.In("linear_%d", i+1), x, true, d)
	}
	z = L2Normalize(x, -1)
	w := L2Normalize(scope.VariableWithShape("last", shapes.Make(x.DType(), m.Dim, m.Bottleneck)).NodeValue(x.Graph()), -1)
	if frozen != nil {
		w = Where(frozen, StopGradient(w), w)
	}
	return z, cosines(z, w)
}

// crops draws two large and V small views, 2NxHxWxC and VNxsxsxC, all images' first ones first.
func (m *DINO) crops(scope *model.Scope, x *Node) (large, small *Node) {
	times := func(v int) *Node { return Concatenate(slices.Repeat([]*Node{x}, v), 0) }
	large = m.View.View(scope, times(2))
	if m.SmallCrops > 0 {
		rest := m.View
		rest.MinScale = 0
		small = rest.View(scope, view.RandomResizedCrop(m.SmallSize, m.SmallMin, m.SmallMax)(scope, times(m.SmallCrops)))
	}
	return large, small
}

// temperature is the teacher's in an epoch, counted from 0.
func (m *DINO) temperature(epoch *Node) *Node {
	if m.WarmEpochs == 0 {
		return AddScalar(ZerosLike(epoch), m.Teacher)
	}
	rise := MinScalar(DivScalar(epoch, float64(max(1, m.WarmEpochs-1))), 1)
	return AddScalar(MulScalar(rise, m.Teacher-m.WarmTeacher), m.WarmTeacher)
}

// Diagnose names the collapse of Sec. 5.3 if h shows it: what the teacher says does not depend on the image.
func (m *DINO) Diagnose(h History) string {
	all, one := h.Reports["entropy"], h.Reports["teacher_entropy"]
	if len(all) == 0 || all[len(all)-1]-one[len(one)-1] > 0.02*math.Log(float64(m.Dim)) {
		return ""
	}
	return fmt.Sprintf("collapsed: the teacher says the same of all images, with an entropy of %.2f (0: one output dominates; ln K = %.2f: all are alike); "+
		"try a center below 1, another teacher's temperature, or a lower learning rate", one[len(one)-1], math.Log(float64(m.Dim)))
}
