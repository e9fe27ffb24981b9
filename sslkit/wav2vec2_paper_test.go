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

func toyWav2Vec2() *Wav2Vec2 {
	return &Wav2Vec2{Backbone: nn.Tubes(1, 32, 0, 1), Starts: 0.25, Span: 2, Dim: 8, Temperature: 0.1}
}

func TestWav2Vec2Validate(t *testing.T) {
	if err := toyWav2Vec2().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyWav2Vec2, map[string]func(*Wav2Vec2){
		`not "frames"`:    func(m *Wav2Vec2) { m.Backbone = nn.Frames(1, 8, 0) },
		"with 4":          func(m *Wav2Vec2) { m.Backbone.Patch = 4 },
		"spans of 0":      func(m *Wav2Vec2) { m.Span = 0 },
		"share of 0":      func(m *Wav2Vec2) { m.Starts = 0 },
		"in 0 dimensions": func(m *Wav2Vec2) { m.Dim = 0 },
		"above 0 (0.1":    func(m *Wav2Vec2) { m.Temperature = 0 },
		"dropout 1":       func(m *Wav2Vec2) { m.Dropout = 1 },
	})
}

// Of all times a share p are drawn, none twice, at which spans of M start that are hidden; spans may overlap: none is after the end
// of a sound. Reference: Baevski et al. 2020, Sec. 3.1 (a paraphrase).
func TestWav2Vec2HidesSpans(t *testing.T) {
	m, store := toyWav2Vec2(), seeded(t)
	m.Span = 3
	lengths := []int{12, 8, 4, 1}
	there := make([][]bool, len(lengths))
	for i, l := range lengths {
		for time := range 12 {
			there[i] = append(there[i], time < l)
		}
	}
	exec := model.MustNewExec(goBackend(t), store, m.hide)
	defer exec.Finalize()
	most := make([]int, len(lengths))
	for range 200 {
		for i, row := range exec.MustCall1(there).Value().([][]bool) {
			var spans []int // lengths of what is hidden together
			hidden := 0
			for time, is := range row {
				if is && time >= lengths[i] {
					t.Fatalf("of %d frames %v are hidden", lengths[i], row)
				}
				if is && (time == 0 || !row[time-1]) {
					spans = append(spans, 0)
				}
				if is {
					spans[len(spans)-1]++
					hidden++
				}
			}
			starts := max(1, int(math.Round(0.25*float64(lengths[i]))))
			if hidden == 0 || hidden > 3*starts || len(spans) > starts {
				t.Fatalf("of %d frames %v are hidden", lengths[i], row)
			}
			for k, span := range spans {
				if last := k == len(spans)-1 && row[lengths[i]-1]; span < 3 && !last { // which ends with the sound
					t.Fatalf("of %d frames %v are hidden: a span of %d", lengths[i], row, span)
				}
			}
			most[i] = max(most[i], hidden)
		}
	}
	if !slices.Equal(most, []int{9, 6, 3, 1}) {
		t.Errorf("at most %v are hidden", most)
	}
}

func toneBatch(n int) *tensors.Tensor {
	for b := range (tones{n: n, batch: n}).Iter() {
		return b.Inputs[0]
	}
	return nil
}

