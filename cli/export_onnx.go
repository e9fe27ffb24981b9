package cli

import (
	"fmt"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/onnx"
	"github.com/sslkit/lab/sslkit/published"
	"github.com/sslkit/lab/sslkit/runs"
)

// exportONNX writes j's encoder for batches of so many images, and holds it against ours on the first of the test set.
func (c *cli) exportONNX(j *runs.Job, batch int, out string) error {
	if err := onnx.Reads(j.Method); err != nil {
		return err
	}
	h, w, channels := j.Test.Shape()
	size := h * w * channels
	pixels := make([]uint8, batch*size)
	for i := range batch {
		if err := j.Test.Read(i%j.Test.Len(), pixels[i*size:(i+1)*size]); err != nil {
			return err
		}
	}
	m, err := onnx.Export(j.Backend, j.Store, j.Method, tensors.FromFlatDataAndDimensions(pixels, batch, h, w, channels))
	if err != nil {
		return err
	}
	if err := m.Write(out, origin(j)); err != nil {
		return err
	}
	files := []string{filepath.Join(out, published.ConfigFile), filepath.Join(out, onnx.ModelFile)}
	result := struct {
		Key        string      `json:"key"`
		Input      onnx.Port   `json:"input"`
		Outputs    []onnx.Port `json:"outputs"`
		Difference float64     `json:"difference"`
		Files      []string    `json:"files"`
	}{j.Key, m.Input, m.Outputs, m.Difference, files}
	return c.print(result, func() error {
		text := fmt.Sprintf("%v: %s %v", j, m.Input.Name, m.Input.Shape)
		for _, o := range m.Outputs {
			text += fmt.Sprintf(", %s %v", o.Name, o.Shape)
		}
		if err := c.printf("%s\nin onnxruntime it differs by %.1e\n", text, m.Difference); err != nil {
			return err
		}
		return c.printWritten(files...)
	})
}
