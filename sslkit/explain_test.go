package sslkit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// refuser has something to say in its graphs, or has GoMLX say it.
type refuser struct{ said string }

func (m refuser) Loss(_ *model.Scope, b Batch) *Node {
	m.refuse(b.Image)
	return ReduceAllMean(b.Image)
}

func (m refuser) Encode(_ *model.Scope, image *Node) []*Node {
	m.refuse(image)
	return []*Node{image}
}

func (m refuser) refuse(x *Node) {
	if m.said == "" {
		Reshape(x, 7, 7, 7) // GoMLX refuses
	}
	exceptions.Panicf("%s", m.said)
}

type startingRefuser struct{ refuser }

func (startingRefuser) Start(*Run) error { return nil }

// Errors begin with the sentence that helps, and wrap what GoMLX says around it.
func TestExplain(t *testing.T) {
	const advice = "view.Patchify: choose smaller patches"
	for _, m := range []Method{refuser{advice}, startingRefuser{refuser{advice}}, refuser{}, startingRefuser{}} {
		r := &Run{Method: m, Backend: goBackend(t), Train: toyData{8, 4, 4}, Optimizer: optimizer.Adam().Done(), Epochs: 1}
		_, trained := r.Pretrain(context.Background())
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		_, encoded := Features(context.Background(), r.Backend, store, m, r.Train, func(maps []*Node) []*Node { return maps })
		for _, err := range []error{trained, encoded} {
			silent := !strings.Contains(fmt.Sprintf("%+v", m), advice)
			switch {
			case err == nil:
				t.Errorf("%+v: no error", m)
			case !silent && (err.Error() != advice || errors.Unwrap(err) == nil || !strings.Contains(errors.Unwrap(err).Error(), "panicked")):
				t.Errorf("%+v: %q wraps %q; want %q, and GoMLX's words wrapped", m, err, errors.Unwrap(err), advice)
			case silent && !(strings.HasPrefix(err.Error(), "sslkit: ") && strings.Contains(err.Error(), ": total requested size 343") && !strings.Contains(err.Error(), "panicked")):
				t.Errorf("%+v: %q; want what was being done, and GoMLX's words", m, err)
			}
		}
	}
	if err := Explain("sslkit: training", fmt.Errorf("gomlx: %w", fmt.Errorf("%w at step 3", ErrInterrupted))); err.Error() != "sslkit: interrupted at step 3" || !errors.Is(err, ErrInterrupted) {
		t.Errorf("%q, want it to be ErrInterrupted", err)
	}
}
