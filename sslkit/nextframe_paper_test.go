package sslkit

import (
	"context"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func toyNextFrame() *NextFrame { return &NextFrame{Backbone: nn.Frames(2, 8, 6), Width: 16, Power: 2} }

func TestNextFrameValidate(t *testing.T) {
	if err := toyNextFrame().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyNextFrame, map[string]func(*NextFrame){
		`not "nin"`:  func(m *NextFrame) { m.Backbone = nn.NIN(3, 6) },
		"with 0":     func(m *NextFrame) { m.Backbone.State = 0 },
		"0 features": func(m *NextFrame) { m.Width = 0 },
		"power 3":    func(m *NextFrame) { m.Power = 3 },
	})
}

// The loss is the distance of each painted frame from the one that comes, by the power p; as a mistake, from the one that is there.
// Reference: Mathieu et al. 2016, Sec. 2, Eq. 1 (a paraphrase).
func TestNextFrameLossIsEquation1(t *testing.T) {
	films := noiseFilms(3)
	x := tensors.MustCopyFlatData[float32](films)
	for _, power := range []int{2, 1} {
		m, store := toyNextFrame(), seeded(t)
		m.Power = power
		out := callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node {
			return []*Node{m.Loss(scope, Batch{Image: clip}), m.next(scope, clip)}
		}, films)
		painted := tensors.MustCopyFlatData[float32](out[1])
		naive := func(later int) float64 {
			var sum, count float64
			for n := range 3 {
				for time := range 7 {
					for p := range 64 {
						off := math.Abs(float64(painted[(n*8+time)*64+p]) - float64(x[(n*8+time+later)*64+p]))
						sum, count = sum+math.Pow(off, float64(power)), count+1
					}
				}
			}
			return sum / count
		}
		got := float64(out[0].Value().(float32))
		if want := naive(1); math.Abs(got-want) > 1e-5 { // float32
			t.Errorf("power %d: loss %v, want %v", power, got, want)
		}
		if wrong := naive(0); math.Abs(got-wrong) < 1e-2 {
			t.Errorf("power %d: by the frame that is there it is %v, too: this test would not tell", power, wrong)
		}
		var change float64 // of a network that has learnt nothing, which copies
		for i := range painted {
			change += math.Abs(float64(painted[i]-x[i])) / float64(len(x))
		}
		if change > 0.1 { // the pixels differ by a third from frame to frame
			t.Errorf("power %d: an untrained network changes pixels by %.2f", power, change)
		}
	}
}

// forks are films of two frames: a dot in the centre, which goes left in one of three films and right in two.
type forks struct{}

func (forks) Name() string                          { return "forks" }
func (forks) Steps() int                            { return 1 }
func (d forks) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }
func (forks) Epoch(int, int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		pixels, index := make([]uint8, 12*2*64), make([]int32, 12)
		for i := range 12 {
			pixels[i*128+4*8+4] = 255
			at := 6
			if i%3 == 0 {
				at = 2
			}
			pixels[i*128+64+4*8+at] = 255
		}
		yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, 12, 2, 8, 8, 1),
			tensors.FromFlatDataAndDimensions(index, 12)}}, nil)
	}
}

// Of what is not certain the squared error paints the average, which is none of what may come, and the absolute one the median.
// Reference: Mathieu et al. 2016, Sec. 2 (a paraphrase).
func TestNextFrameBlurs(t *testing.T) {
	for power, want := range map[int][2]float64{2: {1. / 3, 2. / 3}, 1: {0, 1}} {
		m := toyNextFrame()
		m.Power = power
		r := &Run{Method: m, Backend: goBackend(t), Train: forks{}, Epochs: 400, Seed: 1, Optimizer: optim.AdamW{Rate: optim.CosineWarmup(0.01, 1, 400)}}
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Fatal(err)
		}
		dot := make([]float32, 64)
		dot[4*8+4] = 1
		out := callFilms(t, r.Store, func(scope *model.Scope, clip *Node) []*Node {
			return []*Node{m.Ahead(scope, clip, 1)}
		}, tensors.FromFlatDataAndDimensions(dot, 1, 1, 8, 8, 1))
		painted := tensors.MustCopyFlatData[float32](out[0])
		left, right := float64(painted[4*8+2]), float64(painted[4*8+6])
		if math.Abs(left-want[0]) > 0.08 || math.Abs(right-want[1]) > 0.08 { // the other power's are 0.33 away
			t.Errorf("power %d: %.2f and %.2f are painted to the left and right, want %.2f", power, left, right, want)
		}
	}
}

