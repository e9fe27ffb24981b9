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

// Texts of these tests have 20 words at most, of which 4 and more are words, and end in padding.
const bertLength, bertWords = 24, 40

func toyBERT() *BERT { return PaperBERT(nn.Text(1, 32, bertWords, bertLength)) }

// readable are texts of 0, 1, 3, ... and 20 words, with unknown ones between them.
func readable() [][]int32 {
	var texts [][]int32
	for _, words := range []int{0, 1, 3, 4, 10, 20} {
		text := []int32{2}
		for i := range words {
			text = append(text, int32(4+(7*i+words)%(bertWords-4)))
		}
		if words == 10 {
			text = slices.Insert(text, 4, 1, 1)
		}
		text = append(text, 3)
		texts = append(texts, append(text, make([]int32, bertLength-len(text))...))
	}
	return texts
}

func callText(t *testing.T, store *model.Store, training bool, fn func(scope *model.Scope, text *Node) []*Node, texts [][]int32) []*tensors.Tensor {
	t.Helper()
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, text *Node) []*Node {
		scope.Store().SetTraining(text.Graph(), training)
		return fn(scope, text)
	}, texts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func seeded(t *testing.T) *model.Store {
	t.Helper()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestBERTValidate(t *testing.T) {
	if err := toyBERT().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyBERT, map[string]func(*BERT){
		`not "words"`:      func(m *BERT) { m.Backbone = nn.Words(9, 8, 8) },
		"causal true":      func(m *BERT) { m.Backbone.Causal = true },
		"mask 0":           func(m *BERT) { m.Mask = 0 },
		"0.95 hidden":      func(m *BERT) { m.Hidden = 0.95 },
		"dropout 1":        func(m *BERT) { m.Dropout = 1 },
		"multiple of 32":   func(m *BERT) { m.Backbone.Width = 33 },
		"-0.1 random word": func(m *BERT) { m.Random = -0.1 },
	})
}

// Of the words 15 % are chosen at random: neither padding nor the ends nor an unknown word, each of the others as often as the
// next, and of a text at least one, if it has any. A chosen one is shown as [MASK] in 80 % of the cases, as a random word in 10 %,
// as it is in 10 %. Reference: Devlin et al. 2019, Sec. 3.1, "Task #1: Masked LM" (a paraphrase).
func TestBERTChooses(t *testing.T) {
	m, store, texts := toyBERT(), seeded(t), readable()
	var fates [3]float64 // hidden, another word, as it is
	often := make([]float64, bertLength)
	const rounds = 400
	for range rounds {
		out := callText(t, store, true, func(scope *model.Scope, text *Node) []*Node {
			at, chosen := m.choose(scope, text)
			shown, masked := m.show(scope, text, at, chosen)
			return []*Node{at, chosen, shown, masked}
		}, texts)
		at, chosen := out[0].Value().([][]int32), out[1].Value().([][]float32)
		shown, masked := out[2].Value().([][]int32), out[3].Value().([][]bool)
		for i, want := range []int{0, 1, 1, 1, 2, 3} { // of 0, 1, 3, 4, 10 and 20 words
			is := map[int32]bool{}
			for k, place := range at[i] {
				if chosen[i][k] != 0 {
					is[place] = true
				}
			}
			if len(is) != want {
				t.Fatalf("text %d: %d words are chosen, want %d", i, len(is), want)
			}
			for place, token := range texts[i] {
				switch is := is[int32(place)]; {
				case is && token < nn.FirstWord:
					t.Fatalf("text %d: token %d is chosen, which is no word", i, token)
				case !is && (masked[i][place] || shown[i][place] != token):
					t.Fatalf("text %d: place %d is not chosen, and shown as another", i, place)
				case is && masked[i][place]:
					fates[0]++
				case is && shown[i][place] != token:
					if shown[i][place] < nn.FirstWord {
						t.Fatalf("token %d stands for a word", shown[i][place])
					}
					fates[1]++
				case is:
					fates[2]++
				}
				if is[int32(place)] && i == 5 {
					often[place]++
				}
			}
		}
	}
	n := fates[0] + fates[1] + fates[2]
	same := 0.1 / float64(bertWords-nn.FirstWord) // a random word may be the word itself
	for i, p := range []float64{0.8, 0.1 - same, 0.1 + same} {
		if far := 4 * math.Sqrt(p*(1-p)/n); math.Abs(fates[i]/n-p) > far { // four deviations
			t.Errorf("fate %d: %.3f of %v, want %.3f ± %.3f", i, fates[i]/n, n, p, far)
		}
	}
	for place := 1; place <= 20; place++ {
		const p = 3. / 20
		if far := 4.5 * math.Sqrt(rounds*p*(1-p)); math.Abs(often[place]-rounds*p) > far { // of 20 places
			t.Errorf("place %d is chosen %v times of %d, want %v ± %.0f", place, often[place], rounds, rounds*p, far)
		}
	}
}

