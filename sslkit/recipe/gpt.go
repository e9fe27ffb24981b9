// sslkit pretrain --method gpt --preset smoke
//
// glosses, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; some 20 CPU-seconds, compiling included. k-NN of the
// last stage on the test set 25.1 ± 0.6 %, seeds 1, 2 and 3; untrained 42.0 ± 0.6 %: so short a run is worse than none.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "gpt", Paper: "Radford et al., 2018", Chapter: 6, Needs: sslkit.Written, Data: "glosses",
		New:     func() sslkit.Method { return gpt() },
		Preset:  GPT,
		NoPaper: "its text, 7,000 unpublished books, is not public",
		Drawing: `
x(text) -> a(words so far) -> f[[transformer, sees|what is before]] -> s(a score for|each word) -> l<cross-entropy:|which comes next?>
.          y(next words)
x -> y; y -> l`,
	})
}

func gpt() *sslkit.GPT {
	m := sslkit.PaperGPT(nn.Text(2, 96, 4000, 24))
	m.Dropout = 0 // as bert's
	return m
}

// GPT returns the preset's configuration of next words on a dataset of texts.
//
// With smoke, seed 1: perplexity of the test texts 260.0; by counts of the same training texts 313.1 of single words and 190.0 of pairs
// (perplexity_gen.go). The preset class was not measured.
func GPT(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, gpt())
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 2e-3, WeightDecay: 0.01, Warmup: 0.5}
	c.Epochs = epochs(preset, 3, 4) // each word of a text is guessed, where bert guesses one in seven
	return c, err
}
