// sslkit pretrain --method swav --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; 18 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 59.4 ± 4.0 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "swav", Paper: "Caron et al., 2020", Chapter: 4,
		New:     func() sslkit.Method { return swav() },
		Preset:  SwAV,
		NoPaper: "its network is a ResNet-50, for ImageNet",
		Drawing: `
.        v(view 1) -> f[[encoder]] -> g[head and|prototypes] -> s(scores of 1) -> l<cross-entropy|(and swapped)>
x(image) .            .               .                         .
.        w(view 2) -> h[[encoder]] -> k[head and|prototypes] -> t(scores of 2) -x> q/Sinkhorn: codes|that use all alike/
x -> v; x -> w; q -> l "target"; f == h; g == k`,
	})
}

func swav() *sslkit.SwAV {
	m := sslkit.SwAVMultiCrop(nn.ResNet(8, 8), 28)
	m.View, m.Hidden, m.Dim, m.Prototypes = view.SimCLRCIFAR(), 128, 64, 100
	m.View.MinScale = 0.3
	m.SmallCrops, m.SmallSize, m.SmallMin, m.SmallMax = 4, 14, 0.1, 0.3
	return m
}

// SwAV returns the preset's configuration of SwAV on a dataset: two crops of the image's size and four of half of it.
func SwAV(preset, dataset string) (sslkit.Config, error) {
	return sslkit.Usual(preset, dataset, swav())
}
