// sslkit pretrain --method barlow --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; 11 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 65.2 ± 1.0 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %. With --preset class (5,000 and
// 2,000 examples, 10 epochs): 73.4 ± 0.8 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "barlow", Paper: "Zbontar et al., 2021", Chapter: 3,
		New:     func() sslkit.Method { return barlow() },
		Preset:  BarlowTwins,
		NoPaper: "its network is a ResNet-50, for ImageNet",
		Drawing: `
.        v(view 1) -> f[[encoder]] -> g[projector]
x(image) .            .               .              c/correlate the|features/ -> l<far from|the identity?>
.        w(view 2) -> h[[encoder]] -> k[projector]
x -> v; x -> w; g -> c; k -> c; f == h; g == k`,
	})
}

func barlow() *sslkit.BarlowTwins {
	m := sslkit.BarlowTwinsDefault(nn.ResNet(8, 8))
	m.View, m.Other = view.SimCLRCIFAR(), view.Recipe{} // without blur, for small images
	m.Hidden, m.Dim = 256, 256
	return m
}

// BarlowTwins returns the preset's configuration of Barlow Twins on a dataset.
func BarlowTwins(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, barlow())
	c.Optimizer.Rate = 0.003 // the loss is a sum over features and their pairs, and so are its gradients; k-NN 65.6 with smoke, 62.2 at 0.01, 48.5 at 0.1
	return c, err
}
