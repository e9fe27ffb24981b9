package nn

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func TestSequenceBackbones(t *testing.T) {
	for _, c := range []struct {
		b     Backbone
		reads Input
		text  string
	}{
		{Frames(3, 64, 32), Clips, `{"arch":"frames","depth":3,"width":64,"state":32}`},
		{Frames(1, 8, 0), Clips, `{"arch":"frames","depth":1,"width":8}`},
		{Words(4000, 24, 96), Texts, `{"arch":"words","depth":1,"width":96,"words":4000,"length":24}`},
		{NIN(3, 6), Images, `{"arch":"nin","depth":3,"width":6}`},
	} {
		text, err := json.Marshal(c.b)
		if err != nil || string(text) != c.text || c.b.Input() != c.reads || c.b.Validate() != nil {
			t.Errorf("%s reads %v, %v, %v", text, c.b.Input(), err, c.b.Validate())
		}
	}
	for want, b := range map[string]Backbone{
		"1 to 8 layers":                {Arch: "frames", Depth: 0, Width: 8},
		"not 9, 8 and 0":               Frames(9, 8, 0),
		"state of at least 0":          Frames(3, 8, -1),
		"vocabulary above 4":           Words(4, 8, 8),
		"at least 3 tokens":            Words(9, 2, 8),
		"depth 1":                      {Arch: "words", Depth: 2, Width: 8, Words: 9, Length: 8},
		"state of 4 is for frames":     {Arch: "nin", Depth: 3, Width: 6, State: 4},
		"9 words in texts of 0":        {Arch: "frames", Depth: 3, Width: 6, Words: 9},
		"not for a resnet: leave them": {Arch: "resnet", Depth: 8, Width: 6, Length: 3},
	} {
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that says %q", b, err, want)
		}
	}
}

// sounds are [2, 6, 1, 5, 1], the first of 4 frames, the second of 6; what lies after an end is as given.
func sounds(after float32) *tensors.Tensor {
	x := tensors.MustCopyFlatData[float32](random[float32](2, 6, 1, 5, 1))
	for i := range x {
		x[i] = float32(0.1 + 0.8/(1+math.Exp(float64(-x[i]))))
		if i >= 20 && i < 30 {
			x[i] = after
		}
	}
	return tensors.FromFlatDataAndDimensions(x, 2, 6, 1, 5, 1)
}

// Padding goes into no feature: a sound has the features of itself alone, without any. As a mistake, a mean over all frames is
// told from it.
func TestPaddingIsNotHeard(t *testing.T) {
	b := Frames(2, 4, 3)
	store := newStore(t, 1)
	stages := func(scope *model.Scope, x *Node) *Node {
		maps := b.Stages(scope, x)
		for i := range maps {
			maps[i] = Reshape(maps[i], x.Shape().Dim(0), -1)
		}
		return Concatenate(maps, -1) // Nx(4+3+3)
	}
	padded := flat(t, run(t, goBackend(t), store, false, stages, sounds(0)))
	alone := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](sounds(0))[:20], 1, 4, 1, 5, 1)
	near(t, "features of four frames", padded[:10], flat(t, run(t, goBackend(t), store, false, stages, alone)), 1e-6) // float32
	mistaken := flat(t, run(t, goBackend(t), store, false, func(scope *model.Scope, x *Node) *Node {
		_, c, _ := b.Sequence(scope, x)
		return ReduceMean(c, 1)
	}, sounds(0)))
	if math.Abs(mistaken[0]-padded[7])+math.Abs(mistaken[1]-padded[8]) < 1e-3 {
		t.Error("a mean that counts the padding is the same")
	}
	near(t, "the mistake, of a whole sound", mistaken[3:], padded[17:], 1e-6)
	// What would be heard there, were it no padding, is another sound.
	if other := flat(t, run(t, goBackend(t), store, false, stages, sounds(0.5))); slices.Equal(other[:10], padded[:10]) || !slices.Equal(other[10:], padded[10:]) {
		t.Error("frames are taken for padding, or the other sound of the batch moves")
	}
}

