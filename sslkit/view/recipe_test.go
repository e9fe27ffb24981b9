package view

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

var presets = map[string]Recipe{
	"SimCLR": SimCLR(1), "SimCLRCIFAR": SimCLRCIFAR(), "MoCoV1": MoCoV1(), "MoCoV2": MoCoV2(),
	"BYOL": {MinScale: 0.08, Flip: true, Jitter: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.2, Hue: 0.1,
		Gray: 0.2, Blur: 0.1, SigmaMin: 0.1, SigmaMax: 2, Solarize: 0.2}, // one that solarizes
}

func TestRecipeJSON(t *testing.T) {
	for name, r := range presets {
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Recipe
		if err := json.Unmarshal(text, &back); err != nil || back != r {
			t.Errorf("%s: %s comes back as %+v (%v)", name, text, back, err)
		}
	}
	if text, _ := json.Marshal(Recipe{}); string(text) != "{}" {
		t.Errorf("the zero recipe is %s, want {}", text)
	}
	if text, _ := json.Marshal(Recipe{MinScale: 0.3, Flip: true}); string(text) != `{"min_scale":0.3,"flip":true}` {
		t.Errorf("a recipe without colours is %s", text)
	}
}

func TestRecipeValidate(t *testing.T) {
	for want, r := range map[string]Recipe{
		"min_scale is 1.1":                {MinScale: 1.1},
		"min_scale is NaN":                {MinScale: math.NaN()},
		"jitter is -0.1":                  {Jitter: -0.1},
		"gray is 2":                       {Gray: 2},
		"blur is 2":                       {Blur: 2},
		"solarize is 2":                   {Solarize: 2},
		"brightness is -1":                {Brightness: -1},
		"contrast is +Inf":                {Contrast: math.Inf(1)},
		"saturation is NaN":               {Saturation: math.NaN()},
		"hue is 0.6":                      SimCLR(3),
		"sigma_min 0 and sigma_max 0":     {Blur: 0.5},
		"sigma_min 2 and sigma_max 1":     {Blur: 0.5, SigmaMin: 2, SigmaMax: 1},
		"sigma_min -1 and sigma_max 1":    {Blur: 0.5, SigmaMin: -1, SigmaMax: 1},
		"sigma_min 0.1 and sigma_max NaN": {Blur: 0.5, SigmaMin: 0.1, SigmaMax: math.NaN()},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
		rejects(t, want, transformed(r.View), tensor(numbered[float32](2, 3, 3, 3)))
	}
	rejects(t, "view.Recipe: images must be", transformed(Recipe{}.View), []float32{1})
	rejects(t, "view.Recipe: pixels must be float", transformed(Recipe{}.View), tensor(numbered[uint8](2, 3, 3, 3)))
}

// A seed says what is drawn, each draw is another, and views are images in [0, 1] of the input's shape.
func TestRecipeView(t *testing.T) {
	check := func(t *testing.T, name string, backend compute.Backend, x images[float32]) {
		t.Helper()
		r := presets[name]
		first := drawOn(t, backend, 1, r.View, x, 2)
		if again := drawOn(t, backend, 1, r.View, x, 2); !reflect.DeepEqual(again, first) {
			t.Errorf("%s: the same seed drew other views", name)
		}
		if other := drawOn(t, backend, 2, r.View, x, 1); reflect.DeepEqual(other[0], first[0]) {
			t.Errorf("%s: another seed drew the same views", name)
		}
		for k := range x.n {
			if reflect.DeepEqual(single(first[0], k), single(first[1], k)) {
				t.Errorf("%s: image %d: two draws are the same", name, k)
			}
		}
		for _, y := range first {
			if y.n != x.n || y.h != x.h || y.w != x.w || y.c != x.c {
				t.Fatalf("%s: views are %dx%dx%dx%d", name, y.n, y.h, y.w, y.c)
			}
			for _, v := range y.pixel {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("%s: a view has a value of %v", name, v)
				}
			}
		}
	}
	for name := range presets {
		check(t, name, goBackend(t), random[float32](5, 12, 12, 3))
		check(t, name, goBackend(t), random[float32](5, 9, 14, 1))
	}
	if best := open(t); best.Name() != "go" {
		check(t, "BYOL", best, random[float32](5, 12, 12, 3)) // it has all
	}
}

// A view is its image's alone: the others may be any.
func TestRecipeViewsAreIndependent(t *testing.T) {
	const kept = 2
	for name, r := range presets {
		x := random[float32](5, 8, 8, 3)
		before := single(drawOn(t, goBackend(t), 1, r.View, x, 1)[0], kept)
		for i := range x.pixel {
			if i/(8*8*3) != kept {
				x.pixel[i] = 1 - x.pixel[i]
			}
		}
		if after := single(drawOn(t, goBackend(t), 1, r.View, x, 1)[0], kept); !reflect.DeepEqual(after, before) {
			t.Errorf("%s: the view of an image changed with the other images", name)
		}
	}
}

func TestRecipeZero(t *testing.T) {
	g := NewGraph(goBackend(t), "zero")
	defer g.Finalize()
	x := Zeros(g, tensor(random[float32](2, 3, 3, 3)).Shape())
	if y := (Recipe{}).View(model.NewStore().RootScope(), x); y != x {
		t.Error("the zero recipe changed the images")
	}
}

