package published

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
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
	Left     []string // what of the file is of no encoder, a classifier's, a decoder's: names, or of many what they begin with, and how many
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
	n, first := f.names()
	switch first {
	case patches:
		err = f.transformer(n, e, heads)
	case stem:
		err = f.residual(n, e)
	default:
		names := slices.Sorted(maps.Keys(f.Tensors))
		return nil, fmt.Errorf("it has neither timm's %s nor torchvision's %s nor transformers' %s.weight, but %s: "+
			"take a file with such names, as 'model.safetensors' of models on the hub, or what save_pretrained writes", patches, stem, huggingFace["patch_embed.proj"][0], abridged(names))
	}
	if err != nil {
		return nil, err
	}
	if e.Channels = f.shape(n, first)[1]; e.Channels != 3 {
		return nil, fmt.Errorf("%s reads images of %d channels: 3 are known", n.of(first)[0], e.Channels)
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
func (f *File) numbered(names names, prefix, suffix string) (n int) {
	for f.shape(names, fmt.Sprintf("%s.%d.%s", prefix, n, suffix)) != nil {
		n++
	}
	return n
}

// headsOf are those of timm's vision transformers by their width, where no configuration tells.
var headsOf = map[int]int{192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}

func (f *File) transformer(n names, e *Encoder, heads int) error {
	w := f.shape(n, patches)
	if len(w) != 4 || w[2] != w[3] || w[2] < 1 {
		return fmt.Errorf("%s of shape %v: square patches are known", n.of(patches)[0], w)
	}
	b := nn.ViT(f.numbered(n, "blocks", "norm1.weight"), w[0], w[2])
	if b.Depth == 0 {
		return fmt.Errorf("it begins like a vision transformer, and has no %s: of transformers' models take what save_pretrained writes, of others a file with timm's names", n.of("blocks.0.norm1.weight")[0])
	}
	if err := f.gelu(n, b.Width); err != nil {
		return err
	}
	if f.Config != nil && heads == 0 {
		heads = f.Config.Heads
		if given, ok := f.Config.ModelArgs["num_heads"].(float64); ok {
			heads = int(given)
		}
	}
	if heads == 0 {
		heads = n.heads[b.Width]
	}
	if heads == 0 {
		if heads = headsOf[b.Width]; heads == 0 {
			return fmt.Errorf("a vit of width %d, and neither %s nor its name tells how many heads its attention has: say --init-heads", b.Width, ConfigFile)
		}
	}
	if usual := b; usual.AttentionHeads() != heads {
		b.Heads = heads
	}
	b.Class = f.shape(n, "cls_token") != nil
	if r := f.shape(n, "reg_token"); r != nil {
		if len(r) != 3 || r[0] != 1 || r[1] < 1 || r[2] != b.Width {
			return fmt.Errorf("%s of shape %v: registers [1, tokens, %d] are known", n.of("reg_token")[0], r, b.Width)
		}
		b.Registers = r[1]
	}
	if want := f.Config.registers(); want > 0 && want != b.Registers {
		return fmt.Errorf("%s says that it has %d registers, and the file has %d: it lacks %s, or is of another network", ConfigFile, want, b.Registers, n.of("reg_token")[0])
	}
	if f.shape(n, "blocks.0.ls1.gamma") != nil {
		b.LayerScale = 1e-5 // where it began, as DINOv2's: the file says where it went
	}
	name, place := n.of(positions)[0], f.shape(n, positions)
	if len(place) != 3 || place[0] != 1 || place[2] != b.Width {
		return fmt.Errorf("%s of shape %v: positions [1, tokens, %d] are known", name, place, b.Width)
	}
	b.Learnt = true
	grid := square(place[1])
	if grid == 0 && b.Class {
		grid = square(place[1] - 1)
	}
	if grid == 0 {
		return fmt.Errorf("%s has %d tokens, which are no square grid%s", name, place[1], map[bool]string{true: ", with a class token or without"}[b.Class])
	}
	e.Backbone, e.Size = b, grid*b.Patch
	return nil
}

// registers are those that a configuration tells of, 0 where it does not: by transformers, by arguments of timm's, by the name of timm's.
func (c *Config) registers() int {
	if c == nil {
		return 0
	}
	if n, ok := c.ModelArgs["reg_tokens"].(float64); ok {
		return int(n)
	}
	if found := registersOf.FindStringSubmatch(c.Architecture); found != nil {
		n, _ := strconv.Atoi(found[1]) // digits; too many are no number of anything
		return n
	}
	return c.Registers
}

var registersOf = regexp.MustCompile(`_reg(\d+)(_|$)`)

// gelu says why the MLPs of a vit are not four times as wide, with a GELU.
func (f *File) gelu(n names, width int) error {
	for _, gated := range []string{"blocks.0.mlp.w12.weight", "blocks.0.mlp.weights_in.weight", "blocks.0.mlp.fc1_g.weight"} { // dinov2's, transformers', timm's
		if name := n.of(gated)[0]; f.Tensors[name].Shape != nil {
			return fmt.Errorf("it has %s: MLPs with a gate (SwiGLU), as DINOv2's giant, are not known, those with a GELU are", name)
		}
	}
	if name, s := n.of("blocks.0.mlp.fc1.weight")[0], f.shape(n, "blocks.0.mlp.fc1.weight"); len(s) == 2 && s[0] != 4*width {
		return fmt.Errorf("%s of shape %v: MLPs with a GELU that are 4 times as wide as the tokens are known, %d, not others, or with a gate (SwiGLU), as DINOv2's giant", name, s, 4*width)
	}
	if f.Config != nil && f.Config.Activation != "" && f.Config.Activation != "gelu" {
		return fmt.Errorf("%s says that its MLPs have the activation %q: gelu is known", ConfigFile, f.Config.Activation)
	}
	return nil
}

func (f *File) residual(n names, e *Encoder) error {
	w := f.shape(n, stem)
	if len(w) != 4 || w[2] != 7 && w[2] != 3 {
		return fmt.Errorf("%s of shape %v: a first layer of 7x7 or 3x3 is known", n.of(stem)[0], w)
	}
	var blocks []int
	for stage := 1; stage <= 4; stage++ {
		blocks = append(blocks, f.numbered(n, fmt.Sprint("layer", stage), "conv1.weight"))
	}
	known, text := []nn.Backbone{nn.ResNet18(w[0]), nn.ResNet34(w[0])}, "ResNet-18 has 2, 2, 2, 2 and ResNet-34 3, 4, 6, 3"
	if f.shape(n, "layer1.0.conv3.weight") != nil {
		known, text = []nn.Backbone{nn.ResNet50(w[0])}, "of bottlenecks ResNet-50 is known, with 3, 4, 6, 3"
		// A ResNeXt's is grouped, and a wide one's wider.
		if c := f.shape(n, "layer1.0.conv2.weight"); c != nil && !slices.Equal(c, []int{w[0], w[0], 3, 3}) {
			return fmt.Errorf("%s of shape %v: bottlenecks as wide as the first layer are known, %d, not those of a wide or a grouped network (ResNeXt)", n.of("layer1.0.conv2.weight")[0], c, w[0])
		}
	}
	for _, b := range known {
		if slices.Equal(b.Blocks(), blocks) {
			if w[2] == 7 {
				b.Stem = "imagenet"
			}
			e.Backbone = b
			return nil
		}
	}
	return fmt.Errorf("its stages have %v blocks: %s", blocks, text)
}

// fill makes the store.
func (f *File) fill(e *Encoder) error {
	b := e.Backbone
	all, err := entries(b)
	if err != nil {
		return err
	}
	e.Store = model.NewStore()
	n, _ := f.names()
	used := make(map[string]bool)
	theirs := make(map[string]Tensor, len(all)) // by timm's and torchvision's names
	var missing, unknown []string
	for _, entry := range all {
		t, lacks, err := f.tensor(n, entry.name)
		if err != nil {
			return err
		}
		for _, name := range n.of(entry.name) {
			used[name] = true
		}
		if missing = append(missing, lacks...); lacks == nil {
			theirs[entry.name] = t
		}
	}
	class, has := theirs["cls_token"]
	if place := theirs[positions]; has && b.Learnt && len(place.Shape) == 3 && place.Shape[1] > 1 {
		theirs["cls_token"], theirs[positions] = places(class, place, b.Registers > 0)
	}
	for _, entry := range all {
		t, ok := theirs[entry.name]
		if !ok {
			continue
		}
		parts, err := ours(entry, b, t)
		if err != nil {
			return err
		}
		for i, path := range entry.paths {
			if len(parts[i].Values) == 0 {
				return fmt.Errorf("%s is empty", n.of(entry.name)[0])
			}
			for _, v := range parts[i].Values {
				if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
					return fmt.Errorf("%s has a value that is not finite", n.of(entry.name)[0])
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
	left := make(map[string][]string)
	for name := range f.Tensors {
		kind := n.leaves(name)
		switch {
		case used[name] || strings.HasSuffix(name, ".num_batches_tracked"):
		case kind != "":
			left[kind] = append(left[kind], name)
		default:
			unknown = append(unknown, name)
		}
	}
	for kind, names := range left {
		if len(names) > 2 {
			names = []string{fmt.Sprintf("%s* (%d tensors)", kind, len(names))}
		}
		e.Left = append(e.Left, names...)
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
