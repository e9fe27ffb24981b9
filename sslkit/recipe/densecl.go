// sslkit pretrain --method densecl --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; 20 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 57.0 ± 3.8 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "densecl", Paper: "Wang et al., 2021", Chapter: 3,
		New:     func() sslkit.Method { return densecl() },
		Preset:  DenseCL,
		NoPaper: "its network is a ResNet-50, for ImageNet and COCO",
		Drawing: `
.        v(view 1) -> f[[encoder]] -> g[global and|dense head]  -> q(q, and r of|each place)
x(image) .            .               .                            m/places that|look alike/ -> l<InfoNCE: images,|and places>
.        w(view 2) -> h{encoder}   -> k{global and|dense head} -x> y(k, and t of|each place)
.        .            .               .                            n{queues}
x -> v; x -> w; f -> m; h -> m; q -> l; y -> l; n -> l
f ~> h "EMA"; g ~> k "EMA"`,
	})
}

func densecl() *sslkit.DenseCL {
	m := sslkit.DenseCLDefault(nn.ResNet(8, 8))
	m.View, m.Dim, m.Queue, m.Momentum = view.SimCLRCIFAR(), 64, 2048, 0.99
	return m
}

// DenseCL returns the preset's configuration of DenseCL on a dataset.
func DenseCL(preset, dataset string) (sslkit.Config, error) {
	return sslkit.Usual(preset, dataset, densecl())
}
