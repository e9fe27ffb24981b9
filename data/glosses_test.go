package data

import (
	"slices"
	"strings"
	"testing"
)

func TestGlosses(t *testing.T) {
	seen := map[string]bool{}
	for k, src := range openBoth(t, "glosses") {
		if !IsText(src) {
			t.Fatal("no texts")
		}
		counts := make([]int, len(src.Classes()))
		for i := range src.Len() {
			counts[src.Label(i)]++
			text := src.(Captioned).Captions(i)[0]
			if len(words(text)) < 4 || strings.Contains(text, `"`) && strings.Contains(text, `; "`) {
				t.Errorf("%q has few words, or an example", text)
			}
			if k == 0 {
				seen[text] = true
			} else if seen[text] {
				t.Errorf("%q is in both splits", text)
			}
		}
		if want := []int{glossTrain, glossTest}[k]; slices.Min(counts) != want || slices.Max(counts) != want {
			t.Errorf("%s: %d of each class, want %d", src.Name(), counts, want)
		}
		if err := src.Read(0, nil); err == nil {
			t.Error("a text has pixels")
		}
	}
	all := openBoth(t, "glosses-all")
	for i := range all[1].Len() {
		if seen[all[1].(Captioned).Captions(i)[0]] {
			t.Fatal("a gloss for testing of one set is for training in the other")
		}
	}
	// WordNet 3.0, data.noun, offset 12651229 and others: what is drink, is food.
	for text, class := range map[string]string{
		"fermented juice (of grapes especially)": "noun.food", "a tall perennial woody plant having a main trunk and branches forming a distinct elevated crown; includes both gymnosperms and angiosperms": "noun.plant",
	} {
		found := false
		for _, src := range all {
			for i := range src.Len() {
				if src.(Captioned).Captions(i)[0] == text {
					found = src.Classes()[src.Label(i)] == class
				}
			}
		}
		if !found {
			t.Errorf("%q is no gloss of %s", text, class)
		}
	}
}

// A loader yields tokens where images are else, of a part too, and refuses texts without a vocabulary.
func TestTokenized(t *testing.T) {
	train := openBoth(t, "glosses")[0]
	if _, err := Batches(train, Options{Batch: 4}); err == nil || !strings.Contains(err.Error(), "tokens") {
		t.Errorf("texts as they are: %v", err)
	}
	tokenizer, err := NewTokenizer(train, 500, 12)
	if err != nil {
		t.Fatal(err)
	}
	vocabulary := tokenizer.Words()
	src := Pick(&Tokenized{train.(Captioned), tokenizer}, 7, 3)
	for batch, err := range load(t, src, Options{Batch: 2, Labels: true}).Iter() {
		if err != nil {
			t.Fatal(err)
		}
		tokens, labels := batch.Inputs[0].Value().([][]int32), batch.Labels[0].Value().([]int32)
		for k, i := range []int{7, 3} {
			if !slices.Equal(tokens[k], tokenizer.Encode(train.(Captioned).Captions(i)[0])) || labels[k] != train.Label(i) || len(tokens[k]) != 12 {
				t.Errorf("example %d: tokens %v, label %d", i, tokens[k], labels[k])
			}
			text := words(train.(Captioned).Captions(i)[0])
			for n, token := range tokens[k][1:] {
				if token >= 4 && vocabulary[token] != text[n] {
					t.Errorf("token %d is %q, want %q", token, vocabulary[token], text[n])
				}
			}
		}
	}
	if len(vocabulary) != 500 || vocabulary[0] != "" || vocabulary[4] == "" {
		t.Errorf("%d words, the first %q", len(vocabulary), vocabulary[4])
	}
}
