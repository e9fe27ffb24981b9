package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "swav", Paper: "Caron et al., 2020", Chapter: 4,
		New:     func() sslkit.Method { return swav() },
		Preset:  SwAV,
		NoPaper: "its network is a ResNet-50, for ImageNet",
	})
}

func swav() *sslkit.SwAV {
	m := sslkit.SwAVMultiCrop(nn.ResNet(8, 8), 28)
	m.View, m.Hidden, m.Dim, m.Prototypes = view.SimCLRCIFAR(), 128, 64, 100
	m.View.MinScale = 0.3
	m.SmallCrops, m.SmallSize, m.SmallMin, m.SmallMax = 4, 14, 0.1, 0.3
	return m
}

// SwAV returns the preset's configuration of SwAV on a dataset: two crops of the image's size and four of half of it.
func SwAV(preset, dataset string) (sslkit.Config, error) {
	return sslkit.Usual(preset, dataset, swav())
}
