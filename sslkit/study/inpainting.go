package study

import "github.com/sslkit/lab/sslkit"

// InpaintingLosses are the same context encoder with the reconstruction alone, the adversary alone and both: Pathak et al. 2016,
// Fig. 1 and Sec. 5.1. Where only one of the losses is used, the release has the same rate for both players, a tenth of c's.
func InpaintingLosses(c sslkit.Config) ([]Variant, error) {
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
