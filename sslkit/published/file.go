package published

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/nlpodyssey/safetensors"

	"github.com/sslkit/lab/sslkit/nn"
)

// Names of the files, as on the Hugging Face hub.
const (
	TensorsFile = "model.safetensors"
	ConfigFile  = "config.json"
	LoaderFile  = "encoder.py"

	pixelsFile = "preprocessor_config.json" // of transformers' models
)

//go:embed encoder.py
var loader []byte

// Config is what config.json says, in the words of timm.
type Config struct {
	Architecture string         `json:"architecture,omitempty"` // none where timm has no such network
	NumClasses   int            `json:"num_classes"`
	NumFeatures  int            `json:"num_features,omitempty"`
	GlobalPool   string         `json:"global_pool,omitempty"`
	ModelArgs    map[string]any `json:"model_args,omitempty"`
	Pretrained   Pretrained     `json:"pretrained_cfg"`
	SSLKit       *Origin        `json:"sslkit,omitempty"`

	// In the words of transformers.
	Heads      int    `json:"num_attention_heads,omitempty"`
	Registers  int    `json:"num_register_tokens,omitempty"`
	Activation string `json:"hidden_act,omitempty"`
}

// Pretrained is how images are handed over.
type Pretrained struct {
	InputSize []int     `json:"input_size,omitempty"` // channels, height, width
	FixedSize bool      `json:"fixed_input_size,omitempty"`
	Mean      []float64 `json:"mean,omitempty"`
	Std       []float64 `json:"std,omitempty"`
}

// Origin is what the laboratory knows of an encoder that it exported.
type Origin struct {
	Key      string      `json:"key"`
	Method   string      `json:"method"`
	Data     string      `json:"data"`
	Backbone nn.Backbone `json:"backbone"`
	Channels int         `json:"channels"`
	Size     int         `json:"size"`
}

// config describes an exported encoder.
func config(of Origin) Config {
	b := of.Backbone
	c := Config{NumFeatures: b.Width, GlobalPool: "avg", SSLKit: &of,
		Pretrained: Pretrained{InputSize: []int{of.Channels, of.Size, of.Size}, Mean: repeat(0.5, of.Channels), Std: repeat(0.25, of.Channels)}}
	if norm, own := nn.PixelNorms[b.Pixels]; own {
		c.Pretrained.InputSize[0], c.Pretrained.Mean, c.Pretrained.Std = 3, norm.Mean[:], norm.Std[:]
	}
	channels := c.Pretrained.InputSize[0]
	switch stages := len(b.Blocks()); {
	case b.Arch == "vit":
		c.Architecture, c.Pretrained.FixedSize = "vit_base_patch16_224", true
		c.ModelArgs = map[string]any{"img_size": of.Size, "patch_size": b.Patch, "embed_dim": b.Width, "depth": b.Depth, "num_heads": b.AttentionHeads(),
			"class_token": b.Class, "global_pool": "avg", "fc_norm": false, "in_chans": channels}
		if b.Registers > 0 {
			c.ModelArgs["reg_tokens"], c.ModelArgs["no_embed_class"] = b.Registers, true
		}
		if b.LayerScale > 0 {
			c.ModelArgs["init_values"] = b.LayerScale
		}
		if b.Pool == "class" {
			c.GlobalPool, c.ModelArgs["global_pool"] = "token", "token"
		}
	default:
		c.NumFeatures = b.Width << (stages - 1)
		if b.Arch == "resnet50" {
			c.NumFeatures *= 4
		}
		if b.Stem == "imagenet" && b.Width == 64 {
			c.Architecture, c.ModelArgs = b.Arch, map[string]any{"in_chans": channels}
		}
	}
	return c
}

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// Write makes a new folder of the tensors, the configuration and, for residual networks, a module that loads them into PyTorch.
// It appears whole or not at all.
func Write(dir string, tensors map[string]Tensor, of Origin) error {
	views := make(map[string]safetensors.TensorView, len(tensors))
	for name, t := range tensors {
		shape, values := make([]uint64, len(t.Shape)), make([]byte, 0, 4*len(t.Values))
		for i, d := range t.Shape {
			shape[i] = uint64(d)
		}
		for _, v := range t.Values {
			values = binary.LittleEndian.AppendUint32(values, math.Float32bits(v))
		}
		var err error
		if views[name], err = safetensors.NewTensorView(safetensors.F32, shape, values); err != nil {
			return fmt.Errorf("published: %s: %w", name, err)
		}
	}
	// "pt" is what readers in Python look for.
	content, err := safetensors.Serialize(views, map[string]string{"format": "pt"})
	if err != nil {
		return fmt.Errorf("published: %w", err)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(config(of)); err != nil {
		return fmt.Errorf("published: %w", err)
	}
	files := map[string][]byte{TensorsFile: content, ConfigFile: text.Bytes()}
	if of.Backbone.Arch != "vit" {
		files[LoaderFile] = loader
	}
	return WriteFolder(dir, files)
}

// File is a file of parameters that others published, or that was exported.
type File struct {
	Path    string
	Digest  string // "sha256:..." of the tensors
	Tensors map[string]Tensor
	Config  *Config // of config.json beside it, and of transformers' preprocessor_config.json; nil: there is none
}

// maxFile is that of a ViT-H in float32, twice.
const maxFile = 6 << 30

// Read reads a file of safetensors, or that of a folder.
func Read(path string) (f *File, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("published: reading %s: %w", path, err)
		}
	}()
	if path, err = locate(path); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	f = &File{Path: path, Digest: "sha256:" + hex.EncodeToString(sum[:])}
	if f.Tensors, err = decode(content); err != nil {
		return nil, fmt.Errorf("it is not of safetensors, which timm's save_file and the hub's downloads are: %w", err)
	}
	var c Config
	var pixels struct {
		Normalize bool      `json:"do_normalize"`
		Mean      []float64 `json:"image_mean"`
		Std       []float64 `json:"image_std"`
	}
	beside := false
	for _, of := range []struct {
		name string
		into any
	}{{ConfigFile, &c}, {pixelsFile, &pixels}} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), of.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, of.into); err != nil {
			return nil, fmt.Errorf("%s beside it: %w", of.name, err)
		}
		beside = true
	}
	if pixels.Normalize && len(c.Pretrained.Mean) == 0 {
		c.Pretrained.Mean, c.Pretrained.Std = pixels.Mean, pixels.Std
	}
	if beside {
		f.Config = &c
	}
	return f, nil
}

