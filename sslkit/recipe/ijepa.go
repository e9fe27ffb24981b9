// sslkit pretrain --method ijepa --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 64; 41 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 46.3 ± 2.0 %, seeds 1, 2 and 3; untrained 53.1 ± 2.0 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "ijepa", Paper: "Assran et al., 2023", Chapter: 5,
		New:     func() sslkit.Method { return sslkit.SmallIJEPA(nn.ViT(4, 96, 4)) },
		Preset:  IJEPA,
		NoPaper: "its weight decay rises over the training, for ImageNet",
		Drawing: `
.          v(context:|some patches) -> f[[ViT]] -> p[predictor, told|the places] -> y(blocks, as|predicted)
x(patches) .                           .           .                                .            l<smooth L1>
.          w(all patches)           -> h{ViT}   -x> t(all tokens) -> b(those of|the blocks)
x -> v; x -> w; f ~> h "EMA"; y -> l; b -> l`,
	})
}

// IJEPA returns the preset's configuration of I-JEPA on a dataset.
func IJEPA(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, sslkit.SmallIJEPA(nn.ViT(4, 96, 4)))
	c.Batch = 64
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.05, Warmup: 0.5}
	return c, err
}
