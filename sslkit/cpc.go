package sslkit

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// CPC predicts what comes: from the frames of a sound or a film so far, which of many frames is the one k steps ahead.
//
// Van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018, arXiv:1807.03748. Loss is Eq. 4
// with the scores of Eq. 3, its mean over times and k. What is kept are g_enc, which makes z_t of each frame, and g_ar, a GRU over
// them whose state is c_t; W_k is thrown away.
//
// A sound comes as frames of cepstra or of a spectrogram, so that g_enc is of dense layers, where the paper's are convolutions over
// the waveform. There is no norm: in training, a batch norm would tell z_t what comes later (Henaff 2019). Frames after the end of a
// sound neither predict nor are they predicted or told apart.
type CPC struct {
	Backbone  nn.Backbone `json:"backbone"`            // g_enc and, as its state, g_ar
	Ahead     []int       `json:"ahead"`               // each k; 1 to 12 in Sec. 3.1, there of 10 ms
	Anchors   int         `json:"anchors"`             // times t of each clip that predict, spread over it; 0: all
	Negatives string      `json:"negatives,omitempty"` // what is told apart: "" all others of the batch, "other" those of other clips, "same" those of the same; Table 2
}

// Validate says what cannot be trained.
func (m *CPC) Validate() error {
	switch {
	case m.Backbone.Arch != "frames" || m.Backbone.State < 1:
		return fmt.Errorf(`sslkit: cpc needs a backbone "frames" with a state, which is c_t, not %q with %d`, m.Backbone.Arch, m.Backbone.State)
	case !rise(m.Ahead) || len(m.Ahead) == 0:
		return fmt.Errorf("sslkit: cpc predicts the steps %v ahead: give at least one, from 1 and rising", m.Ahead)
	case m.Anchors < 0:
		return fmt.Errorf("sslkit: %d anchors: choose at least 1, or 0 for all times", m.Anchors)
	case !slices.Contains([]string{"", "other", "same"}, m.Negatives):
		return fmt.Errorf(`sslkit: no negatives are called %q: choose "other" clips, the "same", or "" for both`, m.Negatives)
	}
	return m.Backbone.Validate()
}

// Reports lists how many predictions find what came, in the mean and of each k.
func (m *CPC) Reports() []string {
	names := []string{"accuracy"}
	for _, k := range m.Ahead {
		names = append(names, fmt.Sprintf("accuracy_%d", k))
	}
	return names
}

// MinBatch is 2, for there to be another clip.
func (m *CPC) MinBatch() int { return 2 }

// Loss builds Eq. 4, of each k.
func (m *CPC) Loss(scope *model.Scope, b Batch) *Node {
	if b.Image == nil || b.Image.Rank() != 5 || b.Image.Shape().Dim(1) <= m.Ahead[len(m.Ahead)-1] {
		exceptions.Panicf("sslkit: cpc needs clips [N, T, H, W, C] of more than %d frames, got %s", m.Ahead[len(m.Ahead)-1], b.Example().Shape())
	}
	enough("cpc", m, b)
	z, c, valid := m.Backbone.Sequence(scope.In("encoder"), b.Image) // NxTxD, NxTxS, NxT
	var sum, right *Node
	for _, k := range m.Ahead {
		l, accuracy := m.step(scope.In("ahead_%d", k), z, c, valid, k)
		Report(fmt.Sprintf("accuracy_%d", k), accuracy)
		if sum == nil {
			sum, right = l, accuracy
		} else {
			sum, right = Add(sum, l), Add(right, accuracy)
		}
	}
	Report("accuracy", DivScalar(right, float64(len(m.Ahead))))
	return DivScalar(sum, float64(len(m.Ahead)))
}

// step is the loss of k steps ahead.
func (m *CPC) step(scope *model.Scope, z, c, valid *Node, k int) (l, accuracy *Node) {
	n, g := z.Shape().Dim(0), z.Graph()
	at, there := m.anchors(scope, valid, k) // NxA
	a := at.Shape().Dim(1)
	p := nn.Dense(scope.In("predict"), Reshape(view.Pick(c, at), n*a, m.Backbone.State), false, m.Backbone.Width) // W_k c_t
	ahead := Reshape(view.Pick(z, AddScalar(at, k)), n*a, m.Backbone.Width)                                       // z_{t+k}
	var among *Node
	if m.Negatives != "" {
		square := shapes.Make(dtypes.Int32, n, a, n, a)
		same := Reshape(Equal(Iota(g, square, 0), Iota(g, square, 2)), n*a, n*a)
		if among = same; m.Negatives == "other" {
			among = LogicalNot(same)
		}
	}
	return loss.PredictiveWithAccuracy(p, ahead, Reshape(there, n*a), among)
}

// anchors are times [N, A] int32 from which there is a frame k steps ahead, each once, and 1 where that is so [N, A], else 0. They are
// spread evenly over the clip, from a random first.
func (m *CPC) anchors(scope *model.Scope, valid *Node, k int) (at, there *Node) {
	g, n, room := valid.Graph(), valid.Shape().Dim(0), valid.Shape().Dim(1)-k
	a := room
	if m.Anchors > 0 {
		a = min(m.Anchors, room)
	}
	j := Iota(g, shapes.Make(dtypes.Float32, n, a), 1)
	times := AddScalar(ReduceAndKeep(ConvertDType(valid, dtypes.Float32), ReduceSum, 1), float64(-k)) // Nx1
	stride := MaxScalar(DivScalar(times, float64(a)), 1)
	first := scope.RandomUniform(g, shapes.Make(dtypes.Float32, n, 1))
	t := Floor(Mul(Add(j, first), stride)) // as the stride is 1 or more, no time comes twice
	there = ConvertDType(LessThan(t, times), dtypes.Float32)
	return ConvertDType(MinScalar(t, float64(room-1)), dtypes.Int32), there
}

// Encode is z in the mean, c at the end, and c in the mean.
func (m *CPC) Encode(scope *model.Scope, clip *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), clip)
}
