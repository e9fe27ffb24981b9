package sslkit

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

// algorithm1 is the loss of SimCLR's Algorithm 1 for z, whose rows i and i+N are a pair.
func algorithm1(z [][]float64, temperature float64) (mean float64) {
	for i := range z {
		pair := (i + len(z)/2) % len(z)
		var others []float64
		for k := range z {
			if k != i && k != pair {
				others = append(others, inner(unitRow(z[i]), unitRow(z[k]))/temperature)
			}
		}
		mean += searchLoss(inner(unitRow(z[i]), unitRow(z[pair]))/temperature, others) / float64(len(z))
	}
	return mean
}

func paperSimCLR(head string) *SimCLR {
	return &SimCLR{Backbone: nn.ResNet(8, 4), View: toyView, Head: head, Dim: 8, Temperature: 0.1}
}

// mistakenSimCLR is SimCLR with a mistake.
type mistakenSimCLR struct {
	*SimCLR
	mistake string
}

func (m mistakenSimCLR) Loss(scope *model.Scope, b Batch) *Node {
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0))
	n := b.Image.Shape().Dim(0)
	var h *Node
	if m.mistake == "views in batches of their own" {
		h = Concatenate([]*Node{nn.Pool(nn.Last(m.Encode(scope, Slice(x, AxisRange(0, n))))),
			nn.Pool(nn.Last(m.Encode(scope.Store().RootScope(), Slice(x, AxisRange(n)))))}, 0)
	} else {
		h = nn.Pool(nn.Last(m.Encode(scope, x)))
	}
	z := m.project(scope, h)
	Report("accuracy", ReduceAllMean(z))
	Report("projection_std", ReduceAllMean(z))
	u := L2Normalize(z, -1)
	logits := DivScalar(Einsum("id,jd->ij", u, u), m.Temperature)
	i := Iota(z.Graph(), shapes.Make(dtypes.Int32, n), 0)
	switch m.mistake {
	case "self-similarity not masked":
		return loss.CrossEntropy(logits, Concatenate([]*Node{AddScalar(i, n), i}, 0))
	case "the first views only":
		return loss.CrossEntropy(Slice(logits, AxisRange(0, n), AxisRange(n)), i)
	case "no normalisation":
		logits = Where(Diagonal(z.Graph(), 2*n), Infinity(z.Graph(), dtypes.Float32, -1), DivScalar(Einsum("id,jd->ij", z, z), m.Temperature))
		return loss.CrossEntropy(logits, Concatenate([]*Node{AddScalar(i, n), i}, 0))
	}
	return loss.NTXent(z, m.Temperature)
}

// "The final loss is computed across all positive pairs, both (i, j) and (j, i), in a mini-batch", and "we treat the other
// 2(N-1) augmented examples within a minibatch as negative examples".
// Reference: Chen et al. 2020, Sec. 2.1, Eq. 1 and Algorithm 1.
func TestSimCLRLossIsAlgorithm1(t *testing.T) {
	check := func(m Method, of *SimCLR) (wrong []string) {
		before, got, after, images := paperRun(t, m, 2)
		z, whole := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
			views := of.View.View(scope, Concatenate([]*Node{x[0], x[0]}, 0))
			return []*Node{of.project(scope, nn.Pool(nn.Last(of.Encode(scope, views))))}
		}, images)
		// A loss of about 3, in float32; a cosine rounded at 1e-7 is divided by the temperature.
		if want := algorithm1(z[0], of.Temperature); math.Abs(got-want) > 1e-4 {
			wrong = append(wrong, "loss")
		}
		const mean = "/encoder/stem/norm/mean"
		if apart(variable(t, after, mean), variable(t, whole, mean)) > 1e-5 {
			wrong = append(wrong, "statistics")
		}
		return wrong
	}
	for _, head := range []string{"none", "linear", "mlp"} {
		m := paperSimCLR(head)
		if wrong := check(m, m); wrong != nil {
			t.Errorf("head %s: wrong %v", head, wrong)
		}
	}
	for mistake, want := range map[string]string{
		"": "", "self-similarity not masked": "loss", "the first views only": "loss", "no normalisation": "loss", "views in batches of their own": "statistics",
	} {
		m := paperSimCLR("mlp")
		if wrong := check(mistakenSimCLR{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
}

// "After training is completed, we throw away the projection head g(·) and use encoder f(·) and representation h for
// downstream tasks". Reference: Chen et al. 2020, Sec. 2.1.
func TestSimCLRThrowsAwayTheHead(t *testing.T) {
	m := paperSimCLR("mlp")
	_, _, store, images := paperRun(t, m, 1)
	encode := func() [][]float64 {
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node { return Identity(nn.Last(m.Encode(scope, floatImage(x)))) }, images)
		if err != nil {
			t.Fatal(err)
		}
		return matrix(t, out)
	}
	with := encode()
	if err := store.DeleteVariablesInScope("/head"); err != nil {
		t.Fatal(err)
	}
	if without := encode(); len(with[0]) != 16 || apart(with, without) != 0 {
		t.Errorf("features of %d numbers, want the backbone's 16, and %g apart without the head", len(with[0]), apart(with, without))
	}
	for v := range store.IterVariables() {
		if len(v.Path()) > 5 && v.Path()[:5] == "/head" {
			t.Errorf("encoding made %s", v.Path())
		}
	}
}

// Its last layer has a batch norm without an offset, its hidden layer has one with; no layer has a bias.
// Reference: google-research/simclr, model_util.py, projection_head.
func TestSimCLRHead(t *testing.T) {
	for head, want := range map[string][]string{
		"none":   nil,
		"linear": {"linear_1/dense/weights", "linear_1/norm/scale"},
		"mlp":    {"linear_1/dense/weights", "linear_1/norm/offset", "linear_1/norm/scale", "linear_2/dense/weights", "linear_2/norm/scale"},
	} {
		_, _, store, _ := paperRun(t, paperSimCLR(head), 1)
		var got []string
		for v := range store.Scope("/head").IterVariables() {
			if v.Trainable {
				got = append(got, v.Path()[len("/head/"):])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("head %s trains %v, want %v", head, got, want)
		}
	}
}
