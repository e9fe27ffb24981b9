package onnx

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"google.golang.org/protobuf/proto"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/published"
)

// library sees to it that onnxruntime is found, that of `make doors` too, or skips the test.
func library(t *testing.T) {
	t.Helper()
	if _, err := Runtime(); err == nil {
		return
	}
	found, _ := filepath.Glob("../../.lab/doors-venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
	if len(found) > 0 {
		t.Setenv(LibraryEnv, found[0])
	}
	if _, err := Runtime(); err != nil {
		t.Skipf("%v; make doors brings one", err)
	}
}

var opened = sync.OnceValues(func() (compute.Backend, error) { return compute.NewWithConfig("go:ops_sequential") })

func goBackend(t *testing.T) compute.Backend {
	t.Helper()
	backend, err := opened()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// stirred is a store with parameters of m's encoder, none of which is as it begins: norms have statistics, scales and offsets.
func stirred(t *testing.T, m sslkit.Method, images *tensors.Tensor) *model.Store {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		t.Fatal(err)
	}
	_, err := run(goBackend(t), store, images, func(scope *model.Scope, image *Node) []*Node {
		return outputs(m, scope, DivScalar(ConvertDType(image, dtypes.Float32), 255))
	})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for v := range store.IterVariables() {
		if !v.DType().IsFloat() {
			continue // the state of random numbers
		}
		values, err := tensors.CopyFlatData[float32](v.MustValue())
		if err != nil {
			t.Fatal(err)
		}
		for i := range values {
			if values[i] += float32(rnd.NormFloat64()) / 20; v.Name() == "variance" {
				values[i] = 0.5 + values[i]*values[i]
			}
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func drawn(n, side, channels int) *tensors.Tensor {
	rnd := rand.New(rand.NewPCG(3, 4))
	pixels := make([]uint8, n*side*side*channels)
	for i := range pixels {
		pixels[i] = uint8(rnd.IntN(256))
	}
	return tensors.FromFlatDataAndDimensions(pixels, n, side, side, channels)
}

// The encoder of each kind of network comes out of onnxruntime as it goes in, with convolutions as such, and by operations of the
// standard alone.
func TestExport(t *testing.T) {
	library(t)
	token := nn.ViT(4, 32, 4)
	token.Class, token.Learnt, token.Pixels = true, true, "imagenet"
	large := nn.ResNet18(4)
	large.Stem = "imagenet"
	for _, test := range []struct {
		name     string
		b        nn.Backbone
		channels int
		convs    int
		outputs  []Port
	}{
		{"resnet", nn.ResNet(8, 8), 1, 7, []Port{{"features", []int{64, 32}}, {"stage_1", []int{64, 8, 16, 16}}, {"stage_2", []int{64, 16, 8, 8}}, {"stage_3", []int{64, 32, 4, 4}}}},
		{"resnet18", nn.ResNet18(4), 3, 20, nil},
		{"resnet18, ImageNet's stem", large, 3, 20, nil},
		{"nin", nn.NIN(3, 12), 3, 9, nil},
		{"vit", nn.ViT(4, 64, 4), 3, 0, []Port{{"features", []int{64, 64}}, {"stage_1", []int{64, 64, 4, 4}}, {"stage_2", []int{64, 64, 4, 4}}, {"stage_3", []int{64, 64, 4, 4}}, {"stage_4", []int{64, 64, 4, 4}}}},
		{"vit, class token", token, 1, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, images := sslkit.RotNet(test.b), drawn(64, 16, test.channels)
			store := stirred(t, m, images)
			got, err := Export(goBackend(t), store, m, images)
			if err != nil {
				t.Fatal(err)
			}
			if store.VariablesAsConst() {
				t.Error("the store's parameters became constants")
			}
			t.Logf("%d bytes, difference %.1e", len(got.Content), got.Difference)
			if !(got.Difference > 0 && got.Difference < 1e-5) { // of float32, in up to 20 layers
				t.Errorf("a difference of %g", got.Difference)
			}
			if in := (Port{"image", []int{64, test.channels, 16, 16}}); !slices.Equal(got.Input.Shape, in.Shape) || got.Input.Name != in.Name {
				t.Errorf("input %v, want %v", got.Input, in)
			}
			if test.outputs != nil && !slices.EqualFunc(got.Outputs, test.outputs, func(a, b Port) bool { return a.Name == b.Name && slices.Equal(a.Shape, b.Shape) }) {
				t.Errorf("outputs %v, want %v", got.Outputs, test.outputs)
			}
			var file protos.ModelProto
			if err := proto.Unmarshal(got.Content, &file); err != nil {
				t.Fatal(err)
			}
			if len(file.Graph.Input) != 1 || file.Graph.Input[0].Name != "image" || file.Graph.Output[0].Name != "features" || len(file.Graph.Output) != len(got.Outputs) {
				t.Errorf("the file has inputs %v and outputs %v", file.Graph.Input, file.Graph.Output)
			}
			convs, kinds := 0, map[string]int{}
			for _, n := range file.Graph.Node {
				kinds[n.OpType]++
				if n.OpType == "Conv" {
					convs++
				}
				if n.Domain != "" {
					t.Errorf("operation %s of %s: others than onnxruntime have none", n.OpType, n.Domain)
				}
			}
			t.Log(kinds)
			if convs != test.convs {
				t.Errorf("%d convolutions, want %d", convs, test.convs)
			}
		})
	}
}

// mistaken computes something else where it is translated.
type mistaken struct {
	*sslkit.Rotation
	wrong func(x *Node) *Node
}

func (m mistaken) Encode(scope *model.Scope, image *Node) []*Node {
	if image.Graph().Backend().Name() == "onnxruntime" {
		image = m.wrong(image)
	}
	return m.Rotation.Encode(scope, image)
}

func TestExportRefuses(t *testing.T) {
	library(t)
	rotation, images := sslkit.RotNet(nn.NIN(3, 6)), drawn(2, 8, 3)
	store := stirred(t, rotation, images)
	if _, err := Export(goBackend(t), store, mistaken{rotation, func(x *Node) *Node { return x }}, images); err != nil {
		t.Errorf("without a mistake: %v", err)
	}
	for name, wrong := range map[string]func(x *Node) *Node{
		"pixels off by one step": func(x *Node) *Node { return AddScalar(x, 1./255) },
		"rows for columns":       func(x *Node) *Node { return TransposeAllAxes(x, 0, 2, 1, 3) },
	} {
		if _, err := Export(goBackend(t), store, mistaken{rotation, wrong}, images); err == nil || !strings.Contains(err.Error(), "differ from ours") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var scale *model.Variable
	for v := range store.IterVariables() {
		if v.Name() == "scale" {
			scale = v
		}
	}
	values, err := tensors.CopyFlatData[float32](scale.MustValue())
	if err != nil {
		t.Fatal(err)
	}
	values[0] = float32(math.NaN())
	if err := scale.SetValue(tensors.FromFlatDataAndDimensions(values, len(values))); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(goBackend(t), store, rotation, images); err == nil || !strings.Contains(err.Error(), "differ from ours by NaN") {
		t.Errorf("of parameters that diverged: %v", err)
	}
}

func TestExportOfNoImages(t *testing.T) {
	m := &sslkit.Order{Backbone: nn.Backbone{Arch: "frames", Depth: 2, Width: 8}}
	if _, err := Export(nil, nil, m, drawn(1, 8, 1)); err == nil || !strings.Contains(err.Error(), "does not read images") {
		t.Errorf("of clips: %v", err)
	}
}

func TestRuntime(t *testing.T) {
	if errNoCgo != nil {
		if _, err := Runtime(); !errors.Is(err, errNoCgo) {
			t.Errorf("without cgo: %v", err)
		}
		return
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir) // no python3
	t.Setenv("VIRTUAL_ENV", filepath.Join(dir, "venv"))
	t.Setenv("SSLKIT_HOME", dir)
	t.Setenv(LibraryEnv, "")
	if _, err := Runtime(); err == nil || !strings.Contains(err.Error(), "pip install "+wheel) || !strings.Contains(err.Error(), LibraryEnv) {
		t.Errorf("without a library: %v", err)
	}
	capi := filepath.Join(dir, "venv", "lib", "python3.11", "site-packages", "onnxruntime", "capi")
	if err := os.MkdirAll(capi, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path string, mode os.FileMode) string {
		if err := os.WriteFile(path, []byte("no library"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if packaged := write(filepath.Join(capi, "libonnxruntime.so.1.32.0"), 0o755); runtime.GOOS == "linux" {
		if got, err := Runtime(); err != nil || got != packaged {
			t.Errorf("found %s, %v, want %s", got, err, packaged)
		}
	}
	named := write(filepath.Join(dir, "libonnxruntime.so"), 0o644)
	t.Setenv(LibraryEnv, named)
	if got, err := Runtime(); err != nil || got != named {
		t.Errorf("found %s, %v, want %s", got, err, named)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing.so"):               "no such file",
		write(filepath.Join(dir, "theirs.so"), 0o666):  "others may write",
		write(filepath.Join(dir, "one,two.so"), 0o644): "comma",
		write(filepath.Join(dir, "one=two.so"), 0o644): "comma or an equals sign",
	} {
		t.Setenv(LibraryEnv, path)
		if _, err := Runtime(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "encoder")
	m := Model{Content: []byte("content"), Input: Port{"image", []int{2, 3, 8, 6}}, Outputs: []Port{{"features", []int{2, 5}}}}
	if err := m.Write(dir, published.Origin{Key: "key"}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
	if err != nil || string(content) != "content" {
		t.Errorf("the model: %q, %v", content, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	p := got.Pretrained
	if !slices.Equal(p.InputSize, []int{3, 8, 6}) || !slices.Equal(p.Mean, []float64{0, 0, 0}) || !slices.Equal(p.Std, []float64{1, 1, 1}) || !p.FixedSize {
		t.Errorf("images: %+v", p)
	}
	if got.Input.Name != "image" || got.Outputs[0].Name != "features" || got.SSLKit.Key != "key" {
		t.Errorf("config.json: %s", text)
	}
	if err := m.Write(dir, published.Origin{}); err == nil || !strings.Contains(err.Error(), "something of this name") {
		t.Errorf("over what is there: %v", err)
	}
}

// What writes is nothing to compute on, however it is registered.
func TestNoBackend(t *testing.T) {
	if errNoCgo == nil && !slices.Contains(compute.List(), "onnx") {
		t.Fatal("the backend is not registered")
	}
	t.Setenv(compute.ConfigEnvVar, "onnx")
	if _, _, err := pjrt.Open(); err == nil || !strings.Contains(err.Error(), `there is no backend "onnx"`) || strings.Contains(err.Error(), "onnxruntime") {
		t.Errorf("opened as a backend: %v", err)
	}
}

// The wheel that is named is the one that is tested.
func TestWheel(t *testing.T) {
	pinned, err := os.ReadFile("../../env/doors.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(pinned), "\n"+wheel+" ") {
		t.Errorf("env/doors.txt has another onnxruntime than %s", wheel)
	}
}
