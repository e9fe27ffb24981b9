package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "nnclr", Paper: "Dwibedi et al., 2021", Chapter: 3,
		New:     func() sslkit.Method { return nnclr() },
		Preset:  NNCLR,
		NoPaper: "its network is a ResNet-50, for ImageNet",
	})
}

func nnclr() *sslkit.NNCLR {
	m := sslkit.NNCLRDefault(nn.ResNet(8, 8))
	m.View = view.SimCLRCIFAR() // without blur, for small images
	m.Hidden, m.Dim, m.Predictor, m.Queue = 128, 64, 256, 1024
	return m
}

// NNCLR returns the preset's configuration of NNCLR on a dataset.
func NNCLR(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, nnclr())
	c.Optimizer.Rate = 0.03 // the neighbours of the first steps are random; k-NN 60.8 with smoke, 50.7 at 0.1
	return c, err
}
