// sslkit pretrain --method simcse --preset smoke
//
// glosses; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       3    128       19   42.4 ± 0.7    36.9 ± 0.8    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "simcse", Paper: "Gao et al., 2021", Chapter: 6, Needs: sslkit.Written, Data: "glosses",
		New:     func() sslkit.Method { return simcse() },
		Preset:  SimCSE,
		NoPaper: "it starts from BERT as released, and its text is a million sentences of Wikipedia",
		Drawing: `
.       f[[transformer]] -> g[head] -> z(reading 1)
x(text) .                   .          n(negatives:|other texts) -> l<InfoNCE: which is|of the same text?>
.       h[[transformer]] -> k[head] -> y(reading 2)
x -> f "dropout"; x -> h "dropout"; z -> l; y -> l; f == h; g == k`,
	})
}

func simcse() *sslkit.SimCSE { return sslkit.PaperSimCSE(nn.Text(2, 96, 4000, 24)) }

// SimCSE returns the preset's configuration of dropout as the only view on a dataset of texts.
func SimCSE(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, simcse())
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 2e-3, WeightDecay: 0.01, Warmup: 0.5}
	return c, err
}
