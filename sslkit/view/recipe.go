package view

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Recipe is a stub.
type Recipe struct {
	Pad int `json:"pad"`
}

// Validate is a stub.
func (r Recipe) Validate() error { return nil }

// View is a stub.
func (r Recipe) View(scope *model.Scope, x *Node) *Node {
	if r.Pad == 0 {
		return x
	}
	return Flip(scope, RandomCrop(r.Pad)(scope, x))
}

// SimCLR is a stub.
func SimCLR(s float64) Recipe { return Recipe{2} }

// SimCLRCIFAR is a stub.
func SimCLRCIFAR() Recipe { return Recipe{2} }

// MoCoV1 is a stub.
func MoCoV1() Recipe { return Recipe{2} }

// MoCoV2 is a stub.
func MoCoV2() Recipe { return Recipe{2} }
