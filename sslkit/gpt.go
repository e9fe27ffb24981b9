package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

// GPT says each next word of a text from those before it.
//
// Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018. Loss is Eq. 1 as a mean over the words of
// the batch, with Eq. 2: the scores are the states times the table of the words' vectors. Its exponential is the perplexity.
//
// Norms stand before the layers, and after the last, as in GPT-2 (Radford et al. 2019, Sec. 2.3). Tokens are whole words; an
// unknown one is neither guessed nor a guess, while the end of a text is both. A text begins with its start, so that its first word
// is guessed, too.
type GPT struct {
	Backbone nn.Backbone `json:"backbone"` // "text", causal
	Dropout  float64     `json:"dropout"`  // 0.1, Sec. 4.1
}

// PaperGPT has the number of the paper.
func PaperGPT(backbone nn.Backbone) *GPT {
	backbone.Causal = true
	return &GPT{Backbone: backbone, Dropout: 0.1}
}

// Validate says what cannot be trained.
func (m *GPT) Validate() error {
	switch {
	case m.Backbone.Arch != "text" || !m.Backbone.Causal:
		return fmt.Errorf(`sslkit: gpt needs a backbone "text" that is causal, or else each word sees the next, not %q, causal %t`, m.Backbone.Arch, m.Backbone.Causal)
	case !(m.Dropout >= 0 && m.Dropout < 1):
		return fmt.Errorf("sslkit: dropout %g is not in [0, 1)", m.Dropout)
	}
	return m.Backbone.Validate()
}

// Reports lists how many next words are said.
func (m *GPT) Reports() []string { return []string{"accuracy"} }

// GuessLoss is that of who holds all words, and the end, for equally likely. Who counts them is better.
func (m *GPT) GuessLoss(int) float64 { return math.Log(float64(m.Backbone.Words - endOfText)) }

const endOfText = nn.FirstWord - 1 // the last of the four tokens that are no words

// Loss builds the reading of all but the last token, and the cross-entropy of all but the first.
func (m *GPT) Loss(scope *model.Scope, b Batch) *Node {
	if b.Text == nil {
		exceptions.Panicf("sslkit: gpt needs texts, and the dataset yields none")
	}
	logits, next, asked := m.Next(scope, b.Text)
	l, accuracy := loss.MaskedCrossEntropy(logits, next, asked)
	Report("accuracy", accuracy)
	return l
}

// Next are, for texts [N, L], the scores [N(L-1), V] of each token to come next, the token that does [N(L-1)] int32, and 1 where
// that is a word or the end, else 0. What is neither has the score -Inf.
func (m *GPT) Next(scope *model.Scope, text *Node) (logits, next, asked *Node) {
	encoder, l := scope.In("encoder"), text.Shape().Dim(1)
	table := m.Backbone.Table(encoder, text.Graph()) // VxD
	x := Gather(table, InsertAxes(text, -1))
	x = nn.Last(m.Backbone.Contexts(encoder, x, nn.IsToken(text), m.Dropout)) // NxLxD
	x = Reshape(SliceAxis(x, 1, AxisRange(0, l-1)), -1, m.Backbone.Width)
	next = Reshape(SliceAxis(text, 1, AxisRangeToEnd(1)), -1)
	said := func(token *Node) *Node {
		return GreaterOrEqual(token, Scalar(token.Graph(), dtypes.Int32, endOfText))
	}
	logits = Einsum("md,vd->mv", x, table)
	token := Iota(text.Graph(), shapes.Make(dtypes.Int32, logits.Shape().Dimensions...), 1)
	logits = Where(said(token), logits, Infinity(text.Graph(), logits.DType(), -1))
	return logits, next, ConvertDType(said(next), logits.DType())
}

// Encode is the mean over a text's words of their vectors, and of their states: tokens [N, L] int32 to [N, 1, 1, D] each.
func (m *GPT) Encode(scope *model.Scope, text *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), text)
}
