// sslkit pretrain --method colorization --preset smoke
//
// scenes; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       6     32       68   39.8 ± 0.7    33.4 ± 4.1    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "colorization", Paper: "Zhang et al., 2016", Chapter: 1, Data: "scenes",
		New:     func() sslkit.Method { return colorful() },
		Preset:  Colorization,
		NoPaper: "its network is a VGG of dilated convolutions for ImageNet",
		Drawing: `
x(image) -> v(lightness L) -> f[[encoder]] -> d[decoder on|all stages] -> p(one of 313|colours) -> l<cross-entropy,|rare colours|weigh more>
.           c(colours a, b) -> s/soft bins/
x -> c; s -> l`,
	})
}

func colorful() *sslkit.Colorization {
	m := sslkit.Colorful(nn.ResNet(8, 16))
	m.Stride, m.Hidden = 2, 64 // as much of a picture as 4 of the paper's larger ones
	return m
}

// Colorization returns the preset's configuration of colorization on a dataset, of images with a side that is a multiple of 4.
func Colorization(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, colorful())
	if c.Batch = 32; dataset != "scenes" || preset == sslkit.Smoke {
		c.Epochs = epochs(preset, 6, 6)
	}
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 3e-3, Beta2: 0.99, WeightDecay: 1e-3, Warmup: 0.5}
	return c, err
}
