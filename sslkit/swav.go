package sslkit

import (
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/cluster"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// SwAV groups a batch evenly around prototypes and predicts the group of one view of an image from another view.
//
// Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020,
// arXiv:2006.09882. Loss is Eq. 6, which is Eq. 1 without small crops; codes are those of Eq. 3 and 5.
type SwAV struct {
	Backbone     nn.Backbone `json:"backbone"`                // f
	Hidden       int         `json:"hidden"`                  // units of the projection head's hidden layer; 0: the head is linear
	Dim          int         `json:"dim"`                     // D, of the projected features z
	Prototypes   int         `json:"prototypes"`              // K
	Freeze       int         `json:"freeze,omitempty"`        // steps, in configurations from before FreezeEpochs; refused
	FreezeEpochs int         `json:"freeze_epochs,omitempty"` // first epochs, in which the prototypes stay as they were drawn
	Temperature  float64     `json:"temperature"`             // tau, Eq. 2
	Epsilon      float64     `json:"epsilon"`                 // of the codes' entropy, Eq. 3
	Iterations   int         `json:"iterations"`              // of Sinkhorn-Knopp
	View         view.Recipe `json:"view"`                    // of the two large crops and, but for its min_scale, of the small ones
	SmallCrops   int         `json:"small_crops"`             // V, which have no codes (multi-crop, Sec. 3.2)
	SmallSize    int         `json:"small_size"`              // their side in pixels
	SmallMin     float64     `json:"small_min"`               // least and
	SmallMax     float64     `json:"small_max"`               // largest share of the image's area
	Queue        int         `json:"queue"`                   // features of earlier batches that share in the codes: 0 or a multiple of the batch
	QueueStart   int         `json:"queue_start"`             // first step that uses them, or the first one with a full queue
}

// SwAVMultiCrop has the recipe of the paper and its release for ImageNet: two crops of the images' side, which is given, and six
// of 96/224 of it. The prototypes stay as they were drawn for the first epoch, which is the release's 313 steps of 4,096 images.
func SwAVMultiCrop(backbone nn.Backbone, side int) *SwAV {
	m := &SwAV{
		Backbone: backbone, Hidden: 2048, Dim: 128, Prototypes: 3000, FreezeEpochs: 1,
		Temperature: 0.1, Epsilon: 0.05, Iterations: 3,
		View: view.SimCLR(1), SmallCrops: 6, SmallSize: side * 96 / 224, SmallMin: 0.05, SmallMax: 0.14,
	}
	m.View.MinScale = 0.14
	return m
}

// Validate says what cannot be trained.
func (m *SwAV) Validate() error {
	switch {
	case m.Hidden < 0 || m.Dim < 1:
		return fmt.Errorf("sslkit: a head of %d hidden units and %d features: choose at least 0 and 1", m.Hidden, m.Dim)
	case m.Prototypes < 2:
		return fmt.Errorf("sslkit: swav needs at least 2 prototypes to tell apart, got %d", m.Prototypes)
	case !(m.Temperature > 0 && m.Epsilon > 0) || math.IsInf(m.Temperature+m.Epsilon, 1):
		return fmt.Errorf("sslkit: temperature %g and epsilon %g: both must be finite and above 0", m.Temperature, m.Epsilon)
	case m.Iterations < 1:
		return fmt.Errorf("sslkit: %d iterations of Sinkhorn-Knopp, want at least 1", m.Iterations)
	case m.Freeze != 0:
		return fmt.Errorf("sslkit: freeze %d counts steps, which are another share of the training with each batch and dataset: "+
			"leave it out and set freeze_epochs, 1 in the paper", m.Freeze)
	case m.FreezeEpochs < 0 || m.SmallCrops < 0 || m.Queue < 0 || m.QueueStart < 0:
		return fmt.Errorf("sslkit: freeze_epochs %d, small_crops %d, queue %d, queue_start %d: none may be negative", m.FreezeEpochs, m.SmallCrops, m.Queue, m.QueueStart)
	case m.SmallCrops > 0 && (m.SmallSize < 1 || !(m.SmallMin > 0 && m.SmallMin <= m.SmallMax && m.SmallMax <= 1)):
		return fmt.Errorf("sslkit: small crops of side %d and of %g to %g of the area: choose at least 1, and from above 0 to 1", m.SmallSize, m.SmallMin, m.SmallMax)
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// Reports lists two entropies in nats. "entropy" is that of the batch's use of the prototypes: ln K where all are used alike, 0
// where one is. "code_entropy" is the mean of the single codes': ln K where they say nothing, see Diagnose.
func (m *SwAV) Reports() []string { return []string{"entropy", "code_entropy"} }

// Diagnose names the collapse of SwAV if h shows it and says what to try, else it returns "". If all images get the same features,
// the even code 1/K is all that is left to predict: the codes' entropy is ln K, and the loss, which is no less, goes there too.
func (m *SwAV) Diagnose(h History) string {
	codes, lnK := h.Reports["code_entropy"], math.Log(float64(m.Prototypes))
	if len(codes) == 0 || codes[len(codes)-1] < 0.98*lnK {
		return ""
	}
	return fmt.Sprintf("collapsed: all images have the same code, and the loss, %.3f, is stuck at ln K = %.3f; try a lower epsilon (0.03), "+
		"a lower learning rate, prototypes frozen for longer, fewer of them, milder views or larger batches", h.Loss[len(h.Loss)-1], lnK)
}

// MinBatch is 2: a single image is spread over all prototypes alike, and there is nothing to predict.
func (m *SwAV) MinBatch() int { return 2 }

const frozenPath = "/swav/frozen"

// StartEpoch sets the variable that Loss reads, whether the prototypes are frozen; a run resumed within an epoch finds it in its
// checkpoint.
func (m *SwAV) StartEpoch(r *Run, epoch int) error {
	if m.FreezeEpochs == 0 {
		return nil
	}
	return set(r.Store, frozenPath, []int32{int32(max(0, min(1, m.FreezeEpochs-epoch)))})
}

// frozen is that variable, or nil where they never are.
func (m *SwAV) frozen(scope *model.Scope, g *Graph) *Node {
	if m.FreezeEpochs == 0 {
		return nil
	}
	v := scope.Store().GetVariable(frozenPath)
	if v == nil {
		exceptions.Panicf("sslkit: SwAV has no %s: StartEpoch makes it, before the first step", frozenPath)
	}
	return v.SetTrainable(false).NodeValue(g)
}

// Loss builds the swapped prediction between the views of each image.
func (m *SwAV) Loss(scope *model.Scope, b Batch) *Node {
	enough("swav", m, b)
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	large, small := m.crops(scope, b.Image)
	h := nn.Pool(nn.Last(m.Encode(scope, large)))
	if small != nil { // of another size, which takes another pass
		h = Concatenate([]*Node{h, nn.Pool(nn.Last(m.Encode(scope, small)))}, 0)
	}
	z := m.project(scope.In("head"), h) // (2+V)NxD
	c := nn.Prototypes(scope, g, m.Prototypes, m.Dim, m.frozen(scope, g))
	var scores, codes []*Node // NxK
	for v := range 2 + m.SmallCrops {
		same := SliceAxis(z, 0, AxisRange(v*n, (v+1)*n))
		scores = append(scores, cosines(same, c))
		if v < 2 {
			codes = append(codes, m.code(scope.In("view_%d", v+1), same, scores[v], c))
		}
	}
	Report("entropy", entropy(ReduceMean(Softmax(DivScalar(Concatenate(scores[:2], 0), m.Temperature)), 0)))
	Report("code_entropy", ReduceAllMean(entropy(Concatenate(codes, 0))))
	return loss.SwAV(scores, codes, m.Temperature)
}

// Scores are the cosines [N, K] of images [N, H, W, C], as they are, with the prototypes.
func (m *SwAV) Scores(scope *model.Scope, image *Node) *Node {
	z := m.project(scope.In("head"), nn.Pool(nn.Last(m.Encode(scope, floatImage(image)))))
	return cosines(z, nn.Prototypes(scope, image.Graph(), m.Prototypes, m.Dim, nil))
}

// crops draws two large and V small views, 2NxHxWxC and VNxsxsxC, all images' first ones first.
func (m *SwAV) crops(scope *model.Scope, x *Node) (large, small *Node) {
	times := func(v int) *Node { return Concatenate(slices.Repeat([]*Node{x}, v), 0) }
	large = m.View.View(scope, times(2))
	if m.SmallCrops > 0 {
		rest := m.View
		rest.MinScale = 0
		small = rest.View(scope, view.RandomResizedCrop(m.SmallSize, m.SmallMin, m.SmallMax)(scope, times(m.SmallCrops)))
	}
	return large, small
}

// project is the head: unit features.
func (m *SwAV) project(scope *model.Scope, h *Node) *Node {
	if m.Hidden > 0 {
		h = activation.Relu(nn.BatchNorm(scope.In("norm"), nn.Dense(scope.In("hidden"), h, true, m.Hidden)))
	}
	return L2Normalize(nn.Dense(scope.In("out"), h, true, m.Dim), -1)
}

// code spreads one view of the images over the prototypes, together with those of earlier batches, compared anew.
func (m *SwAV) code(scope *model.Scope, z, scores, c *Node) *Node {
	code := cluster.Sinkhorn(scores, m.Epsilon, m.Iterations)
	if m.Queue == 0 {
		return code
	}
	old := nn.Queue(scope, z, m.Queue) // QxD
	all := cluster.Sinkhorn(Concatenate([]*Node{cosines(old, c), scores}, 0), m.Epsilon, m.Iterations)
	step := optimizer.GetGlobalStepVar(scope).NodeValue(c)
	start := max(m.QueueStart, m.Queue/z.Shape().Dim(0))
	return Where(LessThan(step, Const(c.Graph(), int64(start))), code, SliceAxis(all, 0, AxisRangeToEnd(m.Queue)))
}

// cosines of the unit rows of a [N, D] with those of b [K, D]: [N, K].
func cosines(a, b *Node) *Node { return DotGeneral(a, []int{1}, nil, b, []int{1}, nil) }

// entropy of distributions along the last axis, in nats.
func entropy(p *Node) *Node { return Neg(ReduceSum(Mul(p, Log(MaxScalar(p, 1e-30))), -1)) }

// Encode is f, without the head.
func (m *SwAV) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.At("encoder"), image)
}

// GuessLoss is the cross-entropy of a guess.
func (m *SwAV) GuessLoss(int) float64 { return math.Log(float64(m.Prototypes)) }
