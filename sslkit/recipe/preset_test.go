package recipe_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/view"
)

// hasPaper reports whether there is to be the paper's recipe of a method for a dataset: the registration has no excuse.
func hasPaper(method, dataset string) bool {
	r, err := sslkit.Lookup(method)
	return err == nil && r.NoPaper == "" && r.Role == sslkit.SelfSupervised && (method != "mae" || strings.HasPrefix(dataset, "folder:"))
}

// methods are those that have presets of their own.
func methods() (names []string) {
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised || r.Role == sslkit.Instrument {
			names = append(names, r.Name)
		}
	}
	return names
}

// Night is class for longer, and with no fewer examples, of every method on every dataset.
func TestNight(t *testing.T) {
	for _, info := range data.Names() {
		for _, method := range methods() {
			class, err := recipe.Preset(t.Context(), method, sslkit.Class, info.Name)
			if err != nil {
				t.Fatal(err)
			}
			night, err := recipe.Preset(t.Context(), method, sslkit.Night, info.Name)
			if err != nil {
				t.Fatal(err)
			}
			if night.Epochs != sslkit.NightEpochs*class.Epochs || night.Data.Train != 0 && night.Data.Train < class.Data.Train {
				t.Errorf("%s on %s: %d epochs of %d examples, in class %d of %d", method, info.Name, night.Epochs, night.Data.Train, class.Epochs, class.Data.Train)
			}
		}
	}
}

func TestPresets(t *testing.T) {
	infos := append(data.Names(), data.Info{Name: labtest.Folder(t, true)})
	for _, info := range infos {
		for i, preset := range slices.Repeat([]string{sslkit.Smoke, sslkit.Class, sslkit.Night, sslkit.Paper}, len(methods())) {
			method := methods()[i/4]
			c, err := recipe.Preset(t.Context(), method, preset, info.Name)
			if preset == sslkit.Paper && !hasPaper(method, info.Name) {
				if err == nil {
					t.Errorf("%s of %s on %s: %+v, want an error", preset, method, info.Name, c)
				}
				continue
			}
			if err == nil {
				err = c.Validate()
			}
			if err != nil {
				t.Errorf("%s on %s: %v", preset, info.Name, err)
				continue
			}
			if got := sslkit.NameOf(c.Method); got != method {
				t.Errorf("the preset of %s is of %s", method, got)
			}
			if c.Data.Name != info.Name {
				t.Errorf("%s on %s is on %s", preset, info.Name, c.Data.Name)
			}
			if info.Train > 0 && (c.Data.Train > info.Train || c.Data.Test > info.Test || c.Batch > info.Train) {
				t.Errorf("%s on %s: batches of %d and %d/%d examples of %d/%d", preset, info.Name, c.Batch, c.Data.Train, c.Data.Test, info.Train, info.Test)
			}
			if method == "tracking" { // of clips, which need not be balanced
				continue
			}
			if k := len(info.Classes); k > 0 && (c.Data.Train%k != 0 || c.Data.Test%k != 0) {
				t.Errorf("%s on %s: %d/%d examples are not equally of %d classes", preset, info.Name, c.Data.Train, c.Data.Test, k)
			}
			for _, other := range []sslkit.Config{recipe.Supervised(c), recipe.RandomInit(c)} {
				if err := other.Validate(); err != nil {
					t.Errorf("%s on %s, %s: %v", preset, info.Name, sslkit.NameOf(other.Method), err)
				}
			}
		}
	}
	_, err := recipe.Rotation("quick", "mnist")
	labtest.WantError(t, "unknown preset", err, `"quick"`, sslkit.Smoke, sslkit.Class, sslkit.Paper)
}

// The embedded datasets can be cut as the presets say.
func TestPresetsOpen(t *testing.T) {
	for _, name := range []string{"fashion-mnist-10k", "photos"} {
		for _, preset := range []string{sslkit.Smoke, sslkit.Class, sslkit.Paper} {
			c, err := recipe.Rotation(preset, name)
			if err != nil {
				t.Fatal(err)
			}
			j, err := (&runs.Store{Dir: t.TempDir()}).Job(t.Context(), c)
			if err == nil {
				err = j.Load(t.Context())
			}
			if err != nil {
				t.Errorf("%s on %s: %v", preset, name, err)
				continue
			}
			if _, err := data.Batches(j.Train, data.Options{Batch: c.Batch}); err != nil {
				t.Errorf("%s on %s: %v", preset, name, err)
			}
			for _, n := range []struct{ want, got int }{{c.Data.Train, j.Train.Len()}, {c.Data.Test, j.Test.Len()}} {
				if n.want != 0 && n.got != n.want || n.got == 0 {
					t.Errorf("%s on %s: %d examples, want %d", preset, name, n.got, n.want)
				}
			}
			if len(j.Train.Classes()) == 0 {
				t.Errorf("%s on %s: no classes to probe", preset, name)
			}
		}
	}
}