// "We only predict the masked words rather than reconstructing the entire input": the mean is over the chosen words of the batch.
// As mistakes it is over all places that could be chosen, and over the texts, whose numbers of chosen words differ. Reference:
// Devlin et al. 2019, Sec. 3.1.
func TestBERTLossIsOnTheChosen(t *testing.T) {
	m, texts := toyBERT(), readable()
	m.Dropout = 0
	store := seeded(t)
	callText(t, store, true, func(scope *model.Scope, text *Node) []*Node { return []*Node{m.Loss(scope, Batch{Text: text})} }, texts)
	jitter(t, store)
	again := func() {
		if err := store.SetRNGStateFromSeed(5); err != nil {
			t.Fatal(err)
		}
	}
	again()
	got := float64(callText(t, store, true, func(scope *model.Scope, text *Node) []*Node { return []*Node{m.Loss(scope, Batch{Text: text})} }, texts)[0].Value().(float32))
	again() // so that the same is drawn
	out := callText(t, store, true, func(scope *model.Scope, text *Node) []*Node {
		at, chosen := m.choose(scope, text)
		shown, masked := m.show(scope, text, at, chosen)
		encoder, head := scope.In("encoder"), scope.In("head")
		table := m.Backbone.Table(encoder, text.Graph())
		token := scope.VariableWithShape("mask_token", scope.GetVariable("mask_token").Shape()).NodeValue(text.Graph())
		x := Gather(table, InsertAxes(shown, -1))
		w := ConvertDType(InsertAxes(masked, -1), x.DType())
		x = Add(Mul(x, OneMinus(w)), Mul(BroadcastToShape(token, x.Shape()), w))
		h := nn.Last(m.Backbone.Contexts(encoder, x, nn.IsToken(text), 0))
		all := wordLogits(head, Reshape(h, -1, 32), table) // of every place
		return []*Node{at, chosen, LogSoftmax(all)}
	}, texts)
	at, chosen, logp := out[0].Value().([][]int32), out[1].Value().([][]float32), out[2].Value().([][]float32)
	var sum, count, everywhere, places, texted float64
	for i := range texts {
		var own, n float64
		for k, place := range at[i] {
			l := -float64(logp[i*bertLength+int(place)][texts[i][place]])
			if chosen[i][k] != 0 {
				own, n = own+l, n+1
			}
		}
		for place, token := range texts[i] {
			if token >= nn.FirstWord {
				everywhere, places = everywhere-float64(logp[i*bertLength+place][token]), places+1
			}
		}
		sum, count = sum+own, count+n
		if n > 0 {
			texted += own / n / 5
		}
	}
	const tolerance = 1e-4 // float32 logarithms of about 4
	if want := sum / count; math.Abs(got-want) > tolerance {
		t.Errorf("loss %v, want %v", got, want)
	}
	for name, wrong := range map[string]float64{"over all words": everywhere / places, "text by text": texted} {
		if math.Abs(got-wrong) < 10*tolerance {
			t.Errorf("%s the loss is %v: this test would not tell", name, wrong)
		}
	}
	if best := slices.Max(logp[0][:nn.FirstWord]); !math.IsInf(float64(best), -1) {
		t.Errorf("what is no word is said with the logarithm %v", best)
	}
}

