package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/sealed"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
)

// Scores is how an encoder did.
type Scores struct {
	eval.Scores
	Pretext  *float64 `json:"pretext,omitempty"`    // accuracy on the pretext task in the last epoch of training
	EndToEnd *float64 `json:"end_to_end,omitempty"` // test accuracy of a supervised network with its own classifier

	EndToEndTested eval.Tested `json:"end_to_end_tested,omitzero"` // the same, with its mean over classes and its error

	Parameters int `json:"parameters,omitempty"` // numbers that are trained in the encoder
}

// Evaluate returns the scores of c's encoder at each of its stages, training it first if need be.
// Like runs, evaluations are kept and never repeated. A cancelled context is sslkit.ErrInterrupted.
func (s *Store) Evaluate(ctx context.Context, c sslkit.Config, o eval.Options) (*Scores, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return Once(ctx, s, c, ScoresFile(o), Labelled, func(j *Job, r *Record) (*Scores, error) { return s.evaluate(ctx, j, r, o) })
}

// ScoresFile is where Evaluate keeps, beside the run, what it finds by these options.
func ScoresFile(o eval.Options) string { return "scores-" + sslkit.Hash(o) + ".json" }

// measurement is a file beside a run's record: what was found, and of which encoder.
type measurement[T any] struct {
	Of    origin `json:"of"`
	Found *T     `json:"found"`
}

// origin is what a measurement follows from; the options are in its file's name.
type origin struct {
	Key        string `json:"key"`
	File       string `json:"file"`
	Parameters string `json:"parameters,omitempty"` // of the encoder, see Record
}

// Once returns what the file beside c's run holds, or else what measure finds, which is kept there; c is trained first if need
// be and if its data, which are open then, are fit for that. The parameters that measure gets are in the job's Store.
func Once[T any](ctx context.Context, s *Store, c sslkit.Config, file string, fit func(j *Job) error, measure func(j *Job, r *Record) (*T, error)) (*T, error) {
	j, err := s.Job(ctx, c)
	if err != nil {
		return nil, err
	}
	remembered := func() *T {
		r, err := s.read(j.Key)
		if err != nil || !r.Done {
			return nil
		}
		found, err := readMeasured[T](s, r, file)
		if errors.Is(err, ErrDamaged) {
			s.Tell(Progress{Key: j.Key, Note: fmt.Sprintf("%v; it is measured again", err)})
		}
		return found
	}
	if found := remembered(); found != nil {
		return found, nil
	}
	unlock, err := s.lock(ctx, j.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if found := remembered(); found != nil { // by the process that had the lock
		return found, nil
	}
	if err := j.Load(ctx); err != nil {
		return nil, err
	}
	if err := fit(j); err != nil {
		return nil, err
	}
	record, err := s.locked(ctx, j)
	if err != nil {
		return nil, err
	}
	found, err := func() (*T, error) {
		if j.Store, err = s.encoder(ctx, j, record); err != nil {
			return nil, err
		}
		return measure(j, record)
	}()
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, sslkit.ErrInterrupted) {
			err = fmt.Errorf("%w while probing run %s", sslkit.ErrInterrupted, j.Key)
		}
		return nil, err
	}
	if err := os.MkdirAll(s.path(j.Key), 0o755); err != nil { // of a shipped run there is no folder yet
		return nil, fmt.Errorf("runs: %w", err)
	}
	return found, write(s.path(j.Key, file), measurement[T]{record.origin(file), found})
}

func (r *Record) origin(file string) origin { return origin{r.Key, file, r.Parameters} }

// Labelled says why there is nothing to probe with.
func Labelled(j *Job) error {
	if reads := sslkit.Backbone(j.Method).Input(); reads != inputOf(j.Train) {
		return fmt.Errorf("runs: %s has %v, and the network of %s reads %v: of clips, Track measures it", j.Data.Name, inputOf(j.Train), sslkit.TitleOf(j.Method), reads)
	}
	if len(j.Train.Classes()) == 0 {
		return fmt.Errorf("runs: %s has no labels to evaluate with; a folder has them with one subfolder a class", j.Data.Name)
	}
	return nil
}

