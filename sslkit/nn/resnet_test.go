package nn

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// count builds the backbone and returns the number of trainable parameters and of others.
func count(t *testing.T, b Backbone, channels int) (trained, running int) {
	t.Helper()
	store := model.NewStore()
	outline(t, goBackend(t), store, shapes.Make(dtypes.Float32, 2, 32, 32, channels), func(scope *model.Scope, x *Node) []*Node {
		return b.Stages(scope, x)
	})
	for v := range store.IterVariables() {
		if v.Trainable {
			trained += v.Shape().Size()
		} else {
			running += v.Shape().Size()
		}
	}
	return trained, running
}

// "ResNet-20 ... 0.27M" parameters, with 10 classes. Reference: Table 6.
func TestPaperResNetParameters(t *testing.T) {
	for _, c := range []struct{ depth, width, channels int }{{20, 16, 3}, {8, 16, 1}, {14, 5, 3}, {56, 16, 3}} {
		n, w := (c.depth-2)/6, c.width
		conv, norm := 9*c.channels*w, 2*w // stem
		in := w
		for _, out := range []int{w, 2 * w, 4 * w} {
			conv += 9*in*out + (2*n-1)*9*out*out
			norm += 2 * n * 2 * out
			in = out
		}
		trained, running := count(t, ResNet(c.depth, w), c.channels)
		if trained != conv+norm || running != norm {
			t.Errorf("%v: got %d and %d parameters, want %d and %d", c, trained, running, conv+norm, norm)
		}
	}
	trained, _ := count(t, ResNet(20, 16), 3)
	if all := trained + 64*10 + 10; all != 269722 {
		t.Errorf("ResNet-20 has %d parameters, want 269722", all)
	}
	if trained, _ = count(t, ResNet(56, 16), 3); (trained+650+5000)/10000 != 85 {
		t.Errorf("ResNet-56 has %d parameters, want 0.85M", trained)
	}
}

// ResNet-18 has 11.69 million parameters (11,689,512 in torchvision, with 1000 classes). With a stem of 3x3 in place of 7x7 and
// without a classifier they are fewer by (49-9)*3*64 and by 512*1000+1000. The maps have 64 to 512 channels, and halve.
// Reference: He et al. 2016, Table 1; torchvision's resnet18.
func TestPaperResNet18(t *testing.T) {
	trained, running := count(t, ResNet18(64), 3)
	if want := 11689512 - 40*3*64 - 513000; trained != want || running != 9600 { // of 20 norms, mean and variance
		t.Errorf("%d parameters and %d running statistics, want %d and 9600", trained, running, want)
	}
	maps := outline(t, goBackend(t), model.NewStore(), shapes.Make(dtypes.Float32, 2, 32, 32, 3), func(scope *model.Scope, x *Node) []*Node {
		return ResNet18(64).Stages(scope, x)
	})
	for i, s := range maps {
		if side := 32 >> i; !reflect.DeepEqual(s, []int{2, side, side, 64 << i}) {
			t.Errorf("map %d is %v", i+1, s)
		}
	}
}

// "Then we use a stack of 6n layers with 3x3 convolutions on the feature maps of sizes {32, 16, 8} respectively, with 2n
// layers for each feature map size. The numbers of filters are {16, 32, 64} respectively." Reference: Sec. 4.2.
func TestPaperResNetShapes(t *testing.T) {
	for _, c := range []struct {
		image []int
		want  [][]int
	}{
		{[]int{5, 32, 32, 3}, [][]int{{5, 32, 32, 16}, {5, 16, 16, 32}, {5, 8, 8, 64}}},
		{[]int{5, 28, 28, 1}, [][]int{{5, 28, 28, 16}, {5, 14, 14, 32}, {5, 7, 7, 64}}},
		{[]int{2, 7, 5, 1}, [][]int{{2, 7, 5, 16}, {2, 4, 3, 32}, {2, 2, 2, 64}}},
	} {
		got := outline(t, goBackend(t), model.NewStore(), shapes.Make(dtypes.Float32, c.image...), ResNet(14, 16).Stages)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.image, got, c.want)
		}
	}
	// In the unfolded form a layer is a product with one row for each position.
	g := NewGraph(goBackend(t), "layers")
	defer g.Finalize()
	ResNet(20, 4).Stages(model.NewStore().RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, 1, 32, 32, 3)))
	layers := map[int]int{}
	for _, node := range g.Nodes() {
		if node.Type() == NodeTypeDotGeneral {
			layers[node.Shape().Dim(0)]++
		}
	}
	if want := map[int]int{32 * 32: 1 + 6, 16 * 16: 6, 8 * 8: 6}; !reflect.DeepEqual(layers, want) {
		t.Errorf("layers by positions: got %v, want %v", layers, want)
	}
}

