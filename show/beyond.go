package show

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Clips draws films, a row each, frame by frame, or sounds, a picture each, whose columns are times and whose rows are what
// describes them, the first at the top. Beside each stands what its labels of all kinds say.
func Clips(src data.Source, index ...int) (*widgets.Figure, error) {
	clips, ok := src.(data.Clips)
	if !ok {
		return nil, fmt.Errorf("show: %s has no clips", src.Name())
	}
	kinds := append([]string{""}, data.Kinds(src)...)
	if len(kinds) > 1 {
		kinds = kinds[1:]
	}
	h, w, channels := src.Shape()
	frames := clips.Frames()
	g := widgets.Gallery{Size: 64}
	if h == 1 {
		g.Images, g.Captions, g.Size = [][]widgets.Image{nil}, [][]string{nil}, 150
	}
	for _, i := range index {
		if i < 0 || i >= src.Len() {
			return nil, fmt.Errorf("show: no clip %d in %s, which has %d", i, src.Name(), src.Len())
		}
		pixels := make([]uint8, frames*h*w*channels)
		if err := src.Read(i, pixels); err != nil {
			return nil, err
		}
		var says []string
		for _, kind := range kinds {
			by, err := data.By(src, kind)
			if err != nil {
				return nil, err
			}
			if label := by.Label(i); label >= 0 {
				says = append(says, by.Classes()[label])
			}
		}
		text := strings.Join(says, ", ")
		if h == 1 {
			m := widgets.Image{H: w, W: frames, C: 1, Pixels: make([]uint8, len(pixels))}
			for t := range frames {
				for f := range w {
					m.Pixels[f*frames+t] = pixels[t*w+f]
				}
			}
			g.Images[0], g.Captions[0] = append(g.Images[0], m), append(g.Captions[0], text)
			continue
		}
		var row []widgets.Image
		for size := h * w * channels; len(pixels) > 0; pixels = pixels[size:] {
			row = append(row, widgets.Image{Pixels: pixels[:size], H: h, W: w, C: channels})
		}
		g.Images, g.Rows = append(g.Images, row), append(g.Rows, text)
	}
	return g.Figure()
}

// Ahead draws how often CPC finds what comes among the frames of a batch, by how many steps ahead it is, in the last epoch.
func Ahead(r *runs.Record) (*widgets.Figure, error) {
	m, ok := r.Config.Method.(*sslkit.CPC)
	if !ok {
		return nil, fmt.Errorf("show: steps ahead are what cpc predicts, not %s", sslkit.NameOf(r.Config.Method))
	}
	b := widgets.Bars{YLabel: "found among all, %", Series: []widgets.Series{{Name: "training, last epoch", Role: widgets.Blue}},
		Note: fmt.Sprintf("%s, seed %d", r.Config.Data.Name, r.Config.Seed)}
	for _, k := range m.Ahead {
		all := r.History.Reports[fmt.Sprintf("accuracy_%d", k)]
		if len(all) == 0 {
			return nil, errors.New("show: the run has no epoch yet")
		}
		b.Groups = append(b.Groups, fmt.Sprintf("%d ahead", k))
		b.Series[0].Y = append(b.Series[0].Y, 100*all[len(all)-1])
	}
	return b.Figure()
}

// Knows draws what encoders tell of clips: a group for each kind of their labels, of which there is a comparison each, with a bar for
// each encoder, by the linear probe of the stage that is best at it, which is chosen by the test set.
func Knows(labels []string, comparisons ...*study.Comparison) (*widgets.Figure, error) {
	if len(labels) != len(comparisons) || len(labels) == 0 {
		return nil, fmt.Errorf("show: %d kinds of labels of %d comparisons", len(labels), len(comparisons))
	}
	b := widgets.Bars{YLabel: "linear probe, best stage, %", Groups: labels, Note: note(comparisons[0])}
	for i, row := range comparisons[0].Rows {
		s := widgets.Series{Name: row.Name, Role: role(row.Name)}
		for _, c := range comparisons {
			if i >= len(c.Rows) || c.Rows[i].Name != row.Name {
				return nil, errors.New("show: the comparisons have different encoders")
			}
			best := slices.MaxFunc(c.Rows[i].Linear, func(a, b eval.Spread) int { return cmp.Compare(a.Mean, b.Mean) })
			s.Y, s.Err = append(s.Y, 100*best.Mean), append(s.Err, 100*best.Std)
		}
		b.Series = append(b.Series, s)
	}
	return b.Figure()
}

// NearWords is, as Markdown, a table of the words whose vectors have the largest cosine with those of some words. c is word2vec,
// trained first if need be.
func NearWords(ctx context.Context, s *runs.Store, c sslkit.Config, count int, words ...string) (string, error) {
	if _, ok := c.Method.(*sslkit.Word2Vec); !ok {
		return "", fmt.Errorf("show: word2vec has vectors of words, not %s", sslkit.NameOf(c.Method))
	}
	j, err := s.Trained(ctx, c)
	if err != nil {
		return "", err
	}
	texts, v := j.Train.(*data.Tokenized), j.Store.GetVariable("/encoder/words")
	if v == nil {
		return "", errors.New("show: the store has no vectors of words")
	}
	flat, d := tensors.MustCopyFlatData[float32](v.MustValue()), v.Shape().Dim(1)
	var vocabulary []string
	var vectors, of [][]float32
	for i, word := range texts.Tokenizer.Words() {
		if word != "" { // a token that is no word
			vocabulary, vectors = append(vocabulary, word), append(vectors, flat[i*d:(i+1)*d])
		}
	}
	for _, word := range words {
		at := slices.Index(vocabulary, word)
		if at < 0 {
			return "", fmt.Errorf("show: %q is not in the vocabulary of %d words", word, len(vocabulary))
		}
		of = append(of, vectors[at])
	}
	near, err := eval.Nearest(of, vectors, min(count+1, len(vectors))) // with the word itself
	if err != nil {
		return "", err
	}
	table := widgets.Table{Head: []string{"word", "nearest"}}
	for i, word := range words {
		var names []string
		for _, k := range near[i] {
			if vocabulary[k] != word && len(names) < count {
				names = append(names, vocabulary[k])
			}
		}
		table.Rows = append(table.Rows, []string{word, strings.Join(names, ", ")})
	}
	return table.Markdown()
}
