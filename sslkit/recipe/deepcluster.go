// sslkit pretrain --method deepcluster --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 32; 9 CPU-seconds, compiling included. k-NN
// of the last stage on the test set 56.7 ± 2.5 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "deepcluster", Paper: "Caron et al., 2018", Chapter: 4,
		New:      func() sslkit.Method { return deepcluster() },
		Revision: 2,
		Preset:   DeepCluster,
		NoPaper:  "its networks are an AlexNet and a VGG-16 on Sobel-filtered images of ImageNet",
		Drawing: `
x(image)       -> v(view) -> f[[encoder]] -> c[classifier, new|each epoch] -> l<cross-entropy:|which cluster?>
a(all images)     .          g[[encoder]] -x> k/whiten, k-means/              y(cluster of|each image)
a -> g; k ..> y; y -> l; f == g`,
	})
}

func deepcluster() *sslkit.DeepCluster {
	m := sslkit.DeepClusterV1(nn.ResNet(8, 8))
	m.Clusters, m.PCA, m.View = 100, 0, view.Recipe{MinScale: 0.3, Flip: true}
	// Ten times the release's rate, which is what a momentum of 0.9 would make of it: an epoch has some hundred steps to learn
	// the new classifier in, and not 5,000.
	m.ClassifierRate = 0.5
	return m
}

// DeepCluster returns the preset's configuration of DeepCluster on a dataset.
func DeepCluster(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, deepcluster())
	// Small batches: the new classifier of each epoch has to learn its clusters from the steps of that epoch.
	c.Batch, c.Optimizer.Rate, c.Optimizer.Warmup = 32, 0.05, 0
	return c, err
}
