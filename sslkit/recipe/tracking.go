// sslkit pretrain --method tracking --preset smoke
//
// clips; 33 CPU-seconds, compiling included. Carried through the test clips (sslkit track --preset smoke), region J 41.0 ± 1.1 %, seeds
// 1, 2 and 3; untrained 5.8 ± 0.5 %.

package recipe

import (
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "tracking", Paper: "Vondrick et al., 2018", Chapter: 1, Needs: sslkit.Moving, Data: "clips",
		New:     func() sslkit.Method { return tracker() },
		Preset:  Tracking,
		NoPaper: "its network is a ResNet-18 with a 3D convolution over frames of 256 pixels, and its data are Kinetics",
		Drawing: `
.                         c(their colours)
r(frames|before) -> f[[encoder]] -> g[head] -> a/where|was it?/ -> p/copy the|colours/ -> l<which of 16|colours?>
x(the next|frame) -> h[[encoder]] -> k[head]
.                         y(its colours)
r -> c; x -> y; k -> a; c -> p; y -> l; f == h; g == k`,
	})
}

func tracker() *sslkit.VideoColorization {
	m := sslkit.PaperVideoColorization(nn.ResNet(8, 8))
	m.Dim, m.Temperature = 32, 0.1
	return m
}

// Tracking returns the preset's configuration of video colorization on a dataset of clips.
func Tracking(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, tracker())
	c.Data.Size, c.Batch = 64, 8 // maps of 16x16; 40 targets a step
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 2e-3, WeightDecay: 1e-4, Warmup: 0.25}
	c.Epochs, c.Data.Train, c.Data.Test = epochs(preset, 2, 3), 800, 200
	if preset == sslkit.Smoke {
		c.Data.Train, c.Data.Test = 320, 64
	}
	if strings.HasPrefix(dataset, "video:") || isSound(dataset) {
		c.Data.Train, c.Data.Test = 0, 0 // as many as there are
	}
	return c, err
}
