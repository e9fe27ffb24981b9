package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/cluster"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// saveEvery is how much work a killed run may lose; a variable for the tests.
var saveEvery = 20 * time.Second

// Pretrain returns the record of c's run: at once if it is done, else after training it, from its
// last checkpoint if it was stopped before. A cancelled context saves the run first; the error is
// then sslkit.ErrInterrupted, and the same call goes on. The random encoder has nothing to train.
//
// Beside the loss, the record has the figures of eval.Live an epoch, measured on up to 1,000 training
// and 500 test images: k-NN accuracy of each stage, standard deviation and effective rank of the last.
func (s *Store) Pretrain(ctx context.Context, c Config) (*Record, error) {
	j, err := s.job(ctx, c)
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
	text        *data.Tokenizer // of methods that read captions
	inventory   *data.Inventory
}

// job completes c with what its key needs: this machine's backend and the digest of the data, which are opened only by
// load, since a finished run asks for none.
func (s *Store) job(ctx context.Context, c Config) (*job, error) {
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
	for _, kind := range []string{"folder:", "captions:", "video:"} {
		if path, ok := strings.CutPrefix(c.Data.Name, kind); ok {
			// A relative path names another folder from elsewhere, and would find that one's run.
			if path, err = filepath.Abs(path); err != nil {
				return nil, fmt.Errorf("sweep: %w", err)
			}
			c.Data.Name = kind + path
		}
	}
	j := &job{Config: c, backend: backend, choice: choice}
	digest, err := j.digest(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case c.Data.Digest != "" && c.Data.Digest != digest:
		return nil, fmt.Errorf("sweep: %s has changed: the configuration is for data with the digest %s, and what is there has %s; bring the old data back, or leave the digest out",
			c.Data.Name, c.Data.Digest, digest)
	}
	j.Data.Digest = digest
	j.key = j.Key()
	return j, nil
}

func (j *job) digest(ctx context.Context, s *Store) (string, error) {
	digest, err := data.Digest(ctx, j.Data.Name, j.options(s))
	return digest, interrupted(ctx, err)
}

// options to open the data with.
func (j *job) options(s *Store) data.OpenOptions {
	return data.OpenOptions{Size: j.Data.Size, PerPhoto: j.Data.PerPhoto, Progress: func(file string, done, total int64) {
		s.report(Progress{Key: j.key, Name: file, Bytes: done, Total: total})
	}}
}

// interrupted makes an error that came of a cancelled context sslkit.ErrInterrupted.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, sslkit.ErrInterrupted) {
		return fmt.Errorf("%w: %w", sslkit.ErrInterrupted, err)
	}
	return err
}

// userFiles tells from its digest that a dataset is made of the user's files, which may change.
func userFiles(digest string) bool { return strings.HasPrefix(digest, "sha256:") }

// suits says why the method has nothing to learn from the data, of which it is trained on n examples.
func (j *job) suits(n int) error {
	m := j.Config.method()
	if c, ok := m.(sslkit.Colored); ok && c.NeedsColor() && j.inventory.Gray == j.inventory.Train+j.inventory.Test {
		return fmt.Errorf("sweep: the images of %s are grey, and %v has nothing to colour: choose images in colour, or another method", j.Data.Name, j.Method)
	}
	if c, ok := m.(sslkit.Counted); ok && n < c.MinImages() {
		return fmt.Errorf("sweep: %v takes at least %d training images, and %s has %d: lower what asks for so many, or train on more (--train)", j.Method, c.MinImages(), j.Data.Name, n)
	}
	return nil
}

// load opens the data and completes the method with what it needs of it.
func (j *job) load(ctx context.Context, s *Store) error {
	if j.train != nil {
		return nil
	}
	train, test, err := j.Data.open(ctx, j.options(s))
	if err != nil {
		return interrupted(ctx, err)
	}
	if j.inventory, err = data.Check(ctx, j.Data.Name, j.options(s)); err != nil {
		return interrupted(ctx, err)
	}
	if j.inventory.Digest != j.Data.Digest {
		return fmt.Errorf("sweep: %s has changed since this command began: give it again", j.Data.Name)
	}
	if err := j.suits(train.Len()); err != nil {
		return err
	}
	j.train, j.test = train, test
	j.method = j.Method.chosen()[0]
	if m := j.Method.Supervised; m != nil {
		supervised := *m
		supervised.Labels, supervised.Classes = data.Labels(train), len(train.Classes())
		if err := supervised.Validate(); err != nil {
			return fmt.Errorf("sweep: %s: %w", j.Data.Name, err)
		}
		j.method = &supervised
	}
	if m := j.Method.CLIP; m != nil {
		j.text, err = data.NewTokenizer(train, m.Vocabulary, m.Length)
	}
	return err
}

func (j *job) String() string { return fmt.Sprintf("%v, %s, seed %d", j.Method, j.Data.Name, j.Seed) }

