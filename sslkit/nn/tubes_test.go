package nn

import (
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

func TestTubesValidate(t *testing.T) {
	for want, b := range map[string]Backbone{
		"multiple of 32":           Tubes(1, 33, 4, 2),
		"at least 1 block":         Tubes(0, 32, 4, 2),
		"at least 0 pixels":        Tubes(1, 32, -1, 2),
		"at least 1 frame":         Tubes(1, 32, 4, 0),
		"span of 2 frames is for":  {Arch: "vit", Depth: 1, Width: 32, Patch: 4, Span: 2},
		"patches of 4 pixels are":  {Arch: "frames", Depth: 1, Width: 32, Patch: 4},
		"state of 3 is for frames": {Arch: "tubes", Depth: 1, Width: 32, Span: 1, State: 3},
	} {
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that says %q", b, err, want)
		}
	}
	if b := Tubes(3, 64, 0, 1); b.Validate() != nil || b.Input() != Clips {
		t.Errorf("%+v reads %v, %v", b, b.Input(), b.Validate())
	}
}

// Of films and of sounds there is a stage each quarter of the blocks, and its parts hold what it depends on first.
func TestTubeStages(t *testing.T) {
	for _, c := range []struct {
		b    Backbone
		dims []int
	}{{Tubes(2, 32, 4, 2), []int{2, 4, 8, 8, 1}}, {Tubes(1, 32, 0, 2), []int{2, 4, 8, 6, 3}}, {Tubes(5, 32, 0, 1), []int{2, 6, 1, 5, 1}}} {
		store := newStore(t, 1)
		got := outline(t, goBackend(t), store, shapes.Make(dtypes.Float32, c.dims...), func(scope *model.Scope, x *Node) []*Node { return c.b.Stages(scope, x) })
		if len(got) != min(c.b.Depth, 4) || len(c.b.Parts()) != len(got) {
			t.Errorf("%+v: %d stages, %d parts", c.b, len(got), len(c.b.Parts()))
		}
		for _, dims := range got {
			if !slices.Equal(dims, []int{2, 1, 1, 32}) {
				t.Errorf("%+v: a stage is %v", c.b, dims)
			}
		}
		for _, scope := range slices.Concat(c.b.Parts()...) {
			if _, ok := firstOf(store, "/"+scope); !ok {
				t.Errorf("%+v: no variables in %s", c.b, scope)
			}
		}
	}
	for want, c := range map[string]struct {
		b    Backbone
		dims []int
	}{
		"patch 0 and span 1": {Tubes(1, 32, 4, 1), []int{2, 4, 1, 8, 1}},
		"pieces of 3 frames": {Tubes(1, 32, 4, 3), []int{2, 4, 8, 8, 1}},
		"square frames":      {Tubes(1, 32, 4, 2), []int{2, 4, 8, 12, 1}},
		"no pieces of clips": {Frames(1, 8, 0), []int{2, 4, 8, 8, 1}},
	} {
		wantPanic(t, want, shapes.Make(dtypes.Float32, c.dims...), func(scope *model.Scope, x *Node) *Node {
			pieces, _, _ := c.b.Cut(x)
			return pieces
		})
	}
}

// A sound has the features of itself alone: neither attention nor the mean sees what is after its end. As a mistake the mean is
// over all.
func TestTubesHearNoPadding(t *testing.T) {
	b, store := Tubes(2, 32, 0, 1), newStore(t, 1)
	last := func(scope *model.Scope, x *Node) *Node {
		return Reshape(Last(b.Stages(scope, x)), x.Shape().Dim(0), -1)
	}
	padded := flat(t, run(t, goBackend(t), store, false, last, sounds(0)))
	alone := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](sounds(0))[:20], 1, 4, 1, 5, 1)
	near(t, "features of four frames", padded[:32], flat(t, run(t, goBackend(t), store, false, last, alone)), 1e-5) // float32
	mistaken := flat(t, run(t, goBackend(t), store, false, func(scope *model.Scope, x *Node) *Node {
		pieces, there, _ := b.Cut(x)
		y := b.Embed(scope, pieces)
		return ReduceMean(Last(b.TransformOver(scope, Add(y, TubePositions(y, 6, 1)), there, 0)), 1)
	}, sounds(0)))
	far := 0.
	for i := range 32 {
		far = max(far, math.Abs(mistaken[i]-padded[i]))
	}
	if far < 1e-3 {
		t.Error("a mean over all frames is the same: this test would not tell")
	}
}

// Each piece has a position of its own: half of it tells the place, alike at all times, half the time, alike at all places.
func TestTubePositions(t *testing.T) {
	rows := flat(t, run(t, goBackend(t), newStore(t, 1), false, func(_ *model.Scope, x *Node) *Node { return TubePositions(x, 3, 2) }, random[float64](1, 12, 16)))
	at := func(time, place int) []float64 { return rows[(4*time+place)*16 : (4*time+place+1)*16] }
	for time := range 3 {
		for place := range 4 {
			if !slices.Equal(at(time, place)[:8], at(0, place)[:8]) || !slices.Equal(at(time, place)[8:], at(time, 0)[8:]) {
				t.Errorf("time %d, place %d: %v", time, place, at(time, place))
			}
			if want := []float64{math.Sin(float64(time)), math.Cos(float64(time))}; math.Abs(at(time, place)[8]-want[0])+math.Abs(at(time, place)[12]-want[1]) > 1e-6 {
				t.Errorf("time %d is told as %v", time, at(time, place)[8:])
			}
			near(t, "place", at(time, place)[:8], float64s(SinCos2D(2, 8)[place]), 1e-6)
		}
	}
	wantPanic(t, "multiple of 8", shapes.Make(dtypes.Float32, 1, 4, 12), func(_ *model.Scope, x *Node) *Node { return TubePositions(x, 1, 2) })
}

func float64s(x []float32) (y []float64) {
	for _, v := range x {
		y = append(y, float64(v))
	}
	return y
}