// Each preset "paper" is, number by number, what its references say. Only what they leave open is the laboratory's.
func TestPaperPresets(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want sslkit.Config
	}{
		// "We use SGD with batch size 128, momentum 0.9, weight decay 5e-4 and lr of 0.1. We drop the learning rates by a factor of 5
		// after epochs 30, 60, and 80. We train in total for 100 epochs." In the code that the authors released it is 60, 120 and
		// 160 of 200, with Nesterov's momentum.
		// Reference: Gidaris et al. 2018, Sec. 3.1, "Implementation details"; CIFAR10_RotNet_NIN4blocks.py.
		"rotation": {"cifar10", sslkit.Config{
			Method: &sslkit.Rotation{Backbone: nn.NIN(4, 192), Angles: []int{0, 90, 180, 270}, Pad: 4, Flip: true},
			Epochs: 200, Batch: 128,
			Optimizer: sslkit.Optimizer{Kind: "sgd", Rate: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4, Drops: []int{60, 120, 160}, Factor: 0.2},
		}},
		// "--train_batch_size=512 --train_epochs=1000 --learning_rate=1.0 --weight_decay=1e-6 --temperature=0.5 --dataset=cifar10
		// --image_size=32 --resnet_depth=18 --use_blur=False --color_jitter_strength=0.5"; by default LARS of momentum 0.9, 10 epochs
		// of warm-up, a rate for each 256 of the batch, one hidden layer and 128 dimensions in the head.
		// Reference: README.md and run.py of google-research/simclr, as released with the paper (commit 0075cc0); Chen et al. 2020,
		// App. A and B.9 (colours of strength 0.5: 0.4, 0.4, 0.4 and 0.1).
		"simclr": {"cifar10", sslkit.Config{
			Method: &sslkit.SimCLR{
				Backbone: nn.ResNet18(64), Head: "mlp", Dim: 128, Temperature: 0.5,
				View: view.Recipe{MinScale: 0.08, Flip: true, Jitter: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, Gray: 0.2},
			},
			Epochs: 1000, Batch: 512,
			Optimizer: sslkit.Optimizer{Kind: "lars", Rate: 2, Momentum: 0.9, WeightDecay: 1e-6, Warmup: 10},
		}},
		// "lr: 0.06 for batch 512", wd 5e-4, 200 epochs with a cosine; moco-dim 128, moco-k 4096, moco-m 0.99, moco-t 0.1, bn-splits 8;
		// RandomResizedCrop(32), ColorJitter(0.4, 0.4, 0.4, 0.1) of probability 0.8, grey 0.2; resnet18 with a 3x3 stem and a linear head.
		// Reference: moco_cifar10_demo.ipynb, branch colab-notebook of facebookresearch/moco.
		"moco": {"cifar10", sslkit.Config{
			Method: &sslkit.MoCo{
				Backbone: nn.ResNet18(64), Dim: 128, Queue: 4096, Momentum: 0.99, Temperature: 0.1, Split: 8,
				View: view.Recipe{MinScale: 0.08, Flip: true, Jitter: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, Gray: 0.2},
			},
			Epochs: 200, Batch: 512,
			Optimizer: sslkit.Optimizer{Kind: "sgd", Rate: 0.06, Momentum: 0.9, WeightDecay: 5e-4},
		}},
		// "--batch_size 64" on 64 GPUs, "--model mae_vit_large_patch16 --norm_pix_loss --mask_ratio 0.75 --epochs 800 --warmup_epochs 40
		// --blr 1.5e-4 --weight_decay 0.05": a rate of 2.4e-3. Crops from 0.2 of the area to 224 pixels, flips; AdamW with 0.9 and 0.95;
		// a decoder of 8 blocks of 512.
		// Reference: PRETRAIN.md and main_pretrain.py of facebookresearch/mae; He et al. 2022, Table 1 and 8.
		"mae": {"folder:pictures", sslkit.Config{
			Method: &sslkit.MAE{
				Backbone: nn.ViT(24, 1024, 16), Mask: 0.75, DecoderDepth: 8, DecoderWidth: 512, Normalize: true, MinScale: 0.2, Flip: true,
			},
			Data:   sslkit.Data{Size: 224},
			Epochs: 800, Batch: 4096,
			Optimizer: sslkit.Optimizer{Kind: "adamw", Rate: 2.4e-3, Beta1: 0.9, Beta2: 0.95, WeightDecay: 0.05, Warmup: 40},
		}},
	} {
		r, err := sslkit.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Preset(sslkit.Paper, c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.want.Data.Name, c.want.Seed = c.data, 1
		if math.Abs(got.Optimizer.Rate-c.want.Optimizer.Rate) < 1e-15 { // of the last bit of 1.5e-4 * 16
			got.Optimizer.Rate = c.want.Optimizer.Rate
		}
		if !reflect.DeepEqual(got, c.want) {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(c.want)
			t.Errorf("%s is\n%s\nwant\n%s", name, a, b)
		}
	}
}

