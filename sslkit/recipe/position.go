package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "position", Role: sslkit.Instrument, Data: "photos",
		New:     func() sslkit.Method { return sslkit.AbsolutePosition(nn.ResNet(8, 16)) },
		Preset:  Position,
		NoPaper: "it is an instrument, without a recipe of its own",
	})
}

// Position returns the preset's configuration of telling a patch's place, on a dataset.
func Position(preset, dataset string) (sslkit.Config, error) {
	return patches(preset, dataset, sslkit.AbsolutePosition(nn.ResNet(8, 16)))
}
