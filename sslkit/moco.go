package sslkit

import (
	"errors"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// MoCo finds the other view of an image among a queue of views that a slowly moving encoder has seen.
//
// He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
// arXiv:1911.05722, and Chen et al., "Improved Baselines with Momentum Contrastive Learning", 2020,
// arXiv:2003.04297 (v2). Loss is Algorithm 1, with Eq. 1 and 2. Only the first view is searched for: the authors' colab has the
// option of a symmetric loss, the mean of both directions, which is like twice the epochs; here there is none.
type MoCo struct {
	Backbone    nn.Backbone `json:"backbone"`    // f_q and f_k, Sec. 3.1
	View        view.Recipe `json:"view"`        // aug of Algorithm 1
	MLP         bool        `json:"mlp"`         // a hidden layer in the head (v2, Sec. 3)
	Dim         int         `json:"dim"`         // C of Algorithm 1, of q and k
	Queue       int         `json:"queue"`       // K of Eq. 1, a multiple of the batch
	Momentum    float64     `json:"momentum"`    // m of Eq. 2, in [0, 1]
	Temperature float64     `json:"temperature"` // τ of Eq. 1
	Split       int         `json:"split"`       // groups of the batch that norms take apart (Sec. 3.3, "Shuffling BN"); 1: none
}

// MoCoV1 has the paper's setting for ImageNet (Sec. 3.3 and 4), where the batch is on 8 devices.
func MoCoV1(backbone nn.Backbone) *MoCo {
	return &MoCo{Backbone: backbone, View: view.MoCoV1(), Dim: 128, Queue: 65536, Momentum: 0.999, Temperature: 0.07, Split: 8}
}

// MoCoV2 adds the MLP head, blur and another τ (v2, Table 1 and 2). Its cosine is the run's.
func MoCoV2(backbone nn.Backbone) *MoCo {
	m := MoCoV1(backbone)
	m.View, m.MLP, m.Temperature = view.MoCoV2(), true, 0.2
	return m
}

// MoCoCIFAR is the authors' colab for CIFAR-10 (moco_cifar10_demo of facebookresearch/moco), which is neither v1 nor v2: its τ is
// 0.1 where they have 0.07 and 0.2; its head is linear as v1's; its views are v2's without blur, of crops from 0.08 of the area
// (torchvision's default) in place of 0.2; 4,096 keys follow with a momentum of 0.99. Its network is a ResNet-18, its loss
// asymmetric by default, as here.
func MoCoCIFAR(backbone nn.Backbone) *MoCo {
	m := MoCoV2(backbone)
	m.View.MinScale, m.View.Blur, m.View.SigmaMin, m.View.SigmaMax = 0.08, 0, 0, 0
	m.MLP, m.Queue, m.Momentum, m.Temperature = false, 4096, 0.99, 0.1
	return m
}

// Validate says what cannot be trained.
func (m *MoCo) Validate() error {
	if err := checkKeys(m.Dim, m.Queue, m.Split, m.Momentum, m.Temperature); err != nil {
		return err
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// Reports lists how many queries find their key, and the spread of the unit queries: 0 is collapse,
// 1/sqrt(Dim) is even.
func (m *MoCo) Reports() []string { return []string{"accuracy", "projection_std"} }

// MinBatch is 2, or the number of groups: of a single image, the norms of its network know too much.
func (m *MoCo) MinBatch() int { return max(2, m.Split) }

// Scaffold is the slow encoder and what it made.
func (m *MoCo) Scaffold() []string { return []string{"/key", "/queue"} }

// Loss builds the search of N queries for their keys, each among K+1.
func (m *MoCo) Loss(scope *model.Scope, b Batch) *Node {
	enough("moco", m, b)
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	nn.SplitBatchNorm(scope, g, m.Split)
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0)) // 2NxHxWxC
	q := m.Project(scope, Slice(x, AxisRange(0, n)))                   // NxD

	key := slowKey(scope, g, m.Momentum)
	k := nn.Shuffled(scope, Slice(x, AxisRange(n)), func(x *Node) *Node { return m.Project(key, x) })
	k = StopGradient(k) // NxD
	nn.Freeze(key)

	queue := nn.Queue(scope.In("queue"), k, m.Queue) // KxD, without k
	l, accuracy := loss.InfoNCEWithAccuracy(q, k, queue, m.Temperature)
	Report("accuracy", accuracy)
	Report("projection_std", loss.FeatureStd(q))
	return l
}

// Project is an encoder with its head: images [N, H, W, C] to rows [N, Dim] of length 1.
func (m *MoCo) Project(scope *model.Scope, image *Node) *Node {
	h := nn.Pool(nn.Last(m.Encode(scope, image)))
	dims := []int{m.Dim}
	if m.MLP {
		dims = []int{h.Shape().Dim(1), m.Dim}
	}
	return L2Normalize(nn.MLP(scope.In("head"), h, dims...), -1)
}

// Start makes f_k a copy of f_q.
func (m *MoCo) Start(r *Run) error { return copyToKey(r.Store) }

// Encode is f_q without its head.
func (m *MoCo) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// slowKey moves the key's encoder and head towards the query's, Eq. 2, and returns the scope of the former.
func slowKey(scope *model.Scope, g *Graph, momentum float64) *model.Scope {
	key := scope.In("key")
	nn.EMA(key.At("encoder"), scope.At("encoder"), g, momentum)
	nn.EMA(key.At("head"), scope.At("head"), g, momentum)
	return key
}

func copyToKey(store *model.Store) error {
	return errors.Join(nn.Copy(store, "/key/encoder", "/encoder"), nn.Copy(store, "/key/head", "/head"))
}

func checkKeys(dim, queue, split int, momentum, temperature float64) error {
	if dim < 1 || queue < 1 || split < 1 {
		return fmt.Errorf("sslkit: dim %d, queue %d, split %d: all must be at least 1", dim, queue, split)
	}
	if !(momentum >= 0 && momentum <= 1) {
		return fmt.Errorf("sslkit: momentum %g is not in [0, 1]", momentum)
	}
	return checkTemperature(temperature)
}

// GuessLoss is the cross-entropy of a guess.
func (m *MoCo) GuessLoss(int) float64 { return math.Log(float64(m.Queue + 1)) }
