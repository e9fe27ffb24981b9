package published

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// names are how those who publish files call what timm and torchvision call otherwise: Hugging Face's transformers (ViTModel,
// ViTMAEModel, Dinov2Model, Dinov2WithRegistersModel) and facebookresearch's dinov2, mae, moco and moco-v3.
type names struct {
	prefix string              // before the encoder's
	block  string              // a format, in place of "blocks.N."
	table  map[string][]string // of what differs, by timm's, without ".weight"; several are one below the other
	left   []string            // what begins so is of no encoder, without the prefix
	beside []string            // likewise, of names without the prefix
	heads  map[int]int         // by width, where they are not timm's
}

// prefixes are those of an encoder in a larger model, and what stands beside it there.
var prefixes = []names{
	{prefix: "module.encoder_q.", beside: []string{"module.encoder_k.", "module.queue"}}, // moco, versions 1 and 2
	{prefix: "module.base_encoder.", beside: []string{"module.momentum_encoder.", "module.predictor."}, // moco-v3, vits.py
		heads: map[int]int{384: 12, 768: 12, 1024: 16, 1280: 16}},
	{prefix: "vit.", beside: []string{"decoder.", "classifier."}},
	{prefix: "dinov2.", beside: []string{"classifier."}},
	{prefix: "dinov2_with_registers.", beside: []string{"classifier."}},
	{},
}

// beyond is what is of no encoder by timm's and facebookresearch's names: classifiers, projections, and what paints masked patches.
var beyond = []string{"fc.", "head.", "head_dist.", "classifier.", "mask_token", "decoder_embed.", "decoder_blocks.", "decoder_norm.", "decoder_pred.", "decoder_pos_embed"}

// transformers' names of what their ViT and DINOv2 have both.
var huggingFace = map[string][]string{
	"cls_token":        {"embeddings.cls_token"},
	positions:          {"embeddings.position_embeddings"},
	"reg_token":        {"embeddings.register_tokens"},
	"patch_embed.proj": {"embeddings.patch_embeddings.projection"},
	"attn.qkv":         {"attention.attention.query", "attention.attention.key", "attention.attention.value"},
	"attn.proj":        {"attention.output.dense"},
	"norm":             {"layernorm"},
}

const (
	patches = "patch_embed.proj.weight"
	stem    = "conv1.weight"
)

// names tells by its first layer who named a file's tensors, and which of the two networks it begins like: first is stem or patches, or ""
// where neither is there.
func (f *File) names() (n names, first string) {
	has := func(name string) bool { return f.Tensors[name].Shape != nil }
	for _, n := range prefixes {
		n.block, n.left = "blocks.%s.", beyond
		switch {
		case has(n.prefix + stem):
			return n, stem
		case has(n.prefix + patches):
			if has(n.prefix + "register_tokens") { // dinov2
				n.table = map[string][]string{"reg_token": {"register_tokens"}}
			}
			return n, patches
		case has(n.prefix + huggingFace["patch_embed.proj"][0] + ".weight"):
			n.block, n.left, n.table = "encoder.layer.%s.", []string{"pooler.", "classifier.", "embeddings.mask_token"}, make(map[string][]string)
			own := map[string][]string{"norm1": {"layernorm_before"}, "norm2": {"layernorm_after"}, "mlp.fc1": {"intermediate.dense"}, "mlp.fc2": {"output.dense"}}
			if has(n.prefix + "encoder.layer.0.norm1.weight") {
				own = map[string][]string{"ls1.gamma": {"layer_scale1.lambda1"}, "ls2.gamma": {"layer_scale2.lambda1"}}
			}
			for _, table := range []map[string][]string{huggingFace, own} {
				for name, theirs := range table {
					n.table[name] = theirs
				}
			}
			return n, patches
		}
	}
	return names{}, ""
}

// of are the tensors that the one with timm's or torchvision's name is made of.
func (n names) of(name string) []string {
	block, rest := "", name
	if after, numbered := strings.CutPrefix(name, "blocks."); numbered {
		number, of, _ := strings.Cut(after, ".")
		block, rest = fmt.Sprintf(n.block, number), of
	}
	all, found := n.table[rest]
	end := ""
	if !found {
		if i := strings.LastIndex(rest, "."); i >= 0 {
			if all, found = n.table[rest[:i]]; found {
				end = rest[i:]
			}
		}
	}
	if !found {
		all = []string{rest}
	}
	out := make([]string, len(all))
	for i, theirs := range all {
		out[i] = n.prefix + block + theirs + end
	}
	return out
}

// leaves tells whether a tensor is of no encoder: by what its name begins with, else "".
func (n names) leaves(name string) string {
	begins := func(name, before string, all []string) string {
		for _, s := range all {
			if strings.HasPrefix(name, s) {
				return before + s
			}
		}
		return ""
	}
	if s := begins(name, "", n.beside); s != "" {
		return s
	}
	if rest, ours := strings.CutPrefix(name, n.prefix); ours {
		return begins(rest, n.prefix, n.left)
	}
	return ""
}

// shape is that of the tensor with timm's or torchvision's name, of the first where it is made of several; nil: there is none.
func (f *File) shape(n names, name string) []int { return f.Tensors[n.of(name)[0]].Shape }

// tensor is the one with timm's or torchvision's name, or what of it is missing.
func (f *File) tensor(n names, name string) (t Tensor, missing []string, err error) {
	all := n.of(name)
	for i, theirs := range all {
		part, ok := f.Tensors[theirs]
		switch {
		case !ok:
			missing = append(missing, theirs)
		case i == 0:
			t = part
		case len(missing) > 0:
		case len(part.Shape) == 0 || len(part.Shape) != len(t.Shape) || !slices.Equal(part.Shape[1:], t.Shape[1:]):
			return t, nil, fmt.Errorf("%s of shape %v does not go with %s of shape %v", theirs, part.Shape, all[0], t.Shape)
		default:
			t = Tensor{slices.Clone(t.Shape), slices.Concat(t.Values, part.Values)}
			t.Shape[0] += part.Shape[0]
		}
	}
	return t, missing, nil
}

// places are the positions of a vit and its class token as ours has them, which differ in whether the class token has a position:
// without registers ours has one, and with registers none (see [nn.Backbone]), which timm's no_embed_class says, too. What a
// position adds to the class token can as well be the token's own.
func places(class, place Tensor, registers bool) (Tensor, Tensor) {
	rows, d := place.Shape[1], place.Shape[2]
	switch alone := square(rows) > 0; {
	case alone && !registers:
		return class, Tensor{[]int{1, rows + 1, d}, slices.Concat(make([]float32, d), place.Values)}
	case !alone && registers && len(class.Values) == d:
		sum := Tensor{class.Shape, slices.Clone(class.Values)}
		for i, v := range place.Values[:d] {
			sum.Values[i] += v
		}
		return sum, Tensor{[]int{1, rows - 1, d}, place.Values[d:]}
	}
	return class, place
}

// square is the side of a square of n, or 0.
func square(n int) int {
	if side := int(math.Round(math.Sqrt(float64(max(n, 0))))); side*side == n {
		return side
	}
	return 0
}
