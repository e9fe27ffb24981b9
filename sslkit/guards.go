package sslkit

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Guards take from patches of an image what tells where they were without a look at what they show.
type Guards struct {
	// Colors is against chromatic aberration: "drop" two of three channels or "project" them (Doersch
	// et al. 2015, Sec. 3.1), "shift" them against each other (Noroozi & Favaro 2016, "Preventing
	// Shortcuts"), or "" to keep them. Grey images have none.
	Colors     string  `json:"colors"`
	Downsample float64 `json:"downsample"` // share of the patches that are pixelated
	Normalize  bool    `json:"normalize"`  // each patch by its own mean and deviation
}

// Validate says what cannot be applied.
func (g Guards) Validate() error {
	switch g.Colors {
	case "", "drop", "project", "shift":
	default:
		return fmt.Errorf(`sslkit: colors are guarded by "drop", "project", "shift" or "", not by %q`, g.Colors)
	}
	if !(g.Downsample >= 0 && g.Downsample <= 1) {
		return fmt.Errorf("sslkit: %g is no share of the patches to downsample: choose from 0 to 1", g.Downsample)
	}
	return nil
}

// Apply guards patches [N, s, s, C], each on its own.
func (g Guards) Apply(scope *model.Scope, patches *Node) *Node {
	if err := g.Validate(); err != nil {
		panic(err)
	}
	if g.Downsample > 0 {
		patches = view.Pixelate(g.Downsample)(scope, patches)
	}
	switch g.Colors {
	case "drop":
		patches = view.DropColors(scope, patches)
	case "project":
		patches = view.ProjectColors(patches)
	case "shift": // 2 pixels of 64, and at least one
		by := max(1, int(math.Round(float64(patches.Shape().Dim(1))/32)))
		patches = view.ShiftColors(by)(scope, patches)
	}
	if g.Normalize {
		patches = view.Standardize(patches)
	}
	return patches
}

// tower is how a tower of context prediction and of jigsaw ends: with so many units of fc6, each of which sees all of the map
// [N, h, w, C] and so where in the patch a thing is; or without any, with the map's mean.
func tower(scope *model.Scope, h *Node, units int) *Node {
	if units == 0 {
		return nn.Pool(h)
	}
	return activation.Relu(nn.MLP(scope.In("fc6"), Reshape(h, h.Shape().Dim(0), -1), units))
}

// told is the loss of a network that is to tell which of some classes y [N] it sees, from its logits [N, K]; how often it does
// is reported.
func told(logits, y *Node) *Node {
	Report("accuracy", loss.Accuracy(logits, y))
	return loss.CrossEntropy(logits, y)
}

// checkPatches says what cannot be trained of what methods that look at patches have in common.
func checkPatches(tower, hidden int, guards Guards, backbone nn.Backbone) error {
	switch {
	case hidden < 1:
		return fmt.Errorf("sslkit: %d hidden units: choose at least 1", hidden)
	case tower < 0:
		return fmt.Errorf("sslkit: a tower of %d units: choose at least 1, or 0 for the mean of its map", tower)
	}
	if err := guards.Validate(); err != nil {
		return err
	}
	return backbone.Validate()
}

// leastPatch is the side of the smallest patch, in pixels: one position of the deepest map.
const leastPatch = 4

// square returns the number and the side of images [N, S, S, C].
func square(method string, image *Node) (n, side int) {
	if image.Rank() != 4 || image.Shape().Dim(1) != image.Shape().Dim(2) {
		exceptions.Panicf("sslkit: %s needs square images [N, S, S, C], got %s", method, image.Shape())
	}
	return image.Shape().Dim(0), image.Shape().Dim(1)
}
