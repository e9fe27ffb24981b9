package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// BERT hides some words of a text, and says from all the others which they are.
//
// Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", NAACL 2019, arXiv:1810.04805.
// Loss is the cross-entropy of Sec. 3.1, "Task #1: Masked LM", over the chosen words of the batch, with the head of
// google-research/bert, run_pretraining.py, get_masked_lm_output: its last matrix is the table of the words' vectors.
//
// It departs from the paper: there is no next-sentence task, and words are hidden anew each time a text is seen (Liu et al. 2019,
// "RoBERTa", Sec. 4.1 and 4.2); norms stand before the layers; tokens are whole words, of which the unknown are all one, and neither
// chosen nor guessed; the attention's weights are not dropped.
type BERT struct {
	Backbone nn.Backbone `json:"backbone"` // "text"
	Mask     float64     `json:"mask"`     // share of a text's words that is chosen, at least one: 0.15
	Hidden   float64     `json:"hidden"`   // share of the chosen that is shown as [MASK]: 0.8
	Random   float64     `json:"random"`   // share of the chosen that is shown as any word: 0.1; the rest is shown as it is
	Dropout  float64     `json:"dropout"`  // 0.1 in App. A.2
}

// PaperBERT has the numbers of the paper.
func PaperBERT(backbone nn.Backbone) *BERT {
	return &BERT{Backbone: backbone, Mask: 0.15, Hidden: 0.8, Random: 0.1, Dropout: 0.1}
}

// Validate says what cannot be trained.
func (m *BERT) Validate() error {
	switch {
	case m.Backbone.Arch != "text" || m.Backbone.Causal:
		return fmt.Errorf(`sslkit: bert needs a backbone "text" that sees both sides, not %q, causal %t`, m.Backbone.Arch, m.Backbone.Causal)
	case !(m.Mask > 0 && m.Mask < 1):
		return fmt.Errorf("sslkit: mask %g: the share of the words that is chosen is above 0 and below 1 (0.15 in the paper)", m.Mask)
	case !(m.Hidden >= 0) || !(m.Random >= 0) || m.Hidden+m.Random > 1:
		return fmt.Errorf("sslkit: shares of %g hidden and %g random words: both are at least 0, and together at most 1", m.Hidden, m.Random)
	case !(m.Dropout >= 0 && m.Dropout < 1):
		return fmt.Errorf("sslkit: dropout %g is not in [0, 1)", m.Dropout)
	}
	return m.Backbone.Validate()
}

// Reports lists how many of the chosen words are said.
func (m *BERT) Reports() []string { return []string{"accuracy"} }

// GuessLoss is that of who holds all words for equally likely. Who knows how frequent they are is better.
func (m *BERT) GuessLoss(int) float64 { return math.Log(float64(m.Backbone.Words - nn.FirstWord)) }

// Loss builds choosing, hiding, reading and the cross-entropy.
func (m *BERT) Loss(scope *model.Scope, b Batch) *Node {
	if b.Text == nil {
		exceptions.Panicf("sslkit: bert needs texts, and the dataset yields none")
	}
	encoder, head := scope.In("encoder"), scope.In("head")
	at, chosen := m.choose(scope, b.Text)              // NxK
	shown, masked := m.show(scope, b.Text, at, chosen) // NxL
	table := m.Backbone.Table(encoder, b.Text.Graph()) // VxD
	x := Gather(table, InsertAxes(shown, -1))          // NxLxD
	token := scope.WithInitializer(initializer.RandomNormalFn(scope, 0.02)).
		VariableWithShape("mask_token", shapes.Make(x.DType(), 1, 1, m.Backbone.Width)).NodeValue(x.Graph())
	x = Where(BroadcastToShape(InsertAxes(masked, -1), shapes.Make(dtypes.Bool, x.Shape().Dimensions...)), BroadcastToShape(token, x.Shape()), x)
	h := nn.Last(m.Backbone.Contexts(encoder, x, nn.IsToken(b.Text), m.Dropout)) // NxLxD
	h = Reshape(view.Pick(h, at), -1, m.Backbone.Width)                          // NKxD
	l, accuracy := loss.MaskedCrossEntropy(wordLogits(head, h, table), Reshape(pickToken(b.Text, at), -1), Reshape(chosen, -1))
	Report("accuracy", accuracy)
	return l
}

