package sslkit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/cluster"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// DeepCluster clusters its own features before each epoch and then learns to tell the clusters apart.
//
// Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features", ECCV 2018, arXiv:1807.05520. StartEpoch is
// Eq. 2, Loss is Eq. 1 with the clusters as labels.
//
// Clustered, and classified, is the mean of the backbone's last map. The release (facebookresearch/deepcluster) has an AlexNet or a
// VGG, clusters what its second fully connected layer of 4,096 units says, before the ReLU, of the central 224 of 256 pixels, and
// classifies it after the ReLU; its images went through a Sobel filter. It keeps 256 of these dimensions, 1 of 16: whitening makes
// what hardly varies weigh as much as what varies most.
type DeepCluster struct {
	Backbone   nn.Backbone `json:"backbone"`   // f
	Clusters   int         `json:"clusters"`   // k, Eq. 2; 10 times the classes is best for ImageNet (Sec. 4.1)
	PCA        int         `json:"pca"`        // dimensions that are clustered, of as many as there are features; 0: half
	Iterations int         `json:"iterations"` // of k-means
	View       view.Recipe `json:"view"`       // trained on; clustered are the images as they are

	// ClassifierRate is the constant rate of the classifier's own SGD, without momentum and with a weight decay of 1e-5 (train in the
	// release's main.py); 0: the run's optimizer trains the classifier, too.
	ClassifierRate float64 `json:"classifier_rate,omitempty"`
}

// DeepClusterV1 has the numbers of the paper and its release for ImageNet: 256 dimensions of 4,096 are clustered, so the backbone
// has to have more than 256 features.
func DeepClusterV1(backbone nn.Backbone) *DeepCluster {
	return &DeepCluster{Backbone: backbone, Clusters: 10000, PCA: 256, Iterations: 20,
		View: view.Recipe{MinScale: 0.08, Flip: true}, ClassifierRate: 0.05}
}

// Validate says what cannot be trained.
func (m *DeepCluster) Validate() error {
	switch {
	case m.Clusters < 2:
		return fmt.Errorf("sslkit: deepcluster needs at least 2 clusters to tell apart, got %d", m.Clusters)
	case m.PCA < 0 || m.Iterations < 1:
		return fmt.Errorf("sslkit: pca to %d dimensions, %d iterations of k-means: choose at least 1 of both, or a pca of 0 for half of the features", m.PCA, m.Iterations)
	case !(m.ClassifierRate >= 0) || math.IsInf(m.ClassifierRate, 1):
		return fmt.Errorf("sslkit: classifier_rate %g: it must be finite and above 0 (0.05 in the release), or 0 to leave the classifier to the run's optimizer", m.ClassifierRate)
	}
	if err := m.View.Validate(); err != nil {
		return err
	}
	return m.Backbone.Validate()
}

// Reports lists "accuracy", on the clusters; "nmi", of the clusters with those of the epoch before (Fig. 2b; 0 in the first), and
// "clusters", how many of them are not empty.
func (m *DeepCluster) Reports() []string { return []string{"accuracy", "nmi", "clusters"} }

// MinImages is the number of clusters: none of them is to be empty from the start.
func (m *DeepCluster) MinImages() int { return m.Clusters }

// Optimizer gives the classifier its own.
func (m *DeepCluster) Optimizer(base optimizer.Interface) optimizer.Interface {
	if m.ClassifierRate == 0 {
		return base
	}
	return optim.Players{ // both by the loss of the step
		{Scopes: []string{"classifier"}, Optimizer: optim.SGD{Rate: optim.Constant(m.ClassifierRate), WeightDecay: 1e-5}},
		{Scopes: []string{"encoder"}, Optimizer: base},
	}
}

