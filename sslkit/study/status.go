package study

import (
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// States of a task.
const (
	Done    = "done"    // trained, and measured as its study asks
	Running = "running" // somebody is at it now
	Failed  = "failed"  // the last one who tried ended with an error
	Waiting = "waiting" // for somebody to begin it or, after a kill, to go on
)

// Standing is how far a task of a plan is.
type Standing struct {
	Line  int    `json:"line"` // of the plan, counted from 1
	Key   string `json:"key"`
	Name  string `json:"name"`
	State string `json:"state"`
	By    string `json:"by,omitempty"`    // who is at it
	Error string `json:"error,omitempty"` // with who failed, and when
	Run   string `json:"run,omitempty"`   // key of the record, where workers have another backend than the plan's
}

// Status tells of each task how far it is. It computes nothing and needs no backend. The error joins those of records that
// cannot be read, which are made again when their tasks are worked on.
func Status(s *runs.Store, tasks []Task) ([]Standing, error) {
	of, damaged := s.Standings()
	var out []Standing
	for i, t := range tasks {
		at := of(t.Key, t.Config)
		standing := Standing{Line: i + 1, Key: t.Key, Name: t.Name, State: Waiting}
		if at.Record != nil && at.Record.Key != t.Key {
			standing.Run = at.Record.Key
		}
		switch {
		case at.Record != nil && at.Record.Done && t.measured(s, at.Record):
			standing.State = Done
		case at.Busy != "":
			standing.State, standing.By = Running, at.Busy
		case at.Failed != "":
			standing.State, standing.Error = Failed, at.Failed
		}
		out = append(out, standing)
	}
	return out, damaged
}

// measured tells whether all is there that Work measures of a finished run.
func (t Task) measured(s *runs.Store, r *runs.Record) bool {
	for _, file := range t.files() {
		if !s.Has(r, file) {
			return false
		}
	}
	return true
}

// files are those beside the run that Work leaves, see transfer.
func (t Task) files() []string {
	if t.Options != nil {
		return []string{runs.ScoresFile(*t.Options)}
	}
	o := *t.Transfer
	o.Seed = t.Config.Seed
	files := []string{runs.ScoresFile(o.Options)}
	if r, ok := t.Config.Method.(*eval.Random); ok && r.Fitted {
		return files
	}
	if o.Dense != nil {
		dense := *o.Dense
		dense.Seed = t.Config.Seed
		files = append(files, denseFile(dense))
	}
	if o.FineTune != nil {
		for _, l := range append([]eval.Labels{{}}, o.few()...) {
			tune := *o.FineTune
			tune.Label = o.Label
			files = append(files, tunedName(tune, l)+".json")
		}
	}
	return files
}
