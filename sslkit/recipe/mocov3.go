// sslkit pretrain --method mocov3 --preset smoke
//
// fashion-mnist-10k; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       3     64       68   50.6 ± 0.4    52.6 ± 1.7    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "mocov3", Paper: "Chen et al., 2021", Chapter: 3,
		New:     func() sslkit.Method { return sslkit.SmallMoCoV3(nn.ViT(4, 96, 4)) },
		Preset:  MoCoV3,
		NoPaper: "its two views are drawn differently, for ImageNet",
		Drawing: `
.        v(view 1) -> f[[ViT]] -> g[head] -> p[predictor]
x(image) .            .           .          .              l<InfoNCE: which key|is of this image?|(and views swapped)>
.        w(view 2) -> h{ViT}   -> k{head} -x> y(keys of|the batch)
x -> v; x -> w; p -> l; y -> l
f ~> h "EMA"; g ~> k "EMA"`,
	})
}

// MoCoV3 returns the preset's configuration of MoCo v3 on a dataset.
func MoCoV3(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, sslkit.SmallMoCoV3(nn.ViT(4, 96, 4)))
	c.Batch = 64
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.05, Warmup: 0.5}
	return c, err
}
