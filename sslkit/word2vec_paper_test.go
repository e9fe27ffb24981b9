package sslkit

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

// toyTexts are of two topics: words 4 to 8 stand together, and 9 to 13; 14 stands everywhere. Token 1 is unknown.
type toyTexts struct{ n, batch int }

const toyLength = 8

func (d toyTexts) Name() string                        { return "texts" }
func (d toyTexts) Steps() int                          { return d.n / d.batch }
func (d toyTexts) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }
func (d toyTexts) text(i int) []int32 {
	rnd := rand.New(rand.NewPCG(3, uint64(i)))
	text := []int32{2}
	for len(text) < 4+i%4 {
		switch rnd.IntN(6) {
		case 0:
			text = append(text, 14)
		case 1:
			text = append(text, 1)
		default:
			text = append(text, int32(4+5*(i%2)+rnd.IntN(5)))
		}
	}
	text = append(text, 3)
	return append(text, make([]int32, toyLength-len(text))...)
}

func (d toyTexts) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
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

func toyWord2Vec() *Word2Vec {
	m := SmallWord2Vec(nn.Words(15, toyLength, 6))
	m.Window, m.Noise, m.Subsample = 2, 32, 1
	return m
}

func TestWord2VecValidate(t *testing.T) {
	if err := toyWord2Vec().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, toyWord2Vec, map[string]func(*Word2Vec){
		`not a "nin"`:   func(m *Word2Vec) { m.Backbone = nn.NIN(3, 6) },
		"window of 0":   func(m *Word2Vec) { m.Window = 0 },
		"0 negatives":   func(m *Word2Vec) { m.Negatives = 0 },
		"power 2":       func(m *Word2Vec) { m.Power = 2 },
		"subsample 0":   func(m *Word2Vec) { m.Subsample = 0 },
		"vocabulary ab": func(m *Word2Vec) { m.Backbone.Words = 3 },
	})
}

// log s(v'_o v_i) and, k times in the mean over the noise, log s(-v'_n v_i): words have two vectors each, and neither padding nor an
// unknown word is one. Reference: Mikolov et al. 2013, Eq. 4 (a paraphrase).
func TestWord2VecLossIsEquation4(t *testing.T) {
	m := toyWord2Vec()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	v, out := make([]float32, 15*6), make([]float32, 15*6)
	for i := range v {
		v[i], out[i] = rnd.Float32()-.5, rnd.Float32()-.5
	}
	noise := make([]int32, noiseTable)
	for i := range noise { // all noise is one word
		noise[i] = 7
	}
	for _, err := range []error{set(store, "/encoder/words", v, 15, 6), set(store, "/context", out, 15, 6), set(store, "/corpus/noise", noise, noiseTable)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var batch []*tensors.Tensor
	for b := range (toyTexts{8, 8}).Iter() {
		batch = b.Inputs
	}
	loss, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, text *Node) *Node { return m.Loss(scope, Batch{Text: text}) }, batch[0])
	if err != nil {
		t.Fatal(err)
	}
	want := func(mistake string) float64 {
		dot := func(a []float32, i int32, b []float32, j int32) (s float64) {
			for d := range 6 {
				s += float64(a[6*int(i)+d]) * float64(b[6*int(j)+d])
			}
			return s
		}
		log := func(x float64) float64 { return -math.Log1p(math.Exp(-x)) }
		second := out
		if mistake == "one vector a word" {
			second = v
		}
		var total, count float64
		for i := range 8 {
			text := (toyTexts{}).text(i)
			for p, center := range text {
				for q, other := range text {
					apart := max(p-q, q-p)
					if apart == 0 || apart > 2 || center < 4 || other < 4 && (mistake != "unknown words are words" || other != 1) {
						continue
					}
					weight := float64(3-apart) / 2
					if mistake == "an even window" {
						weight = 1
					}
					total -= weight * (log(dot(v, center, second, other)) + 5*log(-dot(v, center, second, 7)))
					count += weight
				}
			}
		}
		return total / count
	}
	got := float64(loss.Value().(float32))
	if math.Abs(got-want("")) > 1e-5 { // float32
		t.Errorf("loss %v, want %v", got, want(""))
	}
	for _, mistake := range []string{"one vector a word", "unknown words are words", "an even window"} {
		if math.Abs(got-want(mistake)) < 1e-3 {
			t.Errorf("%s: the loss is the same", mistake)
		}
	}
}

// A word of frequency f is left out with the probability 1 - sqrt(t/f), and is noise by the 3/4th power of its frequency.
// Reference: Mikolov et al. 2013, Sec. 2.2 and Eq. 5 (a paraphrase).
func TestWord2VecCounts(t *testing.T) {
	m := toyWord2Vec()
	m.Subsample = 0.05
	ds := toyTexts{64, 16}
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: 1, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0)}}
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	count, words := make([]float64, 15), 0.
	for i := range 64 {
		for _, token := range ds.text(i) {
			if token >= 4 {
				count[token]++
				words++
			}
		}
	}
	keep, table := tensors.MustCopyFlatData[float32](r.Store.GetVariable("/corpus/keep").MustValue()), tensors.MustCopyFlatData[int32](r.Store.GetVariable("/corpus/noise").MustValue())
	noise, total, even := make([]float64, 15), 0., 0
	for _, token := range table {
		noise[token] += 1. / noiseTable
	}
	for _, n := range count {
		total += math.Pow(n, 0.75)
	}
	for token, n := range count {
		if token < 4 {
			if noise[token] != 0 {
				t.Errorf("token %d, which is no word, is noise", token)
			}
			continue
		}
		if want := min(1, math.Sqrt(0.05*words/n)); math.Abs(float64(keep[token])-want) > 1e-6 {
			t.Errorf("word %d is kept with %v, want %v", token, keep[token], want)
		}
		want := math.Pow(n, 0.75) / total
		if math.Abs(noise[token]-want) > 2./noiseTable { // rounding, at both ends of its entries
			t.Errorf("word %d is noise with %v, want %v", token, noise[token], want)
		}
		if math.Abs(1./11-want) < 2./noiseTable {
			even++
		}
	}
	if even > 2 {
		t.Error("these words cannot tell even noise from that of the paper")
	}
	if r.Store.GetVariable("/corpus/keep").Trainable || r.Store.GetVariable("/corpus/noise").Trainable {
		t.Error("the counts are trained")
	}
}

// Words of a topic come to lie together, and apart from those of the other.
func TestWord2VecLearns(t *testing.T) {
	m := toyWord2Vec()
	r := &Run{Method: m, Backend: goBackend(t), Train: toyTexts{128, 32}, Epochs: 40, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.02)}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if first, last := h.Loss[0], h.Loss[39]; math.Abs(first-m.GuessLoss(32)) > 0.6 || last > first-0.5 {
		t.Errorf("the loss goes from %v to %v, and begins at %v", first, last, m.GuessLoss(32))
	}
	v := tensors.MustCopyFlatData[float32](r.Store.GetVariable("/encoder/words").MustValue())
	cosine := func(i, j int) float64 {
		var ab, aa, bb float64
		for d := range 6 {
			a, b := float64(v[6*i+d]), float64(v[6*j+d])
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		return ab / math.Sqrt(aa*bb)
	}
	for i := 4; i < 14; i++ {
		for j := 4; j < 14; j++ {
			if same := i/9 == j/9; i != j && same != (cosine(i, j) > 0.5) {
				t.Errorf("words %d and %d have the cosine %.2f", i, j, cosine(i, j))
			}
		}
	}
}
