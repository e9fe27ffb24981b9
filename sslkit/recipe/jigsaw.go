// sslkit pretrain --method jigsaw --preset smoke
//
// scenes; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       3     64       15   38.8 ± 4.3    33.4 ± 4.1    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "jigsaw", Paper: "Noroozi & Favaro, 2016", Chapter: 2, Data: "scenes",
		New:     func() sslkit.Method { return cfn() },
		Preset:  Jigsaw,
		NoPaper: "its towers are AlexNet's, for ImageNet",
		Drawing: `
x(image) -> t/nine tiles,|with gaps/ -> s/shuffle/ -> f[[a tower|each]] -> c[MLP on|all nine] -> l<cross-entropy:|which permutation?>
.           .                           y(permutation)
s -> y; y -> l`,
	})
}

func cfn() *sslkit.Jigsaw {
	m := sslkit.CFN(nn.ResNet(8, 16))
	m.Permutations = 24
	return m
}

// Jigsaw returns the preset's configuration of jigsaw puzzles on a dataset, with 24 permutations.
func Jigsaw(preset, dataset string) (sslkit.Config, error) { return patches(preset, dataset, cfn()) }
