package sslkit

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

// Word2Vec learns a vector for each word from which other words stand about it.
//
// Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", NIPS 2013, arXiv:1310.4546: the
// skip-gram with negative sampling. Loss is Eq. 4. What is kept are the vectors v; v' are thrown away.
//
// It departs from the authors' code, word2vec.c: there a frequent word that is passed over, and one outside the vocabulary, leaves no
// gap, so that the window reaches further; each pair has negatives of its own, and none that is its context; and it is SGD, with a
// rate that falls in a line. Here the window is that of the text, the noise is drawn once for all pairs of a batch, and the optimizer
// is the run's.
type Word2Vec struct {
	Backbone  nn.Backbone `json:"backbone"`  // v
	Window    int         `json:"window"`    // c of Eq. 1: drawn from 1 to so many for each word, by weights
	Negatives int         `json:"negatives"` // k of Eq. 4: 5 to 20 for small data
	Noise     int         `json:"noise"`     // words drawn for a batch, from which its pairs have their negatives
	Power     float64     `json:"power"`     // of the frequencies that the noise is drawn by: 3/4, Sec. 2.2
	Subsample float64     `json:"subsample"` // t of Eq. 5, above which frequent words are left out more and more; 1e-5 for large data
}

// SmallWord2Vec has the numbers of the paper but for t, which is for billions of words there.
func SmallWord2Vec(backbone nn.Backbone) *Word2Vec {
	return &Word2Vec{Backbone: backbone, Window: 5, Negatives: 5, Noise: 256, Power: 0.75, Subsample: 1e-3}
}

// Validate says what cannot be trained.
func (m *Word2Vec) Validate() error {
	switch {
	case m.Backbone.Input() != nn.Texts:
		return fmt.Errorf(`sslkit: word2vec learns the vectors of "words", not a %q`, m.Backbone.Arch)
	case m.Window < 1 || m.Negatives < 1 || m.Noise < 1:
		return fmt.Errorf("sslkit: a window of %d, %d negatives of %d: all must be at least 1", m.Window, m.Negatives, m.Noise)
	case !(m.Power >= 0 && m.Power <= 1) || !(m.Subsample > 0 && m.Subsample <= 1):
		return fmt.Errorf("sslkit: the power %g must be in [0, 1] and subsample %g in (0, 1]", m.Power, m.Subsample)
	}
	return m.Backbone.Validate()
}

// Reports lists how often pairs score above 0, and noise below, half of each: 0.5 is a guess, and also who says that any pair is
// noise, of which there are more.
func (m *Word2Vec) Reports() []string { return []string{"pairs"} }

// GuessLoss is that of vectors that tell nothing apart.
func (m *Word2Vec) GuessLoss(int) float64 { return float64(1+m.Negatives) * math.Ln2 }

// Scaffold is the vectors of words as neighbours, and how often words are drawn.
func (m *Word2Vec) Scaffold() []string { return []string{"/context", "/corpus"} }

// Loss builds Eq. 4 over the pairs of the texts.
func (m *Word2Vec) Loss(scope *model.Scope, b Batch) *Node {
	if b.Text == nil {
		exceptions.Panicf("sslkit: word2vec needs texts, and the dataset yields none")
	}
	g := b.Text.Graph()
	corpus := scope.In("corpus")
	keep := corpus.VariableWithValue("keep", slices.Repeat([]float32{1}, m.Backbone.Words)).SetTrainable(false).NodeValue(g)
	table := corpus.VariableWithValue("noise", make([]int32, noiseTable)).SetTrainable(false).NodeValue(g)
	out := scope.WithInitializer(initializer.Zero).VariableWithShape("context", shapes.Make(dtypes.Float32, m.Backbone.Words, m.Backbone.Width)).NodeValue(g)

	v := m.Backbone.Vectors(scope.In("encoder"), b.Text) // NxLxD
	context := Gather(out, InsertAxes(b.Text, -1))       // NxLxD
	kept := Gather(keep, InsertAxes(b.Text, -1))         // NxL
	drawn := scope.RandomUniform(g, shapes.Make(dtypes.Float32, m.Noise, 1))
	noise := Gather(out, InsertAxes(Gather(table, ConvertDType(MulScalar(drawn, noiseTable), dtypes.Int32)), -1)) // SxD
	there := LogicalAnd(nn.IsWord(b.Text), LessThan(scope.RandomUniform(g, kept.Shape()), kept))
	l, pairs := loss.SkipGram(v, context, ConvertDType(there, dtypes.Float32), noise, m.Window, m.Negatives)
	Report("pairs", pairs)
	return l
}

// Encode is the mean of a text's vectors: tokens [N, L] int32 to [N, 1, 1, D].
func (m *Word2Vec) Encode(scope *model.Scope, text *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), text)
}
