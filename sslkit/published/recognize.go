package published

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

// Encoder is a network that others trained, or that was exported.
type Encoder struct {
	Backbone nn.Backbone
	Channels int // of the images that it reads
	Size     int // of the images that it was trained on; 0: not known, any
	Store    *model.Store
	Left     []string // tensors of the file that are of no encoder: a classifier's
}

// Encoder tells from a file's names, shapes and configuration which network it is, and puts its parameters under the names of
// ours. What it cannot tell it asks for: pixels and heads, where they are given, go before the configuration. Nothing is left
// to chance: what is missing, what has no place and what has another shape is an error that names it.
func (f *File) Encoder(pixels string, heads int) (*Encoder, error) {
	e, err := f.recognize(pixels, heads)
	if err == nil {
		err = e.Backbone.Validate()
	}
	if err == nil {
		err = f.fill(e)
	}
	if err != nil {
		return nil, fmt.Errorf("published: %s: %w", f.Path, err)
	}
	return e, nil
}

// As is the file's encoder where its backbone is known.
func (f *File) As(b nn.Backbone) (*Encoder, error) {
	e := &Encoder{Backbone: b}
	if err := f.fill(e); err != nil {
		return nil, fmt.Errorf("published: %s: %w", f.Path, err)
	}
	return e, nil
}

func (f *File) recognize(pixels string, heads int) (e *Encoder, err error) {
	e = new(Encoder)
	if f.Config != nil && f.Config.SSLKit != nil {
		o := f.Config.SSLKit
		e.Backbone, e.Channels, e.Size = o.Backbone, o.Channels, o.Size
		if len(o.Backbone.Pixels) > 0 {
			e.Channels = 3
		}
		return e, nil
	}
	first := ""
	switch {
	case f.Tensors["patch_embed.proj.weight"].Shape != nil:
		first = "patch_embed.proj.weight"
		err = f.transformer(e, heads)
	case f.Tensors["conv1.weight"].Shape != nil:
		first = "conv1.weight"
		err = f.residual(e)
	default:
		names := slices.Sorted(maps.Keys(f.Tensors))
		return nil, fmt.Errorf("it has neither timm's patch_embed.proj.weight nor torchvision's conv1.weight, but %s: "+
			"take a file with timm's or torchvision's names, such as 'model.safetensors' of timm's models on the hub", abridged(names))
	}
	if err != nil {
		return nil, err
	}
	if e.Channels = f.Tensors[first].Shape[1]; e.Channels != 3 {
		return nil, fmt.Errorf("%s reads images of %d channels: 3 are known", first, e.Channels)
	}
	e.Backbone.Pixels, err = f.pixels(pixels)
	return e, err
}

// pixels is how the network's images are normalised, by its name in nn.PixelNorms.
func (f *File) pixels(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if f.Config == nil || len(f.Config.Pretrained.Mean) == 0 {
		return "", fmt.Errorf("no %s beside it says how its images were normalised: bring that file along, or say --init-pixels imagenet (mean 0.485, 0.456, 0.406) or half (mean and deviation 0.5)", ConfigFile)
	}
	mean, std := f.Config.Pretrained.Mean, f.Config.Pretrained.Std
	for name, norm := range nn.PixelNorms {
		if near(mean, norm.Mean) && near(std, norm.Std) {
			return name, nil
		}
	}
	return "", fmt.Errorf("its images were normalised by the mean %v and the deviation %v, which is neither ImageNet's nor 0.5: it cannot be read here", mean, std)
}

// near is within what people round off.
func near(got []float64, want [3]float64) bool {
	if len(got) != 3 {
		return false
	}
	for i, v := range got {
		if !(math.Abs(v-want[i]) < 1e-3) {
			return false
		}
	}
	return true
}

// numbered is how many of "prefix.0.suffix", "prefix.1.suffix", ... there are.
func (f *File) numbered(prefix, suffix string) (n int) {
	for f.Tensors[fmt.Sprintf("%s.%d.%s", prefix, n, suffix)].Shape != nil {
		n++
	}
	return n
}

// headsOf are those of timm's vision transformers by their width, where no configuration tells.
var headsOf = map[int]int{192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}

