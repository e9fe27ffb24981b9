// sslkit pretrain --method simclr --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; 11 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 68.1 ± 2.5 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %. With --preset class (5,000 and
// 2,000 examples, 10 epochs): 74.9 ± 1.1 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "simclr", Paper: "Chen et al., 2020", Chapter: 3,
		New:    func() sslkit.Method { return simclr() },
		Preset: SimCLR,
		Drawing: `
.        v(view 1) -> f[[encoder f]] -> g[head g] -> z(z1)
x(image) .            .                 .            n(negatives:|other images) -> l<NT-Xent: which|is the other view?>
.        w(view 2) -> h[[encoder f]] -> k[head g] -> y(z2)
x -> v; x -> w; z -> l; y -> l; f == h; g == k`,
	})
}

func simclr() *sslkit.SimCLR {
	m := sslkit.SimCLRCIFAR(nn.ResNet(8, 8))
	m.Dim, m.Temperature = 64, 0.2
	return m
}

// SimCLR returns the preset's configuration of SimCLR on a dataset.
func SimCLR(preset, dataset string) (sslkit.Config, error) {
	m := simclr()
	if preset == sslkit.Paper {
		// The command for CIFAR-10 in the README of google-research/simclr, as released with the paper (num_nlh_layers is 1): App.
		// B.9 with a ResNet-18. (That one projects the first shortcut, too, and starts the last norm of a block at 0.)
		m.Backbone, m.Dim, m.Temperature = nn.ResNet18(64), 128, 0.5
		c := whole(dataset, m)
		c.Epochs, c.Batch = 1000, 512
		c.Optimizer = sslkit.Optimizer{Kind: "lars", Rate: 2, Momentum: 0.9, WeightDecay: 1e-6, Warmup: 10}
		return c, nil
	}
	return sslkit.Usual(preset, dataset, m)
}
