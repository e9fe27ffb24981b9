package sweep

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Presets, from fast to faithful.
const (
	Smoke = "smoke" // under two minutes of CPU
	Class = "class" // ten minutes for a whole experiment on two cores
	Paper = "paper" // the recipe of the paper or of its authors' code, of the methods that have it: see [Preset]
)

// unlike says why a method has no preset Paper: what is not as in its paper.
var unlike = map[string]string{
	"colorization": "its network is a VGG of dilated convolutions for ImageNet",
	"inpainting":   "its networks are an AlexNet for features and one of DCGAN's kind, of 128 pixels and a bottleneck of 4,000, for pictures",
	"tracking":     "its network is a ResNet-18 with a 3D convolution over frames of 256 pixels, and its data are Kinetics",
	"context":      "its towers are of AlexNet's kind, for ImageNet",
	"position":     "it is an instrument, without a recipe of its own",
	"jigsaw":       "its towers are AlexNet's, for ImageNet",
	"densecl":      "its network is a ResNet-50, for ImageNet and COCO",
	"deepcluster":  "its networks are an AlexNet and a VGG-16 on Sobel-filtered images of ImageNet",
	"swav":         "its network is a ResNet-50, for ImageNet",
	"clip":         "its 400 million pairs are not public, and its tokens are byte pairs",
}

// noPaper is the error of who asks for a preset Paper that a method has not, for a reason.
func noPaper(method, why string) error {
	var have []string
	for _, name := range Methods() {
		if _, lacks := unlike[name]; !lacks && name != "supervised" && name != "random" {
			have = append(have, name)
		}
	}
	return fmt.Errorf("sweep: %s has no preset %s: %s; choose %s or %s, or one of the methods that have it: %s",
		method, Paper, why, Smoke, Class, strings.Join(have, ", "))
}

// PresetOr is what SSLKIT_PRESET says, and else the fallback.
func PresetOr(fallback string) string {
	if preset := os.Getenv("SSLKIT_PRESET"); preset != "" {
		return preset
	}
	return fallback
}

// Seeds are as many as a preset has time for: one with smoke, else three.
func Seeds(preset string) []int64 {
	if preset == Smoke {
		return []int64{1}
	}
	return []int64{1, 2, 3}
}

// Preset returns the preset's configuration of a self-supervised method, by its name, on a dataset. Methods that have recipes for
// more than one purpose come with the one for features.
//
// The preset Paper is the whole recipe of a paper or of its authors' code, network, schedule and batch included, or an error that
// says what is missing. Where it was made for CIFAR-10 it can be had for any images of that size. As everywhere in this laboratory,
// pixels are scaled by one number for all channels, and biases and the scales of norms are not decayed.
func Preset(method, preset, dataset string) (Config, error) {
	of := map[string]func(preset, dataset string) (Config, error){
		"context": Context, "position": Position, "jigsaw": Jigsaw, "rotation": Rotation, "simclr": SimCLR, "moco": MoCo, "densecl": DenseCL,
		"deepcluster": DeepCluster, "swav": SwAV, "clip": CLIP, "mae": MAE,
		"colorization": Colorization, "inpainting": InpaintingFeatures, "tracking": Tracking,
	}
	if make, known := of[method]; known {
		c, err := make(preset, dataset)
		if err != nil {
			return c, err
		}
		return c.fitted(context.Background())
	}
	return Config{}, fmt.Errorf("sweep: no method is called %q%s", method, suggest(method, Methods()))
}

// DefaultData is the embedded dataset that a method is tried on first.
func DefaultData(method string) string {
	switch method {
	case "clip":
		return "emoji"
	case "context", "jigsaw", "position", "inpainting", "colorization":
		return "photos"
	case "tracking":
		return "clips"
	}
	return "fashion-mnist-10k"
}