// StartEpoch clusters the images of the epoch by their features, whitened, with k-means from random images, and sets the
// variables that Loss reads; a run resumed within an epoch finds them in its checkpoint. Cluster i has nothing to do with
// cluster i of the epoch before. So the classifier is new, its weights of deviation 0.01 as in the release, and so is the
// optimizer's memory of it.
func (m *DeepCluster) StartEpoch(r *Run, epoch int) error {
	h, index, err := epochFeatures(r, epoch) // nxC
	if err != nil {
		return err
	}
	n, c := len(h), len(h[0])
	if n < m.Clusters {
		return fmt.Errorf("%d clusters of %d images: choose fewer", m.Clusters, n)
	}
	dims := m.PCA
	if dims == 0 {
		dims = max(1, c/2)
	}
	if dims > c {
		return fmt.Errorf("pca to %d dimensions of %d features: choose fewer than there are, or 0 for half of them", dims, c)
	}
	rnd := rand.New(rand.NewPCG(uint64(r.Seed), uint64(epoch)))
	x := cluster.Whiten(h, dims)
	assign, _, _, err := cluster.KMeansOn(r.Backend, x, cluster.Choose(x, m.Clusters, rnd.Uint64()), m.Iterations)
	if err != nil {
		return err
	}
	even, used := cluster.Balance(assign, m.Clusters)
	// Where the loader drops the last images, less than a batch, these have no label in this epoch.
	labels := slices.Repeat([]int32{-1}, n+n/r.Train.Steps())
	weights := make([]float32, len(labels))
	for i, at := range index {
		if at < 0 || int(at) >= len(labels) {
			return fmt.Errorf("an epoch of %d images has index %d: indices must count the images of the dataset from 0", n, at)
		}
		labels[at], weights[at] = assign[i], even[i]
	}
	similar := 0.0
	if before := m.Labels(r.Store); before != nil {
		similar = cluster.NMI(before, labels)
	}
	first := make([]float32, c*m.Clusters)
	for i := range first {
		first[i] = float32(0.01 * rnd.NormFloat64())
	}
	for v := range r.Store.IterVariables() { // the optimizer's, which begin with 0
		if strings.Index(v.Path(), "/classifier/") > 0 {
			err = errors.Join(err, v.SetValue(tensors.FromShape(v.Shape())))
		}
	}
	return errors.Join(err,
		set(r.Store, "/clusters/labels", labels, len(labels)),
		set(r.Store, "/clusters/weights", weights, len(weights)),
		set(r.Store, "/clusters/nmi", []float32{float32(similar)}),
		set(r.Store, "/clusters/used", []float32{float32(used)}),
		set(r.Store, "/classifier/weights", first, c, m.Clusters),
		set(r.Store, "/classifier/biases", make([]float32, m.Clusters), m.Clusters))
}

// set gives a variable a value, and makes it if need be.
func set[T float32 | int32](store *model.Store, path string, value []T, dims ...int) error {
	t := tensors.FromFlatDataAndDimensions(value, dims...)
	if v := store.GetVariable(path); v != nil {
		return v.SetValue(t)
	}
	store.VariableWithValue(path, t)
	return nil
}

// Labels are the clusters of the images by their index in the dataset, -1 of those that the epoch leaves out; nil before the
// first epoch.
func (m *DeepCluster) Labels(store *model.Store) []int32 {
	v := store.GetVariable("/clusters/labels")
	if v == nil {
		return nil
	}
	return tensors.MustCopyFlatData[int32](v.MustValue())
}

// Loss builds the classification into clusters. Its examples are weighted so that in the mean it is that of images drawn evenly
// from the clusters in use: "This is equivalent to weight the contribution of an input to the loss function in Eq. 1 by the
// inverse of the size of its assigned cluster" (Sec. 3.3, trivial parametrization). The release draws; weighting shows
// every image once an epoch instead, and the members of small clusters not more often but with larger steps.
func (m *DeepCluster) Loss(scope *model.Scope, b Batch) *Node {
	read := func(path string) *Node {
		v := scope.Store().GetVariable(path)
		if v == nil {
			exceptions.Panicf("sslkit: DeepCluster has no %s: StartEpoch makes it, before the first step", path)
		}
		v.SetTrainable(strings.HasPrefix(path, "/classifier/"))
		return v.NodeValue(b.Image.Graph())
	}
	at := InsertAxes(b.Index, -1)
	y, w := Gather(read("/clusters/labels"), at), Gather(read("/clusters/weights"), at)              // N
	h := nn.Pool(nn.Last(m.Encode(scope, m.View.View(scope, b.Image))))                              // NxC
	logits := Add(MatMul(h, read("/classifier/weights")), InsertAxes(read("/classifier/biases"), 0)) // NxK
	Report("accuracy", loss.Accuracy(logits, y))
	Report("nmi", read("/clusters/nmi"))
	Report("clusters", read("/clusters/used"))
	logp := ReduceSum(Mul(LogSoftmax(logits), OneHot(y, m.Clusters, logits.DType())), -1) // N
	return Neg(ReduceAllMean(Mul(w, logp)))
}

// Encode is f, without the classifier.
func (m *DeepCluster) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.At("encoder"), image)
}
