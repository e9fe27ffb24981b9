package sslkit

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
)

// ImageFeatures embeds every image of ds once, in its order: rows of length 1 in the space that they
// share with those of TextFeatures. Batch norm uses its running statistics.
func ImageFeatures(ctx context.Context, m Paired, backend compute.Backend, store *model.Store, ds train.Dataset) ([][]float32, error) {
	e, err := newEncoder(backend, store, func(scope *model.Scope, image *Node) []*Node {
		return []*Node{m.EmbedImage(scope, image)}
	})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	features, err := e.Features(ctx, ds)
	if err != nil {
		return nil, err
	}
	return features[0], nil
}

// TextFeatures embeds texts, each as so many tokens as m reads: captions to be found, or prompts that name classes.
func TextFeatures(m Paired, backend compute.Backend, store *model.Store, tokens [][]int32) ([][]float32, error) {
	if len(tokens) == 0 {
		return nil, errors.New("sslkit: no texts to encode")
	}
	exec, err := model.NewExec(backend, store, m.EmbedText)
	if err != nil {
		return nil, Explain("sslkit: building the text encoder", err)
	}
	defer exec.Finalize()
	const chunk = 512 // texts a call
	var features [][]float32
	for from := 0; from < len(tokens); from += chunk {
		out, err := exec.Call1(tokens[from:min(from+chunk, len(tokens))])
		if err != nil {
			return nil, fmt.Errorf("sslkit: encoding texts: %w", err)
		}
		features = append(features, out.Value().([][]float32)...)
		out.MustFinalizeAll()
	}
	return features, nil
}
