package published

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

// features are means over the positions of an encoder's last map of images [N, size, size, 3], side by side.
func features(t *testing.T, e *Encoder, size int, images []float32) []float64 {
	t.Helper()
	backend, err := goBackend()
	if err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(backend, e.Store, func(scope *model.Scope, x *Node) *Node {
		return ReduceMean(nn.Last(e.Backbone.Stages(scope.In("encoder"), x)), 1, 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(images, len(images)/(3*size*size), size, size, 3))
	if err != nil {
		t.Fatal(err)
	}
	var all []float64
	for _, v := range tensors.MustCopyFlatData[float32](out[0]) {
		all = append(all, float64(v))
	}
	return all
}

// apart is |a - b| / |b|.
func apart(a, b []float64) float64 {
	var d, norm float64
	for i := range b {
		d += (a[i] - b[i]) * (a[i] - b[i])
		norm += b[i] * b[i]
	}
	return math.Sqrt(d / norm)
}

// noise is that of testdata/huggingface.py.
func noise(name string, shape ...int) Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	t := Tensor{shape, make([]float32, n)}
	for i := range t.Values {
		x := uint32(i) + crc32.ChecksumIEEE([]byte(name))
		for _, factor := range []uint32{0x9E3779B1, 0x85EBCA77} {
			x *= factor
			x ^= x >> 15
		}
		t.Values[i] = float32(float64(x)/(1<<32) - 0.5)
	}
	return t
}

// What transformers writes of its ViT, ViTMAE and DINOv2, bare or with a head, has the features here that it has there, of the patches and
// of the class token; and would not if anything were exchanged, ignored or left out.
func TestHuggingFace(t *testing.T) {
	text, err := os.ReadFile("testdata/huggingface.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Config         Config
		Tensors        map[string][]int
		Patches, Class []float64
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 {
		t.Fatalf("%d networks, want 6", len(all))
	}
	x := noise("image", 2, 3, 8, 8).transpose(0, 2, 3, 1)
	for i := range x.Values {
		x.Values[i] = 0.5 + x.Values[i]/2
	}
	left := map[string][]string{
		"ViTModel":                     {"pooler.dense.bias", "pooler.dense.weight"},
		"ViTForImageClassification":    {"classifier.bias", "classifier.weight"},
		"ViTMAEForPreTraining":         {"decoder.* (24 tensors)"},
		"Dinov2Model":                  {"embeddings.mask_token"},
		"Dinov2ForImageClassification": {"classifier.bias", "classifier.weight", "dinov2.embeddings.mask_token"},
		"Dinov2WithRegistersModel":     {"embeddings.mask_token"},
	}
	for name, want := range all {
		file := func() *File {
			f := &File{Path: name, Tensors: make(map[string]Tensor), Config: &want.Config}
			for name, shape := range want.Tensors {
				f.Tensors[name] = noise(name, shape...)
			}
			return f
		}
		read := func(f *File) *Encoder {
			e, err := f.Encoder("half", 0)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return e
		}
		f := file()
		e := read(f)
		dino, b := strings.HasPrefix(name, "Dinov2"), e.Backbone
		if b.Depth != 2 || b.Width != 64 || b.Patch != 4 || b.AttentionHeads() != 2 || !b.Class || !b.Learnt || b.LayerScale > 0 != dino || b.Registers != want.Config.Registers || e.Size != 8 {
			t.Errorf("%s is %+v for images of %d", name, b, e.Size)
		}
		if !slices.Equal(e.Left, left[name]) {
			t.Errorf("%s leaves out %v, want %v", name, e.Left, left[name])
		}
		b.Pool = "class"
		class, err := f.As(b)
		if err != nil {
			t.Fatal(err)
		}
		// Rounding of float32 in two blocks, and of the file to six places.
		if d := apart(features(t, e, 8, x.Values), want.Patches); !(d < 1e-5) {
			t.Errorf("%s: the patches differ by %.1e", name, d)
		}
		if d := apart(features(t, class, 8, x.Values), want.Class); !(d < 1e-5) {
			t.Errorf("%s: the class token differs by %.1e", name, d)
		}

		// Planted mistakes.
		block := "encoder.layer.1."
		for _, prefix := range []string{"vit.", "dinov2."} {
			if _, ok := want.Tensors[prefix+"layernorm.bias"]; ok {
				block = prefix + block
			}
		}
		q, k := block+"attention.attention.query.weight", block+"attention.attention.key.weight"
		mistakes := map[string]func(map[string]Tensor){
			"queries and keys exchanged": func(f map[string]Tensor) { f[q], f[k] = f[k], f[q] },
			"a bias of 0": func(f map[string]Tensor) {
				b := block + "attention.attention.value.bias"
				f[b] = Tensor{f[b].Shape, make([]float32, 64)}
			},
		}
		if dino {
			mistakes["a LayerScale of 1"] = func(f map[string]Tensor) {
				f[block+"layer_scale2.lambda1"] = Tensor{[]int{64}, slices.Repeat([]float32{1}, 64)}
			}
		}
		if b.Registers > 0 {
			mistakes["registers of 0"] = func(f map[string]Tensor) {
				f["embeddings.register_tokens"] = Tensor{[]int{1, 3, 64}, make([]float32, 192)}
			}
		}
		for mistake, change := range mistakes {
			f := file()
			change(f.Tensors)
			if d := apart(features(t, read(f), 8, x.Values), want.Patches); !(d > 1e-3) {
				t.Errorf("%s: %s changes the features by %.1e only", name, mistake, d)
			}
		}
		b = e.Backbone
		b.LayerScale = 0
		if _, err := f.As(b); dino && (err == nil || !strings.Contains(err.Error(), "without a place: ")) {
			t.Errorf("%s without its LayerScale: %v", name, err)
		}
		refused := map[string]func(*File){
			"missing: " + k: func(f *File) { delete(f.Tensors, k) },
			"it has " + block[:len(block)-2] + "0.mlp.weights_in.weight": func(f *File) { f.Tensors[block[:len(block)-2]+"0.mlp.weights_in.weight"] = noise("x", 176, 64) },
			`activation "gelu_new"`:                       func(f *File) { c := want.Config; c.Activation, f.Config = "gelu_new", &c },
			k + " of shape [64 32] does not go with " + q: func(f *File) { f.Tensors[k] = noise(k, 64, 32) },
		}
		if b.Registers > 0 {
			refused["lacks embeddings.register_tokens"] = func(f *File) { delete(f.Tensors, "embeddings.register_tokens") }
		}
		for text, change := range refused {
			f := file()
			change(f)
			if _, err := f.Encoder("half", 0); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", name, err, text)
			}
		}
	}
	f := &File{Tensors: map[string]Tensor{"embeddings.patch_embeddings.projection.weight": noise("x", 64, 3, 4, 4), "layers.0.attention.q_proj.weight": noise("x", 64, 64)}}
	if _, err := f.Encoder("half", 2); err == nil || !strings.Contains(err.Error(), "take what save_pretrained writes") {
		t.Errorf("names of transformers' modules: %v", err)
	}
}

// Files of facebookresearch's moco, moco-v3, mae and dinov2: what is beside the encoder is left out and said so.
func TestFacebookNames(t *testing.T) {
	fifty := nn.ResNet50(2)
	fifty.Stem, fifty.Pixels = "imagenet", "imagenet"
	vit := nn.ViT(2, 384, 4)
	vit.Class, vit.Learnt, vit.Pixels = true, true, "imagenet"
	twelve := vit
	twelve.Heads = 12
	dino := full(384)
	dino.Pixels = "imagenet"
	one := Tensor{[]int{1}, []float32{1}}
	renamed := func(prefix string, more ...string) func(map[string]Tensor) map[string]Tensor {
		return func(in map[string]Tensor) map[string]Tensor {
			out := make(map[string]Tensor)
			for name, v := range in {
				out[prefix+name] = v
			}
			for _, name := range more {
				out[name] = one
			}
			return out
		}
	}
	for _, test := range []struct {
		name string
		b    nn.Backbone // of the file
		as   func(map[string]Tensor) map[string]Tensor
		want nn.Backbone
		left []string
	}{
		{"moco", fifty, renamed("module.encoder_q.", "module.encoder_q.fc.0.weight", "module.encoder_q.bn1.num_batches_tracked", "module.encoder_k.conv1.weight", "module.queue", "module.queue_ptr"), fifty,
			[]string{"module.encoder_k.conv1.weight", "module.encoder_q.fc.0.weight", "module.queue", "module.queue_ptr"}},
		{"moco-v3 of a ResNet", fifty, renamed("module.base_encoder.", "module.base_encoder.fc.0.weight", "module.momentum_encoder.conv1.weight", "module.predictor.0.weight"), fifty,
			[]string{"module.base_encoder.fc.0.weight", "module.momentum_encoder.conv1.weight", "module.predictor.0.weight"}},
		{"moco-v3, whose small ViT has 12 heads", vit, renamed("module.base_encoder.", "module.base_encoder.head.0.weight", "module.momentum_encoder.cls_token"), twelve,
			[]string{"module.base_encoder.head.0.weight", "module.momentum_encoder.cls_token"}},
		{"mae", vit, renamed("", "mask_token", "decoder_pos_embed", "decoder_embed.bias", "decoder_blocks.0.norm1.weight", "decoder_blocks.0.norm1.bias", "decoder_blocks.0.attn.proj.bias", "decoder_norm.bias", "decoder_pred.bias"), vit,
			[]string{"decoder_blocks.* (3 tensors)", "decoder_embed.bias", "decoder_norm.bias", "decoder_pos_embed", "decoder_pred.bias", "mask_token"}},
		{"dinov2", dino, func(in map[string]Tensor) map[string]Tensor {
			out := renamed("", "mask_token")(in)
			out["register_tokens"] = out["reg_token"]
			delete(out, "reg_token")
			// Its class token has a position; what both add up to is the same.
			place, rest := noise("place", 1, 1, 384), Tensor{[]int{1, 1, 384}, slices.Clone(out["cls_token"].Values)}
			for i, v := range place.Values {
				rest.Values[i] -= v
			}
			out["cls_token"], out["pos_embed"] = rest, Tensor{[]int{1, 17, 384}, slices.Concat(place.Values, out["pos_embed"].Values)}
			return out
		}, dino, []string{"mask_token"}},
	} {
		store := build(t, test.b, 16)
		out, err := Export(store, test.b, 16)
		if err != nil {
			t.Fatal(err)
		}
		e, err := (&File{Tensors: test.as(out)}).Encoder("imagenet", 0)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if e.Backbone != test.want || !slices.Equal(e.Left, test.left) {
			t.Errorf("%s is %+v without %v, want %+v without %v", test.name, e.Backbone, e.Left, test.want, test.left)
		}
		for v := range store.Scope("/encoder").IterVariables() {
			got := tensors.MustCopyFlatData[float32](e.Store.GetVariable(v.Path()).MustValue())
			for i, want := range tensors.MustCopyFlatData[float32](v.MustValue()) {
				if math.Abs(float64(got[i]-want)) > 1e-6 { // of the sum of two
					t.Errorf("%s: %s is another one", test.name, v.Path())
					break
				}
			}
		}
	}
}

// Whether the class token has a position differs; features do not.
func TestPlaces(t *testing.T) {
	class, place := Tensor{[]int{1, 1, 2}, []float32{1, 2}}, Tensor{[]int{1, 4, 2}, []float32{3, 4, 5, 6, 7, 8, 9, 10}}
	long := Tensor{[]int{1, 5, 2}, slices.Concat([]float32{10, 20}, place.Values)}
	padded := Tensor{[]int{1, 5, 2}, slices.Concat([]float32{0, 0}, place.Values)}
	for _, test := range []struct {
		place     Tensor
		registers bool
		class     []float32
		want      Tensor
	}{
		{long, false, []float32{1, 2}, long},
		{place, false, []float32{1, 2}, padded}, // timm's no_embed_class
		{place, true, []float32{1, 2}, place},
		{long, true, []float32{11, 22}, place}, // DINOv2's own
	} {
		c, got := places(class, test.place, test.registers)
		if !slices.Equal(c.Values, test.class) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v, registers: %t: %v and %v, want %v and %v", test.place, test.registers, c.Values, got, test.class, test.want)
		}
	}
	if !slices.Equal(class.Values, []float32{1, 2}) {
		t.Error("the file's own class token was changed")
	}
}

