// sslkit pretrain --method context --preset smoke
//
// scenes; seconds of processors, compiling included; k-NN of the last block on the test set in %.
//
//	preset  examples  epochs  batch  seconds   k-NN          untrained     seeds
//	smoke       2000       3     64       12   36.5 ± 3.2    33.4 ± 4.1    1, 2, 3

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "context", Paper: "Doersch et al., 2015", Chapter: 2, Data: "scenes",
		New:     func() sslkit.Method { return deepContext() },
		Preset:  Context,
		NoPaper: "its towers are of AlexNet's kind, for ImageNet",
		Drawing: `
.           .                             a(a patch)   -> f[[tower]]
x(image) -> t/two patches,|with a gap/    .            .              c[MLP on both] -> l<cross-entropy:|on which of 8 sides?>
.           .                             b(another)   -> g[[tower]]
.           y(the side)
t -> a; t -> b; f -> c; g -> c; f == g; t -> y; y -> l`,
	})
}

func deepContext() *sslkit.ContextPrediction {
	m := sslkit.DeepContext(nn.ResNet(8, 16))
	m.Guards.Colors = ""
	return m
}

// Context returns the preset's configuration of context prediction on a dataset. Colours are kept: at these sizes, dropping
// them takes the network below a random one, see [sslkit.DeepContext].
func Context(preset, dataset string) (sslkit.Config, error) {
	return patches(preset, dataset, deepContext())
}