// Each field is what it says: with it alone, as many images change, and in the way it should.
func TestRecipeFields(t *testing.T) {
	const n, p = 2000, 0.3
	exact := random[float64](n, 5, 5, 3)
	for k := range n {
		copy(exact.pixel[k*5*5*3:], []float64{0, 0, 0})
	}
	x := narrow(exact)
	stillBlack := func(image images[float32]) bool { return image.pixel[0] == 0 } // with less contrast it is not
	isGray := func(image images[float32]) bool {
		for i := 0; i < len(image.pixel); i += 3 {
			if image.pixel[i] != image.pixel[i+1] || image.pixel[i] != image.pixel[i+2] {
				return false
			}
		}
		return true
	}
	any := func(images[float32]) bool { return true }
	for name, c := range map[string]struct {
		recipe  Recipe
		changed float64
		how     func(image images[float32]) bool
	}{
		"crop":       {Recipe{MinScale: 0.3}, 1, any},
		"flip":       {Recipe{Flip: true}, 0.5, any},
		"both":       {Recipe{MinScale: 1, Flip: true}, 0.5, any}, // a crop of all
		"brightness": {Recipe{Jitter: p, Brightness: 0.4}, p, stillBlack},
		"contrast":   {Recipe{Jitter: p, Contrast: 0.4}, p, any},
		"saturation": {Recipe{Jitter: p, Saturation: 0.4}, p, any},
		"hue":        {Recipe{Jitter: p, Hue: 0.4}, p, any},
		"gray":       {Recipe{Gray: p}, p, isGray},
		"blur":       {Recipe{Blur: p, SigmaMin: 1, SigmaMax: 2}, p, any},
		"solarize":   {Recipe{Solarize: p}, p, any},
	} {
		y := drawOn(t, goBackend(t), 1, c.recipe.View, x, 1)[0]
		changed := 0
		for k := range n {
			image := single(y, k)
			if reflect.DeepEqual(image, single(x, k)) {
				continue
			}
			changed++
			if !c.how(image) {
				t.Fatalf("%s: image %d is changed into %v", name, k, image.pixel)
			}
		}
		if name == "crop" {
			if changed < n*80/100 || changed > n*98/100 { // a tenth is crops of all of the 5x5 pixels
				t.Errorf("crop: %d of %d changed", changed, n)
			}
			continue
		}
		checkShare(t, name, changed, n, c.changed)
	}
	// A jitter of the hue shows how the order of gray matters: after gray it changes nothing, before gray it does.
	gray := naively(exact, make([]float64, n), func(x naive, _ float64) naive { return naiveGrayscale(x) })
	for _, first := range []bool{true, false} {
		y := drawOn(t, goBackend(t), 1, Recipe{Jitter: 1, Hue: 0.4, Gray: 1, GrayFirst: first}.View, x, 1)[0]
		var apart float64
		for i, v := range y.pixel {
			apart = max(apart, math.Abs(float64(v)-gray.pixel[i]))
		}
		if first && apart > 1e-6 || !first && apart < 0.1 {
			t.Errorf("gray first is %v: the images are up to %g from gray ones", first, apart)
		}
	}
}

// The kernel "is set to be 10% of the image height/width". Reference: Chen et al. 2020 (SimCLR), Appendix A.
func TestPaperBlurKernel(t *testing.T) {
	for side, want := range map[int]int{1: 1, 2: 3, 28: 3, 32: 3, 39: 3, 64: 7, 96: 9, 224: 23} {
		if got := blurKernel(side); got != want {
			t.Errorf("side %d: kernel %d, want %d", side, got, want)
		}
	}
}

// The recipes as the authors' code has them: data_util.py of google-research/simclr and main_moco.py of
// facebookresearch/moco. "color distortion (strength=0.5), leaving out Gaussian blur" on CIFAR-10.
// Reference: Chen et al. 2020 (SimCLR), Appendix A and B.9; He et al. 2020, Sec. 3.3; Chen et al. 2020 (MoCo v2), Sec. 3.
func TestPaperRecipes(t *testing.T) {
	for name, want := range map[string]string{
		"SimCLR":      "crop 0.08 flip true jitter 0.8 (0.8 0.8 0.8 0.2) gray 0.2 first false blur 0.5 (0.1 2) solarize 0",
		"SimCLRCIFAR": "crop 0.08 flip true jitter 0.8 (0.4 0.4 0.4 0.1) gray 0.2 first false blur 0 (0 0) solarize 0",
		"MoCoV1":      "crop 0.2 flip true jitter 1 (0.4 0.4 0.4 0.4) gray 0.2 first true blur 0 (0 0) solarize 0",
		"MoCoV2":      "crop 0.2 flip true jitter 0.8 (0.4 0.4 0.4 0.1) gray 0.2 first false blur 0.5 (0.1 2) solarize 0",
	} {
		r := presets[name]
		got := fmt.Sprintf("crop %v flip %v jitter %v (%v %v %v %v) gray %v first %v blur %v (%v %v) solarize %v", r.MinScale, r.Flip,
			r.Jitter, r.Brightness, r.Contrast, r.Saturation, r.Hue, r.Gray, r.GrayFirst, r.Blur, r.SigmaMin, r.SigmaMax, r.Solarize)
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
}

// BenchmarkRecipe draws two views of 128 images of 32x32 in one program, as a step of SimCLR does.
func BenchmarkRecipe(b *testing.B) {
	for _, name := range []string{"SimCLR", "SimCLRCIFAR", "MoCoV1", "MoCoV2"} {
		b.Run(name, func(b *testing.B) {
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(1); err != nil {
				b.Fatal(err)
			}
			x := store.RootScope().VariableWithValue("images", tensor(random[float32](128, 32, 32, 3))) // stay on the device
			exec := model.MustNewExec(open(b), store, func(scope *model.Scope, zero *Node) *Node {
				images := Add(x.NodeValue(zero.Graph()), zero)
				return presets[name].View(scope, Concatenate([]*Node{images, images}, 0))
			})
			defer exec.Finalize()
			exec.MustCall1(float32(0)).MustFinalizeAll() // compiles
			for b.Loop() {
				exec.MustCall1(float32(0)).MustFinalizeAll()
			}
		})
	}
}
