package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
)

// Films and sounds are drawn with all that is known of them.
func TestClips(t *testing.T) {
	films, _, err := data.Open("moving-fashion", data.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Clips(films, 0, 1)
	says(t, f, err, "<image")
	direction, err := data.By(films, "direction")
	if err != nil {
		t.Fatal(err)
	}
	says(t, f, nil, direction.Classes()[direction.Label(0)])
	sounds, _, err := data.Open("spoken-digits", data.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err = Clips(sounds, 0)
	says(t, f, err, "zero, george")
	if _, err := Clips(sounds, 2700); err == nil || !strings.Contains(err.Error(), "which has 2700") {
		t.Errorf("clip 2700 of 2700: %v", err)
	}
	images, _, err := data.Open("fashion-mnist-10k", data.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Clips(images, 0); err == nil || !strings.Contains(err.Error(), "no clips") {
		t.Errorf("images: %v", err)
	}
}

// What clips tell, how far ahead is heard, and which words are near.
func TestBeyond(t *testing.T) {
	s, rotation := small(t)
	cpc, err := recipe.Preset(t.Context(), "cpc", sslkit.Smoke, "moving-fashion")
	if err != nil {
		t.Fatal(err)
	}
	b := sslkit.Backbone(cpc.Method)
	b.Depth, b.Width, b.State = 1, 4, 3
	cpc.Data.Train, cpc.Data.Test, cpc.Epochs, cpc.Batch, cpc.Optimizer.Warmup = 40, 20, 1, 10, 0
	record, err := s.Pretrain(t.Context(), cpc)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Ahead(record)
	says(t, f, err, "1 ahead", "3 ahead", "moving-fashion")

	knows := func(name string) *study.Comparison {
		return &study.Comparison{Config: cpc, Seeds: []int64{1}, Rows: []study.Row{
			{Name: name, Linear: []eval.Spread{{Mean: 0.4, N: 1}, {Mean: 0.3, N: 1}}}, {Name: "random init", Linear: []eval.Spread{{Mean: 0.2, N: 1}, {Mean: 0.25, N: 1}}},
		}}
	}
	f, err = Knows([]string{"what", "speed"}, knows("cpc"), knows("cpc"))
	says(t, f, err, "what", "speed", "random init", "40.0")
	if _, err := Knows([]string{"what", "speed"}, knows("cpc"), knows("order")); err == nil || !strings.Contains(err.Error(), "different encoders") {
		t.Errorf("two tables of other encoders: %v", err)
	}

	words, err := recipe.Preset(t.Context(), "word2vec", sslkit.Smoke, "glosses")
	if err != nil {
		t.Fatal(err)
	}
	b = sslkit.Backbone(words.Method)
	b.Words, b.Width = 100, 4
	words.Data.Train, words.Data.Test, words.Epochs, words.Batch = 400, 80, 1, 100
	text, err := NearWords(t.Context(), s, words, 3, "plant", "person")
	if err != nil || strings.Count(text, ",") != 4 || !strings.Contains(text, "| plant |") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := NearWords(t.Context(), s, words, 3, "xylophone"); err == nil || !strings.Contains(err.Error(), "not in the vocabulary") {
		t.Errorf("a word that is not there: %v", err)
	}
	if _, err := NearWords(t.Context(), s, rotation, 3, "plant"); err == nil || !strings.Contains(err.Error(), "not rotation") {
		t.Errorf("rotation's words: %v", err)
	}
}
