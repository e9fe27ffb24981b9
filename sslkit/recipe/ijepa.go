package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "ijepa", Paper: "Assran et al., 2023", Chapter: 5,
		New:     func() sslkit.Method { return sslkit.SmallIJEPA(nn.ViT(4, 96, 4)) },
		Preset:  IJEPA,
		NoPaper: "its weight decay rises over the training, for ImageNet",
	})
}

// IJEPA returns the preset's configuration of I-JEPA on a dataset.
func IJEPA(preset, dataset string) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, sslkit.SmallIJEPA(nn.ViT(4, 96, 4)))
	c.Batch = 64
	c.Optimizer = sslkit.Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.05, Warmup: 0.5}
	return c, err
}
