// Package nn has the networks: backbones, the layers they are built of, and heads.
//
// Layers are functions that build graph. They keep their variables in the scope they are given, under fixed names, and
// panic with an error on wrong shapes. Weights are shared by building again in the same place, with a scope from
// model.Scope.At.
//
// # Speed
//
// CPU-seconds of one training step (forward, backward, update) on 512 images of 28x28x1 in float32, which is RotNet's
// batch of 128 in four rotations, on x86-64 with GoMLX v0.28.1:
//
//	               xla    pure Go
//	ResNet(8, 16)  0.9    11
//	ResNet(14, 16) 1.6
//	ResNet(20, 16) 2.5
//	NIN(3, 48)     1.2    15
//	NIN(4, 48)     1.4
//	NIN(4, 96)     3.1
//	NIN(4, 192)    9.4
//
// XLA ran with --xla_cpu_experimental_ynn_fusion_type= (see package pjrt). The first step compiles as well: 3 to 6
// seconds.
package nn

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Backbone says which network encodes the images, the clips or the texts. It is plain data, for configurations.
type Backbone struct {
	Arch  string `json:"arch"`            // of images "resnet", "resnet18", "resnet34", "resnet50", "nin" or "vit"; of clips "frames" or "tubes"; of texts "words" or "text"
	Depth int    `json:"depth"`           // resnet: 6n+2 layers; resnet18, resnet34 and resnet50: what they are called; nin: 3 to 5 blocks of 3 layers; vit, tubes and text: blocks; frames: layers; words: 1
	Width int    `json:"width"`           // channels of resnet's first stage, in resnet50 before it multiplies them by 4; of nin's widest layers, a multiple of 6; of vit's, tubes' and text's tokens, of 32; of a frame or a word
	Patch int    `json:"patch,omitempty"` // vit: side of a patch in pixels, of which the image's is a multiple; tubes: that of a frame's, or 0 for the whole frame

	State  int `json:"state,omitempty"`  // frames: units of the GRU that goes over them; 0: there is none
	Words  int `json:"words,omitempty"`  // words and text: size of the vocabulary, with the four tokens that are no words
	Length int `json:"length,omitempty"` // words and text: tokens of a text, with its start and end; what is longer is cut off

	Span   int  `json:"span,omitempty"`   // tubes: frames of a token
	Causal bool `json:"causal,omitempty"` // text: no word sees a later one

	// As others build and publish networks. What is left out is as it was before there were these fields.
	Stem       string  `json:"stem,omitempty"`             // resnet18, resnet34 and resnet50: "imagenet", a 7x7 layer of stride 2 and max pooling; "": a 3x3 layer
	Class      bool    `json:"class_token,omitempty"`      // vit: with a token before those of the patches, which the maps leave out
	Learnt     bool    `json:"learnt_positions,omitempty"` // vit: positions are parameters, for images of one size
	Heads      int     `json:"heads,omitempty"`            // vit: of attention; 0: see [ViT]
	Registers  int     `json:"registers,omitempty"`        // vit: so many tokens after the class token, without positions, which the maps leave out
	LayerScale float64 `json:"layer_scale,omitempty"`      // vit: initial value of a gain for each channel of what attention and MLP add, see [LayerScale]; 0: none
	Pool       string  `json:"pool,omitempty"`             // vit: "class", what is kept is the class token, a map of one position; "": the patches
	Pixels     string  `json:"pixels,omitempty"`           // "imagenet" or "half", see [PixelNorms]; grey images are repeated in three channels. "": [Centre]
}

// PixelNorms are the mean and deviation that pixels in [0, 1] are normalised with, for networks that others trained: of ImageNet's
// three channels, or 0.5 both.
var PixelNorms = map[string]struct{ Mean, Std [3]float64 }{
	"imagenet": {[3]float64{0.485, 0.456, 0.406}, [3]float64{0.229, 0.224, 0.225}},
	"half":     {[3]float64{0.5, 0.5, 0.5}, [3]float64{0.5, 0.5, 0.5}},
}

// ResNet is the residual network that He et al. 2016, "Deep Residual Learning for Image Recognition", Sec. 4.2, made for
// CIFAR-10: three stages of n blocks, where depth = 6n+2. The paper's width is 16.
func ResNet(depth, width int) Backbone { return Backbone{Arch: "resnet", Depth: depth, Width: width} }

