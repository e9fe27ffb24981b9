// sslkit pretrain --method pace --preset smoke
//
// moving-fashion; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke        600      30     64       21   18.8 ± 1.9    29.1 ± 0.4    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "pace", Paper: "Wang et al., 2020", Chapter: 6, Needs: sslkit.Moving, Data: "moving-fashion",
		New:     func() sslkit.Method { return pace() },
		Preset:  Pace,
		NoPaper: "its networks convolve over time, and its data are Kinetics-400 and UCF101",
		Drawing: `
x(film) -> p/every 1st, 2nd|or 3rd frame/ -> f[[encoder]] -> g[[GRU]] -> h[linear] -> l<cross-entropy:|which pace?>
.          a(the answer)
p -> a; a -> l`,
	})
}

func pace() *sslkit.Pace { return sslkit.SmallPace(nn.Frames(3, 64, 64)) }

// Pace returns the preset's configuration of telling the pace of films on a dataset of films.
//
// With smoke, seeds 1 to 3, linear probe of all 600 labels (penalty 0.01), state at the end: direction 65.9 ± 5.7 %, untrained 52.3 ±
// 4.9; speed 88.0 ± 1.3 and 68.0 ± 3.2; what moves, mean of z, 33.5 ± 2.4 and 36.3 ± 2.6. In the last epoch 79 % of the paces are
// told, of 83 that can be. The preset class was not measured.
func Pace(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, pace())
	c.Batch = 64
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 3e-3, Warmup: 0.5}
	c.Epochs = epochs(preset, 30, 20) // of three times as many films
	return short(preset, c), err
}
