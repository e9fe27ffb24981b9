// sslkit pretrain --method simmim --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 64; 30 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 48.5 ± 3.5 %, seeds 1, 2 and 3; untrained 53.1 ± 2.0 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "simmim", Paper: "Xie et al., 2022", Chapter: 5,
		New:     func() sslkit.Method { return sslkit.SmallSimMIM(nn.ViT(4, 96, 4)) },
		Preset:  SimMIM,
		NoPaper: "its networks have relative positions, for ImageNet",
		Drawing: `
x(patches) -> m/mask 60 %/ -> v(all, some as|mask tokens) -> f[[ViT]] -> d[linear layer] -> l<absolute error on|masked pixels>
.             h(those masked)
m -> h; h -> l`,
	})
}

// SimMIM returns the preset's configuration of SimMIM on a dataset.
func SimMIM(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, sslkit.SmallSimMIM(nn.ViT(4, 96, 4)))
	c.Batch = 64
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.05, Warmup: 0.5}
	return c, err
}
