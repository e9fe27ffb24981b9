//go:build cgo && (linux || darwin)

package onnx

import (
	"bytes"
	"fmt"

	"github.com/gomlx/compute"
	onnxbackend "github.com/gomlx/compute-onnx"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

var errNoCgo error // this build has it

// The library at hand, or none: the backend would fetch one, and verify nothing.
func init() { onnxbackend.EnableAutoInstall(false) }

// translate compiles f for batches like batch with the library at path, and the parameters in it. It returns the file, and what
// the library makes of batch by that file.
func translate(path string, store *model.Store, batch *tensors.Tensor, input string, outputs []string,
	f func(scope *model.Scope, image *Node) []*Node) ([]byte, []*tensors.Tensor, error) {
	opened, err := onnxbackend.New("cpu," + path)
	if err != nil {
		return nil, nil, err
	}
	backend, ok := opened.(*onnxbackend.Backend)
	if !ok {
		return nil, nil, fmt.Errorf("a backend of type %T", opened)
	}
	defer backend.Finalize()
	backend.SetKeepModelProto(true)
	exec, err := model.NewExec(backend, store, f)
	if err != nil {
		return nil, nil, err
	}
	defer exec.Finalize()
	defer store.WithVariableAsConst(store.VariablesAsConst())
	store.WithVariableAsConst(true)
	g, err := exec.Compile(batch.Shape())
	if err != nil {
		return nil, nil, err
	}
	var file bytes.Buffer
	if err := onnxbackend.SaveModel(backend, g.Executable(), &file, []string{input}, outputs); err != nil {
		return nil, nil, err
	}
	content := file.Bytes()

	program, err := onnxbackend.LoadModel(backend, bytes.NewReader(content))
	if err != nil {
		return nil, nil, err
	}
	defer program.Finalize()
	in, err := batch.Buffer(backend, 0)
	if err != nil {
		return nil, nil, err
	}
	made, err := program.Execute([]compute.Buffer{in}, []bool{false}, 0)
	if err != nil {
		return nil, nil, err
	}
	values := make([]*tensors.Tensor, len(made))
	for i, b := range made {
		if values[i], err = tensors.FromBuffer(b); err == nil {
			err = values[i].ToLocal() // from what program allocated
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return content, values, nil
}