// "The shortcut still performs identity mapping, with extra zero entries padded for increasing dimensions. This option
// introduces no extra parameter". Reference: Sec. 3.3, option A.
func TestPaperResNetShortcut(t *testing.T) {
	store := newStore(t, 1)
	block := func(scope *model.Scope, x *Node) *Node { return basicBlock(scope, x, 4, 2, padded) }
	x := random[float32](2, 3, 3, 2)
	run(t, goBackend(t), store, false, block, x)
	set(t, store, "/norm_2/scale", make([]float64, 4)) // the residual is 0
	got := flat(t, run(t, goBackend(t), store, false, block, x))
	var want []float64
	values := flat(t, x)
	for n := range 2 {
		for _, i := range []int{0, 2} {
			for _, j := range []int{0, 2} {
				at := ((n*3+i)*3 + j) * 2
				want = append(want, max(0, values[at]), max(0, values[at+1]), 0, 0)
			}
		}
	}
	near(t, "shortcut", got, want, 0)
}

// ResNet-34 has 21,797,672 parameters in torchvision, ResNet-18 11,689,512, both with a 7x7 stem and 1000 classes. With that stem
// maps of 224 pixels are 56, 28, 14 and 7. Reference: He et al. 2016, Table 1; torchvision's resnet34.
func TestPaperResNet34(t *testing.T) {
	for _, test := range []struct {
		b    Backbone
		want int
	}{{ResNet18(64), 11689512}, {ResNet34(64), 21797672}} {
		test.b.Stem = "imagenet"
		if trained, _ := count(t, test.b, 3); trained != test.want-513000 {
			t.Errorf("%s has %d parameters, want %d", test.b.Arch, trained, test.want-513000)
		}
	}
	b := ResNet34(2)
	b.Stem, b.Pixels = "imagenet", "imagenet"
	maps := outline(t, goBackend(t), model.NewStore(), shapes.Make(dtypes.Float32, 1, 224, 224, 1), b.Stages) // grey, repeated
	if want := [][]int{{1, 56, 56, 2}, {1, 28, 28, 4}, {1, 14, 14, 8}, {1, 7, 7, 16}}; !reflect.DeepEqual(maps, want) {
		t.Errorf("maps %v, want %v", maps, want)
	}
}

// ResNet-50 has 25,557,032 parameters in torchvision, with a 7x7 stem and 1000 classes of 2048 features. The 3x3 layer of a
// bottleneck halves the map, not the 1x1 layer before it: one more of these sees the larger map in each stage but the first.
// Reference: He et al. 2016, Table 1 and Fig. 5; torchvision's resnet50.
func TestPaperResNet50(t *testing.T) {
	b := ResNet50(64)
	b.Stem = "imagenet"
	if trained, _ := count(t, b, 3); trained != 25557032-2048*1000-1000 {
		t.Errorf("%d parameters, want %d", trained, 25557032-2048*1000-1000)
	}
	b = ResNet50(2)
	maps := outline(t, goBackend(t), model.NewStore(), shapes.Make(dtypes.Float32, 1, 32, 32, 3), b.Stages)
	if want := [][]int{{1, 32, 32, 8}, {1, 16, 16, 16}, {1, 8, 8, 32}, {1, 4, 4, 64}}; !reflect.DeepEqual(maps, want) {
		t.Errorf("maps %v, want %v", maps, want)
	}
	g := NewGraph(goBackend(t), "layers")
	defer g.Finalize()
	b.Stages(model.NewStore().RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, 1, 32, 32, 3)))
	layers := map[int]int{} // by positions, as in TestPaperResNetShapes
	for _, node := range g.Nodes() {
		if node.Type() == NodeTypeDotGeneral {
			layers[node.Shape().Dim(0)]++
		}
	}
	// The stem and 3 blocks of 3; of each later stage the first layer; shortcuts.
	if want := map[int]int{1024: 1 + 9 + 1 + 1, 256: 11 + 1 + 1, 64: 17 + 1 + 1, 16: 8 + 1}; !reflect.DeepEqual(layers, want) {
		t.Errorf("layers by positions: got %v, want %v", layers, want)
	}
}

// What is for others' networks is refused elsewhere, with the field's name.
func TestPublishedFields(t *testing.T) {
	for want, b := range map[string]Backbone{
		"stem":        {Arch: "resnet", Depth: 8, Width: 4, Stem: "imagenet"},
		"class_token": {Arch: "nin", Depth: 3, Width: 6, Class: true},
		"heads":       {Arch: "vit", Depth: 1, Width: 32, Patch: 4, Heads: 5},
		"pixels":      {Arch: "resnet18", Depth: 18, Width: 4, Pixels: "mine"},
		"34":          {Arch: "resnet34", Depth: 18, Width: 4},
		"50":          {Arch: "resnet50", Depth: 34, Width: 4},
		"registers":   {Arch: "resnet50", Depth: 50, Width: 4, Registers: 4},
		"pool":        {Arch: "vit", Depth: 1, Width: 32, Patch: 4, Pool: "class"}, // without a class token
		"layer_scale": {Arch: "vit", Depth: 1, Width: 32, Patch: 4, LayerScale: -1},
	} {
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", b, err, want)
		}
	}
}
