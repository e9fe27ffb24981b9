package nn

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func TestValidate(t *testing.T) {
	for _, b := range []Backbone{ResNet(8, 1), ResNet(20, 16), ResNet(56, 16), NIN(3, 6), NIN(4, 192), NIN(5, 192), ViT(4, 96, 4), ViT(12, 768, 16)} {
		if err := b.Validate(); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
	for want, b := range map[string]Backbone{
		`unknown backbone ""`:          {},
		`unknown backbone "mlp"`:       {Arch: "mlp", Depth: 12, Width: 192},
		"6n+2":                         ResNet(18, 16),
		"6n+2 (8, 14":                  ResNet(2, 16),
		"width is at least 1":          ResNet(20, 0),
		"depth is 18, not 34":          {Arch: "resnet18", Depth: 34, Width: 64},
		"resnet18's width is at least": ResNet18(0),
		"3, 4 or 5 blocks, not 6":      NIN(6, 192),
		"3, 4 or 5 blocks, not 2":      NIN(2, 192),
		"multiple of 6 (192 in the pa": NIN(4, 64),
		"multiple of 6":                NIN(4, 0),
		"at least 1 block":             ViT(0, 96, 4),
		"multiple of 32":               ViT(4, 48, 4),
		"positive multiple of 32":      ViT(4, 0, 4),
		"at least 1 pixel":             ViT(4, 96, 0),
		"are for a vit, not for a nin": {Arch: "nin", Depth: 4, Width: 192, Patch: 4},
	} {
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got error %v, want one that says %q", b, err, want)
		}
	}
}

