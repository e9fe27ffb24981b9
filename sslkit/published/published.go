// Package published has encoders under the names and in the layouts in which others publish theirs: timm's vision transformers
// and torchvision's residual networks, as safetensors with a config.json beside it, as on the Hugging Face hub. It reads files with the
// names of transformers and of facebookresearch's dinov2, mae, moco and moco-v3 besides.
//
//	ours                               theirs
//	weights [in, out]                  weight [out, in]
//	weights [k, k, in, out]            weight [out, in, k, k]
//	patch weights [p*p*C, D]           weight [D, C, p, p]
//	queries', keys', values' biases    one bias [3D]
//	scale, offset, mean, variance      weight, bias, running_mean, running_var
//	gain, offset                       weight, bias
//	fixed positions, not kept          pos_embed [1, L, D]
package published

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

// Tensor is one, row by row.
type Tensor struct {
	Shape  []int
	Values []float32
}

// entry is a tensor of theirs, and the variables of ours, below the encoder's scope, that it is made of.
type entry struct {
	name   string
	paths  []string
	layout layout
}

// layout is how theirs lies.
type layout int

const (
	same  layout = iota
	turn         // [in, out] and [out, in]
	image        // [k, k, in, out] and [out, in, k, k]
	patch        // [p*p*C, D] and [D, C, p, p]
	joint        // three vectors, and one after the other
)

// entries are the tensors of a backbone but for fixed positions; the error says of which others have no counterpart.
func entries(b nn.Backbone) ([]entry, error) {
	switch b.Arch {
	case "resnet", "resnet18", "resnet34", "resnet50":
		return residual(b), nil
	case "vit":
		return transformer(b), nil
	}
	return nil, fmt.Errorf("published: a %s has no counterpart in timm or torchvision: a resnet, resnet18, resnet34, resnet50 or vit has", b.Arch)
}

// residual are torchvision's names.
func residual(b nn.Backbone) (out []entry) {
	norm := func(name, path string) {
		for _, v := range [][2]string{{"weight", "scale"}, {"bias", "offset"}, {"running_mean", "mean"}, {"running_var", "variance"}} {
			out = append(out, entry{name + "." + v[0], []string{path + "/" + v[1]}, same})
		}
	}
	conv := func(name, path string) {
		out = append(out, entry{name + ".weight", []string{path + "/weights"}, image})
	}
	conv("conv1", "stem/conv")
	norm("bn1", "stem/norm")
	blocks, layers := b.Blocks(), 2 // of a block
	if b.Arch == "resnet50" {
		layers = 3
	}
	for i, n := range blocks {
		for j := range n {
			name, path := fmt.Sprintf("layer%d.%d", i+1, j), fmt.Sprintf("stage_%d/block_%d", i+1, j+1)
			for k := 1; k <= layers; k++ {
				conv(fmt.Sprintf("%s.conv%d", name, k), fmt.Sprintf("%s/conv_%d", path, k))
				norm(fmt.Sprintf("%s.bn%d", name, k), fmt.Sprintf("%s/norm_%d", path, k))
			}
			// Those of three stages have shortcuts without parameters; only a bottleneck's first stage has more channels than the stem.
			if len(blocks) == 4 && j == 0 && (i > 0 || layers == 3) {
				conv(name+".downsample.0", fmt.Sprintf("%s/conv_%d", path, layers+1))
				norm(name+".downsample.1", fmt.Sprintf("%s/norm_%d", path, layers+1))
			}
		}
	}
	return out
}

// transformer are timm's names.
func transformer(b nn.Backbone) (out []entry) {
	add := func(l layout, name string, paths ...string) { out = append(out, entry{name, paths, l}) }
	norm := func(name, path string) {
		add(same, name+".weight", path+"/layer_normalization/gain")
		add(same, name+".bias", path+"/layer_normalization/offset")
	}
	dense := func(name, path string) {
		add(turn, name+".weight", path+"/dense/weights")
		add(same, name+".bias", path+"/dense/biases")
	}
	if b.Class {
		add(same, "cls_token", "class/tokens")
	}
	if b.Registers > 0 {
		add(same, "reg_token", "registers/tokens")
	}
	if b.Learnt {
		add(same, positions, "positions/tokens")
	}
	add(patch, patches, "patch/dense/weights")
	add(same, "patch_embed.proj.bias", "patch/dense/biases")
	i := 0
	for stage, n := range b.Blocks() {
		for j := range n {
			name, path := fmt.Sprintf("blocks.%d", i), fmt.Sprintf("stage_%d/block_%d", stage+1, j+1)
			qkv := path + "/attention/MultiHeadAttention/qkv/"
			norm(name+".norm1", path+"/norm_1")
			add(turn, name+".attn.qkv.weight", qkv+"weights_qkv")
			add(joint, name+".attn.qkv.bias", qkv+"biases_q", qkv+"biases_k", qkv+"biases_v")
			dense(name+".attn.proj", path+"/attention/MultiHeadAttention/output")
			norm(name+".norm2", path+"/norm_2")
			dense(name+".mlp.fc1", path+"/mlp_1")
			dense(name+".mlp.fc2", path+"/mlp_2")
			if b.LayerScale > 0 {
				add(same, name+".ls1.gamma", path+"/scale_1/gain")
				add(same, name+".ls2.gamma", path+"/scale_2/gain")
			}
			i++
		}
	}
	norm("norm", "norm")
	return out
}