// sized returns what a preset says of the data: how much of it there is.
func sized(preset, dataset string) (Data, error) {
	d := Data{Name: dataset}
	grey := strings.HasPrefix(dataset, "fashion-mnist") || dataset == "mnist"
	switch preset {
	case Smoke:
		switch dataset {
		case "photos": // the scarcest class has ten training photos
			d.PerPhoto = 8
		case "emoji": // all are few
		default:
			d.Train, d.Test = 2000, 1000
		}
	case Class:
		if grey {
			d.Train, d.Test = 5000, 2000
		}
		switch dataset {
		case "photos":
			d.PerPhoto = 24
		case "scenes":
			d.Train, d.Test = 2000, 1000
		}
	case Paper:
	default:
		return d, fmt.Errorf("sweep: no preset is called %q: choose %s, %s or %s", preset, Smoke, Class, Paper)
	}
	return d, nil
}

// Rotation returns the preset's configuration of RotNet on a dataset.
func Rotation(preset, dataset string) (Config, error) {
	d, err := sized(preset, dataset)
	m := sslkit.RotNet(nn.NIN(4, 24))
	m.Pad = 2
	c := Config{
		Method:    Method{Rotation: m},
		Data:      d,
		Epochs:    3,
		Batch:     64,
		Optimizer: Optimizer{Kind: "sgd", Rate: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4, Warmup: 0.25},
		Seed:      1,
	}
	if preset == Paper {
		// Gidaris et al. 2018, Sec. 3.1, and the authors' configuration for CIFAR-10, CIFAR10_RotNet_NIN4blocks.py.
		m.Backbone, m.Pad = nn.NIN(4, 192), 4
		c.Epochs, c.Batch = 200, 128
		c.Optimizer.Warmup, c.Optimizer.Drops, c.Optimizer.Factor = 0, []int{60, 120, 160}, 0.2
	}
	return c, err
}

// Context returns the preset's configuration of context prediction on a dataset. Colours are kept: at these sizes, dropping them
// takes the network below a random one, see [sslkit.DeepContext].
func Context(preset, dataset string) (Config, error) {
	m := sslkit.DeepContext(nn.ResNet(8, 16))
	m.Guards.Colors = ""
	return patches(preset, dataset, Method{Context: m})
}

// Position returns the preset's configuration of telling a patch's place, on a dataset.
func Position(preset, dataset string) (Config, error) {
	return patches(preset, dataset, Method{Position: sslkit.AbsolutePosition(nn.ResNet(8, 16))})
}

// Jigsaw returns the preset's configuration of jigsaw puzzles on a dataset, with 24 permutations.
func Jigsaw(preset, dataset string) (Config, error) {
	m := sslkit.CFN(nn.ResNet(8, 16))
	m.Permutations = 24
	return patches(preset, dataset, Method{Jigsaw: m})
}

// patches is what methods that look at parts of an image have in common.
func patches(preset, dataset string, m Method) (Config, error) {
	c, err := usual(preset, dataset, m)
	if dataset == "photos" || strings.HasPrefix(dataset, "folder:") {
		c.Data.Size = 64 // so that there is something in a part
	}
	c.Batch, c.Optimizer.Rate, c.Optimizer.WeightDecay = 64, 0.05, 5e-4
	return c, err
}

// SimCLR returns the preset's configuration of SimCLR on a dataset.
func SimCLR(preset, dataset string) (Config, error) {
	m := sslkit.SimCLRCIFAR(nn.ResNet(8, 8))
	m.Dim, m.Temperature = 64, 0.2
	c, err := usual(preset, dataset, Method{SimCLR: m})
	if preset == Paper {
		// The command for CIFAR-10 in the README of google-research/simclr, as released with the paper (num_nlh_layers is 1): App.
		// B.9 with a ResNet-18. (That one projects the first shortcut, too, and starts the last norm of a block at 0.)
		m.Backbone, m.Dim, m.Temperature = nn.ResNet18(64), 128, 0.5
		c.Epochs, c.Batch = 1000, 512
		c.Optimizer = Optimizer{Kind: "lars", Rate: 2, Momentum: 0.9, WeightDecay: 1e-6, Warmup: 10}
	}
	return c, err
}

