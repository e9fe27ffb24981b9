package sweep

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

// Inpainting returns the preset's configuration of context encoders for pictures on a dataset, with the joint loss and a hole
// in the centre. [InpaintingFeatures] is for features.
func Inpainting(preset, dataset string) (Config, error) {
	return inpainting(preset, dataset, sslkit.SemanticInpainting(nn.ResNet(8, 16)))
}

// InpaintingFeatures returns the preset's configuration of context encoders for features on a dataset, with random blocks and
// the reconstruction alone.
func InpaintingFeatures(preset, dataset string) (Config, error) {
	return inpainting(preset, dataset, sslkit.InpaintingFeatures(nn.ResNet(8, 16)))
}

func inpainting(preset, dataset string, m *sslkit.ContextEncoder) (Config, error) {
	c, err := usual(preset, dataset, Method{Inpainting: m})
	c.Batch = 64
	// train.lua of pathak22/context-encoder, with a cosine: 10 times its lr of 0.0002, and beta1.
	c.Optimizer = Optimizer{Kind: "adamw", Rate: 2e-3, Beta1: 0.5}
	if dataset == "photos" { // what is painted needs many steps more than images
		c.Data.PerPhoto = 64
		if preset == Class {
			c.Epochs = 3
		}
	}
	if preset == Smoke {
		c.Epochs = 4
		c.Data.PerPhoto /= 2
	}
	return c, err
}

// InpaintingLosses are the same context encoder with the reconstruction alone, the adversary alone and both: Pathak et al. 2016,
// Fig. 1 and Sec. 5.1. Where only one of the losses is used, the release has the same rate for both players, a tenth of c's.
func (c Config) InpaintingLosses() ([]Variant, error) {
	var variants []Variant
	for _, v := range []struct {
		name           string
		rec, adv, rate float64
	}{{"L2", 1, 0, 1}, {"adversarial", 0, 1, 1}, {"joint", 0.999, 0.001, 0.1}} {
		changed := c
		for field, value := range map[string]float64{"inpainting.rec": v.rec, "inpainting.adv": v.adv, "inpainting.critic_rate": v.rate} {
			var err error
			if changed, err = changed.With(field, value); err != nil {
				return nil, err
			}
		}
		if v.rec == 0 {
			changed.Optimizer.Rate /= 10
		}
		variants = append(variants, Variant{v.name, changed})
	}
	return variants, nil
}