const positions = "pos_embed"

// scope is that of the encoder in all stores.
const scope = "/encoder/"

// Export returns the tensors of a store's encoder of images [size, size], by their published names.
func Export(store *model.Store, b nn.Backbone, size int) (map[string]Tensor, error) {
	all, err := entries(b)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Tensor, len(all))
	for _, e := range all {
		var parts []Tensor
		for _, path := range e.paths {
			v := store.GetVariable(scope + path)
			if v == nil {
				return nil, fmt.Errorf("published: the store has no %s: it holds another encoder", scope+path)
			}
			value, err := v.Value()
			if err != nil {
				return nil, fmt.Errorf("published: %s: %w", v.Path(), err)
			}
			values, err := tensors.CopyFlatData[float32](value)
			if err != nil {
				return nil, fmt.Errorf("published: %s: %w", v.Path(), err)
			}
			parts = append(parts, Tensor{slices.Clone(v.Shape().Dimensions), values})
		}
		out[e.name] = theirs(e.layout, b, parts)
	}
	if b.Arch == "vit" && !b.Learnt {
		fixed := Tensor{Shape: []int{1, 0, b.Width}}
		if b.Class && b.Registers == 0 {
			fixed.Shape[1], fixed.Values = 1, make([]float32, b.Width)
		}
		for _, row := range nn.SinCos2D(size/b.Patch, b.Width) {
			fixed.Values = append(fixed.Values, row...)
			fixed.Shape[1]++
		}
		out[positions] = fixed
	}
	return out, nil
}

// theirs lays variables out as they do.
func theirs(l layout, b nn.Backbone, parts []Tensor) Tensor {
	t := parts[0]
	switch l {
	case turn:
		return t.transpose(1, 0)
	case image:
		return t.transpose(3, 2, 0, 1)
	case patch:
		p := b.Patch
		return Tensor{[]int{p, p, t.Shape[0] / (p * p), t.Shape[1]}, t.Values}.transpose(3, 2, 0, 1)
	case joint:
		for _, more := range parts[1:] {
			t.Values = append(t.Values, more.Values...)
		}
		t.Shape = []int{len(t.Values)}
	}
	return t
}

// ours is the way back; the error says which shape does not fit.
func ours(e entry, b nn.Backbone, t Tensor) ([]Tensor, error) {
	rank := map[layout]int{turn: 2, image: 4, patch: 4, joint: 1}[e.layout]
	switch {
	case e.layout != same && len(t.Shape) != rank,
		e.layout == patch && (t.Shape[2] != b.Patch || t.Shape[3] != b.Patch),
		e.layout == joint && t.Shape[0]%len(e.paths) != 0:
		return nil, fmt.Errorf("published: %s of shape %v does not fit", e.name, t.Shape)
	}
	switch e.layout {
	case turn:
		return []Tensor{t.transpose(1, 0)}, nil
	case image:
		return []Tensor{t.transpose(2, 3, 1, 0)}, nil
	case patch:
		t = t.transpose(2, 3, 1, 0)
		return []Tensor{{[]int{t.Shape[0] * t.Shape[1] * t.Shape[2], t.Shape[3]}, t.Values}}, nil
	case joint:
		var out []Tensor
		n := t.Shape[0] / len(e.paths)
		for i := range e.paths {
			out = append(out, Tensor{[]int{n}, t.Values[i*n : (i+1)*n]})
		}
		return out, nil
	}
	return []Tensor{t}, nil
}

// transpose moves axes: axis i of the result is axis order[i].
func (t Tensor) transpose(order ...int) Tensor {
	out := Tensor{make([]int, len(order)), make([]float32, len(t.Values))}
	strides := make([]int, len(order)) // of t, by its own axes
	stride := 1
	for i := len(order) - 1; i >= 0; i-- {
		strides[i] = stride
		stride *= t.Shape[i]
	}
	step := make([]int, len(order)) // by the axes of the result
	for i, axis := range order {
		out.Shape[i], step[i] = t.Shape[axis], strides[axis]
	}
	at, from := make([]int, len(order)), 0
	for to := range out.Values {
		out.Values[to] = t.Values[from]
		for i := len(order) - 1; i >= 0; i-- {
			at[i]++
			from += step[i]
			if at[i] < out.Shape[i] {
				break
			}
			from -= at[i] * step[i]
			at[i] = 0
		}
	}
	return out
}