// MoCo returns the preset's configuration of MoCo v2 on a dataset. Version 1 differs in its head, views and temperature: see
// [MoCoV1]. The preset Paper is neither, but what the authors made for CIFAR-10: see [sslkit.MoCoCIFAR].
func MoCo(preset, dataset string) (Config, error) {
	if preset == Paper { // moco_cifar10_demo: its defaults, with the cosine that it is run with
		c, err := usual(preset, dataset, Method{MoCo: sslkit.MoCoCIFAR(nn.ResNet18(64))})
		c.Batch = 512
		c.Optimizer = Optimizer{Kind: "sgd", Rate: 0.06, Momentum: 0.9, WeightDecay: 5e-4}
		return c, err
	}
	m := sslkit.MoCoV2(nn.ResNet(8, 8))
	m.View = view.SimCLRCIFAR() // without blur, for small images
	return moco(preset, dataset, m)
}

// MoCoV1 returns the preset's configuration of MoCo v1 on a dataset, of which there is no preset Paper.
func MoCoV1(preset, dataset string) (Config, error) {
	if preset == Paper {
		return Config{}, noPaper("moco v1", "its network is a ResNet-50, for ImageNet")
	}
	return moco(preset, dataset, sslkit.MoCoV1(nn.ResNet(8, 8)))
}

func moco(preset, dataset string, m *sslkit.MoCo) (Config, error) {
	m.Dim, m.Split = 64, 8
	// The queue forgets within some epochs, and the key's encoder follows within a tenth of one: with the
	// paper's 65,536 keys and momentum of 0.999 neither would happen in so few steps.
	m.Queue, m.Momentum = 2048, 0.99
	return usual(preset, dataset, Method{MoCo: m})
}

// DenseCL returns the preset's configuration of DenseCL on a dataset.
func DenseCL(preset, dataset string) (Config, error) {
	m := sslkit.DenseCLDefault(nn.ResNet(8, 8))
	m.View, m.Dim, m.Queue, m.Momentum = view.SimCLRCIFAR(), 64, 2048, 0.99
	return usual(preset, dataset, Method{DenseCL: m})
}

// SwAV returns the preset's configuration of SwAV on a dataset: two crops of the image's size and four of half of it.
func SwAV(preset, dataset string) (Config, error) {
	m := sslkit.SwAVMultiCrop(nn.ResNet(8, 8), 28)
	m.View, m.Hidden, m.Dim, m.Prototypes = view.SimCLRCIFAR(), 128, 64, 100
	m.View.MinScale = 0.3
	m.SmallCrops, m.SmallSize, m.SmallMin, m.SmallMax = 4, 14, 0.1, 0.3
	return usual(preset, dataset, Method{SwAV: m})
}

// DeepCluster returns the preset's configuration of DeepCluster on a dataset.
func DeepCluster(preset, dataset string) (Config, error) {
	m := sslkit.DeepClusterV1(nn.ResNet(8, 8))
	m.Clusters, m.PCA, m.View = 100, 0, view.Recipe{MinScale: 0.3, Flip: true}
	// Ten times the release's rate, which is what a momentum of 0.9 would make of it: an epoch has some hundred steps to learn the new
	// classifier in, and not 5,000.
	m.ClassifierRate = 0.5
	c, err := usual(preset, dataset, Method{DeepCluster: m})
	// Small batches: the new classifier of each epoch has to learn its clusters from the steps of that epoch.
	c.Batch, c.Optimizer.Rate, c.Optimizer.Warmup = 32, 0.05, 0
	return c, err
}

// usual is what most methods start from.
func usual(preset, dataset string, m Method) (Config, error) {
	d, err := sized(preset, dataset)
	if why, lacks := unlike[m.Name()]; lacks && preset == Paper {
		err = noPaper(m.Name(), why)
	}
	c := Config{
		Method:    m,
		Data:      d,
		Epochs:    3,
		Batch:     128,
		Optimizer: Optimizer{Kind: "sgd", Rate: 0.1, Momentum: 0.9, WeightDecay: 1e-4, Warmup: 0.5},
		Seed:      1,
	}
	switch preset {
	case Class:
		c.Epochs = 10
	case Paper:
		c.Epochs = 200
	}
	return c, err
}

