package sweep

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/sslkit/lab/sslkit/eval"
)

// Scores is how an encoder did. EndToEnd is the test accuracy of a supervised network with the
// classifier that it was trained with.
type Scores struct {
	eval.Scores
	EndToEnd *float64 `json:"end_to_end,omitempty"`
}

// Evaluate returns the scores of c's encoder at each of its stages, training it first if need be.
// Like runs, evaluations are kept and never repeated.
func (s *Store) Evaluate(ctx context.Context, c Config, o eval.Options) (*Scores, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	j, err := newJob(c)
	if err != nil {
		return nil, err
	}
	path := s.path(j.key, "scores-"+hash(o)+".json")
	scores := new(Scores)
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, scores) == nil {
		return scores, nil
	}
	if err := j.load(s); err != nil {
		return nil, err
	}
	store, err := s.trained(ctx, j)
	if err != nil {
		return nil, err
	}
	s.report(Progress{Key: j.key, Note: fmt.Sprintf("%v: probing", j)})
	train, err := inOrder(j.train)
	if err != nil {
		return nil, err
	}
	test, err := inOrder(j.test)
	if err != nil {
		return nil, err
	}
	if o.NonLinear == nil { // whole maps are large, and soon read again
		o.Cache = eval.Cache{Dir: s.path(j.key, "features"), Key: j.key}
	}
	scores.Scores, err = eval.Evaluate(ctx, j.backend, store, j.method, train.loader, test.loader, train.labels, test.labels, len(j.train.Classes()), o)
	if err != nil {
		return nil, err
	}
	if m, ok := j.method.(*eval.Supervised); ok {
		accuracy, err := m.Test(ctx, j.backend, store, test.loader, test.labels)
		if err != nil {
			return nil, err
		}
		scores.EndToEnd = &accuracy
	}
	return scores, writeJSON(path, scores)
}
