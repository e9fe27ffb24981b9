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

// crossing are films of 8 frames of 8x8 in which a bar crosses, from the left or the right, or from the left alone; or of which all
// frames are one, still, maybe ever brighter, or in a random order.
type crossing struct {
	n, batch int
	how      string
}

func (d crossing) Name() string                        { return "crossing" }
func (d crossing) Steps() int                          { return d.n / d.batch }
func (d crossing) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d crossing) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for b := skip; b < d.Steps(); b++ {
			pixels, index := make([]uint8, d.batch*8*64), make([]int32, d.batch)
			for i := range d.batch {
				n := b*d.batch + i
				index[i] = int32(n)
				rnd := rand.New(rand.NewPCG(5, uint64(n)))
				back := rnd.IntN(2) == 1 && d.how != "right"
				order := []int{0, 1, 2, 3, 4, 5, 6, 7}
				if d.how == "mixed" {
					order = rand.New(rand.NewPCG(uint64(epoch), uint64(n))).Perm(8)
				}
				for t := range 8 {
					at := order[t]
					if d.how == "still" || d.how == "fade" {
						at = 3
					}
					if back {
						at = 7 - at
					}
					bright := uint8(255)
					if d.how == "fade" {
						bright = uint8(30 * (t + 1))
					}
					for y := range 8 {
						pixels[((i*8+t)*8+y)*8+at] = bright
					}
				}
			}
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, d.batch, 8, 8, 8, 1),
				tensors.FromFlatDataAndDimensions(index, d.batch)}}, nil) {
				return
			}
		}
	}
}

func toyOrder() *Order {
	m := SmallOrder(nn.Frames(2, 8, 0))
	m.Hidden = 16
	return m
}

func TestOrderValidate(t *testing.T) {
	if err := toyOrder().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyOrder, map[string]func(*Order){
		`not "nin"`:      func(m *Order) { m.Backbone = nn.NIN(3, 6) },
		"with 4":         func(m *Order) { m.Backbone.State = 4 },
		"up to 0 frames": func(m *Order) { m.Gap = 0 },
		"-1 hidden":      func(m *Order) { m.Hidden = -1 },
		"0 of 4":         func(m *Order) { m.Positive = 0 },
		"4 of 4":         func(m *Order) { m.Positive = 4 },
	})
}

// Of five frames a < b < c < d < e, (b, c, d) is in order; (b, a, d) and (b, e, d), which have the same ends and another middle, are
// not; a quarter of the triplets is in order. Reference: Misra et al. 2016, Sec. 3.1 and 3.2 (a paraphrase).
func TestOrderDraws(t *testing.T) {
	m := toyOrder()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, z *Node) []*Node {
		at, label := m.draw(scope, z)
		return []*Node{at, label}
	}, tensors.FromFlatDataAndDimensions(make([]float32, 1000*8), 1000, 8, 1))
	if err != nil {
		t.Fatal(err)
	}
	at, label := out[0].Value().([][]int32), out[1].Value().([]int32)
	var back, early [2]float64
	var near, ends [2][]float64 // of negatives and positives: the gap from the middle to a neighbour, and of the ends
	for i := range near {
		near[i], ends[i] = make([]float64, 8), make([]float64, 8)
	}
	var count [2]float64
	for i, times := range at {
		for r := range 4 {
			first, middle, last := times[3*r], times[3*r+1], times[3*r+2]
			class := label[4*i+r]
			if want := int32(0); r == 0 {
				want = 1
				if class != want {
					t.Fatalf("the first triplet of clip %d is of class %d", i, class)
				}
			}
			low, high := min(first, last), max(first, last)
			if between := low < middle && middle < high; between != (class == 1) || low < 0 || high > 7 || middle < 0 || middle > 7 {
				t.Fatalf("(%d, %d, %d) is of class %d", first, middle, last, class)
			}
			count[class]++
			if first > last {
				back[class]++
			}
			gap := middle - low
			if middle < low {
				early[class]++
				gap = low - middle
			} else if middle > high {
				gap = middle - high
			}
			near[class][gap]++
			ends[class][high-low]++
		}
	}
	if count[1] != 1000 || count[0] != 3000 {
		t.Errorf("%v of the classes", count)
	}
	// Of 1,000 and 3,000 draws: shares are good to 0.016 and 0.009, here to five times that of a difference.
	same := func(what string, a, b float64) {
		t.Helper()
		if math.Abs(a-b) > 0.09 {
			t.Errorf("%s: %.3f and %.3f", what, a, b)
		}
	}
	same("reversed, of what is in order", back[1]/count[1], 0.5)
	same("reversed, of what is not", back[0]/count[0], 0.5)
	same("the middle too early", early[0]/count[0], 0.5)
	for gap := range 8 {
		same("gaps to a neighbour", near[0][gap]/count[0], near[1][gap]/count[1])
		same("gaps of the ends", ends[0][gap]/count[0], ends[1][gap]/count[1])
	}
	for _, five := range fives(8, 2) {
		for i := range 4 {
			if gap := five[i+1] - five[i]; gap < 1 || gap > 2 || five[4] > 7 || five[0] < 0 {
				t.Fatalf("five frames %v", five)
			}
		}
	}
	if n := len(fives(5, 3)); n != 1 {
		t.Errorf("%d ways to take five of five", n)
	}
}