// What timm calls DINOv2 with registers, and has none; and one with a gate.
func TestRefusedTransformer(t *testing.T) {
	b := full(192)
	whole, err := Export(build(t, b, 16), b, 16)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*File){
		"says that it has 4 registers, and the file has 0":  func(f *File) { delete(f.Tensors, "reg_token") },
		"reg_token of shape [4 192]":                        func(f *File) { f.Tensors["reg_token"] = noise("x", 4, 192) },
		"missing: blocks.1.ls2.gamma":                       func(f *File) { delete(f.Tensors, "blocks.1.ls2.gamma") },
		"blocks.0.mlp.fc1.weight of shape [1024 192]":       func(f *File) { f.Tensors["blocks.0.mlp.fc1.weight"] = noise("x", 1024, 192) },
		"blocks.0.mlp.fc1.weight of shape [] does not fit":  func(f *File) { f.Tensors["blocks.0.mlp.fc1.weight"] = Tensor{[]int{}, []float32{1}} },
		"it has blocks.0.mlp.w12.weight":                    func(f *File) { f.Tensors["blocks.0.mlp.w12.weight"] = noise("x", 1024, 192) },
		"it begins like a vision transformer, and has no b": func(f *File) { delete(f.Tensors, "blocks.0.norm1.weight") },
		"pos_embed has 15 tokens, which are no square grid": func(f *File) { f.Tensors["pos_embed"] = noise("x", 1, 15, 192) },
	} {
		f := &File{Tensors: maps.Clone(whole), Config: &Config{Architecture: "vit_small_patch14_reg4_dinov2"}}
		if _, err := f.Encoder("imagenet", 0); err != nil {
			t.Fatalf("as it is: %v", err)
		}
		change(f)
		if _, err := f.Encoder("imagenet", 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	for name, want := range map[string]int{"vit_base_patch14_reg4_dinov2": 4, "vit_pwee_patch16_reg1_gap_256": 1, "vit_small_patch16_reg8": 8, "regnety_032": 0} {
		if got := (&Config{Architecture: name}).registers(); got != want {
			t.Errorf("%s has %d registers, want %d", name, got, want)
		}
	}
	if got := fmt.Sprint((&Config{ModelArgs: map[string]any{"reg_tokens": 2.}}).registers(), (*Config)(nil).registers()); got != "2 0" {
		t.Errorf("registers %s", got)
	}
}
