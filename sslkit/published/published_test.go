package published

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

var goBackend = sync.OnceValues(func() (compute.Backend, error) { return compute.NewWithConfig("go") })

// build is a store with an encoder of fresh parameters for images of size pixels in 3 channels.
func build(t *testing.T, b nn.Backbone, size int) *model.Store {
	t.Helper()
	backend, err := goBackend()
	if err != nil {
		t.Fatal(err)
	}
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, x *Node) *Node { return nn.Last(b.Stages(scope.In("encoder"), x)) })
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	if _, err := exec.Call(tensors.FromShape(shapes.Make(dtypes.Float32, 1, size, size, 3))); err != nil {
		t.Fatal(err)
	}
	return store
}

// Some of the names and shapes that torchvision 0.29's resnet18 and timm 1.0's vision transformer have in their state_dict.
func TestNames(t *testing.T) {
	large := nn.ResNet18(64)
	large.Stem = "imagenet"
	vit := nn.ViT(5, 96, 4)
	vit.Class, vit.Learnt = true, true
	fifty, dino := nn.ResNet50(8), full(192)
	fifty.Stem = "imagenet"
	for _, test := range []struct {
		b     nn.Backbone
		count int
		want  map[string][]int
	}{
		{large, 100, map[string][]int{ // 122 with 20 num_batches_tracked, fc.weight and fc.bias
			"conv1.weight": {64, 3, 7, 7}, "bn1.running_var": {64}, "layer1.0.conv1.weight": {64, 64, 3, 3}, "layer2.0.downsample.0.weight": {128, 64, 1, 1},
			"layer2.0.downsample.1.running_mean": {128}, "layer4.1.bn2.bias": {512}, "layer4.0.conv1.weight": {512, 256, 3, 3},
		}},
		{fifty, 265, map[string][]int{ // 320 with 53 num_batches_tracked, fc.weight and fc.bias
			"conv1.weight": {8, 3, 7, 7}, "layer1.0.downsample.0.weight": {32, 8, 1, 1}, "layer1.2.conv1.weight": {8, 32, 1, 1}, "layer2.0.conv2.weight": {16, 16, 3, 3},
			"layer2.0.downsample.1.bias": {64}, "layer4.2.conv3.weight": {256, 64, 1, 1}, "layer4.2.bn3.running_var": {256},
		}},
		{nn.ResNet34(8), 180, map[string][]int{"conv1.weight": {8, 3, 3, 3}, "layer3.5.conv2.weight": {32, 32, 3, 3}}},
		{nn.ResNet(14, 4), 65, map[string][]int{"layer3.1.bn2.weight": {16}, "layer2.0.conv1.weight": {8, 4, 3, 3}}}, // shortcuts have none
		{nn.ViT(5, 96, 4), 65, map[string][]int{"pos_embed": {1, 64, 96}}},
		{vit, 66, map[string][]int{
			"cls_token": {1, 1, 96}, "pos_embed": {1, 65, 96}, "patch_embed.proj.weight": {96, 3, 4, 4}, "blocks.4.attn.qkv.weight": {288, 96}, "blocks.4.attn.qkv.bias": {288},
			"blocks.0.mlp.fc1.weight": {384, 96}, "blocks.0.mlp.fc2.weight": {96, 384}, "blocks.3.norm2.weight": {96}, "norm.bias": {96},
		}},
		{dino, 4 + 2*14 + 3, map[string][]int{ // as timm's vit_small_patch14_reg4_dinov2
			"cls_token": {1, 1, 192}, "reg_token": {1, 4, 192}, "pos_embed": {1, 64, 192}, "blocks.1.ls1.gamma": {192}, "blocks.0.ls2.gamma": {192},
		}},
	} {
		got, err := Export(build(t, test.b, 32), test.b, 32)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != test.count {
			t.Errorf("%v: %d tensors, want %d", test.b, len(got), test.count)
		}
		for name, shape := range test.want {
			if !reflect.DeepEqual(got[name].Shape, shape) {
				t.Errorf("%v: %s is %v, want %v", test.b, name, got[name].Shape, shape)
			}
		}
	}
	if _, err := Export(model.NewStore(), nn.NIN(3, 6), 32); err == nil || !strings.Contains(err.Error(), "a nin has no counterpart") {
		t.Errorf("of a nin: %v", err)
	}
}

