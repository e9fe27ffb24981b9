// sslkit pretrain --method dino --preset smoke
//
// fashion-mnist-10k; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       3     64      104   48.7 ± 1.3    52.6 ± 1.7    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "dino", Paper: "Caron et al., 2021", Chapter: 3,
		New:     func() sslkit.Method { return sslkit.SmallDINO(nn.ViT(4, 96, 4)) },
		Preset:  DINO,
		NoPaper: "its weight decay rises over the training and its large views differ, for ImageNet",
		Drawing: `
.        v(all views)   -> f[[ViT]] -> g[head] -> p/softmax/
x(image) .                 .           .          .            l<cross-entropy of|different views>
.        w(large views) -> h{ViT}   -> k{head} -x> t/centre, sharp|softmax/
x -> v; x -> w; p -> l; t -> l; f ~> h "EMA"; g ~> k "EMA"`,
	})
}

// DINO returns the preset's configuration of DINO on a dataset: two views of the image's size and four small ones.
func DINO(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, sslkit.SmallDINO(nn.ViT(4, 96, 4)))
	c.Batch = 64
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.05, Warmup: 0.5}
	return c, err
}
