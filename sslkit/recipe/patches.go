package recipe

import (
	"strings"

	"github.com/sslkit/lab/sslkit"
)

// patches is what methods that look at parts of an image have in common.
func patches(preset, dataset string, m sslkit.Method) (sslkit.Config, error) {
	c, err := sslkit.Usual(preset, dataset, m)
	if dataset == "photos" || strings.HasPrefix(dataset, "folder:") {
		c.Data.Size = 64 // so that there is something in a part
	}
	c.Batch, c.Optimizer.Rate, c.Optimizer.WeightDecay = 64, 0.05, 5e-4
	return c, err
}