// Who asks for the recipe of a paper gets it or hears what is missing, and what there is.
func TestNoPaperPreset(t *testing.T) {
	var have []string
	for _, name := range methods() {
		if hasPaper(name, "folder:x") {
			have = append(have, name)
		}
	}
	for _, name := range methods() {
		if slices.Contains(have, name) {
			continue
		}
		_, err := recipe.Preset(t.Context(), name, sslkit.Paper, "")
		labtest.WantError(t, name, err, name+" has no preset paper: ", sslkit.Smoke, sslkit.Class, "that have it: "+strings.Join(have, ", "))
	}
	_, err := recipe.MoCoV1(sslkit.Paper, "cifar10")
	labtest.WantError(t, "moco v1", err, "ResNet-50")
	_, err = recipe.Inpainting(sslkit.Paper, "photos")
	labtest.WantError(t, "inpainting for pictures", err, "bottleneck")
	_, err = recipe.MAE(sslkit.Paper, "cifar10")
	labtest.WantError(t, "mae on cifar10", err, "224 pixels", "folder:PATH")
}

// SwAV's prototypes are frozen for an epoch, and not for 39 steps; colours are kept by context prediction at these sizes; fewer
// dimensions are clustered than there are.
func TestSmallPresets(t *testing.T) {
	for _, preset := range []string{sslkit.Smoke, sslkit.Class} {
		swav, err1 := recipe.SwAV(preset, "fashion-mnist-10k")
		context, err2 := recipe.Context(preset, "photos")
		deep, err3 := recipe.DeepCluster(preset, "fashion-mnist-10k")
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if m := swav.Method.(*sslkit.SwAV); m.FreezeEpochs != 1 || m.Freeze != 0 {
			t.Errorf("%s: swav is frozen for %d epochs, %d steps", preset, m.FreezeEpochs, m.Freeze)
		}
		if g := context.Method.(*sslkit.ContextPrediction).Guards; g.Colors != "" || !g.Normalize {
			t.Errorf("%s: context has the guards %+v", preset, g)
		}
		if m := deep.Method.(*sslkit.DeepCluster); m.PCA != 0 || m.ClassifierRate == 0 {
			t.Errorf("%s: deepcluster has pca %d, a classifier's rate of %g", preset, m.PCA, m.ClassifierRate)
		}
	}
}

// A preset's numbers are at most so many: the first command on a few images of one's own uses all of them.
func TestPresetFitsTheUsersImages(t *testing.T) {
	c, err := recipe.Preset(t.Context(), "simclr", sslkit.Smoke, labtest.Folder(t, true))
	if err != nil || c.Data.Train != 0 || c.Data.Test != 0 || c.Batch != 80 {
		t.Errorf("of 80 and 40 images %+v and a batch of %d, %v", c.Data, c.Batch, err)
	}
	if _, err := recipe.Preset(t.Context(), "simclr", sslkit.Smoke, "folder:"+t.TempDir()); err == nil {
		t.Error("an empty folder: no error")
	}
}

// What a guess gets right of the pretext task, as figures draw it.
func TestGuessAccuracy(t *testing.T) {
	for name, want := range map[string]float64{"rotation": 0.25, "order": 0.5, "mocov3": 1.0 / 64, "clip": 1.0 / 128, "context": 0.125} {
		r, err := sslkit.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Preset(sslkit.Smoke, r.Data)
		if got := c.GuessAccuracy(); err != nil || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g, %v, want %g", name, got, err, want)
		}
	}
}
