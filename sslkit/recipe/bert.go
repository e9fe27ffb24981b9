// sslkit pretrain --method bert --preset smoke
//
// glosses; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       3    128       14   31.0 ± 1.0    36.9 ± 0.8    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "bert", Paper: "Devlin et al., 2019", Chapter: 6, Needs: sslkit.Written, Data: "glosses",
		New:     func() sslkit.Method { return bert() },
		Preset:  BERT,
		NoPaper: "its text is books and all of Wikipedia, 3.3 billion words",
		Drawing: `
x(text) -> m/hide 15 %|of the words/ -> f[[transformer, sees|both sides]] -> h[head] -> l<cross-entropy:|which words?>
.          y(those hidden)
m -> y; y -> l`,
	})
}

func bert() *sslkit.BERT {
	m := sslkit.PaperBERT(nn.Text(2, 96, 4000, 24))
	m.Dropout = 0 // so few epochs do not overfit: after five with class, seed 1, the loss is 4.49; with 0.1, and six in all, 4.86
	return m
}

// BERT returns the preset's configuration of masked words on a dataset of texts.
//
// With class, seed 1 alone (some 150 CPU-seconds): linear probe of 10 labels a class (penalty 0.01), last stage, 40.4 %, k-NN 60.7; the
// mean of the words' vectors 39.9 and 63.2. Untrained, on the data of smoke and seeds 1 to 3, 25.4 ± 1.1 and 36.9 ± 0.8; word2vec has
// 62.6 and 79.1 with class. The loss was 3.91 and still falling. With dropout 0.1 and six epochs the probe had 28.5 %; with twice the
// rate and half the batch the loss was 5.39 after seven epochs.
func BERT(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, bert())
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 2e-3, WeightDecay: 0.01, Warmup: 0.5}
	return c, err
}
