package data

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Tokens that stand for no word.
const (
	tokenPadding int32 = iota // follows the end
	tokenUnknown              // a word outside the vocabulary
	tokenStart
	tokenEnd
	tokenWords // the first word's
)

// Tokenizer numbers the words of a text. A word is a run of letters and digits
// in lower case, so it is for languages that part words.
//
// It follows from the captions that it was made of, which therefore are all
// that a trained run needs to make it again.
type Tokenizer struct {
	length int
	ids    map[string]int32
}

// NewTokenizer knows the words that are most frequent in all captions of src,
// those of equal frequency in the order of the alphabet: so many that with four
// tokens for padding (0), unknown words (1), start (2) and end (3) they are
// vocabulary or fewer. Make it of the training split only. A text has length
// tokens.
func NewTokenizer(src Source, vocabulary, length int) (*Tokenizer, error) {
	c, ok := src.(Captioned)
	switch {
	case !ok:
		return nil, fmt.Errorf("data: %s has no captions to make a vocabulary of", src.Name())
	case vocabulary <= int(tokenWords):
		return nil, fmt.Errorf("data: a vocabulary of %d: it needs %d tokens beside the words", vocabulary, tokenWords)
	case length < 3:
		return nil, fmt.Errorf("data: texts of %d tokens: start, end and a word need 3", length)
	}
	count := map[string]int{}
	for i := range src.Len() {
		for _, caption := range c.Captions(i) {
			for _, w := range words(caption) {
				count[w]++
			}
		}
	}
	frequent := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	t := &Tokenizer{length: length, ids: map[string]int32{}}
	for i, w := range frequent[:min(len(frequent), vocabulary-int(tokenWords))] {
		t.ids[w] = tokenWords + int32(i)
	}
	return t, nil
}

// Length is the number of tokens of every text.
func (t *Tokenizer) Length() int { return t.length }

// Encode returns start, a token each word, end, and padding: Length tokens. Words
// for which there is no room before the end are left out.
func (t *Tokenizer) Encode(text string) []int32 {
	tokens := append(make([]int32, 0, t.length), tokenStart)
	for _, w := range words(text) {
		if len(tokens) == t.length-1 {
			break
		}
		id, known := t.ids[w]
		if !known {
			id = tokenUnknown
		}
		tokens = append(tokens, id)
	}
	tokens = append(tokens, tokenEnd)
	return append(tokens, make([]int32, t.length-len(tokens))...)
}

func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
	})
}

// IsText reports whether src's examples are texts: it is [Captioned], and has no pixels, its Shape being 0, 0, 0.
func IsText(src Source) bool {
	height, _, _ := src.Shape()
	return height == 0
}

// Tokenized is a source of texts as tokens, which a [Loader] yields in the place of images: int32 [N, L].
type Tokenized struct {
	Captioned
	Tokenizer *Tokenizer
}

// Tokens of example i.
func (s *Tokenized) Tokens(i int) []int32 { return s.Tokenizer.Encode(s.Captions(i)[0]) }

// Words are the words of the vocabulary by their tokens; those of tokens that stand for no word are "".
func (t *Tokenizer) Words() []string {
	all := make([]string, int(tokenWords)+len(t.ids))
	for w, id := range t.ids {
		all[id] = w
	}
	return all
}
