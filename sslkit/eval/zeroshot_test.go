package eval

import (
	"iter"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func TestClassEmbeddings(t *testing.T) {
	// Lengths don't count: class 0 has the directions (1, 0) and (0, 1), class 1 the direction (-3, 4)/5.
	got, err := ClassEmbeddings([][]float32{{10, 0}, {-3, 4}, {0, 0.1}}, []int32{0, 1, 0}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float64{{math.Sqrt(0.5), math.Sqrt(0.5)}, {-0.6, 0.8}} {
		for j := range want {
			if math.Abs(float64(got[i][j])-want[j]) > 1e-6 { // float32
				t.Errorf("class %d is %v, want %v", i, got[i], want)
			}
		}
	}
	_, err = ClassEmbeddings([][]float32{{1}, {2}}, []int32{0, 2}, 3)
	wantError(t, "no prompt", err, "class 1 has no prompt")
	_, err = ClassEmbeddings([][]float32{{1}, {2}}, []int32{0, 2}, 2)
	wantError(t, "unknown class", err, "prompt label 1 is 2")
	_, err = ClassEmbeddings(nil, nil, 2)
	wantError(t, "empty", err, "the prompt set is empty")
}

func TestZeroShot(t *testing.T) {
	class := [][]float32{{1, 0}, {0, 2}, {-1, 0}}
	got, err := ZeroShot([][]float32{{3, 1}, {1, 3}, {-1, 0.5}, {5, 5}, {0, 0}}, class)
	if want := []int32{0, 1, 2, 0, 0}; err != nil || !slices.Equal(got, want) { // the first among equals
		t.Errorf("classes %v, %v, want %v", got, err, want)
	}
	_, err = ZeroShot([][]float32{{1}}, class)
	wantError(t, "dimensions", err, "features of 1 and of 2 dimensions")
	_, err = ZeroShot(nil, class)
	wantError(t, "empty", err, "no features")
	_, err = ZeroShot([][]float32{{1, float32(math.NaN())}}, class)
	wantError(t, "NaN", err, "not finite")
}

// at is the direction of an angle in degrees.
func at(degrees ...float64) (rows [][]float32) {
	for _, d := range degrees {
		rows = append(rows, []float32{float32(math.Cos(d * math.Pi / 180)), float32(math.Sin(d * math.Pi / 180))})
	}
	return rows
}

func TestRetrieve(t *testing.T) {
	for name, c := range map[string]struct {
		image, text     [][]float32
		imageOf, textOf []int32
		want            Retrieval
	}{
		"pairs": {at(0, 60, 120), at(1, 61, 121), []int32{0, 1, 2}, []int32{0, 1, 2}, Retrieval{1, 1, 1, 1}},
		"lengths don't count": {
			[][]float32{{100, 0}, {0, 1}}, [][]float32{{0.1, 0}, {0, 50}}, []int32{0, 1}, []int32{0, 1}, Retrieval{1, 1, 1, 1},
		},
		// Images at 0 and 10 with texts at 10 and 20: image 0 finds text 0, image 1 has text 0 nearer; text 0 has image 1 nearer,
		// text 1 finds image 1.
		"half": {at(0, 10), at(10, 20), []int32{0, 1}, []int32{0, 1}, Retrieval{0.5, 1, 0.5, 1}},
		// Two images of one text, the second nearer to another's: the text finds the first, the second finds the wrong text, and
		// the other text finds the second.
		"shared": {at(0, 90, 100), at(0, 80), []int32{7, 7, 9}, []int32{7, 9}, Retrieval{2. / 3, 1, 0.5, 1}},
		// Two captions of one image, the second far off: one is enough for the image, but not for the far caption.
		"captions": {at(0, 91), at(5, 85, 95), []int32{0, 1}, []int32{0, 0, 1}, Retrieval{1, 1, 2. / 3, 1}},
		// Seven in a row, and the right text of the image at a is the one at 60-a. Nearer to the images are 6, 5, 3, 0, 3, 5 and 6,
		// and for those with 3 another is as near.
		"rank": {
			at(0, 10, 20, 30, 40, 50, 60), at(0, 10, 20, 30, 40, 50, 60), []int32{6, 5, 4, 3, 2, 1, 0}, []int32{0, 1, 2, 3, 4, 5, 6},
			Retrieval{1. / 7, 3. / 7, 1. / 7, 3. / 7},
		},
		"collapsed": {at(0, 0, 0, 0, 0, 0), at(0, 0, 0, 0, 0, 0), []int32{0, 1, 2, 3, 4, 5}, []int32{0, 1, 2, 3, 4, 5}, Retrieval{}},
	} {
		got, err := Retrieve(c.image, c.text, c.imageOf, c.textOf)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
		if w := c.want; !near(got.Text1, w.Text1) || !near(got.Text5, w.Text5) || !near(got.Image1, w.Image1) || !near(got.Image5, w.Image5) {
			t.Errorf("%s: got %+v, want %+v", name, got, w)
		}
	}
	_, err := Retrieve(at(0, 1), at(0), []int32{0, 1}, []int32{0})
	wantError(t, "alone", err, "image 1 has no partner of its number 1")
	_, err = Retrieve(at(0), at(0, 1), []int32{0}, []int32{0, 1})
	wantError(t, "alone", err, "text 1 has no partner")
	_, err = Retrieve(at(0), at(0), []int32{0}, nil)
	wantError(t, "numbers", err, "1 texts with 0")
	_, err = Retrieve(nil, nil, nil, nil)
	wantError(t, "empty", err, "no features")
}

// mixed gives every example another one's caption, a new one each epoch.
type mixed struct{ sslkit.Dataset }

func (d mixed) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		step := uint64(skip)
		for b, err := range d.Dataset.Epoch(epoch, skip) {
			if err == nil {
				text := b.Inputs[2].Value().([][]int32)
				rand.New(rand.NewPCG(uint64(epoch), step)).Shuffle(len(text), func(i, j int) { text[i], text[j] = text[j], text[i] })
				b.Inputs[2] = tensors.FromValue(text)
				step++
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// Trained on pairs, images and captions find each other; on captions that were mixed up they don't: nothing but the pairing
// tells a caption's image.
func TestCLIPRetrievesWhatItWasTold(t *testing.T) {
	const epochs = 24
	train, _, err := data.Open("emoji", data.OpenOptions{})
	if err == nil {
		train, err = data.Subset(train, 64, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := &sslkit.CLIP{Backbone: nn.ResNet(8, 4), Crop: 0.9, Vocabulary: 512, Length: 12, Width: 32, Depth: 1, Heads: 2, Dim: 32}
	tokens, err := data.NewTokenizer(train, m.Vocabulary, m.Length)
	if err != nil {
		t.Fatal(err)
	}
	loader, err := data.Batches(train, data.Options{Batch: 32, Shuffle: true, Text: tokens})
	if err != nil {
		t.Fatal(err)
	}
	ordered, err := data.Batches(train, data.Options{Batch: 32})
	if err != nil {
		t.Fatal(err)
	}
	texts, of := data.Texts(train.(data.Captioned))
	var encoded [][]int32
	var numbers []int32
	for i, text := range texts {
		encoded, numbers = append(encoded, tokens.Encode(text)), append(numbers, int32(i))
	}
	learn := func(ds sslkit.Dataset) (loss []float64, r Retrieval) {
		run := &sslkit.Run{Method: m, Backend: testBackend(t), Train: ds, Epochs: epochs, Seed: 1,
			Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-3, 4, epochs*ds.Steps()), WeightDecay: 0.05}}
		h, err := run.Pretrain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text, err := sslkit.TextFeatures(m, run.Backend, run.Store, encoded)
		if err != nil {
			t.Fatal(err)
		}
		image, err := sslkit.ImageFeatures(t.Context(), m, run.Backend, run.Store, ordered)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = Retrieve(image, text, of, numbers); err != nil {
			t.Fatal(err)
		}
		t.Logf("loss %.2f to %.2f, %+v of %d texts", h.Loss[0], h.Loss[epochs-1], r, len(texts))
		return h.Loss, r
	}
	chance := 1 / float64(len(texts))
	loss, right := learn(loader)
	if loss[epochs-1] > loss[0]-1 {
		t.Errorf("the loss falls from %.3f to %.3f", loss[0], loss[epochs-1])
	}
	if right.Text1 < 10*chance || right.Image1 < 10*chance {
		t.Errorf("after training on pairs: %+v, chance is %.3f", right, chance)
	}
	// Of 64 queries, chance finds 1, and 5 or more once in 250 times.
	if _, wrong := learn(mixed{loader}); wrong.Text1 > 5*chance || wrong.Image1 > 5*chance {
		t.Errorf("after training on captions mixed up: %+v, chance is %.3f", wrong, chance)
	}
}

func TestNearest(t *testing.T) {
	got, err := Nearest([][]float32{{2, 0}, {0, 1}}, [][]float32{{1, 1}, {3, 0}, {0, 5}, {0, 1}}, 2)
	if want := [][]int{{1, 0}, {2, 3}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, count := range []int{0, 5} {
		if _, err := Nearest([][]float32{{1}}, [][]float32{{1}, {2}}, count); err == nil {
			t.Errorf("the nearest %d of 2 pass", count)
		}
	}
}