// What stood at a hidden time is to be told from what stood at the other hidden times of the same sound, by cosines over kappa. As
// mistakes they are frames that are not hidden, those after the end too, or those of other sounds. Reference: Baevski et al. 2020,
// Sec. 3.2, Eq. 3 (a paraphrase).
func TestWav2Vec2LossIsEquation3(t *testing.T) {
	m, store, clips := toyWav2Vec2(), seeded(t), toneBatch(4)
	call := func(fn func(scope *model.Scope, clip *Node) []*Node) []*tensors.Tensor {
		return callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node { return fn(scope, floatImage(clip)) }, clips)
	}
	of := func(scope *model.Scope, clip *Node) []*Node { return []*Node{m.Loss(scope, Batch{Image: clip})} }
	call(of)
	jitter(t, store)
	again := func() {
		if err := store.SetRNGStateFromSeed(5); err != nil {
			t.Fatal(err)
		}
	}
	again()
	got := float64(call(of)[0].Value().(float32))
	again() // so that the same is drawn
	out := call(func(scope *model.Scope, clip *Node) []*Node {
		pieces, there, _ := m.Backbone.Cut(clip)
		hidden := m.hide(scope, there)
		c, z := m.read(scope, pieces, there, hidden)
		head := func(name string, x *Node) *Node { return nn.Dense(scope.In("%s", name), x, true, m.Dim) }
		return []*Node{head("context", c), head("target", z), hidden}
	})
	c, z, hidden := out[0].Value().([][][]float32), out[1].Value().([][][]float32), out[2].Value().([][]bool)
	cosine := func(a, b []float32) float64 {
		var ab, aa, bb float64
		for d := range a {
			ab, aa, bb = ab+float64(a[d])*float64(b[d]), aa+float64(a[d])*float64(a[d]), bb+float64(b[d])*float64(b[d])
		}
		return ab / math.Sqrt(aa*bb)
	}
	naive := func(mistake string) float64 {
		var sum, count float64
		for i := range c {
			for time := range c[i] {
				if !hidden[i][time] {
					continue
				}
				var all float64
				for j := range z {
					for s := range z[j] {
						if (i == j || mistake == "of other sounds") && (hidden[j][s] || mistake == "that are not hidden") {
							all += math.Exp(cosine(c[i][time], z[j][s]) / m.Temperature)
						}
					}
				}
				sum, count = sum+math.Log(all)-cosine(c[i][time], z[i][time])/m.Temperature, count+1
			}
		}
		return sum / count
	}
	const tolerance = 1e-4 // float32 cosines over 0.1
	if want := naive(""); math.Abs(got-want) > tolerance {
		t.Errorf("loss %v, want %v", got, want)
	}
	for _, mistake := range []string{"of other sounds", "that are not hidden"} {
		if wrong := naive(mistake); math.Abs(got-wrong) < 10*tolerance {
			t.Errorf("with distractors %s the loss is %v: this test would not tell", mistake, wrong)
		}
	}
}

// What is hidden is not seen, nor what is after the end; and a target is what its frame is, wherever that stands: as a mistake
// positions are in it.
func TestWav2Vec2SeesNothingHidden(t *testing.T) {
	m, store := toyWav2Vec2(), seeded(t)
	hide := [][]bool{{false, true, true, false, false, false, false, false}}
	there := [][]bool{{true, true, true, true, true, false, false, false}}
	frames := make([]float32, 8*6)
	for i := range frames {
		frames[i] = float32(i%11) / 11
	}
	read := func(frames []float32) (c, z [][]float32) {
		out := callFilms(t, store, func(scope *model.Scope, pieces *Node) []*Node {
			c, z := m.read(scope, Reshape(pieces, 1, 8, 6), Const(pieces.Graph(), there), Const(pieces.Graph(), hide))
			return []*Node{c, z}
		}, tensors.FromFlatDataAndDimensions(slices.Clone(frames), 1, 8, 6))
		return out[0].Value().([][][]float32)[0], out[1].Value().([][][]float32)[0]
	}
	before, own := read(frames)
	for time := range 8 {
		moved := slices.Clone(frames)
		for f := range 6 {
			moved[6*time+f] += float32(f + 1)
		}
		after, _ := read(moved)
		if seen := !slices.EqualFunc(before[:5], after[:5], slices.Equal[[]float32]); seen != (there[0][time] && !hide[0][time]) {
			t.Errorf("frame %d is seen: %t", time, seen)
		}
	}
	_, shifted := read(append(slices.Clone(frames[6:]), frames[:6]...))
	for time := range 7 {
		for d := range own[0] {
			if math.Abs(float64(shifted[time][d]-own[time+1][d])) > 1e-5 { // float32
				t.Fatalf("the target of frame %d is another at time %d", time+1, time)
			}
		}
	}
}

// Hidden frames of tones that climb are told, and not where frames are mixed: the control.
func TestWav2Vec2LearnsWhatIsHidden(t *testing.T) {
	told := map[bool]float64{}
	for _, mixed := range []bool{false, true} {
		r := &Run{Method: toyWav2Vec2(), Backend: goBackend(t), Train: tones{64, 16, mixed, 1}, Epochs: 80, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.005)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		told[mixed] = h.Reports["accuracy"][79]
		if share := h.Reports["hidden"][79]; share < 0.3 || share > 0.6 {
			t.Errorf("%.2f of the frames are hidden", share)
		}
	}
	if told[false] < 0.7 || told[true] > 0.55 { // of some three
		t.Errorf("what is hidden is told of %.2f, where frames are mixed of %.2f", told[false], told[true])
	}
}

func TestWav2Vec2Refuses(t *testing.T) {
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return toyWav2Vec2().Loss(scope, Batch{Image: x}) }, [][][][]float32{{{{1}}}})
	if err == nil || !strings.Contains(err.Error(), "sounds or films") {
		t.Errorf("images: %v", err)
	}
}