// choose draws places [N, K] int32 of words, and 1 for those that are chosen [N, K]: of each text the share Mask of its words,
// rounded and at least one, as in create_pretraining_data.py. There a text has no more than so many; neither padding nor its ends
// nor unknown words are.
func (m *BERT) choose(scope *model.Scope, text *Node) (at, chosen *Node) {
	word := nn.IsWord(text)
	words := ReduceAndKeep(ConvertDType(word, dtypes.Float32), ReduceSum, 1) // Nx1
	count := Min(words, MaxScalar(Floor(AddScalar(MulScalar(words, m.Mask), 0.5)), 1))
	most := max(1, int(math.Floor(m.Mask*float64(m.Backbone.Length)+0.5)))
	at = SliceAxis(view.RandomOrder(scope, word), 1, AxisRange(0, most))
	k := Iota(text.Graph(), shapes.Make(dtypes.Float32, 1, most), 1)
	return at, ConvertDType(LessThan(BroadcastToDims(k, at.Shape().Dimensions...), BroadcastToDims(count, at.Shape().Dimensions...)), dtypes.Float32)
}

// show is the text with any words in the place of some chosen ones, and where [MASK] stands for others: both [N, L].
func (m *BERT) show(scope *model.Scope, text, at, chosen *Node) (shown, masked *Node) {
	g, n, l, k := text.Graph(), text.Shape().Dim(0), text.Shape().Dim(1), at.Shape().Dim(1)
	here := Equal(InsertAxes(at, 2), Iota(g, shapes.Make(dtypes.Int32, n, k, l), 2))                                               // NxKxL
	is := GreaterThan(ReduceSum(Mul(ConvertDType(here, dtypes.Float32), InsertAxes(chosen, 2)), 1), ScalarZero(g, dtypes.Float32)) // NxL
	fate := scope.RandomUniform(g, shapes.Make(dtypes.Float32, n, l))
	word := MulScalar(scope.RandomUniform(g, shapes.Make(dtypes.Float32, n, l)), float64(m.Backbone.Words-nn.FirstWord))
	word = AddScalar(ConvertDType(word, dtypes.Int32), nn.FirstWord)
	masked = LogicalAnd(is, LessThan(fate, ConstAs(fate, m.Hidden)))
	swapped := LogicalAnd(is, LogicalAnd(LogicalNot(masked), LessThan(fate, ConstAs(fate, m.Hidden+m.Random))))
	return Where(swapped, word, text), masked
}

// wordLogits are scores of the vocabulary for states h [M, D]: a dense layer, GELU and a norm, the table [V, D] and a bias. What is
// no word is never said.
func wordLogits(scope *model.Scope, h, table *Node) *Node {
	g, v, d := h.Graph(), table.Shape().Dim(0), table.Shape().Dim(1)
	dense := scope.In("dense")
	h = nn.LayerNorm(scope.In("norm"), activation.Gelu(nn.Dense(dense.WithInitializer(initializer.XavierUniformFn(dense)), h, true, d)))
	bias := scope.WithInitializer(initializer.Zero).VariableWithShape("bias", shapes.Make(h.DType(), v)).NodeValue(g)
	logits := Add(Einsum("md,vd->mv", h, table), InsertAxes(bias, 0)) // MxV
	word := nn.IsWord(Iota(g, shapes.Make(dtypes.Int32, h.Shape().Dim(0), v), 1))
	return Where(word, logits, Infinity(g, h.DType(), -1))
}

// pickToken are the tokens of text [N, L] at places [N, K]; their numbers are exact in float32, up to 16 million.
func pickToken(text, at *Node) *Node {
	return ConvertDType(Squeeze(view.Pick(InsertAxes(ConvertDType(text, dtypes.Float32), -1), at), -1), dtypes.Int32)
}

// Encode is the mean over a text's words of their vectors, and of their states: tokens [N, L] int32 to [N, 1, 1, D] each.
func (m *BERT) Encode(scope *model.Scope, text *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), text)
}
