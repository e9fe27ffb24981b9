package view

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Recipe is what the views of a contrastive method are drawn by. It is plain data, for configurations; the zero value leaves
// images as they are.
type Recipe struct {
	MinScale   float64 `json:"min_scale,omitempty"`  // least share of the area that RandomResizedCrop keeps, the most is 1; 0: no crop
	Flip       bool    `json:"flip,omitempty"`       // mirror half of the images
	Jitter     float64 `json:"jitter,omitempty"`     // probability of ColorJitter
	Brightness float64 `json:"brightness,omitempty"` // its strengths
	Contrast   float64 `json:"contrast,omitempty"`
	Saturation float64 `json:"saturation,omitempty"`
	Hue        float64 `json:"hue,omitempty"`
	Gray       float64 `json:"gray,omitempty"`       // probability of RandomGrayscale
	GrayFirst  bool    `json:"gray_first,omitempty"` // before the jitter, which then changes only the brightness and contrast of gray images
	Blur       float64 `json:"blur,omitempty"`       // probability of RandomBlur
	SigmaMin   float64 `json:"sigma_min,omitempty"`  // its range, in pixels
	SigmaMax   float64 `json:"sigma_max,omitempty"`
	Solarize   float64 `json:"solarize,omitempty"` // probability of RandomSolarize, at 0.5 as BYOL's
}

// SimCLR is the recipe of Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
// Appendix A, arXiv:2002.05709. strength is the s of its colour distortion, 1 by default and at most 2.5.
func SimCLR(strength float64) Recipe {
	return Recipe{MinScale: 0.08, Flip: true,
		Jitter: 0.8, Brightness: 0.8 * strength, Contrast: 0.8 * strength, Saturation: 0.8 * strength, Hue: 0.2 * strength,
		Gray: 0.2, Blur: 0.5, SigmaMin: 0.1, SigmaMax: 2}
}

// SimCLRCIFAR is that of its Appendix B.9, for CIFAR-10: "color distortion (strength=0.5), leaving out Gaussian blur".
func SimCLRCIFAR() Recipe {
	r := SimCLR(0.5)
	r.Blur, r.SigmaMin, r.SigmaMax = 0, 0, 0
	return r
}

// MoCoV1 is the recipe of He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning", Sec. 3.3,
// Technical details, arXiv:1911.05722, with the numbers and the order of main_moco.py in facebookresearch/moco.
func MoCoV1() Recipe {
	return Recipe{MinScale: 0.2, Flip: true, Gray: 0.2, GrayFirst: true,
		Jitter: 1, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.4}
}

// MoCoV2 is that of Chen et al. 2020, "Improved Baselines with Momentum Contrastive Learning", Sec. 3, Augmentation,
// arXiv:2003.04297, with the numbers of main_moco.py --aug-plus. Its blur is Pillow's, of unlimited reach; here it ends at the
// kernel of [Recipe.View].
func MoCoV2() Recipe {
	return Recipe{MinScale: 0.2, Flip: true,
		Jitter: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1,
		Gray: 0.2, Blur: 0.5, SigmaMin: 0.1, SigmaMax: 2}
}

// Only returns what r says of the named transforms, of "crop" (with the flip), "color", "gray", "blur" and "solarize", and
// leaves the others out: for ablations, as in Fig. 5 of Chen et al. 2020. It panics with an error on other names.
func (r Recipe) Only(transforms ...string) Recipe {
	var out Recipe
	for _, t := range transforms {
		switch t {
		case "crop":
			out.MinScale, out.Flip = r.MinScale, r.Flip
		case "color":
			out.Jitter, out.Brightness, out.Contrast, out.Saturation, out.Hue = r.Jitter, r.Brightness, r.Contrast, r.Saturation, r.Hue
		case "gray":
			out.Gray, out.GrayFirst = r.Gray, r.GrayFirst
		case "blur":
			out.Blur, out.SigmaMin, out.SigmaMax = r.Blur, r.SigmaMin, r.SigmaMax
		case "solarize":
			out.Solarize = r.Solarize
		default:
			exceptions.Panicf(`view.Recipe.Only: no transform is called %q: choose "crop", "color", "gray", "blur" or "solarize"`, t)
		}
	}
	return out
}

