package study

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Task is one run of a study with what the study measures of it: a line of a plan, which any machine that shares the store can
// work on. The study itself, asked for afterwards, finds all that was done.
type Task struct {
	Key    string        `json:"key"`  // on the machine that planned, whose backend is in it
	Name   string        `json:"name"` // of the row, and the seed
	Config sslkit.Config `json:"config"`

	// One of them: how [Ablate] and [TaskGap], or [Transfer], measure.
	Options  *eval.Options    `json:"options,omitempty"`
	Transfer *TransferOptions `json:"transfer,omitempty"`
}

// PlanAblation are the tasks of [Ablate], and of [TaskGap] with its angle sets.
func PlanAblation(ctx context.Context, s *runs.Store, variants []Variant, o eval.Options, seeds ...int64) ([]Task, error) {
	if len(variants) == 0 {
		return nil, errors.New("study: an ablation needs at least one variant")
	}
	variants, err := pinned(ctx, s, variants)
	if err != nil {
		return nil, err
	}
	return tasks(ctx, s, append(variants, baselineVariants(variants[0].Config, o.Label)...), Task{Options: &o}, seeds)
}

// PlanTaskGap are the tasks of [TaskGap].
func PlanTaskGap(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Options, seeds ...int64) ([]Task, error) {
	variants, err := angleSets(c)
	if err != nil {
		return nil, err
	}
	return PlanAblation(ctx, s, variants, o, seeds...)
}

// PlanTransfer are the tasks of [Transfer].
func PlanTransfer(ctx context.Context, s *runs.Store, variants []Variant, o TransferOptions, seeds ...int64) ([]Task, error) {
	variants, err := pinned(ctx, s, variants)
	if err != nil {
		return nil, err
	}
	return tasks(ctx, s, append(variants, baselinesBy(variants, o.Label)...), Task{Transfer: &o}, seeds)
}

// tasks are the variants with each of the seeds, none twice.
func tasks(ctx context.Context, s *runs.Store, variants []Variant, like Task, seeds []int64) ([]Task, error) {
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	var out []Task
	for _, v := range variants {
		for _, seed := range seeds {
			v.Config.Seed = seed
			j, err := s.Job(ctx, v.Config)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.Name, err)
			}
			t := like
			t.Key, t.Name, t.Config = j.Key, fmt.Sprintf("%s, seed %d", v.Name, seed), j.Config
			t.Config.Backend = "" // that of whoever works on it
			if !slices.ContainsFunc(out, func(o Task) bool { return o.Key == t.Key }) {
				out = append(out, t)
			}
		}
	}
	return out, nil
}

// WritePlan writes a line of JSON for each task.
func WritePlan(w io.Writer, tasks []Task) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, t := range tasks {
		if err := e.Encode(t); err != nil {
			return fmt.Errorf("study: writing the plan: %w", err)
		}
	}
	return nil
}

// maxTask is more than a line of a plan takes.
const maxTask = 1 << 20

// ReadPlan reads what WritePlan wrote, and refuses what it does not know.
func ReadPlan(r io.Reader) ([]Task, error) {
	var out []Task
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTask)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			return nil, fmt.Errorf("study: line %d of the plan is empty: tasks are numbered by their lines, write it again by 'sslkit plan'", n)
		}
		var t Task
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		err := d.Decode(&t)
		if err == nil && t.Config.Method == nil {
			err = errors.New("it has no configuration")
		}
		if err == nil && t.Key != "" && !runs.IsKey(t.Key) {
			err = fmt.Errorf("%q is no key", t.Key)
		}
		if err == nil && (t.Options == nil) == (t.Transfer == nil) {
			err = errors.New(`it has one of "options" and "transfer"`)
		}
		if err == nil {
			err = t.Config.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("study: line %d of the plan: %w", n, err)
		}
		out = append(out, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("study: line %d of the plan: %w", n+1, err)
	}
	if out == nil {
		return nil, errors.New("study: the plan has no tasks")
	}
	return out, nil
}

// Work trains the task's run, if it is not done yet, and measures it as its study will; it returns the run's record. On another
// backend than that of the plan it is another run, of which a note says so. That it failed is kept, for [Status].
func (t Task) Work(ctx context.Context, s *runs.Store) (*runs.Record, error) {
	record, err := t.work(ctx, s)
	if t.Key == "" || errors.Is(err, sslkit.ErrInterrupted) || ctx.Err() != nil {
		return record, err
	}
	return record, errors.Join(err, s.SetFailed(t.Key, err))
}

func (t Task) work(ctx context.Context, s *runs.Store) (*runs.Record, error) {
	j, err := s.Job(ctx, t.Config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	if t.Key != "" && j.Key != t.Key {
		s.Tell(runs.Progress{Key: j.Key, Note: fmt.Sprintf("%s: the plan says %s, and with this machine's backend %s and this version it is run %s: "+
			"the study will find it on such a machine only", t.Name, t.Key, j.Config.Backend, j.Key)})
	}
	if err := s.Fetch(ctx, j.Key); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	if t.Transfer != nil {
		_, err = transfer(ctx, s, t.Config, *t.Transfer, make(map[string][]eval.Tested), make(Origins))
	} else {
		_, err = s.Evaluate(ctx, t.Config, *t.Options)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	if err := s.Offer(ctx, j.Key); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	return s.Find(ctx, t.Config)
}
