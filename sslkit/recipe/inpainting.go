// sslkit pretrain --method inpainting --preset smoke
//
// scenes; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       4     64       49   39.2 ± 1.2    33.4 ± 4.1    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "inpainting", Paper: "Pathak et al., 2016", Chapter: 1, Data: "scenes",
		New:     func() sslkit.Method { return sslkit.InpaintingFeatures(nn.ResNet(8, 16)) },
		Preset:  InpaintingFeatures,
		NoPaper: "its networks are an AlexNet for features and one of DCGAN's kind, of 128 pixels and a bottleneck of 4,000, for pictures",
		Drawing: `
.           t(what was there)
x(image) -> h/cut holes/ -> f[[encoder]] -> d[decoder] -> y(painted) -> r<squared error|in the holes>
.           .               .               .             c[critic]  -> a<for pictures:|painted or real?>
x -> t; t -> r; y -> c; t -> c`,
	})
}

// Inpainting returns the preset's configuration of context encoders for pictures on a dataset, with the joint loss and a hole
// in the centre. [InpaintingFeatures] is for features.
func Inpainting(preset, dataset string) (sslkit.Config, error) {
	return inpainting(preset, dataset, sslkit.SemanticInpainting(nn.ResNet(8, 16)))
}

// InpaintingFeatures returns the preset's configuration of context encoders for features on a dataset, with random blocks and
// the reconstruction alone.
func InpaintingFeatures(preset, dataset string) (sslkit.Config, error) {
	return inpainting(preset, dataset, sslkit.InpaintingFeatures(nn.ResNet(8, 16)))
}

func inpainting(preset, dataset string, m *sslkit.ContextEncoder) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, m)
	c.Batch = 64
	// train.lua of pathak22/context-encoder, with a cosine: 10 times its lr of 0.0002, and beta1.
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 2e-3, Beta1: 0.5}
	if dataset == "photos" { // what is painted needs many steps more than images
		c.Data.PerPhoto = 64
		c.Epochs = epochs(preset, 3, 3)
	}
	if preset == sslkit.Smoke {
		c.Epochs = 4
		c.Data.PerPhoto /= 2
	}
	return c, err
}