func (s *Store) pretrain(ctx context.Context, j *job) (*Record, error) {
	r, err := s.read(j.key)
	if err == nil && r.Done {
		s.report(Progress{Key: j.key, Note: fmt.Sprintf("%v: found the finished run %s", j, j.key)})
		return r, nil
	}
	unlock, err := s.lock(ctx, j.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.locked(ctx, j)
}

// locked is pretrain for who has the run's lock.
func (s *Store) locked(ctx context.Context, j *job) (*Record, error) {
	r, err := s.read(j.key) // another process may have finished it meanwhile
	switch {
	case err == nil && r.Done:
		return r, nil
	case errors.Is(err, ErrDamaged):
		s.report(Progress{Key: j.key, Note: fmt.Sprintf("%v; it is made again from its checkpoint", err)})
		r = nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("sweep: %w", err)
	}
	if err := j.load(ctx, s); err != nil {
		return nil, err
	}
	run, err := s.run(ctx, j)
	if err != nil {
		return nil, err
	}
	if r == nil { // what cannot be begun leaves no record
		s.announce(j)
		r = &Record{Key: j.key, Config: j.Config, Revision: revision(j.Method.Name()), Version: Version(), Backend: j.choice,
			Inventory: j.inventory, Started: time.Now().UTC()}
		if err := s.write(r); err != nil {
			return nil, err
		}
	}
	if run != nil {
		if r.History, err = run.Pretrain(ctx); err != nil {
			if errors.Is(err, sslkit.ErrInterrupted) { // show how far it got
				err = errors.Join(err, s.write(r))
			}
			return nil, err
		}
	}
	if digest, err := j.digest(ctx, s); err != nil {
		return nil, err
	} else if digest != j.Data.Digest {
		return nil, fmt.Errorf("sweep: %s has changed while run %s was trained on it: bring the old data back and give the same command again, or 'sslkit runs delete %s'",
			j.Data.Name, j.key, j.key)
	}
	if run != nil {
		r.Parameters = run.Parameters
		if s.Alone {
			r.Memory = peakMemory()
		}
	}
	r.Done, r.Finished = true, time.Now().UTC()
	return r, s.write(r)
}

// announce says of a run that begins what it computes on and what it computes with, where that may not be what was meant.
func (s *Store) announce(j *job) {
	note := func(format string, args ...any) { s.report(Progress{Key: j.key, Note: fmt.Sprintf(format, args...)}) }
	if why := j.choice.Fallback(); why != "" {
		note("%s", why)
	}
	if !userFiles(j.Data.Digest) {
		return
	}
	note("%s", j.inventory.Line())
	if records, _ := s.List(); records != nil {
		slices.Reverse(records)
		for _, r := range records {
			same := j.Config
			same.Data.Digest = r.Config.Data.Digest
			if r.Key != j.key && r.Config.key(0) == same.key(0) {
				when := "have changed since"
				if r.Unchecked {
					when = "may have changed since: it kept no digest of them"
				}
				note("run %s of %s is of the same name, but its data %s; this is a new run", r.Key, r.Started.Local().Format(time.DateTime), when)
				break
			}
		}
	}
}

// resumed says of a run that goes on which checkpoints it could not go on from.
func (s *Store) resumed(j *job, state sslkit.State) {
	for _, err := range state.Damaged {
		s.report(Progress{Key: j.key, Note: fmt.Sprintf("%v; going on from step %d", err, state.Step)})
	}
}

// run prepares the training; there is none of the random encoder.
func (s *Store) run(ctx context.Context, j *job) (*sslkit.Run, error) {
	if j.Method.Random != nil {
		return nil, nil
	}
	loader, err := data.Batches(j.train, data.Options{Batch: j.batch(), Seed: j.Seed, Shuffle: true, Text: j.text})
	if err != nil {
		return nil, err
	}
	run := &sslkit.Run{
		Method: j.method, Backend: j.backend, Train: loader, Epochs: j.Epochs, Seed: j.Seed,
		Optimizer: j.Optimizer.build(loader.Steps(), j.Epochs),
		Dir:       s.path(j.key, "checkpoints"), Key: j.key, Save: saveEvery,
		Resumed:  func(state sslkit.State) { s.resumed(j, state) },
		Progress: func(p sslkit.Progress) { s.report(Progress{Key: j.key, Name: j.String(), Step: p}) },
	}
	run.Monitor, err = j.monitor(ctx)
	return run, err
}

// monitor measures a run on few images, or not at all where there are no labels, or clips.
func (j *job) monitor(ctx context.Context) (func(*sslkit.Run, int) (map[string]float64, error), error) {
	classes := len(j.train.Classes())
	if _, moves := j.train.(data.Clips); moves || classes == 0 || j.test.Len() == 0 {
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
	labels := data.Labels(j.train)
	// An interrupted run first ends its epoch: a figure must not be missing after it is resumed.
	ctx = context.WithoutCancel(ctx)
	var encoder *sslkit.Encoder // compiled once; the run's store comes with the first call
	return func(r *sslkit.Run, _ int) (figures map[string]float64, err error) {
		if encoder == nil {
			if encoder, err = sslkit.NewEncoder(r.Backend, r.Store, r.Method, eval.Pooled); err != nil {
				return nil, err
			}
		}
		figures, err = eval.Live(ctx, encoder, train.loader, test.loader, train.labels, test.labels, classes)
		if m, ok := r.Method.(*sslkit.DeepCluster); ok && err == nil {
			figures["nmi_classes"] = cluster.NMI(m.Labels(r.Store)[:len(labels)], labels)
		}
		return figures, err
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

// encoder returns the store of j's encoder, once its run is done.
func (s *Store) encoder(ctx context.Context, j *job, record *Record) (*model.Store, error) {
	if j.Method.Random != nil {
		in, err := inOrder(j.train)
		if err != nil {
			return nil, err
		}
		store, err := eval.RandomInit(ctx, j.backend, j.method, in.loader, j.Seed)
		if err == nil && j.Method.Random.Fitted {
			shuffled, err := data.Batches(j.train, data.Options{Batch: min(250, j.train.Len()), Seed: j.Seed, Shuffle: true})
			if err != nil {
				return nil, err
			}
			return store, eval.FitNorms(ctx, j.backend, store, j.method, shuffled)
		}
		return store, err
	}
	store, err := sslkit.LoadFinal(s.path(j.key, "checkpoints"), record.Parameters)
	if err != nil {
		return nil, fmt.Errorf("sweep: run %s is finished, but its encoder cannot be read; 'sslkit runs repair %s' trains it on from its newest whole checkpoint: %w", j.key, j.key, err)
	}
	return store, nil
}
