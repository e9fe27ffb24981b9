//go:build !cgo || !(linux || darwin)

package onnx

import (
	"errors"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

var errNoCgo = errors.New("onnx: this program cannot write ONNX: it was built without a C compiler (cgo), or for another system than Linux and macOS")

func translate(string, *model.Store, *tensors.Tensor, string, []string, func(*model.Scope, *Node) []*Node) ([]byte, []*tensors.Tensor, error) {
	return nil, nil, errNoCgo
}