// ResNet18 is the residual network of 18 layers that He et al. 2016 made for ImageNet (Table 1), with the stem that is usual for
// images of 32 pixels: one 3x3 layer of stride 1, and no pooling (Chen et al. 2020, "A Simple Framework for Contrastive Learning of
// Visual Representations", App. B.9). Its usual width is 64: four stages of 64, 128, 256 and 512 channels.
func ResNet18(width int) Backbone { return Backbone{Arch: "resnet18", Depth: 18, Width: width} }

// ResNet34 is the same of 34 layers.
func ResNet34(width int) Backbone { return Backbone{Arch: "resnet34", Depth: 34, Width: width} }

// ResNet50 is the same of bottlenecks, 50 layers: a width of 64 makes four stages of 256, 512, 1024 and 2048 channels.
func ResNet50(width int) Backbone { return Backbone{Arch: "resnet50", Depth: 50, Width: width} }

// NIN is the Network-in-Network of RotNet's CIFAR-10 experiments (Gidaris et al. 2018, "Unsupervised Representation
// Learning by Predicting Image Rotations", Sec. 3.1). The paper has 3, 4 or 5 blocks, of width 192.
func NIN(blocks, width int) Backbone { return Backbone{Arch: "nin", Depth: blocks, Width: width} }

// ViT is the Vision Transformer of Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", Sec. 3.1, as MAE has it: fixed
// positions ([SinCos2D]), but without a class token: evaluation averages the positions of a map instead, with which MAE
// "works similarly well" (He et al. 2022, App. A.1). Heads have 64 dimensions from a width of 192 on, which makes
// ViT(12, 192, 16) the published ViT-Ti, 384 ViT-S and 768 ViT-B; in narrower ones, or where 64 does not divide the
// width, they have 32.
func ViT(blocks, width, patch int) Backbone {
	return Backbone{Arch: "vit", Depth: blocks, Width: width, Patch: patch}
}

// ViTTiny is DeiT's Ti (Touvron et al. 2021, "Training data-efficient image transformers & distillation through attention", Table 1),
// 12 blocks of width 192, with 3 heads.
func ViTTiny(patch int) Backbone { return ViT(12, 192, patch) }

// ViTSmall is DeiT's S, 12 blocks of width 384, with 6 heads.
func ViTSmall(patch int) Backbone { return ViT(12, 384, patch) }

// ViTBase is ViT-B, 12 blocks of width 768, with 12 heads.
func ViTBase(patch int) Backbone { return ViT(12, 768, patch) }

