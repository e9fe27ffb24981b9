package sslkit

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
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

// tones are sounds of up to 8 frames of 6 numbers: a peak that climbs, at a pace of its own, so that what comes can be told. Where
// mixed, their frames come in a random order.
type tones struct {
	n, batch int
	mixed    bool
	pace     int // of all, where it is not 0
}

const toneFrames, toneWidth = 8, 6

func (d tones) Name() string                        { return "tones" }
func (d tones) Steps() int                          { return d.n / d.batch }
func (d tones) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d tones) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for b := skip; b < d.Steps(); b++ {
			pixels, index := make([]uint8, d.batch*toneFrames*toneWidth), make([]int32, d.batch)
			for i := range d.batch {
				n := b*d.batch + i
				index[i] = int32(n)
				rnd := rand.New(rand.NewPCG(9, uint64(n)))
				length, at, pace := 5+rnd.IntN(4), rnd.IntN(toneWidth), 1+rnd.IntN(2)
				if d.pace > 0 {
					pace = d.pace
				}
				frames := make([][]uint8, length)
				for t := range frames {
					for f := range toneWidth {
						v := 20 + rnd.IntN(30)
						if f == (at+t*pace)%toneWidth {
							v += 180
						}
						frames[t] = append(frames[t], uint8(v))
					}
				}
				if d.mixed {
					rand.New(rand.NewPCG(uint64(epoch), uint64(n))).Shuffle(length, func(a, b int) { frames[a], frames[b] = frames[b], frames[a] })
				}
				copy(pixels[i*toneFrames*toneWidth:], slices.Concat(frames...))
			}
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, d.batch, toneFrames, 1, toneWidth, 1),
				tensors.FromFlatDataAndDimensions(index, d.batch)}}, nil) {
				return
			}
		}
	}
}

func toyCPC() *CPC { return &CPC{Backbone: nn.Frames(1, 6, 8), Ahead: []int{1, 3}} }

func TestCPCValidate(t *testing.T) {
	if err := toyCPC().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyCPC, map[string]func(*CPC){
		`not "nin"`:       func(m *CPC) { m.Backbone = nn.NIN(3, 6) },
		"with 0":          func(m *CPC) { m.Backbone.State = 0 },
		"at least one":    func(m *CPC) { m.Ahead = nil },
		"steps [0 1]":     func(m *CPC) { m.Ahead = []int{0, 1} },
		"rising":          func(m *CPC) { m.Ahead = []int{3, 1} },
		"-1 anchors":      func(m *CPC) { m.Anchors = -1 },
		`called "others"`: func(m *CPC) { m.Negatives = "others" },
	})
}

// Each prediction W_k c_t tells z_{t+k} from the other frames by their inner products, in a softmax over all of them.
// Reference: van den Oord et al. 2018, Sec. 2.2 and 2.3, Eq. 3 and 4 (a paraphrase).
func TestCPCLossIsEquation4(t *testing.T) {
	const n = 3
	var clip *tensors.Tensor
	for b := range (tones{n: n, batch: n}).Iter() {
		clip = b.Inputs[0]
	}
	for _, negatives := range []string{"", "other", "same"} {
		m := toyCPC()
		m.Negatives = negatives
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, x *Node) []*Node {
			x = floatImage(x)
			l := m.Loss(scope, Batch{Image: x})
			z, c, valid := m.Backbone.Sequence(scope.Store().RootScope().At("encoder"), x)
			w := func(k int) *Node {
				return scope.At("ahead_%d", k).At("predict").At("dense").GetVariable("weights").NodeValue(x.Graph())
			}
			return []*Node{l, z, c, valid, w(1), w(3)}
		}, clip)
		if err != nil {
			t.Fatal(err)
		}
		z, c, valid := out[1].Value().([][][]float32), out[2].Value().([][][]float32), out[3].Value().([][]bool)
		want := func(mistake string) float64 {
			var mean float64
			for at, k := range m.Ahead {
				w := out[4+at].Value().([][]float32)
				score := func(i, t, j, s int) (sum float64) { // c_t of clip i, z_{s+k} of clip j
					zz, length := z[j][s+k], 1.
					if mistake == "rows of length 1" {
						length = 0
						for _, v := range zz {
							length += float64(v) * float64(v)
						}
						length = math.Sqrt(length)
					}
					for a := range w {
						for b, v := range zz {
							sum += float64(c[i][t][a]) * float64(w[a][b]) * float64(v) / length
						}
					}
					return sum
				}
				var total, count float64
				for i := range n {
					for t := range toneFrames - k {
						if !valid[i][t+k] {
							continue
						}
						own, all := score(i, t, i, t), 0.
						for j := range n {
							for s := range toneFrames - k {
								is := i == j && s == t
								if !is && (!valid[j][s+k] && mistake != "padding is told apart" || negatives == "other" && i == j || negatives == "same" && i != j) {
									continue
								}
								all += math.Exp(score(i, t, j, s))
							}
						}
						total, count = total+math.Log(all)-own, count+1
					}
				}
				mean += total / count / float64(len(m.Ahead))
			}
			return mean
		}
		got := float64(out[0].Value().(float32))
		if math.Abs(got-want("")) > 1e-5*max(1, got) { // float32
			t.Errorf("negatives %q: loss %v, want %v", negatives, got, want(""))
		}
		for _, mistake := range []string{"rows of length 1", "padding is told apart"} {
			if mistaken := want(mistake); math.Abs(got-mistaken) < 1e-3 {
				t.Errorf("negatives %q, %s: the loss is the same", negatives, mistake)
			}
		}
	}
}

