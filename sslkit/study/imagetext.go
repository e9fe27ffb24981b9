package study

import (
	"context"
	"fmt"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Retrieval is what a CLIP knows of the test set without having seen one of its labels.
type Retrieval struct {
	ZeroShot       float64     `json:"zero_shot"`                 // accuracy where each class is known by its name alone
	Tested         eval.Tested `json:"zero_shot_tested,omitzero"` // the same, with its mean over classes and its error
	Commonest      float64     `json:"commonest,omitempty"`       // of who always answers the commonest class, see eval.Tally
	eval.Retrieval             // of each image's first caption, among all of them
	Images         int         `json:"images"`
	Texts          int         `json:"texts"` // without those that are the same
	Classes        int         `json:"classes"`
}

// ImageText measures c, a [sslkit.Paired], training it first if need be. What was measured is kept.
func ImageText(ctx context.Context, s *runs.Store, c sslkit.Config) (*Retrieval, error) {
	m, err := pairedMethod(c)
	if err != nil {
		return nil, err
	}
	return runs.Once(ctx, s, c, "image-text.json", captioned, func(j *runs.Job, _ *runs.Record) (*Retrieval, error) { return imageText(ctx, j, m) })
}

func captioned(j *runs.Job) error {
	if _, ok := j.Test.(data.Captioned); !ok {
		return fmt.Errorf("study: %s has no captions", j.Test.Name())
	}
	return nil
}

func imageText(ctx context.Context, t *runs.Job, m sslkit.Paired) (*Retrieval, error) {
	images, err := imagesOf(ctx, t, m)
	if err != nil {
		return nil, err
	}
	texts, imageOf := data.Texts(t.Test.(data.Captioned))
	textOf := make([]int32, len(texts))
	for i := range textOf {
		textOf[i] = int32(i)
	}
	features, err := textsOf(t, m, texts)
	if err != nil {
		return nil, err
	}
	out := &Retrieval{Images: len(images), Texts: len(texts), Classes: len(t.Test.Classes())}
	if out.Retrieval, err = eval.Retrieve(images, features, imageOf, textOf); err != nil || out.Classes == 0 {
		return out, err
	}
	names, err := textsOf(t, m, t.Test.Classes())
	if err != nil {
		return nil, err
	}
	guesses, err := eval.ZeroShot(images, names)
	if err != nil {
		return nil, err
	}
	tally := eval.Count(data.Labels(t.Train), data.Labels(t.Test), out.Classes, nil)
	out.Tested, out.Commonest = eval.Compare(guesses, data.Labels(t.Test), nil), tally.Commonest()
	out.ZeroShot = out.Tested.Test
	return out, nil
}

// Search returns for each query the test images that are nearest to it, as many as count, by their indices, and the source
// they are from. c is a [sslkit.Paired], trained first if need be.
func Search(ctx context.Context, s *runs.Store, c sslkit.Config, count int, queries ...string) (found [][]int, from data.Source, err error) {
	t, m, err := trainedPair(ctx, s, c)
	if err != nil {
		return nil, nil, err
	}
	images, err := imagesOf(ctx, t, m)
	if err != nil {
		return nil, nil, err
	}
	texts, err := textsOf(t, m, queries)
	if err != nil {
		return nil, nil, err
	}
	found, err = eval.Nearest(texts, images, count)
	return found, t.Test, err
}

func trainedPair(ctx context.Context, s *runs.Store, c sslkit.Config) (*runs.Job, sslkit.Paired, error) {
	m, err := pairedMethod(c)
	if err != nil {
		return nil, nil, err
	}
	t, err := s.Trained(ctx, c)
	return t, m, err
}

func pairedMethod(c sslkit.Config) (sslkit.Paired, error) {
	m, ok := c.Method.(sslkit.Paired)
	if !ok {
		return nil, fmt.Errorf("study: %q does not put images and texts into one space, as clip does", sslkit.NameOf(c.Method))
	}
	return m, nil
}

func imagesOf(ctx context.Context, t *runs.Job, m sslkit.Paired) ([][]float32, error) {
	in, err := runs.InOrder(t.Test)
	if err != nil {
		return nil, err
	}
	return sslkit.ImageFeatures(ctx, m, t.Backend, t.Store, in.Loader)
}

func textsOf(t *runs.Job, m sslkit.Paired, texts []string) ([][]float32, error) {
	var tokens [][]int32
	for _, text := range texts {
		tokens = append(tokens, t.Text.Encode(text))
	}
	return sslkit.TextFeatures(m, t.Backend, t.Store, tokens)
}
