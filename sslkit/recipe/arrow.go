// sslkit pretrain --method arrow --preset smoke
//
// clips; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       5000       2     64       27   27.3 ± 5.8    38.7 ± 6.7    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "arrow", Paper: "Wei et al., 2018", Chapter: 6, Needs: sslkit.Moving, Data: "clips",
		New:    func() sslkit.Method { return arrow() },
		Preset: Arrow,
		Drawing: `
x(film) -> p/as it is,|or backwards/ -> f[[encoder]] -> g[[GRU]] -> h[linear] -> l<cross-entropy:|backwards?>
.          a(the answer)
p -> a; a -> l`,
		NoPaper: "its network is a VGG-16 on optical flow, and its data are films of Flickr and Kinetics",
	})
}

func arrow() *sslkit.Arrow { return &sslkit.Arrow{Backbone: nn.Frames(3, 64, 64)} }

// Arrow returns the preset's configuration of telling the arrow of time on a dataset of films.
//
// It learns nothing here. Films that are seen twice are told as by a guess: with smoke 50.5 ± 0.6 % of clips, seeds 1 to 3, and 50.2 %
// of all of moving-fashion, seed 1, which has no arrow. What is told of few films that come often is memory: after 12 epochs of 600,
// 67.6 ± 5.6 % of clips, and of moving-fashion, seed 1, as many: 66.0. The preset class was not measured.
func Arrow(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, arrow())
	c.Batch, c.Epochs = 64, epochs(preset, 2, 6)
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 3e-3, Warmup: 0.5}
	c = short(preset, c)
	if c.Data.Name == "clips" || c.Data.Name == "moving-fashion" { // few are learnt by heart
		if c.Data.Train = 0; preset == sslkit.Smoke {
			c.Data.Train = 5000
		}
	}
	return c, err
}
