// sslkit pretrain --method clip --preset smoke
//
// emoji; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2232       4    128       32   45.3 ± 1.4    44.1 ± 0.6    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "clip", Paper: "Radford et al., 2021", Chapter: 3, Needs: sslkit.Captions, Data: "emoji",
		New:     func() sslkit.Method { return sslkit.SmallCLIP(nn.ResNet(8, 16)) },
		Preset:  CLIP,
		NoPaper: "its 400 million pairs are not public, and its tokens are byte pairs",
		Drawing: `
x(image)   -> v(crop)   -> f[[image|encoder]] -> a[[projection]] -> u(of each|image)
.             .            .                     .                .              l<CLIP: which|belong together?>
t(caption) -> k(tokens) -> g[[text|encoder]]    -> b[[projection]] -> w(of each|text)
u -> l; w -> l`,
	})
}

// CLIP returns the preset's configuration of image-text pretraining on a dataset with captions.
func CLIP(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, sslkit.SmallCLIP(nn.ResNet(8, 16)))
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.1, Warmup: 1}
	c.Epochs = epochs(preset, 4, 20)
	return c, err
}