// CLIP returns the preset's configuration of image-text pretraining on a dataset with captions.
func CLIP(preset, dataset string) (Config, error) {
	c, err := usual(preset, dataset, Method{CLIP: sslkit.SmallCLIP(nn.ResNet(8, 16))})
	c.Optimizer = Optimizer{Kind: "adamw", Rate: 1e-3, WeightDecay: 0.1, Warmup: 1}
	c.Epochs = 4
	if preset == Class {
		c.Epochs = 20
	}
	return c, err
}

// MAE returns the preset's configuration of the masked autoencoder on a dataset. Its preset Paper is of a folder of images, at 224
// pixels: ImageNet, or one's own. It needs the memory of many GPUs; with a smaller batch the rate goes down in proportion.
func MAE(preset, dataset string) (Config, error) {
	if preset == Paper {
		// PRETRAIN.md of facebookresearch/mae, "recommended default", which is He et al. 2022, Table 8, with a ViT-L and 800 epochs:
		// the rate is 1.5e-4 for each 256 of the batch. (There is no class token here, without which it "works similarly well", App.
		// A.1.)
		c, err := usual(preset, dataset, Method{MAE: sslkit.PaperMAE(nn.ViT(24, 1024, 16))})
		if err == nil && !strings.HasPrefix(dataset, "folder:") {
			err = fmt.Errorf("sweep: the preset %s of mae is of images of 224 pixels, and not of %s: name a folder of images, as folder:PATH, or choose %s or %s",
				Paper, dataset, Smoke, Class)
		}
		c.Data.Size, c.Epochs, c.Batch = 224, 800, 4096
		c.Optimizer = Optimizer{Kind: "adamw", Rate: 1.5e-4 * 4096 / 256, Beta1: 0.9, Beta2: 0.95, WeightDecay: 0.05, Warmup: 40}
		return c, err
	}
	c, err := usual(preset, dataset, Method{MAE: sslkit.SmallMAE(nn.ViT(4, 96, 4))})
	c.Batch = 64
	c.Optimizer = Optimizer{Kind: "adamw", Rate: 1e-3, Beta2: 0.95, WeightDecay: 0.05, Warmup: 0.5}
	return c, err
}

// Colorization returns the preset's configuration of colorization on a dataset, of images with a side that is a multiple of 4.
func Colorization(preset, dataset string) (Config, error) {
	m := sslkit.Colorful(nn.ResNet(8, 16))
	m.Stride, m.Hidden = 2, 64 // as much of a picture as 4 of the paper's larger ones
	c, err := usual(preset, dataset, Method{Colorization: m})
	c.Batch = 32
	c.Optimizer = Optimizer{Kind: "adamw", Rate: 3e-3, Beta2: 0.99, WeightDecay: 1e-3, Warmup: 0.5}
	c.Epochs = 6
	return c, err
}

// Tracking returns the preset's configuration of video colorization on a dataset of clips.
func Tracking(preset, dataset string) (Config, error) {
	m := sslkit.PaperVideoColorization(nn.ResNet(8, 8))
	m.Dim, m.Temperature = 32, 0.1
	c, err := usual(preset, dataset, Method{Tracking: m})
	c.Data.Size, c.Batch = 64, 8 // maps of 16x16; 40 targets a step
	c.Optimizer = Optimizer{Kind: "adamw", Rate: 2e-3, WeightDecay: 1e-4, Warmup: 0.25}
	switch preset {
	case Smoke:
		c.Epochs, c.Data.Train, c.Data.Test = 2, 320, 64
	case Class:
		c.Epochs, c.Data.Train, c.Data.Test = 3, 800, 200
	}
	if strings.HasPrefix(dataset, "video:") {
		c.Data.Train, c.Data.Test = 0, 0 // as many as there are
	}
	return c, err
}