// A prediction is made of what was: no bit of c_t follows from later frames, in training too. As a mistake, a batch norm tells.
func TestCPCIsCausal(t *testing.T) {
	m := toyCPC()
	var clip *tensors.Tensor
	for b := range (tones{n: 4, batch: 4}).Iter() {
		clip = b.Inputs[0]
	}
	pixels := tensors.MustCopyFlatData[uint8](clip)
	for i := range 4 {
		for k := 4 * toneWidth; k < 5*toneWidth; k++ { // frame 4, which all have
			pixels[i*toneFrames*toneWidth+k] = uint8(1 + (k*37+i)%250)
		}
	}
	changed := tensors.FromFlatDataAndDimensions(pixels, 4, toneFrames, 1, toneWidth, 1)
	states := func(x *tensors.Tensor, norm bool) [][][]float32 {
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		x, err = x.LocalClone()
		if err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
			scope.Store().SetTraining(x.Graph(), true)
			z, c, valid := m.Backbone.Sequence(scope, floatImage(x))
			if norm {
				z = nn.BatchNorm(scope.At("norm"), z)
				c = nn.GRU(scope.At("mistaken"), z, valid, 8)
			}
			return c
		}, x)
		if err != nil {
			t.Fatal(err)
		}
		return out.Value().([][][]float32)
	}
	for _, norm := range []bool{false, true} {
		a, b := states(clip, norm), states(changed, norm)
		seen := false
		for i := range a {
			for time := range 4 {
				seen = seen || !slices.Equal(a[i][time], b[i][time])
			}
			if slices.Equal(a[i][4], b[i][4]) {
				t.Errorf("clip %d: c does not see its own frame", i)
			}
		}
		if seen != norm {
			t.Errorf("batch norm %t: c_t sees later frames %t", norm, seen)
		}
	}
}

// Anchors are times that have a frame k ahead, none twice, spread over the whole clip.
func TestCPCAnchors(t *testing.T) {
	m := toyCPC()
	m.Anchors = 3
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	lengths := []int{8, 7, 3, 2, 1, 5}
	on := make([][]bool, len(lengths))
	for i, l := range lengths {
		for time := range 8 {
			on[i] = append(on[i], time < l)
		}
	}
	const k = 2
	seen := map[int]bool{}
	for range 40 {
		out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, valid *Node) []*Node {
			at, there := m.anchors(scope, valid, k)
			return []*Node{at, there}
		}, on)
		if err != nil {
			t.Fatal(err)
		}
		at, there := out[0].Value().([][]int32), out[1].Value().([][]float32)
		for i, l := range lengths {
			times := map[int32]bool{}
			for j, time := range at[i] {
				if there[i][j] == 0 {
					continue
				}
				if time < 0 || int(time)+k >= l || times[time] {
					t.Fatalf("of %d frames %v with %v are %d ahead", l, at[i], there[i], k)
				}
				times[time] = true
				if i == 0 {
					seen[int(time)] = true
				}
			}
			if want := min(3, max(0, l-k)); len(times) != want {
				t.Errorf("of %d frames %d predict, want %d", l, len(times), want)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("of a whole clip only %v ever predict", seen)
	}
}

// What comes can be told of tones that climb, and not where their frames are mixed: the control.
func TestCPCLearnsWhatComes(t *testing.T) {
	told := map[bool]float64{}
	for _, mixed := range []bool{false, true} {
		m := toyCPC()
		m.Ahead, m.Anchors, m.Negatives = []int{1, 2}, 3, "same"
		r := &Run{Method: m, Backend: goBackend(t), Train: tones{64, 16, mixed, 0}, Epochs: 30, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		told[mixed] = h.Reports["accuracy"][29]
		if both := (h.Reports["accuracy_1"][29] + h.Reports["accuracy_2"][29]) / 2; math.Abs(both-told[mixed]) > 1e-5 {
			t.Errorf("accuracies %v", h.Reports)
		}
	}
	if told[false] < 0.8 || told[true] > 0.6 { // of three a guess finds one
		t.Errorf("what comes is told of %.2f, where frames are mixed of %.2f", told[false], told[true])
	}
}

func TestCPCRefuses(t *testing.T) {
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return toyCPC().Loss(scope, Batch{Image: x}) },
		tensors.FromFlatDataAndDimensions(make([]float32, 2*3*6), 2, 3, 1, 6, 1))
	if err == nil || !strings.Contains(err.Error(), "more than 3 frames") {
		t.Errorf("three frames, three ahead: %v", err)
	}
}