// locate is the file itself, where the path may be its folder's.
func locate(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, TensorsFile)
		info, err = os.Stat(path)
	}
	if err == nil && (info.Size() > maxFile || !info.Mode().IsRegular()) {
		err = fmt.Errorf("it is no file of at most %d GB", maxFile>>30)
	}
	return path, err
}

// Digest is that of a file that [Read] reads.
func Digest(path string) (string, error) {
	path, err := locate(path)
	if err != nil {
		return "", fmt.Errorf("published: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("published: %w", err)
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("published: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// decode reads the tensors of floats; those of other types, counters, are left out.
func decode(content []byte) (map[string]Tensor, error) {
	file, err := safetensors.Deserialize(content)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Tensor)
	for _, t := range file.Tensors() {
		var read func(b []byte) float32
		kind := t.TensorView.DType()
		switch kind {
		case safetensors.F32:
			read = func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
		case safetensors.F64:
			read = func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
		case safetensors.F16:
			read = func(b []byte) float32 { return float16.FromBits(binary.LittleEndian.Uint16(b)).Float32() }
		case safetensors.BF16:
			read = func(b []byte) float32 { return bfloat16.FromBits(binary.LittleEndian.Uint16(b)).Float32() }
		default:
			continue
		}
		bytes, size := t.TensorView.Data(), int(kind.Size())
		v := Tensor{Shape: []int{}, Values: make([]float32, 0, len(bytes)/size)}
		n := 1
		for _, d := range t.TensorView.Shape() {
			v.Shape = append(v.Shape, int(d))
			n *= int(d)
		}
		for ; len(bytes) >= size; bytes = bytes[size:] {
			v.Values = append(v.Values, read(bytes))
		}
		if n != len(v.Values) {
			return nil, fmt.Errorf("%s of shape %v has %d values", t.Name, v.Shape, len(v.Values))
		}
		out[t.Name] = v
	}
	return out, nil
}
