package sslkit

import (
	"errors"
	"fmt"

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
// arXiv:2003.04297 (v2). Loss is Algorithm 1, with Eq. 1 and 2.
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

// Loss builds the search of N queries for their keys, each among K+1.
func (m *MoCo) Loss(scope *model.Scope, b Batch) *Node {
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
