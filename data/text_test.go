package data

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// told is numbered with captions.
type told struct {
	numbered
	captions func(i int) []string
}

func (s *told) Captions(i int) []string { return s.captions(i) }

func said(captions ...string) *told {
	return &told{numbered{n: len(captions)}, func(i int) []string { return captions[i : i+1] }}
}

func TestTokenizer(t *testing.T) {
	// dog 3, a 2, cat 2, then once each and in the order of the alphabet: Ünder, and, be, the.
	src := said("A dog, the DOG!", "a cat and dog", "cat be ünder")
	tok, err := NewTokenizer(src, 9, 6) // 5 words
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"dog":                {2, 4, 3, 0, 0, 0},
		"a Cat":              {2, 5, 6, 3, 0, 0},
		"and be":             {2, 7, 8, 3, 0, 0},
		"the under":          {2, 1, 1, 3, 0, 0},
		"a":                  {2, 5, 3, 0, 0, 0},
		"":                   {2, 3, 0, 0, 0, 0},
		"?! -":               {2, 3, 0, 0, 0, 0},
		"dog-cat: a dog":     {2, 4, 6, 5, 4, 3},
		"dog cat a dog cat":  {2, 4, 6, 5, 4, 3}, // the end stays
		"dog’s 5 o'clock be": {2, 4, 1, 1, 1, 3},
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	again, _ := NewTokenizer(said("cat be ünder", "a cat and dog", "A dog, the DOG!"), 9, 6)
	for _, w := range []string{"dog", "a", "cat", "and", "be", "the"} {
		if !slices.Equal(tok.Encode(w), again.Encode(w)) {
			t.Errorf("the order of the captions changes %q", w)
		}
	}
	large, _ := NewTokenizer(src, 1000, 4)
	if got := large.Encode("ünder"); !slices.Equal(got, []int32{2, 10, 3, 0}) {
		t.Errorf("the last of 7 words is %v", got)
	}
}

func TestNewTokenizerRefuses(t *testing.T) {
	_, err := NewTokenizer(&numbered{n: 3}, 10, 5)
	wantError(t, err, "numbered has no captions")
	_, err = NewTokenizer(said("a"), 4, 5)
	wantError(t, err, "a vocabulary of 4")
	_, err = NewTokenizer(said("a"), 10, 2)
	wantError(t, err, "texts of 2 tokens")
}

// Each example gets its own tokens, whatever the order, and the same ones again.
func TestBatchesOfText(t *testing.T) {
	src := &told{numbered{n: 40}, func(i int) []string {
		return []string{fmt.Sprint("first ", i), fmt.Sprint("second ", i)}
	}}
	tok, err := NewTokenizer(src, 100, 5)
	if err != nil {
		t.Fatal(err)
	}
	first := tok.Encode("first")[1]
	read := func(o Options, epoch int) (firsts int, all []int32) {
		o.Batch, o.Text = 8, tok
		for b, err := range load(t, src, o).Epoch(epoch, 1) {
			if err != nil {
				t.Fatal(err)
			}
			index, tokens := values[int32](t, b.Inputs[1]), values[int32](t, b.Inputs[2])
			if got := b.Inputs[2].Shape().Dimensions; !slices.Equal(got, []int{8, 5}) {
				t.Fatalf("tokens are %v", got)
			}
			for k, i := range index {
				if want := tok.Encode(fmt.Sprint("x ", i))[2]; tokens[5*k+2] != want {
					t.Fatalf("example %d has the caption %v", i, tokens[5*k:5*k+5])
				}
				if tokens[5*k+1] == first {
					firsts++
				}
			}
			all = append(all, tokens...)
		}
		return firsts, all
	}
	if n, _ := read(Options{}, 3); n != 32 {
		t.Errorf("without Shuffle %d of 32 captions are the first", n)
	}
	n, one := read(Options{Shuffle: true, Seed: 1}, 3)
	// Of 32 fair draws; 6 or fewer of either happen once in 4,000 times.
	if n < 7 || n > 25 {
		t.Errorf("with Shuffle %d of 32 captions are the first", n)
	}
	if _, again := read(Options{Shuffle: true, Seed: 1}, 3); !slices.Equal(one, again) {
		t.Error("the same epoch draws other captions")
	}
	changed := 0
	l := load(t, src, Options{Batch: 1, Shuffle: true, Text: tok})
	for i := range 40 {
		if l.caption(0, i) != l.caption(1, i) {
			changed++
		}
	}
	if changed < 9 || changed > 31 { // likewise, of 40
		t.Errorf("%d of 40 captions change from epoch 0 to 1", changed)
	}
	var plain []*tensors.Tensor
	for b := range load(t, src, Options{Batch: 8}).Iter() {
		plain = b.Inputs
		break
	}
	if len(plain) != 2 {
		t.Errorf("%d inputs where no text is asked for", len(plain))
	}
	_, err = Batches(&numbered{n: 10}, Options{Batch: 5, Text: tok})
	wantError(t, err, "captions asked for, but numbered has none")
}

func TestSubsetKeepsCaptions(t *testing.T) {
	src := &told{numbered{n: 40}, func(i int) []string { return []string{fmt.Sprint(i)} }}
	s, err := Subset(src, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]uint8, 6)
	for i := range s.Len() {
		if err := s.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		if got := s.(Captioned).Captions(i)[0]; got != fmt.Sprint(pixels[0]) {
			t.Errorf("example %d has the caption of %s", pixels[0], got)
		}
	}
	s, err = Subset(&numbered{n: 40}, 10, 1)
	if _, ok := s.(Captioned); ok || err != nil {
		t.Error("a subset has captions that its source has not")
	}
}
