package sslkit

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func toyArrow() *Arrow { return &Arrow{Backbone: nn.Frames(2, 8, 16)} }

func TestArrowValidate(t *testing.T) {
	if err := toyArrow().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyArrow, map[string]func(*Arrow){
		`not "nin"`: func(m *Arrow) { m.Backbone = nn.NIN(3, 6) },
		"with 0":    func(m *Arrow) { m.Backbone.State = 0 },
	})
}

// "We seek to learn to see the arrow of time – to tell whether a video sequence is playing forwards or backwards": half of the clips
// have all their frames in the reverse order. Reference: Wei et al. 2018, Sec. 1.
func TestArrowTurns(t *testing.T) {
	const clips, frames = 2000, 4
	pixels := make([]float32, clips*frames*2)
	for i := range pixels {
		pixels[i] = float32(i)
	}
	m, store := toyArrow(), seeded(t)
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, clip *Node) []*Node {
		shown, label := m.turn(scope, clip)
		return []*Node{Reshape(shown, clips, frames, 2), label}
	}, tensors.FromFlatDataAndDimensions(pixels, clips, frames, 2, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	back := 0
	label := out[1].Value().([]int32)
	for i, clip := range out[0].Value().([][][]float32) {
		back += int(label[i])
		for f, frame := range clip {
			from := f
			if label[i] == 1 {
				from = frames - 1 - f
			}
			if at := 2 * (i*frames + from); !slices.Equal(frame, pixels[at:at+2]) {
				t.Fatalf("clip %d, of class %d, has %v as frame %d", i, label[i], frame, f)
			}
		}
	}
	if math.Abs(float64(back)/clips-0.5) > 0.056 { // five deviations
		t.Errorf("%d of %d go back", back, clips)
	}
}

// The state at the end follows from the order. Were the frames' features averaged, the way would be lost.
func TestArrowSeesTheOrder(t *testing.T) {
	store, m := seeded(t), toyArrow()
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, clip *Node) []*Node {
		both := Concatenate([]*Node{clip, Reverse(clip, 1)}, 0)
		return m.Encode(scope, both)
	}, tensors.FromFlatDataAndDimensions(ramp(8*64), 1, 8, 8, 8, 1))
	if err != nil {
		t.Fatal(err)
	}
	apart := func(stage int) (most float64) {
		x := out[stage].Value().([][][][]float32)
		for i, v := range x[0][0][0] {
			most = max(most, math.Abs(float64(v-x[1][0][0][i])))
		}
		return most
	}
	if d := apart(0); d > 1e-5 { // float32
		t.Errorf("the mean of the frames, the mistake, sees the order: %g", d)
	}
	if d := apart(1); d < 1e-3 {
		t.Errorf("the state at the end does not see the order: %g", d)
	}
}

// ramp is so many numbers from 0 to 1 that are in no order.
func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i*i%97) / 97
	}
	return x
}

// A bar that only ever goes to the right has an arrow. Bars that go either way have none, as each is another one backwards; nor has a
// still film. Artificial cues are
// learnt in place of motion: a fade gives the way of a still film. Reference: Wei et al. 2018, abstract (a paraphrase).
func TestArrowLearns(t *testing.T) {
	for how, want := range map[string][2]float64{"right": {0.9, 1}, "": {0.35, 0.65}, "still": {0.35, 0.65}, "fade": {0.9, 1}} {
		r := &Run{Method: toyArrow(), Backend: goBackend(t), Train: crossing{32, 16, how}, Epochs: 40, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := 0. // over the last epochs, of 32 clips each: a guess of 320 is good to 0.028
		for _, v := range h.Reports["accuracy"][30:] {
			got += v / 10
		}
		if got < want[0] || got > want[1] {
			t.Errorf("%q: %.2f are told, want %v", how, got, want)
		}
	}
}

func wantRefused(t *testing.T, want string, build func(scope *model.Scope, x *Node) *Node, dims []int) {
	t.Helper()
	size := 1
	for _, d := range dims {
		size *= d
	}
	_, err := model.CallOnce(goBackend(t), model.NewStore(), build, tensors.FromFlatDataAndDimensions(make([]float32, size), dims...))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestArrowRefuses(t *testing.T) {
	for want, dims := range map[string][]int{"at least 2 frames": {1, 1, 8, 8, 1}, "learns from films": {1, 8, 1, 8, 1}} {
		wantRefused(t, want, func(scope *model.Scope, x *Node) *Node { return toyArrow().Loss(scope, Batch{Image: x}) }, dims)
	}
}
