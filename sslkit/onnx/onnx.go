// Package onnx writes encoders in the Open Neural Network Exchange format, which onnxruntime and many others read.
//
// GoMLX's backend for onnxruntime makes the file of the same graph that is compiled here. It needs onnxruntime's shared library,
// see [Runtime]; nothing is ever fetched. What was written is read back and run before anybody gets it: features that are not
// those of the backend at hand are an error.
//
// The backend is cgo: built without it the package refuses.
package onnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/published"
)

// ModelFile is the name of the file, beside [published.ConfigFile].
const ModelFile = "model.onnx"

const (
	// LibraryEnv names onnxruntime's shared library, as for other programs that load it.
	LibraryEnv = "ONNXRUNTIME_SHARED_LIBRARY_PATH"

	wheel = "onnxruntime==1.32.0" // of PyPI, the one that tests use; older ones work from 1.17 on
)

// limit is on the difference of features. In float32 it is about 1e-6; what is translated wrongly makes it 1e-2 or more.
const limit = 1e-4

// Port is an input or an output, float32.
type Port struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// Model is an encoder as ONNX.
type Model struct {
	Content []byte
	Input   Port   // "image" [N, C, H, W], pixels in [0, 1]
	Outputs []Port // "features" [N, D], the average over the last map, which `sslkit embed` writes; then the maps "stage_1" and so on, [N, D, h, w]

	// Difference is the largest, over the outputs of images that both saw, of |theirs - ours| / |ours|.
	Difference float64
}

// Runtime is the path of onnxruntime's shared library: that which [LibraryEnv] names, else that of a Python package. The error
// says how to come by one.
func Runtime() (string, error) {
	if errNoCgo != nil {
		return "", errNoCgo
	}
	path := os.Getenv(LibraryEnv)
	if path == "" {
		pattern := map[string]string{"linux": "libonnxruntime.so*", "darwin": "libonnxruntime.*dylib"}[runtime.GOOS]
		found := pjrt.Packaged("onnxruntime/capi/" + pattern)
		if len(found) == 0 {
			return "", fmt.Errorf("onnx: onnxruntime writes ONNX, and was not found: pip install %s into the Python environment that is active, or name its libonnxruntime by %s", wheel, LibraryEnv)
		}
		path = found[0]
	}
	path, err := filepath.Abs(path)
	if err == nil {
		err = pjrt.Trusted(path)
	}
	if err == nil && strings.ContainsAny(path, ",=") {
		err = errors.New("its path has a comma or an equals sign, which GoMLX would read as an option: copy it to another folder")
	}
	if err != nil {
		return "", fmt.Errorf("onnx: onnxruntime's library %s: %w", path, err)
	}
	return path, nil
}

// Reads is an error if m's encoder reads something else than images, and so is not written.
func Reads(m sslkit.Method) error {
	if b := sslkit.Backbone(m); b == nil || b.Input() != nn.Images {
		return fmt.Errorf("onnx: the encoder of %s does not read images: only those that do are written", sslkit.TitleOf(m))
	}
	return nil
}

// Export makes a model of m's encoder, whose parameters are in store, for batches like images [N, H, W, C] uint8, on which it is
// held against the encoder on backend.
func Export(backend compute.Backend, store *model.Store, m sslkit.Method, images *tensors.Tensor) (*Model, error) {
	if err := Reads(m); err != nil {
		return nil, err
	}
	path, err := Runtime()
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	batch, err := planes(images)
	if err != nil {
		return nil, err
	}
	// Ours first: this gives an untrained encoder its parameters.
	ours, err := run(backend, store, images, func(scope *model.Scope, image *Node) []*Node {
		return outputs(m, scope, DivScalar(ConvertDType(image, dtypes.Float32), 255))
	})
	if err != nil {
		return nil, sslkit.Explain("onnx: running the encoder", err)
	}
	out := &Model{Input: Port{"image", []int{d[0], d[3], d[1], d[2]}}}
	var names []string
	for i, t := range ours {
		name := "features"
		if i > 0 {
			name = fmt.Sprint("stage_", i)
		}
		names = append(names, name)
		out.Outputs = append(out.Outputs, Port{name, slices.Clone(t.Shape().Dimensions)})
	}
	var theirs []*tensors.Tensor
	out.Content, theirs, err = translate(path, store, batch, out.Input.Name, names, func(scope *model.Scope, image *Node) []*Node {
		return outputs(m, scope, TransposeAllAxes(image, 0, 2, 3, 1))
	})
	if err != nil {
		return nil, sslkit.Explain("onnx: translating the encoder", err)
	}
	for i, t := range theirs {
		difference, err := compare(t, ours[i])
		if err != nil {
			return nil, fmt.Errorf("onnx: %s: %w", names[i], err)
		}
		if out.Difference = max(out.Difference, difference); !(difference < limit) { // NaN is none either
			return nil, fmt.Errorf("onnx: onnxruntime's %s differ from ours by %.1e of them, where rounding makes 1e-6: nothing is written", names[i], difference)
		}
	}
	return out, nil
}