func (f *File) transformer(e *Encoder, heads int) error {
	w := f.Tensors["patch_embed.proj.weight"].Shape
	if len(w) != 4 || w[2] != w[3] || w[2] < 1 {
		return fmt.Errorf("patch_embed.proj.weight of shape %v: square patches are known", w)
	}
	b := nn.ViT(f.numbered("blocks", "attn.qkv.weight"), w[0], w[2])
	if f.Config != nil && heads == 0 {
		if n, ok := f.Config.ModelArgs["num_heads"].(float64); ok {
			heads = int(n)
		}
	}
	if heads == 0 {
		if heads = headsOf[b.Width]; heads == 0 {
			return fmt.Errorf("a vit of width %d, and neither %s nor its name tells how many heads its attention has: say --init-heads", b.Width, ConfigFile)
		}
	}
	if usual := b; usual.AttentionHeads() != heads {
		b.Heads = heads
	}
	b.Class = f.Tensors["cls_token"].Shape != nil
	place := f.Tensors[positions].Shape
	if len(place) != 3 || place[0] != 1 || place[2] != b.Width {
		return fmt.Errorf("%s of shape %v: positions [1, tokens, %d] are known", positions, place, b.Width)
	}
	b.Learnt = true
	tokens := place[1]
	if b.Class {
		tokens--
	}
	grid := int(math.Round(math.Sqrt(float64(tokens))))
	if grid*grid != tokens {
		return fmt.Errorf("%s has %d tokens, which are no square grid%s", positions, place[1], map[bool]string{true: " and a class token"}[b.Class])
	}
	e.Backbone, e.Size = b, grid*b.Patch
	return nil
}

func (f *File) residual(e *Encoder) error {
	w := f.Tensors["conv1.weight"].Shape
	if f.Tensors["layer1.0.conv3.weight"].Shape != nil {
		return fmt.Errorf("its blocks are bottlenecks of three layers, as a ResNet-50's: ResNet-18 and -34 are known")
	}
	var blocks []int
	for stage := 1; stage <= 4; stage++ {
		blocks = append(blocks, f.numbered(fmt.Sprint("layer", stage), "conv1.weight"))
	}
	if len(w) != 4 || w[2] != 7 && w[2] != 3 {
		return fmt.Errorf("conv1.weight of shape %v: a first layer of 7x7 or 3x3 is known", w)
	}
	for _, b := range []nn.Backbone{nn.ResNet18(w[0]), nn.ResNet34(w[0])} {
		if slices.Equal(b.Blocks(), blocks) {
			if w[2] == 7 {
				b.Stem = "imagenet"
			}
			e.Backbone = b
			return nil
		}
	}
	return fmt.Errorf("its stages have %v blocks: ResNet-18 has 2, 2, 2, 2 and ResNet-34 3, 4, 6, 3", blocks)
}

// classifier tells the tensors that are of no encoder.
func classifier(name string) bool {
	for _, prefix := range []string{"fc.", "head.", "head_dist.", "classifier."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// fill makes the store.
func (f *File) fill(e *Encoder) error {
	b := e.Backbone
	all, err := entries(b)
	if err != nil {
		return err
	}
	e.Store = model.NewStore()
	used := make(map[string]bool)
	var missing, unknown []string
	for _, entry := range all {
		t, ok := f.Tensors[entry.name]
		if !ok {
			missing = append(missing, entry.name)
			continue
		}
		used[entry.name] = true
		parts, err := ours(entry, b, t)
		if err != nil {
			return err
		}
		for i, path := range entry.paths {
			if n := len(parts[i].Values); n == 0 {
				return fmt.Errorf("%s is empty", entry.name)
			}
			for _, v := range parts[i].Values {
				if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
					return fmt.Errorf("%s has a value that is not finite", entry.name)
				}
			}
			e.Store.VariableWithValue(scope+path, tensors.FromFlatDataAndDimensions(parts[i].Values, parts[i].Shape...))
		}
		if running := strings.Contains(entry.name, ".running_"); running {
			e.Store.GetVariable(scope + entry.paths[0]).SetTrainable(false)
		}
	}
	if b.Arch == "vit" && !b.Learnt { // of an export, whose positions follow from the grid
		used[positions] = true
	}
	for name := range f.Tensors {
		switch {
		case used[name] || strings.HasSuffix(name, ".num_batches_tracked"):
		case classifier(name):
			e.Left = append(e.Left, name)
		default:
			unknown = append(unknown, name)
		}
	}
	slices.Sort(e.Left)
	slices.Sort(unknown)
	if len(missing)+len(unknown) > 0 {
		text := fmt.Sprintf("it is not quite the network that it begins like, %s of depth %d and width %d", b.Arch, b.Depth, b.Width)
		if missing != nil {
			text += "; missing: " + abridged(missing)
		}
		if unknown != nil {
			text += "; without a place: " + abridged(unknown)
		}
		return fmt.Errorf("%s", text)
	}
	return nil
}

// abridged lists some names.
func abridged(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
