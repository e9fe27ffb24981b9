package sslkit

import (
	"context"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func toyPace() *Pace { return SmallPace(nn.Frames(2, 8, 16)) }

func TestPaceValidate(t *testing.T) {
	if err := toyPace().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyPace, map[string]func(*Pace){
		`not "nin"`:       func(m *Pace) { m.Backbone = nn.NIN(3, 6) },
		"with 0":          func(m *Pace) { m.Backbone.State = 0 },
		"the paces [2]":   func(m *Pace) { m.Paces = []int{2} },
		"the paces [2 1]": func(m *Pace) { m.Paces = []int{2, 1} },
		"the paces [0 1]": func(m *Pace) { m.Paces = []int{0, 1} },
		"paces [1 1]":     func(m *Pace) { m.Paces = []int{1, 1} },
	})
}

// "given a video played in natural pace, we randomly sample training clips in different paces and ask a neural network to identify
// the pace for each video clip": every p-th frame is shown, as many at each pace, all paces equally often. Reference: Wang et al.
// 2020, abstract.
func TestPaceDraws(t *testing.T) {
	const clips, frames = 6000, 8
	m, store := toyPace(), seeded(t)
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, clip *Node) []*Node {
		at, label := m.draw(scope, clip)
		return []*Node{at, label}
	}, tensors.FromFlatDataAndDimensions(make([]float32, clips*frames), clips, frames, 1, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	at, label := out[0].Value().([][]int32), out[1].Value().([]int32)
	var count [3]float64
	var first [3][frames]float64
	for i, times := range at {
		count[label[i]]++
		first[label[i]][times[0]]++
		if len(times) != 3 || times[0] < 0 || times[2] >= frames {
			t.Fatalf("frames %v of %d", times, frames)
		}
		for k := range 2 {
			if times[k+1]-times[k] != label[i]+1 {
				t.Fatalf("frames %v are at pace %d", times, label[i]+1)
			}
		}
	}
	// Shares of 6,000 are good to 0.006, those of a pace's 2,000 to 0.011: five times that. The first frame must not tell the pace; the
	// mistake, a first frame among all that a pace leaves, gives six of them a sixth at pace 1 and two a half at pace 3.
	for pace := range 3 {
		if share := count[pace] / clips; math.Abs(share-1./3) > 0.03 {
			t.Errorf("%.3f are at pace %d", share, pace+1)
		}
		for f := range frames {
			want := 0.
			if f < 2 { // 6 of 7 steps are taken at pace 3
				want = 0.5
			}
			if share := first[pace][f] / count[pace]; math.Abs(share-want) > 0.055 {
				t.Errorf("at pace %d %.3f begin at frame %d, want %.1f", pace+1, share, f, want)
			}
		}
	}
}

// The pace of a bar that crosses is told; that of a still film, or of one whose frames are mixed, is not: the controls.
func TestPaceLearns(t *testing.T) {
	for how, want := range map[string][2]float64{"": {0.9, 1}, "still": {0.23, 0.43}, "mixed": {0.2, 0.5}} {
		r := &Run{Method: toyPace(), Backend: goBackend(t), Train: crossing{32, 16, how}, Epochs: 80, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := 0. // over the last epochs, of 32 clips each: a guess of 320 is good to 0.026
		for _, v := range h.Reports["accuracy"][70:] {
			got += v / 10
		}
		if got < want[0] || got > want[1] {
			t.Errorf("%q: %.2f are told, want %v", how, got, want)
		}
	}
}

func TestPaceRefuses(t *testing.T) {
	for want, dims := range map[string][]int{"of more than 3 frames": {1, 3, 8, 8, 1}, "learns from films": {1, 8, 1, 8, 1}} {
		wantRefused(t, want, func(scope *model.Scope, x *Node) *Node { return toyPace().Loss(scope, Batch{Image: x}) }, dims)
	}
}
