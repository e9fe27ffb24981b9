// Package recipe holds how each method is trained here, a file a method: what the laboratory has to know of it, and its
// presets. Importing it registers all of them.
//
// What a recipe takes and comes to stands at the top of its file, as measured.
//
// The preset Paper is the whole recipe of a paper or of its authors' code, network, schedule and batch included, or an error
// that says what is missing. Where it was made for CIFAR-10 it can be had for any images of that size. As everywhere in this
// laboratory, pixels are scaled by one number for all channels, and biases and the scales of norms are not decayed.
package recipe

import (
	"context"
	"slices"
	"strings"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
)

// Preset returns the preset's configuration of a registered method, by its name, on a dataset; "" is the one that the method
// is tried on first. Methods that have recipes for more than one purpose come with the one for features.
//
// A preset's numbers of images are at most so many: of a folder that has fewer all are used.
func Preset(ctx context.Context, method, preset, dataset string) (sslkit.Config, error) {
	r, err := sslkit.Lookup(method)
	if err != nil {
		return sslkit.Config{}, err
	}
	if dataset == "" {
		dataset = r.Data
	}
	c, err := r.Preset(preset, dataset)
	sounds := strings.HasPrefix(dataset, "audio:") || strings.HasPrefix(dataset, "logmel:")
	if err != nil || !strings.HasPrefix(dataset, "folder:") && !strings.HasPrefix(dataset, "captions:") && !sounds {
		return c, err
	}
	o := data.OpenOptions{Size: c.Data.Size}
	if sounds {
		o.Frames = data.LongestSound // what is counted here are sounds, however long
	}
	train, test, err := data.OpenContext(ctx, dataset, o)
	if err != nil {
		return c, err
	}
	if c.Data.Train >= train.Len() {
		c.Data.Train = 0
	}
	if c.Data.Test >= test.Len() {
		c.Data.Test = 0
	}
	n := c.Data.Train
	if n == 0 {
		n = train.Len()
	}
	c.Batch = min(c.Batch, n)
	return c, nil
}

// epochs is how many a preset has of a method for which the usual are too many or too few.
func epochs(preset string, smoke, class int) int {
	switch preset {
	case sslkit.Smoke:
		return smoke
	case sslkit.Night:
		return class * sslkit.NightEpochs
	}
	return class
}

// isSound tells datasets of sounds by their names.
func isSound(dataset string) bool {
	kind, _, _ := strings.Cut(dataset, ":")
	return slices.Contains([]string{"spoken-digits", "espeak", "audio", "logmel"}, kind)
}

// whole is what the presets Paper have in common: all of a dataset.
func whole(dataset string, m sslkit.Method) sslkit.Config {
	return sslkit.Config{Method: m, Data: sslkit.Data{Name: dataset}, Seed: 1}
}