// What is painted follows from what was: no bit of it from later frames.
func TestNextFrameIsCausal(t *testing.T) {
	m, store, films := toyNextFrame(), seeded(t), noiseFilms(2)
	paint := func(films *tensors.Tensor) [][]float32 {
		out := callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node { return []*Node{m.next(scope, clip)} }, films)
		return slices.Collect(slices.Chunk(tensors.MustCopyFlatData[float32](out[0]), 64))
	}
	before := paint(films)
	pixels := tensors.MustCopyFlatData[float32](films)
	for i := range 64 {
		pixels[5*64+i] = 1 - pixels[5*64+i] // frame 5 of the first film
	}
	after := paint(tensors.FromFlatDataAndDimensions(pixels, 2, 8, 8, 8, 1))
	for i := range before {
		if changed := !slices.Equal(before[i], after[i]); changed != (i >= 5 && i < 8) {
			t.Errorf("film %d, frame %d: what comes after it has changed: %t", i/8, i%8, changed)
		}
	}
}

// Of several frames ahead each is painted from those painted before; as a mistake, from those of the film.
func TestNextFrameGoesOnFromItsOwn(t *testing.T) {
	m, store, films := toyNextFrame(), seeded(t), noiseFilms(2)
	callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node { return []*Node{m.next(scope, clip)} }, films)
	jitter(t, store)
	out := callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node {
		seen := SliceAxis(clip, 1, AxisRange(0, 3))
		one := m.Ahead(scope, seen, 1)
		two := m.Ahead(scope, Concatenate([]*Node{seen, one}, 1), 1)
		return []*Node{m.Ahead(scope, seen, 2), Concatenate([]*Node{one, two}, 1), m.Ahead(scope, SliceAxis(clip, 1, AxisRange(0, 4)), 1)}
	}, films)
	got, want := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	if !slices.Equal(got, want) || slices.Min(got) < 0 || slices.Max(got) > 1 {
		t.Errorf("two frames at once are not one by one, or not in [0, 1]")
	}
	if forced := tensors.MustCopyFlatData[float32](out[2]); slices.Equal(got[64:128], forced[:64]) {
		t.Error("the mistake paints the same: this test would not tell")
	}
}

// A bar that crosses is painted where it will be, to the end; where frames are mixed that cannot be, which is the control.
func TestNextFrameLearnsMotion(t *testing.T) {
	skill := map[string]float64{}
	for _, how := range []string{"", "mixed"} {
		m, films := toyNextFrame(), crossing{32, 16, how}
		r := &Run{Method: m, Backend: goBackend(t), Train: films, Epochs: 60, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		skill[how] = h.Reports["skill"][59]
		if how == "mixed" {
			continue
		}
		for b := range films.Iter() {
			clip, painted := tensors.MustCopyFlatData[uint8](b.Inputs[0]), []float32(nil)
			out, err := model.CallOnce(goBackend(t), r.Store, func(scope *model.Scope, x *Node) *Node {
				return m.Ahead(scope, SliceAxis(floatImage(x), 1, AxisRange(0, 3)), 5)
			}, b.Inputs[0])
			if err != nil {
				t.Fatal(err)
			}
			painted = tensors.MustCopyFlatData[float32](out)
			wrong := 0
			for i := range 16 {
				for time := range 5 {
					truth, row := clip[(i*8+3+time)*64+32:][:8], painted[(i*5+time)*64+32:][:8]
					if truth[slices.Index(row, slices.Max(row))] != 255 {
						wrong++
					}
				}
			}
			if wrong > 4 { // of 80, where a guess has 70
				t.Errorf("%d of 80 bars are not where they will be", wrong)
			}
			break
		}
	}
	if skill[""] < 0.8 || skill["mixed"] > 0.69 { // of mixed frames who remembers all and paints the mean of the others has 0.69
		t.Errorf("of a copy's error %.2f is saved, where frames are mixed %.2f", skill[""], skill["mixed"])
	}
}

func TestNextFrameRefuses(t *testing.T) {
	for _, dims := range [][]int{{2, 1, 8, 8, 1}, {2, 8, 1, 13, 1}} {
		n := 1
		for _, d := range dims {
			n *= d
		}
		_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return toyNextFrame().Loss(scope, Batch{Image: x}) },
			tensors.FromFlatDataAndDimensions(make([]float32, n), dims...))
		if err == nil || !strings.Contains(err.Error(), "needs films") {
			t.Errorf("%v: %v", dims, err)
		}
	}
}
