package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// DenseCL is MoCo v2 that also finds, for each place of a view, the place of the other view that
// shows the same.
//
// Wang et al., "Dense Contrastive Learning for Self-Supervised Visual Pre-Training", CVPR 2021,
// arXiv:2011.09157. Loss is Eq. 3, of Eq. 1 and 2.
type DenseCL struct {
	Backbone    nn.Backbone `json:"backbone"`       // Sec. 3.2
	View        view.Recipe `json:"view"`           // as MoCo v2's, Sec. 4.1
	Dim         int         `json:"dim"`            // of the embeddings of both heads
	Grid        int         `json:"grid,omitempty"` // S of Sec. 3.3: the map is pooled to SxS, divisors of its sides; 0: as it is
	Queue       int         `json:"queue"`          // keys in each of both queues, a multiple of the batch
	Momentum    float64     `json:"momentum"`       // of the key encoder, in [0, 1]
	Temperature float64     `json:"temperature"`    // τ of Eq. 1 and 2
	Lambda      float64     `json:"lambda"`         // λ of Eq. 3: the weight of the dense loss, in [0, 1]
	Split       int         `json:"split"`          // as MoCo's; 1 is none
}

// DenseCLDefault has the setting of the paper (Sec. 4.1) and of its code, WXinlong/DenseCL. Each place
// is compared with the whole queue, which takes N*S*S*K numbers: a small Grid or Queue saves them.
func DenseCLDefault(backbone nn.Backbone) *DenseCL {
	return &DenseCL{Backbone: backbone, View: view.MoCoV2(), Dim: 128, Queue: 65536, Momentum: 0.999, Temperature: 0.2, Lambda: 0.5, Split: 8}
}

// Validate says what cannot be trained.
func (m *DenseCL) Validate() error {
	if !(m.Lambda >= 0 && m.Lambda <= 1) {
		return fmt.Errorf("sslkit: lambda %g is not in [0, 1]", m.Lambda)
	}
	if m.Grid < 0 {
		return fmt.Errorf("sslkit: grid %d is negative", m.Grid)
	}
	if err := checkKeys(m.Dim, m.Queue, m.Split, m.Momentum, m.Temperature); err != nil {
		return err
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// Reports lists how many queries find their key, how many places do, and the spread of the unit
// queries: 0 is collapse, 1/sqrt(Dim) is even.
func (m *DenseCL) Reports() []string { return []string{"accuracy", "dense_accuracy", "projection_std"} }

// MinBatch is as MoCo's.
func (m *DenseCL) MinBatch() int { return max(2, m.Split) }

// Scaffold is the slow encoder and what it made.
func (m *DenseCL) Scaffold() []string { return []string{"/key", "/queue", "/dense_queue"} }

// Loss builds both searches, for the image's key and for each place's.
func (m *DenseCL) Loss(scope *model.Scope, b Batch) *Node {
	enough("densecl", m, b)
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	nn.SplitBatchNorm(scope, g, m.Split)
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0)) // 2NxHxWxC
	fq := m.grid(scope, Slice(x, AxisRange(0, n)))                     // NxPxC, of P = SxS places
	q, r := m.project(scope.In("head"), fq)                            // NxD, NxPxD

	key := slowKey(scope, g, m.Momentum)
	fk := nn.Shuffled(scope, Slice(x, AxisRange(n)), func(x *Node) *Node { return m.grid(key, x) })
	k, t := m.project(key.In("head"), fk)
	k, t = StopGradient(k), StopGradient(t)
	nn.Freeze(key)

	places := func(t *Node) *Node { return L2Normalize(Reshape(t, -1, m.Dim), -1) } // NPxD
	q, k = L2Normalize(q, -1), L2Normalize(k, -1)
	one, accuracy := loss.InfoNCEWithAccuracy(q, k, nn.Queue(scope.In("queue"), k, m.Queue), m.Temperature)
	// The negatives of the places are whole images.
	queue := nn.Queue(scope.In("dense_queue"), L2Normalize(ReduceMean(t, 1), -1), m.Queue)
	matched := at(t, loss.DenseCorrespondence(fq, fk))
	dense, denseAccuracy := loss.InfoNCEWithAccuracy(places(r), places(matched), queue, m.Temperature)
	Report("accuracy", accuracy)
	Report("dense_accuracy", denseAccuracy)
	Report("projection_std", loss.FeatureStd(q))
	return Add(MulScalar(one, 1-m.Lambda), MulScalar(dense, m.Lambda))
}

// grid is the encoder's last feature map, NxPxC.
func (m *DenseCL) grid(scope *model.Scope, image *Node) *Node {
	f := nn.Last(m.Encode(scope, image)) // NxhxwxC
	d := f.Shape().Dimensions
	if s := m.Grid; s > 0 {
		if d[1]%s != 0 || d[2]%s != 0 {
			exceptions.Panicf("sslkit: a feature map of %dx%d cannot be pooled to a grid of %dx%d: choose a divisor, or 0", d[1], d[2], s, s)
		}
		f = ReduceMean(Reshape(f, d[0], s, d[1]/s, s, d[2]/s, d[3]), 2, 4)
	}
	return Reshape(f, d[0], -1, d[3])
}

// project is the global head, on the mean of the grid f [N, P, C], and the dense head, at each place.
func (m *DenseCL) project(scope *model.Scope, f *Node) (q, r *Node) {
	n, p, c := f.Shape().Dim(0), f.Shape().Dim(1), f.Shape().Dim(2)
	q = nn.MLP(scope.In("global"), ReduceMean(f, 1), c, m.Dim)
	r = nn.MLP(scope.In("dense"), Reshape(f, n*p, c), c, m.Dim)
	return q, Reshape(r, n, p, m.Dim)
}

// at picks the rows of t [N, P, D] at the places [N, P].
func at(t, places *Node) *Node {
	n, p, d := t.Shape().Dim(0), t.Shape().Dim(1), t.Shape().Dim(2)
	first := MulScalar(Iota(t.Graph(), shapes.Make(dtypes.Int32, n, 1), 0), p)
	return Reshape(Gather(Reshape(t, n*p, d), Reshape(Add(places, first), n*p, 1)), n, p, d)
}

// Match is which place of b shows what each place of a shows, as the loss takes it to: images
// [N, H, W, C] to [N, P] int32, of the P places of the grid, row by row.
func (m *DenseCL) Match(scope *model.Scope, a, b *Node) *Node {
	n := a.Shape().Dim(0)
	f := m.grid(scope, Concatenate([]*Node{a, b}, 0))
	return loss.DenseCorrespondence(Slice(f, AxisRange(0, n)), Slice(f, AxisRange(n)))
}

// Start makes the key encoder a copy of the query's.
func (m *DenseCL) Start(r *Run) error { return copyToKey(r.Store) }

// Encode is the backbone.
func (m *DenseCL) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// GuessLoss is the cross-entropy of a guess.
func (m *DenseCL) GuessLoss(int) float64 { return math.Log(float64(m.Queue + 1)) }