func (s *Store) evaluate(ctx context.Context, j *Job, record *Record, o eval.Options) (*Scores, error) {
	s.Tell(Progress{Key: j.Key, Now: fmt.Sprintf("%v: probing", j)})
	byTrain, byTest, err := j.By(o.Label)
	if err != nil {
		return nil, err
	}
	ordered := func(src data.Source) (Ordered, error) {
		src, err := data.Turned(src, o.Turn)
		if err != nil {
			return Ordered{}, err
		}
		return InOrder(src)
	}
	train, err := ordered(byTrain)
	if err != nil {
		return nil, err
	}
	test, err := ordered(byTest)
	if err != nil {
		return nil, err
	}
	classes := byTrain.Classes()
	if o.NonLinear == nil { // whole maps are large, and soon read again
		o.Cache = eval.Cache{Dir: s.path(j.Key, "features"), Key: j.Key + record.Parameters}
		if o.Turn > 0 {
			o.Cache.Key += fmt.Sprintf(" turned %d", o.Turn)
		}
	}
	o.Groups = data.Groups(j.Test)
	scores := new(Scores)
	scores.Scores, err = eval.Evaluate(ctx, j.Backend, j.Store, j.Method, train.Loader, test.Loader, train.Labels, test.Labels, len(classes), o)
	if err != nil {
		return nil, err
	}
	for i, name := range classes {
		scores.Counts[i].Name = name
	}
	for v := range j.Store.Scope("/encoder").IterVariables() {
		if v.Trainable {
			scores.Parameters += v.Shape().Size()
		}
	}
	if accuracy := record.History.Reports["accuracy"]; len(accuracy) > 0 && j.Role() == sslkit.SelfSupervised {
		scores.Pretext = &accuracy[len(accuracy)-1]
	}
	if m, ok := j.Method.(*eval.Supervised); ok && m.Label == o.Label {
		if scores.EndToEndTested, err = m.Test(ctx, j.Backend, j.Store, test.Loader, test.Labels, o.Groups); err != nil {
			return nil, err
		}
		scores.EndToEnd = &scores.EndToEndTested.Test
	}
	return scores, nil
}

// Scores returns what the run of this key was evaluated to, once for each set of options; none if it
// was not evaluated.
func (s *Store) Scores(key string) ([]*Scores, error) {
	record, err := s.read(key)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	dirs := []string{s.path(key)}
	if record.Shipped != nil {
		dirs = append(dirs, s.shippedPath(key, ""))
	}
	var files []string
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join(dir, "scores-*.json"))
		if err != nil {
			return nil, fmt.Errorf("runs: %w", err)
		}
		for _, path := range paths {
			files = append(files, filepath.Base(path))
		}
	}
	slices.Sort(files)
	var all []*Scores
	for _, file := range slices.Compact(files) {
		if scores, err := readMeasured[Scores](s, record, file); err == nil { // a damaged one is measured again when it is asked for
			all = append(all, scores)
		}
	}
	return all, nil
}

// readMeasured returns what was measured of this very encoder.
func readMeasured[T any](s *Store, r *Record, file string) (*T, error) {
	var m measurement[T]
	err := s.readSealed(r, file, &m)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && m.Found == nil {
		err = sealed.ErrDamaged
	}
	if err == nil && m.Of != r.origin(file) {
		err = fmt.Errorf("%s is of %+v", s.path(r.Key, file), m.Of)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m.Found, nil
}

// Has tells whether a file beside a finished run holds what was measured of its encoder.
func (s *Store) Has(r *Record, file string) bool {
	found, err := readMeasured[json.RawMessage](s, r, file)
	return err == nil && found != nil
}

// Trained returns c's job with its data open and its parameters, training it first if need be.
func (s *Store) Trained(ctx context.Context, c sslkit.Config) (*Job, error) {
	j, err := s.Job(ctx, c)
	if err != nil {
		return nil, err
	}
	record, err := s.pretrain(ctx, j)
	if err != nil {
		return nil, err
	}
	if err := j.Load(ctx); err != nil {
		return nil, err
	}
	j.Store, err = s.encoder(ctx, j, record)
	return j, err
}
