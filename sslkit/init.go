package sslkit

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

// Init is a file of parameters, see package published.
type Init struct {
	File   string `json:"file,omitempty"`   // of which the key says nothing
	Digest string `json:"digest,omitempty"` // "sha256:..." of its content; a request without one is about what is there now
}

// Given is an encoder that is measured as it is: NeedsInit tells whether its parameters come out of a file, or are random.
type Given interface{ NeedsInit() bool }

// CopyEncoder sets the encoder of a store, whose variables are there, to that of another. Each must have what the other has.
func CopyEncoder(to, from *model.Store) error {
	if err := FitEncoder(to, from); err != nil {
		return err
	}
	for v := range from.Scope("/encoder").IterVariables() {
		if err := nn.CopyValue(to.GetVariable(v.Path()), v); err != nil {
			return err
		}
	}
	return nil
}

// FitEncoder says why the encoder of one store cannot be set to that of another.
func FitEncoder(to, from *model.Store) error {
	left := make(map[string]bool)
	for v := range to.Scope("/encoder").IterVariables() {
		left[v.Path()] = true
	}
	for v := range from.Scope("/encoder").IterVariables() {
		t := to.GetVariable(v.Path())
		if t != nil && strings.HasSuffix(v.Path(), "/positions/tokens") && t.Shape().Dim(1) != v.Shape().Dim(1) {
			return fmt.Errorf("its positions are of %d tokens, and images of this size have %d: read images at the size that it was trained on (--set data.size=N, of images in files), "+
				"or let timm interpolate them first, see docs/doors.md", v.Shape().Dim(1), t.Shape().Dim(1))
		}
		if t == nil || !t.Shape().Equal(v.Shape()) {
			here := "is not there"
			if t != nil {
				here = fmt.Sprintf("is %s", t.Shape())
			}
			return fmt.Errorf("the store's %s %s is not one of this backbone, where it %s: it holds another encoder, or one of images of other channels or another size", v.Path(), v.Shape(), here)
		}
		delete(left, v.Path())
	}
	if len(left) > 0 {
		return fmt.Errorf("the store lacks %d variables of the encoder: load the checkpoint of a method with this backbone, or take the store of RandomInit", len(left))
	}
	return nil
}