// jitter moves what is trained from where it starts, as biases of 0 hide mistakes.
func jitter(t *testing.T, store *model.Store) {
	t.Helper()
	for v := range store.IterVariables() {
		if !v.Trainable || !v.DType().IsFloat() {
			continue
		}
		value := tensors.MustCopyFlatData[float32](v.MustValue())
		for i := range value {
			value[i] += 0.3 * float32(math.Sin(float64(5*i+len(v.Path()))))
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(value, v.Shape().Dimensions...)); err != nil {
			t.Fatal(err)
		}
	}
}

// Padding enters neither attention nor what is pooled: whatever the vector of padding and the positions after a text's end, its
// features are the same, bit for bit. As mistakes attention sees it, or the mean is over all places.
func TestBERTSeesNoPadding(t *testing.T) {
	texts := readable()
	for _, causal := range []bool{false, true} {
		m := toyBERT()
		m.Backbone.Causal = causal
		features := func(moved bool, mistake string) [][]float32 {
			store := seeded(t)
			stages := func(scope *model.Scope, text *Node) []*Node {
				encoder := scope.In("encoder")
				there := nn.IsToken(text)
				if mistake == "attended to" {
					there = OnesLike(there)
				}
				x := m.Backbone.Vectors(encoder, text)
				x = nn.Last(m.Backbone.Contexts(encoder, x, there, 0))
				if mistake == "pooled" {
					return []*Node{ReduceMean(x, 1)}
				}
				return []*Node{nn.MeanWord(x, text)}
			}
			if mistake == "" {
				stages = func(scope *model.Scope, text *Node) []*Node {
					maps := m.Encode(scope, text)
					for i := range maps {
						maps[i] = Reshape(maps[i], len(texts), -1)
					}
					return []*Node{Concatenate(maps, -1)}
				}
			}
			callText(t, store, false, stages, texts)
			jitter(t, store)
			if moved { // the vector of padding
				v := store.GetVariable("/encoder/words")
				value := tensors.MustCopyFlatData[float32](v.MustValue())
				for i := range 32 {
					value[i] = float32(i%7) - 2
				}
				if err := v.SetValue(tensors.FromFlatDataAndDimensions(value, bertWords, 32)); err != nil {
					t.Fatal(err)
				}
			}
			return callText(t, store, false, stages, texts)[0].Value().([][]float32)
		}
		for _, mistake := range []string{"", "attended to", "pooled"} {
			seen := false
			a, b := features(false, mistake), features(true, mistake)
			for i := range a {
				seen = seen || !slices.Equal(a[i], b[i])
			}
			if causal && mistake == "attended to" { // padding comes last, where no word looks
				continue
			}
			if seen != (mistake != "") {
				t.Errorf("causal %t, padding %s: seen %t", causal, mistake, seen)
			}
		}
	}
}

// Words of two topics: the topic tells a hidden word from those of the other, not from its own.
func TestBERTLearns(t *testing.T) {
	m := PaperBERT(nn.Text(1, 32, 15, toyLength))
	m.Dropout = 0
	r := &Run{Method: m, Backend: goBackend(t), Train: toyTexts{128, 32}, Epochs: 30, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.005)}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// Five words of a topic and the one of both, in the ratio 4/6 to 1/6, is the best that can be known: of eleven words, log 11 = 2.40.
	if first, last := h.Loss[0], h.Loss[29]; math.Abs(m.GuessLoss(32)-math.Log(11)) > 1e-9 || last > first-0.3 || last > 2 {
		t.Errorf("the loss goes from %v to %v, a guess has %v", first, last, m.GuessLoss(32))
	}
}

func TestBERTRefuses(t *testing.T) {
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return toyBERT().Loss(scope, Batch{Image: x}) }, [][][][]float32{{{{1}}}})
	if err == nil || !strings.Contains(err.Error(), "needs texts") {
		t.Errorf("images: %v", err)
	}
}