// The three frames' features are side by side: which is the middle one matters. Were they averaged, order would be lost.
func TestOrderSeesTheMiddle(t *testing.T) {
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	z := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, -1, 0, 2}, 1, 3, 2)
	logits := func(order []int32, average bool) []float32 {
		x, err := z.LocalClone()
		if err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, z *Node) *Node {
			rows := Gather(Squeeze(z, 0), InsertAxes(Const(z.Graph(), order), -1)) // 3x2
			if average {
				rows = BroadcastToShape(ReduceAndKeep(rows, ReduceMean, 0), rows.Shape())
			}
			return nn.MLP(scope.In("head"), Reshape(rows, 1, 6), 4, 2)
		}, x)
		if err != nil {
			t.Fatal(err)
		}
		return out.Value().([][]float32)[0]
	}
	if slices.Equal(logits([]int32{0, 1, 2}, false), logits([]int32{1, 0, 2}, false)) {
		t.Error("another middle, the same scores")
	}
	if a, b := logits([]int32{0, 1, 2}, true), logits([]int32{1, 0, 2}, true); math.Abs(float64(a[0]-b[0])) > 1e-5 {
		t.Error("the mistake, an average, sees an order")
	}
}

// The order of a bar that crosses is told; that of a still film or of mixed frames is not, which has no order: the controls.
func TestOrderLearns(t *testing.T) {
	for how, want := range map[string][2]float64{"": {0.85, 1}, "still": {0.5, 0.5}, "mixed": {0.35, 0.65}} {
		m := toyOrder()
		r := &Run{Method: m, Backend: goBackend(t), Train: crossing{32, 16, how}, Epochs: 60, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.01)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := 0. // over the last epochs, of 32 clips each
		for _, v := range h.Reports["accuracy"][50:] {
			got += v / 10
		}
		if got < want[0]-1e-6 || got > want[1]+1e-6 {
			t.Errorf("%q: %.2f are told of each class, want %v", how, got, want)
		}
		if last := h.Loss[59]; how == "still" && math.Abs(last-m.GuessLoss(16)) > 0.02 { // as the biases learn the share
			t.Errorf("a still film has the loss %v, a guess %v", last, m.GuessLoss(16))
		}
	}
}

func TestOrderRefuses(t *testing.T) {
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return toyOrder().Loss(scope, Batch{Image: x}) },
		tensors.FromFlatDataAndDimensions(make([]float32, 4*64), 1, 4, 8, 8, 1))
	if err == nil || !strings.Contains(err.Error(), "at least 5 frames") {
		t.Errorf("four frames: %v", err)
	}
}