// A film's dark frames are frames.
func TestValid(t *testing.T) {
	valid := func(x *tensors.Tensor) []float64 {
		return flat(t, run(t, goBackend(t), newStore(t, 1), false, func(_ *model.Scope, x *Node) *Node { return ConvertDType(Valid(x), dtypes.Float32) }, x))
	}
	if got := valid(sounds(0)); !slices.Equal(got, []float64{1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("valid %v", got)
	}
	dark := tensors.FromFlatDataAndDimensions(make([]float32, 3*2*5), 1, 3, 2, 5, 1)
	if got := valid(dark); !slices.Equal(got, []float64{1, 1, 1}) {
		t.Errorf("a dark film: %v", got)
	}
}

// Films' layers halve the frame; without a state the stages are the mean and the frames side by side.
func TestFilmStages(t *testing.T) {
	for state, want := range map[int][][]int{5: {{2, 1, 1, 8}, {2, 1, 1, 5}, {2, 1, 1, 5}}, 0: {{2, 1, 1, 8}, {2, 1, 1, 24}}} {
		b := Frames(2, 8, state)
		store := newStore(t, 1)
		got := outline(t, goBackend(t), store, shapes.Make(dtypes.Float32, 2, 3, 8, 8, 1), func(scope *model.Scope, x *Node) []*Node { return b.Stages(scope, x) })
		if len(got) != len(want) || len(b.Parts()) != len(want) {
			t.Fatalf("%d stages, %d parts, want %d", len(got), len(b.Parts()), len(want))
		}
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("state %d: stage %d is %v, want %v", state, i+1, got[i], want[i])
			}
		}
		parts := 0
		for _, part := range b.Parts() {
			for _, scope := range part {
				if _, ok := firstOf(store, "/"+scope); !ok {
					t.Errorf("no variables in %s", scope)
				}
				parts++
			}
		}
	}
	wantPanic(t, "[N, T, H, W, C]", shapes.Make(dtypes.Float32, 2, 8, 8, 1), func(scope *model.Scope, x *Node) *Node { return Last(Frames(2, 8, 0).Stages(scope, x)) })
	wantPanic(t, "has no frames", shapes.Make(dtypes.Float32, 2, 3, 8, 8, 1), func(scope *model.Scope, x *Node) *Node {
		z, _, _ := NIN(3, 6).Sequence(scope, x)
		return z
	})
}

func firstOf(store *model.Store, scope string) (*model.Variable, bool) {
	for v := range store.Scope(scope).IterVariables() {
		return v, true
	}
	return nil, false
}

// A text is the mean of its words' vectors: neither padding nor what is unknown nor start and end are words.
func TestWordsAreAveraged(t *testing.T) {
	b := Words(7, 6, 2)
	store := newStore(t, 1)
	encode := func(tokens []int32) []float64 {
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) },
			tensors.FromFlatDataAndDimensions(tokens, len(tokens)/6, 6))
		if err != nil {
			t.Fatal(err)
		}
		return flat(t, out)
	}
	encode([]int32{2, 4, 5, 3, 0, 0})
	set(t, store, "/words", []float64{100, 100, 200, 200, 300, 300, 400, 400, 1, 2, 3, 5, 7, 9})
	near(t, "texts", encode([]int32{2, 4, 5, 3, 0, 0, 2, 4, 1, 4, 6, 3, 2, 1, 1, 3, 0, 0}), []float64{2, 3.5, 3, 13. / 3, 0, 0}, 1e-6)
	wantPanic(t, "[N, 6] int32", shapes.Make(dtypes.Float32, 2, 6), func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) })
	wantPanic(t, "[N, 6] int32", shapes.Make(dtypes.Int32, 2, 5), func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) })
}