// Each layout by hand: where an element of ours lies in theirs.
func TestLayouts(t *testing.T) {
	b := nn.ViT(1, 32, 2)
	count := func(shape ...int) Tensor {
		out := Tensor{Shape: shape}
		n := 1
		for _, d := range shape {
			n *= d
		}
		for i := range n {
			out.Values = append(out.Values, float32(i))
		}
		return out
	}
	for _, test := range []struct {
		name   string
		layout layout
		ours   Tensor
		shape  []int
		at, is []int // an element of theirs, and the one of ours that it is
	}{
		{"dense", turn, count(2, 3), []int{3, 2}, []int{2, 1}, []int{1, 2}},
		{"conv", image, count(3, 3, 2, 5), []int{5, 2, 3, 3}, []int{4, 1, 2, 0}, []int{2, 0, 1, 4}},
		// Patches are by row, column and channel.
		{"patch", patch, count(12, 5), []int{5, 3, 2, 2}, []int{4, 2, 1, 0}, []int{(1*2+0)*3 + 2, 4}},
	} {
		got := theirs(test.layout, b, []Tensor{test.ours})
		if !reflect.DeepEqual(got.Shape, test.shape) {
			t.Errorf("%s: shape %v, want %v", test.name, got.Shape, test.shape)
			continue
		}
		if a, b := got.at(test.at), test.ours.at(test.is); a != b {
			t.Errorf("%s: element %v is %g, want %g", test.name, test.at, a, b)
		}
		back, err := ours(entry{name: test.name, paths: []string{"x"}, layout: test.layout}, b, got)
		if err != nil || !reflect.DeepEqual(back[0], test.ours) {
			t.Errorf("%s: back is %v, %v, want %v", test.name, back, err, test.ours)
		}
	}
	joined := theirs(joint, b, []Tensor{{[]int{1}, []float32{1}}, {[]int{1}, []float32{2}}, {[]int{1}, []float32{3}}})
	if !reflect.DeepEqual(joined, Tensor{[]int{3}, []float32{1, 2, 3}}) {
		t.Errorf("joint: %v", joined)
	}
}

func (t Tensor) at(index []int) float32 {
	i := 0
	for axis, x := range index {
		i = i*t.Shape[axis] + x
	}
	return t.Values[i]
}

// full is a small vit with all that DINOv2's has.
func full(width int) nn.Backbone {
	b := nn.ViT(2, width, 4)
	b.Class, b.Learnt, b.Registers, b.LayerScale, b.Pixels = true, true, 4, 1e-5, "half"
	return b
}

// A network that was written is recognised, with or without the laboratory's own words in its config.json, and has the same
// parameters.
func TestThereAndBack(t *testing.T) {
	vit := nn.ViT(2, 192, 4)
	vit.Class, vit.Learnt, vit.Pixels = true, true, "half"
	large := nn.ResNet18(4)
	large.Stem, large.Pixels = "imagenet", "imagenet"
	fifty := nn.ResNet50(2)
	fifty.Pixels = "imagenet"
	class := full(32)
	class.Pool, class.Learnt = "class", false
	for _, b := range []nn.Backbone{vit, large, nn.ResNet34(2), nn.ViT(2, 32, 4), nn.ResNet(8, 2), fifty, full(192), class} {
		store := build(t, b, 16)
		out, err := Export(store, b, 16)
		if err != nil {
			t.Fatal(err)
		}
		out["fc.weight"], out["fc.bias"] = Tensor{[]int{1, 1}, []float32{0}}, Tensor{[]int{1}, []float32{0}}
		dir := filepath.Join(t.TempDir(), "out")
		if err := Write(dir, out, Origin{Backbone: b, Channels: 3, Size: 16}); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, out, Origin{Backbone: b}); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("a second time: %v", err)
		}
		same := func(what string) {
			f, err := Read(dir)
			if err != nil {
				t.Fatalf("%v: %v", b, err)
			}
			if digest, err := Digest(dir); err != nil || digest != f.Digest {
				t.Errorf("digest %s, and read it has %s; %v", digest, f.Digest, err)
			}
			e, err := f.Encoder("", 0)
			if err != nil {
				t.Errorf("%v %s: %v", b, what, err)
				return
			}
			if e.Backbone != b || e.Channels != 3 || !slices.Equal(e.Left, []string{"fc.bias", "fc.weight"}) {
				t.Errorf("%v %s is %+v, leaving out %v", b, what, e.Backbone, e.Left)
			}
			n := 0
			for v := range e.Store.IterVariables() {
				n++
				if !v.MustValue().Equal(store.GetVariable(v.Path()).MustValue()) || v.Trainable != store.GetVariable(v.Path()).Trainable {
					t.Errorf("%v %s: %s is another one", b, what, v.Path())
				}
			}
			all := 0
			for range store.Scope("/encoder").IterVariables() {
				all++
			}
			if n != all {
				t.Errorf("%v %s: %d variables of %d", b, what, n, all)
			}
		}
		same("as exported")
		if b.Pixels == "" || b == class { // which only the laboratory has
			continue
		}
		var c map[string]any
		path := filepath.Join(dir, ConfigFile)
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		delete(c, "sslkit")
		if text, err = json.Marshal(c); err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		same("as by others")
	}
}

