package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "byol", Paper: "Grill et al., 2020", Chapter: 3,
		New:     func() sslkit.Method { return byol() },
		Preset:  BYOL,
		NoPaper: "its network is a ResNet-50, for ImageNet",
	})
}

func byol() *sslkit.BYOL {
	m := sslkit.BYOLDefault(nn.ResNet(8, 8))
	m.View, m.Other = view.SimCLRCIFAR(), view.Recipe{} // without blur, for small images
	m.Hidden, m.Dim, m.Momentum = 256, 64, 0.97
	return m
}

// BYOL returns the preset's configuration of BYOL on a dataset.
func BYOL(preset, dataset string) (sslkit.Config, error) {
	return sslkit.Usual(preset, dataset, byol())
}
