package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// saveEvery is how much work a killed run may lose.
const saveEvery = 20 * time.Second

// Pretrain returns the record of c's run: at once if it is done, else after training it, from its
// last checkpoint if it was stopped before. A cancelled context saves the run first; the error is
// then sslkit.ErrInterrupted, and the same call goes on.
//
// Beside the loss, the record has three figures an epoch, of the last stage and on up to 1,000
// training and 500 test images: k-NN accuracy, standard deviation of the features and effective rank.
func (s *Store) Pretrain(ctx context.Context, c Config) (*Record, error) {
	j, err := newJob(c)
	if err != nil {
		return nil, err
	}
	return s.pretrain(ctx, j)
}

// job is a configuration with what it names opened.
type job struct {
	Config
	key         string
	backend     compute.Backend
	choice      pjrt.Choice
	method      sslkit.Method
	train, test data.Source
}

// newJob opens what c names. The data comes last: a finished run asks for none, so it is opened only
// by load.
func newJob(c Config) (*job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	backend, choice, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	if c.Backend == "" {
		c.Backend = choice.Kind
	}
	if c.Backend != choice.Kind {
		return nil, fmt.Errorf("sweep: the configuration is for the backend %s and this machine has %s; set GOMLX_BACKEND, or leave the backend out", c.Backend, choice.Kind)
	}
	return &job{Config: c, key: c.Key(), backend: backend, choice: choice}, nil
}

// load opens the data and completes the method with what it needs of it.
func (j *job) load(s *Store) error {
	if j.train != nil {
		return nil
	}
	train, test, err := j.Data.open(data.OpenOptions{Progress: func(file string, done, total int64) {
		s.report(Progress{Key: j.key, Note: fmt.Sprintf("%s: %d of %d MB", file, done>>20, total>>20)})
	}})
	if err != nil {
		return err
	}
	j.train, j.test = train, test
	switch m := j.Method; {
	case m.Rotation != nil:
		j.method = m.Rotation
	case m.Supervised != nil:
		supervised := *m.Supervised
		supervised.Labels, supervised.Classes = data.Labels(train), len(train.Classes())
		if err := supervised.Validate(); err != nil {
			return fmt.Errorf("sweep: %s: %w", j.Data.Name, err)
		}
		j.method = &supervised
	case m.Random != nil:
		j.method = &sslkit.Rotation{Backbone: m.Random.Backbone} // only Encode is used
	}
	return nil
}

func (j *job) String() string {
	name := j.Method.Name()
	if r := j.Method.Rotation; r != nil {
		name = fmt.Sprintf("rotation %v", r.Angles)
	}
	return fmt.Sprintf("%s, %s, seed %d", name, j.Data.Name, j.Seed)
}

func (s *Store) pretrain(ctx context.Context, j *job) (*Record, error) {
	if j.Method.Random != nil {
		return nil, errors.New("sweep: the random encoder is not trained; evaluate it")
	}
	if r, err := s.read(j.key); err == nil && r.Done {
		s.report(Progress{Key: j.key, Note: fmt.Sprintf("%v: found the finished run %s", j, j.key)})
		return r, nil
	}
	unlock, err := s.lock(ctx, j.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := s.read(j.key) // another process may have finished it meanwhile
	switch {
	case err == nil && r.Done:
		return r, nil
	case errors.Is(err, ErrDamaged):
		s.report(Progress{Key: j.key, Note: fmt.Sprintf("%v; going on from its checkpoint", err)})
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("sweep: %w", err)
	}
	if r == nil {
		r = &Record{Key: j.key, Config: j.Config, Version: Version(), Backend: j.choice, Started: time.Now().UTC()}
		if err := s.write(r); err != nil {
			return nil, err
		}
	}
	if err := s.train(ctx, j, r); err != nil {
		return nil, err
	}
	r.Done, r.Finished = true, time.Now().UTC()
	return r, s.write(r)
}

func (s *Store) train(ctx context.Context, j *job, r *Record) error {
	if err := j.load(s); err != nil {
		return err
	}
	loader, err := data.Batches(j.train, data.Options{Batch: j.Batch, Seed: j.Seed, Shuffle: true})
	if err != nil {
		return err
	}
	run := &sslkit.Run{
		Method: j.method, Backend: j.backend, Train: loader, Epochs: j.Epochs, Seed: j.Seed,
		Optimizer: j.Optimizer.build(loader.Steps(), j.Epochs),
		Dir:       s.path(j.key, "checkpoints"), Save: saveEvery,
		Progress: func(p sslkit.Progress) { s.report(Progress{Key: j.key, Name: j.String(), Step: p}) },
	}
	if run.Monitor, err = j.monitor(ctx); err != nil {
		return err
	}
	r.History, err = run.Pretrain(ctx)
	return err
}

// monitor measures a run on few images, or not at all where there are no labels.
func (j *job) monitor(ctx context.Context) (func(*sslkit.Run, int) (map[string]float64, error), error) {
	classes := len(j.train.Classes())
	if classes == 0 || j.test.Len() == 0 {
		return nil, nil
	}
	train, err := few(j.train, 1000)
	if err != nil {
		return nil, err
	}
	test, err := few(j.test, 500)
	if err != nil {
		return nil, err
	}
	// An interrupted run first ends its epoch: a figure must not be missing after it is resumed.
	ctx = context.WithoutCancel(ctx)
	return func(r *sslkit.Run, _ int) (map[string]float64, error) {
		return eval.Live(ctx, r.Backend, r.Store, r.Method, train.loader, test.loader, train.labels, test.labels, classes)
	}, nil
}

// split is a part of the data in order, with its labels.
type split struct {
	loader *data.Loader
	labels []int32
}

func inOrder(src data.Source) (split, error) {
	loader, err := data.Batches(src, data.Options{Batch: min(250, src.Len()), KeepLast: true})
	return split{loader, data.Labels(src)}, err
}

// few draws at most n examples; where the classes are too uneven for that it takes all.
func few(src data.Source, n int) (split, error) {
	if src.Len() > n {
		if s, err := data.Subset(src, n, 0); err == nil {
			src = s
		}
	}
	return inOrder(src)
}

// trained returns the store of j's encoder.
func (s *Store) trained(ctx context.Context, j *job) (*model.Store, error) {
	if j.Method.Random != nil {
		in, err := inOrder(j.train)
		if err != nil {
			return nil, err
		}
		return eval.RandomInit(ctx, j.backend, j.method, in.loader, j.Seed)
	}
	if _, err := s.pretrain(ctx, j); err != nil {
		return nil, err
	}
	store, _, err := sslkit.LoadStore(s.path(j.key, "checkpoints"))
	return store, err
}