func TestBackboneJSON(t *testing.T) {
	text, err := json.Marshal(NIN(4, 192))
	if want := `{"arch":"nin","depth":4,"width":192}`; err != nil || string(text) != want {
		t.Fatalf("got %s, %v, want %s", text, err, want)
	}
	var back Backbone
	if err := json.Unmarshal(text, &back); err != nil || back != NIN(4, 192) {
		t.Errorf("got %+v, %v", back, err)
	}
	text, err = json.Marshal(ViT(4, 96, 8))
	if want := `{"arch":"vit","depth":4,"width":96,"patch":8}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
}

func TestStagesPanics(t *testing.T) {
	stages := func(b Backbone) layer {
		return func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) }
	}
	wantPanic(t, "6n+2", shapes.Make(dtypes.Float32, 2, 28, 28, 1), stages(ResNet(9, 16)))
	wantPanic(t, "[N, H, W, C]", shapes.Make(dtypes.Float32, 28, 28, 1), stages(ResNet(8, 16)))
	wantPanic(t, "[N, H, W, C]", shapes.Make(dtypes.Uint8, 2, 28, 28, 1), stages(NIN(3, 6)))
}

func TestStagesCentres(t *testing.T) {
	// Mid-grey is 0, and convolutions without biases keep it at 0.
	store := newStore(t, 1)
	first := func(scope *model.Scope, x *Node) *Node {
		// A copy: the pure Go backend fails where variables are newer than the newest result.
		return Identity(ResNet(8, 2).Stages(scope.In("net"), x)[0])
	}
	grey := run(t, goBackend(t), store, false, first, tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{0.5}, 16), 1, 4, 4, 1))
	if slices.Max(flat(t, grey)) != 0 {
		t.Error("mid-grey is not 0")
	}
	// The stem alone, with its weights set to the identity: ReLU(4*(x-0.5)), over the norm's root of 1+1e-5.
	stem := slices.Repeat([]float64{0}, 18)
	stem[4*2] = 1
	set(t, store, "/net/stem/conv/weights", stem)
	for v := range store.Scope("/net/stage_1").IterVariables() {
		if strings.HasSuffix(v.Path(), "scale") {
			set(t, store, v.Path(), []float64{0, 0})
		}
	}
	y := run(t, goBackend(t), store, false, first, tensors.FromFlatDataAndDimensions([]float32{0, 0.25, 0.75, 1}, 1, 2, 2, 1))
	near(t, "first channel", flat(t, y), []float64{0, 0, 0, 0, 1, 0, 2, 0}, 1e-5)
}

var small = map[string]Backbone{"resnet": ResNet(8, 4), "resnet18": ResNet18(2), "nin": NIN(3, 6), "vit": ViT(2, 32, 1), "vit with all": full(2, 1)}

// full is a vit with all that DINOv2's has.
func full(blocks, patch int) Backbone {
	b := ViT(blocks, 32, patch)
	b.Class, b.Learnt, b.Registers, b.LayerScale = true, true, 2, 0.1
	return b
}

func TestStagesChangeNothingInEvaluation(t *testing.T) {
	for name, b := range small {
		store := newStore(t, 1)
		last := func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) }
		x := random[float32](4, 8, 8, 1)
		run(t, goBackend(t), store, true, last, x)
		before := snapshot(t, store)
		first := run(t, goBackend(t), store, false, last, x)
		if again := run(t, goBackend(t), store, false, last, x); !reflect.DeepEqual(flat(t, first), flat(t, again)) {
			t.Errorf("%s: two evaluations differ", name)
		}
		if !reflect.DeepEqual(before, snapshot(t, store)) {
			t.Errorf("%s: evaluation changed a variable", name)
		}
		run(t, goBackend(t), store, true, last, x)
		after := snapshot(t, store)
		for path := range before {
			moves := strings.HasSuffix(path, "/mean") || strings.HasSuffix(path, "/variance")
			if moved := !slices.Equal(before[path], after[path]); moved != moves {
				t.Errorf("%s: a training pass without an optimizer: %s moved: %t, want %t", name, path, moved, moves)
			}
		}
	}
}

func TestSeed(t *testing.T) {
	initial := func(t *testing.T, backend compute.Backend, seed int64, f layer) map[string][]float64 {
		store := newStore(t, seed)
		run(t, backend, store, false, f, random[float32](1, 4, 4, 1))
		return snapshot(t, store)
	}
	check := func(t *testing.T, backend compute.Backend, f layer) {
		one, again, two := initial(t, backend, 1, f), initial(t, backend, 1, f), initial(t, backend, 2, f)
		if !reflect.DeepEqual(one, again) {
			t.Error("the same seed gives different parameters")
		}
		for path := range one {
			if strings.HasSuffix(path, "/weights") && slices.Equal(one[path], two[path]) {
				t.Errorf("another seed gives the same %s", path)
			}
		}
	}
	for name, b := range small {
		t.Run(name, func(t *testing.T) {
			check(t, goBackend(t), func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) })
		})
	}
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		check(t, backend, func(scope *model.Scope, x *Node) *Node {
			return MLP(scope, Pool(Conv(scope.In("conv"), x, 3, 3, 1, true)), 4)
		})
	})
}

// TestStagesAcrossBackends moves all variables from pure Go to XLA, as a checkpoint does.
func TestStagesAcrossBackends(t *testing.T) {
	all := backends(t)
	if len(all) < 2 {
		t.Skip("no XLA here")
	}
	for name, b := range small {
		f := func(scope *model.Scope, x *Node) *Node {
			var rows []*Node
			for _, m := range b.Stages(scope, x) {
				rows = append(rows, Reshape(m, -1))
			}
			return Concatenate(rows, 0)
		}
		x := random[float32](4, 9, 9, 2)
		from, to := newStore(t, 1), newStore(t, 2)
		run(t, all[0], from, true, f, x)
		values := snapshot(t, from)
		outline(t, all[1], to, x.Shape(), b.Stages) // makes the variables
		for path, v := range values {
			set(t, to, path, v) // fails where there is no such variable
		}
		for v := range to.IterVariables() {
			if _, known := values[v.Path()]; !known && v.DType().IsFloat() {
				t.Errorf("%s: %s is a variable on one backend only", name, v.Path())
			}
		}
		for _, training := range []bool{false, true} {
			// Rounding of float32 through up to 9 layers.
			near(t, name, flat(t, run(t, all[1], to, training, f, x)), flat(t, run(t, all[0], from, training, f, x)), 1e-4)
		}
	}
}

// A stage's parts are the variables that its map depends on and the one before does not: whoever freezes the first stages
// by them freezes nothing else.
func TestParts(t *testing.T) {
	for _, b := range []Backbone{ResNet(8, 2), ResNet18(1), NIN(3, 6), NIN(5, 6), ViT(1, 32, 4), ViT(3, 32, 4), ViT(6, 32, 4), full(2, 4)} {
		store, image := newStore(t, 1), random[float32](2, 8, 8, 1)
		parts := b.Parts()
		stage := func(i int) []float64 {
			return flat(t, run(t, goBackend(t), store, true, func(scope *model.Scope, x *Node) *Node {
				return Identity(b.Stages(scope.In("net"), x)[i])
			}, image))
		}
		before := make([][]float64, len(parts))
		for i := range parts {
			before[i] = stage(i)
		}
		for v := range store.Scope("/net").IterVariables() {
			if !v.Trainable || strings.HasSuffix(v.Path(), "/key/biases") {
				continue // running statistics, of which training makes no use; what softmax ignores
			}
			part := slices.IndexFunc(parts, func(scopes []string) bool {
				return slices.ContainsFunc(scopes, func(s string) bool { return strings.HasPrefix(v.Path(), "/net/"+s+"/") })
			})
			if part < 0 {
				t.Errorf("%+v: %s is in no part", b, v.Path())
				continue
			}
			values := flat(t, v.MustValue())
			moved := slices.Clone(values)
			for i := range moved {
				moved[i] += 0.3 * float64(i%5+1)
			}
			set(t, store, v.Path(), moved)
			for i := range parts {
				if changed := !slices.Equal(stage(i), before[i]); i < part && changed || i == part && !changed {
					t.Errorf("%+v: %s, of part %d, changes map %d: %t", b, v.Path(), part+1, i+1, changed)
				}
			}
			set(t, store, v.Path(), values)
		}
	}
}
