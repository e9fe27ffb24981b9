package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
)

func printed(t *testing.T, words string) (c sslkit.Config, text string) {
	t.Helper()
	text, stderr := must(t, "pretrain --print-config "+words)
	if stderr != "" {
		t.Errorf("pretrain --print-config %s says %q", words, stderr)
	}
	c, err := sslkit.ReadConfig(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c, text
}

// What --print-config prints is for --config the same run.
func TestConfigRoundTrip(t *testing.T) {
	for _, words := range []string{"", "--preset class --data photos", "--preset paper --data cifar10 --angles 0,45,90", "--method supervised",
		"--method random --seed 3", "--arch resnet --depth 8 --width 4 --rate 0.02 --epochs 2 --batch 32"} {
		want, text := printed(t, words)
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, again := printed(t, "--config "+file)
		if again != text || !reflect.DeepEqual(got, want) || got.Key() != want.Key() {
			t.Errorf("%q: --config of\n%sis\n%s", words, text, again)
		}
	}
}

func TestConfigFlags(t *testing.T) {
	c, _ := printed(t, "--data mnist --train 300 --test 100 --angles 0,180 --seed 7 --arch resnet --depth 14 --width 8 --epochs 5 --batch 16 --rate 0.5")
	r := c.Method.(*sslkit.Rotation)
	if c.Data.Name != "mnist" || c.Data.Train != 300 || c.Data.Test != 100 || !reflect.DeepEqual(r.Angles, []int{0, 180}) || c.Seed != 7 ||
		r.Backbone.Arch != "resnet" || r.Backbone.Depth != 14 || r.Backbone.Width != 8 || c.Epochs != 5 || c.Batch != 16 || c.Optimizer.Rate != 0.5 {
		t.Errorf("%+v, %+v", c, r)
	}

	// Networks that a name says the size of; depth and width may say another.
	for words, want := range map[string]nn.Backbone{
		"--arch resnet50 --set stem=imagenet":                                      {Arch: "resnet50", Depth: 50, Width: 64, Stem: "imagenet"},
		"--arch resnet18 --width 8":                                                nn.ResNet18(8),
		"--arch vit_tiny":                                                          nn.ViT(12, 192, 4),
		"--arch vit_small --set patch=14":                                          nn.ViT(12, 384, 14),
		"--arch vit_base --depth 3 --set class_token=true --set pool=class":        {Arch: "vit", Depth: 3, Width: 768, Patch: 4, Class: true, Pool: "class"},
		"--arch vit --depth 1 --width 32 --set registers=4 --set layer_scale=1e-5": {Arch: "vit", Depth: 1, Width: 32, Patch: 4, Registers: 4, LayerScale: 1e-5},
	} {
		c, _ := printed(t, words)
		if b := *sslkit.Backbone(c.Method); b != want {
			t.Errorf("%s: %+v, want %+v", words, b, want)
		}
	}

	// They win over a file too; what they don't name stays.
	_, text := printed(t, "--preset paper --data cifar10 --seed 9")
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, _ = printed(t, "--width 24 --epochs 20 --data fashion-mnist-10k --config "+file)
	if c.Method.(*sslkit.Rotation).Backbone.Width != 24 || c.Seed != 9 || c.Data.Name != "fashion-mnist-10k" || c.Epochs != 20 ||
		!reflect.DeepEqual(c.Optimizer.Drops, []int{6, 12, 16}) { // 60, 120, 160 of 200
		t.Errorf("%+v", c)
	}
	c, _ = printed(t, "--method supervised --width 24 --config "+file)
	if m, ok := c.Method.(*eval.Supervised); !ok || m.Backbone.Width != 24 {
		t.Errorf("%+v", c)
	}
}

func TestConfigFileMistakes(t *testing.T) {
	_, random := printed(t, "--method random")
	_, good := printed(t, "")
	for text, want := range map[string]string{
		strings.Replace(good, `"epochs"`, `"epoch"`, 1): `did you mean "epochs"?`,
		"{": "unexpected EOF",
		strings.Replace(good, `"batch": 64`, `"batch": "many"`, 1): "cannot unmarshal string",
		random: "only a self-supervised method can be made into a baseline",
	} {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := call("pretrain --print-config --method supervised --config " + file)
		if code != exitUsage || !strings.Contains(stderr, want) || !strings.Contains(stderr, file) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit code %d and %q, want %q", code, stderr, want)
		}
	}
}

func TestPresetOfEnvironment(t *testing.T) {
	t.Setenv("SSLKIT_PRESET", "class")
	got, _ := printed(t, "")
	want, _ := printed(t, "--preset class")
	smoke, _ := printed(t, "--preset smoke")
	if got.Key() != want.Key() || got.Key() == smoke.Key() {
		t.Errorf("SSLKIT_PRESET=class has the key %s, --preset class %s, --preset smoke %s", got.Key(), want.Key(), smoke.Key())
	}
}
