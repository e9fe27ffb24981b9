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

func toyGPT() *GPT {
	m := PaperGPT(nn.Text(1, 32, bertWords, bertLength))
	m.Dropout = 0
	return m
}

func TestGPTValidate(t *testing.T) {
	if err := toyGPT().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyGPT, map[string]func(*GPT){
		`not "words"`:    func(m *GPT) { m.Backbone = nn.Words(9, 8, 8) },
		"sees the next":  func(m *GPT) { m.Backbone.Causal = false },
		"dropout 1":      func(m *GPT) { m.Dropout = 1 },
		"multiple of 32": func(m *GPT) { m.Backbone.Width = 33 },
	})
}

// The sum of log P(u_i | u_{i-k}, ..., u_{i-1}): of the words of a text, each after those before it, and of its end. As mistakes a
// word is guessed from itself, and padding and unknown words are guessed, too. Reference: Radford et al. 2018, Sec. 3.1, Eq. 1 and
// 2 (a paraphrase).
func TestGPTLossIsEquation1(t *testing.T) {
	m, texts, store := toyGPT(), readable(), seeded(t)
	loss := func(scope *model.Scope, text *Node) []*Node { return []*Node{m.Loss(scope, Batch{Text: text})} }
	callText(t, store, true, loss, texts)
	jitter(t, store)
	got := float64(callText(t, store, true, loss, texts)[0].Value().(float32))
	logp := callText(t, store, true, func(scope *model.Scope, text *Node) []*Node {
		encoder := scope.In("encoder")
		x := nn.Last(m.Backbone.Contexts(encoder, m.Backbone.Vectors(encoder, text), nn.IsToken(text), 0))
		return []*Node{Einsum("nld,vd->nlv", x, m.Backbone.Table(encoder, text.Graph()))}
	}, texts)[0].Value().([][][]float32)
	mean := func(shift int, least int32) float64 {
		var sum, count float64
		for i, text := range texts {
			for place := range bertLength - 1 {
				label := text[place+shift]
				if label < least {
					continue
				}
				scores := logp[i][place]
				total := 0.
				for token := int(min(least, endOfText)); token < bertWords; token++ {
					total += math.Exp(float64(scores[token]))
				}
				sum, count = sum+math.Log(total)-float64(scores[label]), count+1
			}
		}
		return sum / count
	}
	const tolerance = 1e-4 // float32
	if want := mean(1, endOfText); math.Abs(got-want) > tolerance {
		t.Errorf("loss %v, want %v", got, want)
	}
	for name, wrong := range map[string]float64{"of the word itself": mean(0, endOfText), "with padding and the unknown": mean(1, 0), "without the end": mean(1, nn.FirstWord)} {
		if math.Abs(got-wrong) < 10*tolerance {
			t.Errorf("%s the loss is %v: this test would not tell", name, wrong)
		}
	}
}

// The network is a transformer decoder: no state follows from later words, bit for bit; as a mistake the text is not causal.
// Reference: Radford et al. 2018, Sec. 3.1 (a paraphrase).
func TestGPTIsCausal(t *testing.T) {
	const place = 7
	for _, causal := range []bool{true, false} {
		m, store := toyGPT(), seeded(t)
		m.Backbone.Causal = causal
		states := func(texts [][]int32) [][]float32 {
			return callText(t, store, true, func(scope *model.Scope, text *Node) []*Node {
				encoder := scope.In("encoder")
				x := nn.Last(m.Backbone.Contexts(encoder, m.Backbone.Vectors(encoder, text), nn.IsToken(text), 0))
				return []*Node{Slice(Squeeze(SliceAxis(x, 0, AxisElem(5)), 0), AxisRange(0, place+1))}
			}, texts)[0].Value().([][]float32)
		}
		texts := readable()
		before := states(texts)
		texts[5][place] = 4 + (texts[5][place]-3)%(bertWords-4)
		after := states(texts)
		if slices.Equal(before[place], after[place]) {
			t.Error("a word does not see itself")
		}
		if seen := !slices.EqualFunc(before[:place], after[:place], slices.Equal[[]float32]); seen == causal {
			t.Errorf("causal %t: earlier words see a later one %t", causal, seen)
		}
	}
}

// chains are texts in which each word follows from the two before it, and from the last alone nothing does.
type chains struct{ toyTexts }

func (d chains) text(i int) []int32 {
	rnd := rand.New(rand.NewPCG(7, uint64(i)))
	a, b := rnd.IntN(5), rnd.IntN(5)
	text := []int32{2, int32(4 + a), int32(4 + b)}
	for len(text) < toyLength-1 {
		a, b = b, (a+b)%5
		text = append(text, int32(4+b))
	}
	return append(text, 3)
}

func (d chains) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }
func (d chains) Epoch(_, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for b := skip; b < d.Steps(); b++ {
			var tokens, index []int32
			for i := b * d.batch; i < (b+1)*d.batch; i++ {
				tokens, index = append(tokens, d.text(i)...), append(index, int32(i))
			}
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(tokens, d.batch, toyLength),
				tensors.FromFlatDataAndDimensions(index, d.batch)}}, nil) {
				return
			}
		}
	}
}

// It sees further than the word before: its perplexity comes to be far below that of counts of pairs, which is five for the words
// that follow.
func TestGPTBeatsPairs(t *testing.T) {
	m := PaperGPT(nn.Text(2, 32, 9, toyLength))
	m.Dropout = 0
	ds := chains{toyTexts{128, 32}}
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: 60, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.005)}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var pairs [toyLength][9][9]float64 // which also know the place
	for i := range 128 {
		text := ds.text(i)
		for p := range toyLength - 1 {
			pairs[p][text[p]][text[p+1]]++
		}
	}
	var sum, words float64
	for p := range toyLength - 1 {
		for _, after := range pairs[p] {
			total := 0.
			for _, n := range after {
				total += n
			}
			for _, n := range after {
				if n > 0 {
					sum, words = sum-n*math.Log(n/total), words+n
				}
			}
		}
	}
	counted, best := math.Exp(sum/words), math.Exp(2*math.Log(5)/7) // two words of seven tokens are free
	if got := math.Exp(h.Loss[59]); got > (counted+best)/2 || counted < 1.3*best {
		t.Errorf("perplexity %.2f, of pairs %.2f, at best %.2f", got, counted, best)
	}
}

func TestGPTRefuses(t *testing.T) {
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return toyGPT().Loss(scope, Batch{Image: x}) }, [][][][]float32{{{{1}}}})
	if err == nil || !strings.Contains(err.Error(), "needs texts") {
		t.Errorf("images: %v", err)
	}
}