// outputs are what m keeps of image [N, H, W, C]: features [N, D], and the maps as [N, D, h, w].
func outputs(m sslkit.Method, scope *model.Scope, image *Node) []*Node {
	maps := m.Encode(scope, image)
	out := []*Node{nn.Pool(nn.Last(maps))}
	for _, x := range maps {
		out = append(out, TransposeAllAxes(x, 0, 3, 1, 2))
	}
	return out
}

func run(backend compute.Backend, store *model.Store, images *tensors.Tensor, f func(scope *model.Scope, image *Node) []*Node) ([]*tensors.Tensor, error) {
	exec, err := model.NewExec(backend, store, f)
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	return exec.Call(images)
}

// planes is images [N, H, W, C] uint8 as [N, C, H, W] float32 in [0, 1].
func planes(images *tensors.Tensor) (*tensors.Tensor, error) {
	pixels, err := tensors.CopyFlatData[uint8](images)
	if err != nil {
		return nil, fmt.Errorf("onnx: the images: %w", err)
	}
	d := images.Shape().Dimensions
	area, channels := d[1]*d[2], d[3]
	values := make([]float32, len(pixels))
	for i, p := range pixels {
		n, at, c := i/(area*channels), i/channels%area, i%channels
		values[(n*channels+c)*area+at] = float32(p) / 255
	}
	return tensors.FromFlatDataAndDimensions(values, d[0], channels, d[1], d[2]), nil
}

// compare is |a-b| / |b|, the norms over all elements.
func compare(a, b *tensors.Tensor) (float64, error) {
	if !a.Shape().Equal(b.Shape()) {
		return 0, fmt.Errorf("onnxruntime makes %s, and not %s", a.Shape(), b.Shape())
	}
	x, err := tensors.CopyFlatData[float32](a)
	if err != nil {
		return 0, err
	}
	y, err := tensors.CopyFlatData[float32](b)
	if err != nil {
		return 0, err
	}
	var off, size float64
	for i := range x {
		off += math.Pow(float64(x[i])-float64(y[i]), 2)
		size += math.Pow(float64(y[i]), 2)
	}
	return math.Sqrt(off / size), nil
}

// Config is what config.json says of a model: images come as in [published.Pretrained], in the words of timm, which Input and
// Outputs make precise. Mean and deviation are 0 and 1, since the model itself normalises.
type Config struct {
	Pretrained published.Pretrained `json:"pretrained_cfg"`
	Input      Port                 `json:"input"`
	Outputs    []Port               `json:"outputs"`
	SSLKit     published.Origin     `json:"sslkit"`
}

// Write makes a new folder of the model and its configuration. It appears whole or not at all.
func (m *Model) Write(dir string, of published.Origin) error {
	size := m.Input.Shape[1:]
	c := Config{
		Pretrained: published.Pretrained{InputSize: size, FixedSize: true, Mean: make([]float64, size[0]), Std: make([]float64, size[0])},
		Input:      m.Input, Outputs: m.Outputs, SSLKit: of,
	}
	for i := range c.Pretrained.Std {
		c.Pretrained.Std[i] = 1
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return published.WriteFolder(dir, map[string][]byte{ModelFile: m.Content, published.ConfigFile: text.Bytes()})
}
