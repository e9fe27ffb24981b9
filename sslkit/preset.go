package sslkit

import (
	"fmt"
	"os"
	"strings"
)

// Presets, from fast to faithful.
const (
	Smoke = "smoke" // under two minutes of CPU
	Class = "class" // ten minutes for a whole experiment on two cores
	Night = "night" // as class, for longer and with more examples: an hour or two for what takes ten minutes there
	Paper = "paper" // the recipe of the paper or of its authors' code, of the methods that have it: see Registration.NoPaper
)

// PresetOr is what SSLKIT_PRESET says, and else the fallback.
func PresetOr(fallback string) string {
	if preset := os.Getenv("SSLKIT_PRESET"); preset != "" {
		return preset
	}
	return fallback
}

// Seeds are as many as a preset has time for: one with smoke, else three.
func Seeds(preset string) []int64 {
	if preset == Smoke {
		return []int64{1}
	}
	return []int64{1, 2, 3}
}

// NightEpochs is how many times the epochs of [Class] the preset [Night] has.
const NightEpochs = 5

// Usual is what most methods start from: the configuration of m on a dataset with the preset [Smoke], [Class] or [Night]. There is
// no usual [Paper].
func Usual(preset, dataset string, m Method) (Config, error) {
	c := Config{
		Method:    m,
		Data:      Data{Name: dataset},
		Epochs:    3,
		Batch:     128,
		Optimizer: Optimizer{Kind: "sgd", Rate: 0.1, Momentum: 0.9, WeightDecay: 1e-4, Warmup: 0.5},
		Seed:      1,
	}
	switch preset {
	case Smoke:
		switch dataset {
		case "photos": // the scarcest class has ten training photos
			c.Data.PerPhoto = 8
		case "emoji", "spoken-digits", "espeak": // all are few
		case "glosses-all": // in 45 classes
			c.Data.Train, c.Data.Test = 4500, 900
		default:
			c.Data.Train, c.Data.Test = 2000, 1000
		}
	case Class, Night:
		c.Epochs = 10
		switch {
		case strings.HasPrefix(dataset, "fashion-mnist"), dataset == "mnist":
			c.Data.Train, c.Data.Test = 5000, 2000
		case dataset == "photos":
			c.Data.PerPhoto = 24
		case dataset == "scenes":
			c.Data.Train, c.Data.Test = 2000, 1000
			c.Epochs = 24 // so few examples have to be seen often
		}
		if preset == Night {
			c.Epochs *= NightEpochs
			if dataset != "scenes" { // of which there is no end
				c.Data.Train, c.Data.Test = 0, 0
			}
		}
	case Paper:
		r, _ := RegistrationOf(m)
		return c, r.noPaper()
	default:
		return c, fmt.Errorf("sslkit: no preset is called %q: choose %s, %s, %s or %s", preset, Smoke, Class, Night, Paper)
	}
	return c, nil
}

// noPaper is the error of who asks for a preset Paper that a method has not, for a reason.
func (r Registration) noPaper() error {
	why := r.NoPaper
	if why == "" {
		why = "it was given none"
	}
	var have []string
	for _, other := range Registered() {
		if other.Role == SelfSupervised && other.NoPaper == "" && other.Paper != "" {
			have = append(have, other.Name)
		}
	}
	return fmt.Errorf("sslkit: %s has no preset %s: %s; choose %s or %s, or one of the methods that have it: %s",
		r.Name, Paper, why, Smoke, Class, strings.Join(have, ", "))
}