// Validate says which field is out of its range.
func (r Recipe) Validate() error {
	type field struct {
		name  string
		value float64
	}
	for _, f := range []field{{"min_scale", r.MinScale}, {"jitter", r.Jitter}, {"gray", r.Gray}, {"blur", r.Blur}, {"solarize", r.Solarize}} {
		if !(f.value >= 0 && f.value <= 1) {
			return fmt.Errorf("view: the recipe's %s is %g; it must be in [0, 1]", f.name, f.value)
		}
	}
	for _, f := range []field{{"brightness", r.Brightness}, {"contrast", r.Contrast}, {"saturation", r.Saturation}} {
		if !(f.value >= 0) || math.IsInf(f.value, 1) {
			return fmt.Errorf("view: the recipe's %s is %g; it must be finite and at least 0", f.name, f.value)
		}
	}
	if !(r.Hue >= 0 && r.Hue <= 0.5) {
		return fmt.Errorf("view: the recipe's hue is %g; it must be in [0, 0.5]", r.Hue)
	}
	if r.Blur > 0 && (!(r.SigmaMin > 0 && r.SigmaMin <= r.SigmaMax) || math.IsInf(r.SigmaMax, 1)) {
		return fmt.Errorf("view: the recipe blurs with sigma_min %g and sigma_max %g; they must be above 0, in order and finite",
			r.SigmaMin, r.SigmaMax)
	}
	return nil
}

// View draws one view of each image of x [N, H, W, C], float32 or float64 in [0, 1], of x's shape: crop, jitter, gray, blur
// and solarize in this order, gray earlier with GrayFirst. Where the flip comes makes no difference, since all else
// treats left and right alike. Images have 1 or 3 channels where colours are changed; on 1, what is about colour is left
// out and costs nothing. The kernel of the blur is SimCLR's, an odd tenth of the side (of the smaller one): 3 pixels up to
// a side of 39, 9 at 96, 23 at 224.
//
// Each image is drawn for on its own, so two views of each may be had of one call, by giving it the images twice: it
// compiles in half the time. It panics with the error of Validate, and on other shapes.
func (r Recipe) View(scope *model.Scope, x *Node) *Node {
	if err := r.Validate(); err != nil {
		panic(err)
	}
	_, h, w := checkImages("Recipe", x)
	checkFloat("Recipe", x)
	switch {
	case r.MinScale > 0:
		top, left, height, width := randomRectangle(scope, x, r.MinScale, 1)
		var mirror *Node
		if r.Flip {
			mirror = chance(scope, x, 0.5)
		}
		x = cut(x, top, left, height, width, mirror, h, w)
	case r.Flip:
		x = Flip(scope, x)
	}
	var rest []Transform
	if r.Gray > 0 && r.GrayFirst {
		rest = append(rest, RandomGrayscale(r.Gray))
	}
	if r.Jitter > 0 {
		rest = append(rest, ColorJitter(r.Jitter, r.Brightness, r.Contrast, r.Saturation, r.Hue))
	}
	if r.Gray > 0 && !r.GrayFirst {
		rest = append(rest, RandomGrayscale(r.Gray))
	}
	if r.Blur > 0 {
		rest = append(rest, RandomBlur(r.Blur, blurKernel(min(h, w)), r.SigmaMin, r.SigmaMax))
	}
	if r.Solarize > 0 {
		rest = append(rest, RandomSolarize(r.Solarize, 0.5))
	}
	return Chain(rest...)(scope, x)
}

// blurKernel is that of data_util.py in google-research/simclr, but never 1, which would not blur, unless for a single pixel.
func blurKernel(side int) int {
	if side == 1 {
		return 1
	}
	return max(3, side/10/2*2+1)
}