// Validate says what is wrong with b, if anything.
func (b Backbone) Validate() error {
	if b.Arch != "vit" && b.Arch != "tubes" && b.Patch != 0 {
		return fmt.Errorf("nn: patches of %d pixels are for a vit, not for a %s: leave them out", b.Patch, b.Arch)
	}
	if b.Arch != "tubes" && b.Span != 0 {
		return fmt.Errorf("nn: a span of %d frames is for tubes, not for a %s: leave it out", b.Span, b.Arch)
	}
	if b.Arch != "frames" && b.State != 0 || b.Input() != Texts && (b.Words != 0 || b.Length != 0) {
		return fmt.Errorf("nn: a state of %d is for frames, %d words in texts of %d for words, not for a %s: leave them out", b.State, b.Words, b.Length, b.Arch)
	}
	if _, known := PixelNorms[b.Pixels]; b.Pixels != "" && !known || b.Pixels != "" && b.Input() != Images {
		return fmt.Errorf(`nn: pixels %q: choose "imagenet" or "half" for a network of images, or leave them out`, b.Pixels)
	}
	if b.Stem != "" && (b.Stem != "imagenet" || imageNetBlocks[b.Arch] == nil) {
		return fmt.Errorf(`nn: a stem %q: a resnet18, resnet34 or resnet50 may have "imagenet"; leave it out elsewhere`, b.Stem)
	}
	if b.Arch != "vit" && (b.Class || b.Learnt || b.Heads != 0 || b.Registers != 0 || b.LayerScale != 0 || b.Pool != "") {
		return fmt.Errorf("nn: class_token, learnt_positions, heads, registers, layer_scale and pool are of a vit, not of a %s: leave them out", b.Arch)
	}
	if b.Arch != "text" && b.Causal {
		return fmt.Errorf("nn: only a text is causal, a %s is not: leave it out", b.Arch)
	}
	switch b.Arch {
	case "tubes":
		if b.Depth < 1 || b.Width < 32 || b.Width%32 != 0 || b.Patch < 0 || b.Span < 1 {
			return fmt.Errorf("nn: tubes have at least 1 block, a width of a multiple of 32, a patch of at least 0 pixels and a span of at least 1 frame, not %d, %d, %d and %d",
				b.Depth, b.Width, b.Patch, b.Span)
		}
	case "text":
		if b.Depth < 1 || b.Width < 32 || b.Width%32 != 0 || b.Words <= FirstWord || b.Length < 3 {
			return fmt.Errorf("nn: a text has at least 1 block, a width of a multiple of 32, a vocabulary above %d and at least 3 tokens, not %d, %d, %d and %d",
				FirstWord, b.Depth, b.Width, b.Words, b.Length)
		}
	case "frames":
		if b.Depth < 1 || b.Depth > 8 || b.Width < 1 || b.State < 0 {
			return fmt.Errorf("nn: frames have 1 to 8 layers, a width of at least 1 and a state of at least 0, not %d, %d and %d", b.Depth, b.Width, b.State)
		}
	case "words":
		if b.Depth != 1 || b.Width < 1 || b.Words <= FirstWord || b.Length < 3 {
			return fmt.Errorf("nn: words have the depth 1, a width of at least 1, a vocabulary above %d and texts of at least 3 tokens, not %d, %d, %d and %d",
				FirstWord, b.Depth, b.Width, b.Words, b.Length)
		}
	case "resnet":
		if b.Depth < 8 || b.Depth%6 != 2 {
			return fmt.Errorf("nn: a resnet's depth is 6n+2 (8, 14, 20, 32, 44, 56, ...), not %d", b.Depth)
		}
		if b.Width < 1 {
			return fmt.Errorf("nn: a resnet's width is at least 1 (16 in the paper), not %d", b.Width)
		}
	case "resnet18", "resnet34", "resnet50":
		if b.Arch != fmt.Sprint("resnet", b.Depth) {
			return fmt.Errorf("nn: a %s's depth is %s, not %d", b.Arch, b.Arch[len("resnet"):], b.Depth)
		}
		if b.Width < 1 {
			return fmt.Errorf("nn: a %s's width is at least 1 (64 in the paper), not %d", b.Arch, b.Width)
		}
	case "nin":
		if b.Depth < 3 || b.Depth > 5 {
			return fmt.Errorf("nn: a nin's depth is 3, 4 or 5 blocks, not %d", b.Depth)
		}
		if b.Width < 6 || b.Width%6 != 0 {
			return fmt.Errorf("nn: a nin's width is a positive multiple of 6 (192 in the paper), not %d", b.Width)
		}
	case "vit":
		if b.Depth < 1 {
			return fmt.Errorf("nn: a vit's depth is at least 1 block (12 in ViT-B), not %d", b.Depth)
		}
		if b.Width < 32 || b.Width%32 != 0 {
			return fmt.Errorf("nn: a vit's width is a positive multiple of 32 (768 in ViT-B), not %d", b.Width)
		}
		if b.Heads < 0 || b.Heads > 0 && b.Width%b.Heads != 0 {
			return fmt.Errorf("nn: a vit's heads divide its width of %d, %d do not", b.Width, b.Heads)
		}
		if b.Registers < 0 || !(b.LayerScale >= 0 && b.LayerScale <= 1) {
			return fmt.Errorf("nn: a vit's registers are at least 0 (4 in DINOv2) and its layer_scale is 0 to 1 (1e-5 in DINOv2), not %d and %g", b.Registers, b.LayerScale)
		}
		if b.Pool != "" && (b.Pool != "class" || !b.Class) {
			return fmt.Errorf(`nn: a pool %q: what is kept of a vit is "class", with class_token, or the patches: leave it out`, b.Pool)
		}
		if b.Patch < 1 {
			return fmt.Errorf("nn: a vit's patch is at least 1 pixel (16 in ViT-B; 4 for images of 32), not %d", b.Patch)
		}
	default:
		return fmt.Errorf(`nn: unknown backbone %q, want "resnet", "resnet18", "resnet34", "resnet50", "nin" or "vit", of clips "frames" or "tubes", of texts "words" or "text"`, b.Arch)
	}
	return nil
}