// What does not fit is named.
func TestRefused(t *testing.T) {
	b := nn.ResNet18(2)
	b.Stem, b.Pixels = "imagenet", "imagenet"
	whole, err := Export(build(t, b, 16), b, 16)
	if err != nil {
		t.Fatal(err)
	}
	one := Tensor{[]int{1}, []float32{1}}
	for _, test := range []struct {
		change func(f map[string]Tensor)
		pixels string
		want   string
	}{
		{func(map[string]Tensor) {}, "", "say --init-pixels"},
		{func(f map[string]Tensor) { delete(f, "layer3.1.bn2.running_mean") }, "imagenet", "missing: layer3.1.bn2.running_mean"},
		{func(f map[string]Tensor) { f["layer3.1.se.weight"] = one }, "imagenet", "without a place: layer3.1.se.weight"},
		{func(f map[string]Tensor) { delete(f, "layer3.1.conv1.weight") }, "imagenet", "[2 2 1 2] blocks"},
		{func(f map[string]Tensor) { f["layer1.0.conv3.weight"] = one }, "imagenet", "of bottlenecks ResNet-50 is known"},
		{func(f map[string]Tensor) {
			f["layer1.0.conv3.weight"], f["layer1.0.conv2.weight"] = one, Tensor{[]int{4, 4, 3, 3}, make([]float32, 144)}
		}, "imagenet", "layer1.0.conv2.weight of shape [4 4 3 3]: bottlenecks as wide as the first layer"},
		{func(f map[string]Tensor) { f["layer1.0.conv1.weight"] = one }, "imagenet", "layer1.0.conv1.weight of shape [1] does not fit"},
		{func(f map[string]Tensor) { clear(f); f["embeddings.weight"] = one }, "imagenet", "nor torchvision's conv1.weight nor transformers' embeddings.patch_embeddings.projection.weight, but embeddings.weight"},
		{func(f map[string]Tensor) { f["conv1.weight"] = Tensor{[]int{2, 4, 7, 7}, make([]float32, 392)} }, "imagenet", "images of 4 channels"},
	} {
		f := &File{Path: "x.safetensors", Tensors: map[string]Tensor{}}
		for name, t := range whole {
			f.Tensors[name] = t
		}
		test.change(f.Tensors)
		if _, err := f.Encoder(test.pixels, 0); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("want %q, got %v", test.want, err)
		}
	}
	f := &File{Tensors: map[string]Tensor{"patch_embed.proj.weight": {[]int{96, 3, 4, 4}, make([]float32, 96*48)}, "blocks.0.norm1.weight": one}}
	if _, err := f.Encoder("half", 0); err == nil || !strings.Contains(err.Error(), "say --init-heads") {
		t.Errorf("of unknown heads: %v", err)
	}
	text := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(text, []byte("no tensors"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(text); err == nil || !strings.Contains(err.Error(), "not of safetensors") {
		t.Errorf("of another file: %v", err)
	}
}

// FuzzDecode: whatever bytes a file has, it is read or refused.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x40\x00\x00\x00\x00\x00\x00\x00" + fmt.Sprintf("%-64s", `{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`) + "\x00\x3c\x00\x40"))
	f.Add([]byte("\x40\x00\x00\x00\x00\x00\x00\x00" + fmt.Sprintf("%-64s", `{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`) + "\x00\x00\x80\x3f"))
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := decode(content)
		if err != nil {
			return
		}
		file := &File{Tensors: all}
		_, _ = file.Encoder("half", 1) // an error, or an encoder
		for name, v := range all {
			n := 1
			for _, d := range v.Shape {
				n *= d
			}
			if n != len(v.Values) {
				t.Errorf("%s of shape %v has %d values", name, v.Shape, len(v.Values))
			}
		}
	})
}