// Stages runs the network on image [N, H, W, C], float32 or float64 in [0, 1], which it first maps to [-2, 2], so that
// mid-grey is 0. It returns one feature map [N, h, w, c] for each stage of the ResNet or block of the NIN, shallow to
// deep, as the next one gets it. A ViT's are its patches' tokens after each quarter of its blocks, or its class token's, the last after the final layer
// norm. There is no classifier: that is the method's.
//
// Of clips, [N, T, H, W, C] in [0, 1], and texts, tokens [N, L] int32, what can be probed is a map of one position [N, 1, 1, c],
// into which neither frames after the end of a sound nor padding go: of [Frames] the mean over the frames, and where there is a
// state its last and its mean, else the frames side by side; of [Words] the mean over the words, and of [Text] that, of their
// vectors and of the states; of [Tubes] the means over the tokens.
//
// It panics with the error of Validate, or where image is no float image or, with a ViT, its side no multiple of Patch.
func (b Backbone) Stages(scope *model.Scope, image *Node) []*Node {
	if err := b.Validate(); err != nil {
		panic(err)
	}
	switch b.Input() {
	case Clips:
		if b.Arch == "tubes" {
			return b.tubeStages(scope, image)
		}
		return b.sequenceStages(scope, image)
	case Texts:
		return b.wordStages(scope, image)
	}
	checkImage("Backbone.Stages", image)
	x := b.normalise(image)
	switch b.Arch {
	case "resnet18", "resnet34", "resnet50":
		return imageNetResNet(scope, x, b)
	case "nin":
		return nin(scope, x, b.Depth, b.Width)
	case "vit":
		maps, _ := vit(scope, x, b, false)
		return maps
	}
	return resnet(scope, x, (b.Depth-2)/6, b.Width)
}

// Parts are the scopes, within that of Stages, which hold the variables of each stage, shallow to deep: those that its map
// depends on and the one before does not.
func (b Backbone) Parts() [][]string {
	stages, name := 3, "stage_%d"
	switch b.Arch {
	case "resnet18", "resnet34", "resnet50":
		stages = 4
	case "nin":
		stages, name = b.Depth, "block_%d"
	case "vit", "tubes", "text":
		stages = min(b.Depth, 4)
	}
	switch b.Arch {
	case "words":
		return [][]string{{"words"}}
	case "frames": // the last stage is the mean of the state, or the frames side by side, and has no variables of its own
		frames := []string{"out"}
		for i := range b.Depth {
			frames = append(frames, fmt.Sprintf("layer_%d", i+1))
		}
		if b.State == 0 {
			return [][]string{frames, nil}
		}
		return [][]string{frames, {"state"}, nil}
	}
	parts := make([][]string, stages)
	for i := range parts {
		parts[i] = []string{fmt.Sprintf(name, i+1)}
	}
	switch b.Arch {
	case "resnet", "resnet18", "resnet34", "resnet50":
		parts[0] = append(parts[0], "stem")
	case "vit", "tubes":
		parts[0] = append(parts[0], "patch")
		if b.Class {
			parts[0] = append(parts[0], "class")
		}
		if b.Learnt {
			parts[0] = append(parts[0], "positions")
		}
		if b.Registers > 0 {
			parts[0] = append(parts[0], "registers")
		}
		parts[stages-1] = append(parts[stages-1], "norm")
	case "text":
		parts[0] = append(parts[0], "positions", "begin")
		parts[stages-1] = append(parts[stages-1], "norm")
		return append([][]string{{"words"}}, parts...)
	}
	return parts
}

// Centre maps pixels in [0, 1] to [-2, 2], mid-grey to 0.
func Centre(image *Node) *Node { return MulScalar(AddScalar(image, -0.5), 1/0.25) }

// Blocks are those of each stage, of a residual network, a vit or a text.
func (b Backbone) Blocks() []int {
	switch b.Arch {
	case "resnet":
		n := (b.Depth - 2) / 6
		return []int{n, n, n}
	case "vit", "text", "tubes":
		var blocks []int
		stages := min(b.Depth, 4)
		for i := range stages {
			blocks = append(blocks, (i+1)*b.Depth/stages-i*b.Depth/stages)
		}
		return blocks
	}
	return slices.Clone(imageNetBlocks[b.Arch])
}

// normalise is [Centre], or what Pixels says.
func (b Backbone) normalise(image *Node) *Node {
	if b.Pixels == "" {
		return Centre(image)
	}
	if image.Shape().Dim(-1) == 1 {
		image = Concatenate([]*Node{image, image, image}, -1)
	}
	norm := PixelNorms[b.Pixels]
	row := func(v [3]float64) *Node {
		return ConvertDType(Const(image.Graph(), [][][][]float64{{{v[:]}}}), image.DType())
	}
	return Div(Sub(image, row(norm.Mean)), row(norm.Std))
}

// Bare says why b cannot be shown some patches only, by [Backbone.Embed] and [Backbone.Transform].
func (b Backbone) Bare() error {
	if b.Class || b.Learnt || b.Registers > 0 || b.Pixels != "" {
		return fmt.Errorf("nn: a network with a class token, learnt positions, registers or pixels of its own is not shown patches only: leave class_token, learnt_positions, registers and pixels out, or choose another method")
	}
	return nil
}
