package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/published"
)

// saveEvery is how much work a killed run may lose; a variable for the tests.
var saveEvery = 20 * time.Second

// Pretrain returns the record of c's run: at once if it is done, else after training it, from its
// last checkpoint if it was stopped before. A cancelled context saves the run first; the error is
// then sslkit.ErrInterrupted, and the same call goes on. The random encoder has nothing to train.
//
// Beside the loss, the record has the figures of eval.Live an epoch, measured on up to 1,000 training
// and 500 test images: k-NN accuracy of each stage, standard deviation and effective rank of the last.
func (s *Store) Pretrain(ctx context.Context, c sslkit.Config) (*Record, error) {
	j, err := s.Job(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.pretrain(ctx, j)
}

// Job is a configuration with what it names opened.
type Job struct {
	sslkit.Config
	Key         string
	Backend     compute.Backend
	Method      sslkit.Method // as configured, and with what it needs of the data, such as labels
	Train, Test data.Source
	Text        *data.Tokenizer // of methods that read captions
	Inventory   *data.Inventory
	Store       *model.Store // parameters of the encoder, once it is trained

	store  *Store
	choice pjrt.Choice
}

// Job completes c with what its key needs: this machine's backend and the digest of the data, which are opened only by
// Load, since a finished run asks for none.
func (s *Store) Job(ctx context.Context, c sslkit.Config) (*Job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	backend, choice, err := pjrt.OpenDevices(c.Devices)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	if c.Backend == "" {
		c.Backend = choice.Name()
	}
	if c.Backend != choice.Name() {
		return nil, fmt.Errorf("runs: the configuration is for the backend %s and this machine has %s; set GOMLX_BACKEND or SSLKIT_CONV, or leave the backend out", c.Backend, choice.Name())
	}
	for _, kind := range []string{"folder:", "captions:", "video:", "audio:", "logmel:"} {
		if path, ok := strings.CutPrefix(c.Data.Name, kind); ok {
			// A relative path names another folder from elsewhere, and would find that one's run.
			if path, err = filepath.Abs(path); err != nil {
				return nil, fmt.Errorf("runs: %w", err)
			}
			c.Data.Name = kind + path
		}
	}
	if c.Init != nil {
		if c.Init, err = pinInit(*c.Init); err != nil {
			return nil, err
		}
	}
	j := &Job{Config: c, Backend: backend, Method: c.Method, store: s, choice: choice}
	digest, err := j.digest(ctx)
	switch {
	case err != nil:
		return nil, err
	case c.Data.Digest != "" && c.Data.Digest != digest:
		return nil, fmt.Errorf("runs: %s has changed: the configuration is for data with the digest %s, and what is there has %s; bring the old data back, or leave the digest out",
			c.Data.Name, c.Data.Digest, digest)
	}
	j.Data.Digest = digest
	j.Key = j.Config.Key()
	if _, err := os.Stat(s.path(j.Key, "record.json")); errors.Is(err, fs.ErrNotExist) {
		j.Key = cmp.Or(s.shippedKey(j.Config), j.Key)
	}
	return j, nil
}

// pinInit completes what an encoder starts from by the file's digest, and by its full path.
func pinInit(init sslkit.Init) (_ *sslkit.Init, err error) {
	if init.File != "" {
		if init.File, err = filepath.Abs(init.File); err != nil {
			return nil, fmt.Errorf("runs: %w", err)
		}
	}
	if init.Digest == "" {
		if init.Digest, err = published.Digest(init.File); err != nil {
			return nil, fmt.Errorf("runs: --init: %w", err)
		}
	}
	return &init, nil
}

// given reads the encoder that j starts from.
func (j *Job) given() (*model.Store, error) {
	if j.Init.File == "" {
		return nil, fmt.Errorf("runs: the configuration starts from a file with the digest %s, and does not name it: give its path (init.file)", j.Init.Digest)
	}
	file, err := published.Read(j.Init.File)
	if err != nil {
		return nil, fmt.Errorf("runs: --init: %w", err)
	}
	if file.Digest != j.Init.Digest {
		return nil, fmt.Errorf("runs: %s has changed: the run starts from a file with the digest %s, and this one has %s; bring the old file back, or begin another run", j.Init.File, j.Init.Digest, file.Digest)
	}
	encoder, err := file.As(*sslkit.Backbone(j.Config.Method))
	if err != nil {
		return nil, fmt.Errorf("runs: --init: %w", err)
	}
	return encoder.Store, nil
}

// Pin returns c with the digest of its data as they are now: should they change while several runs are made for one table,
// the next one is refused.
func (s *Store) Pin(ctx context.Context, c sslkit.Config) (sslkit.Config, error) {
	j, err := s.Job(ctx, c)
	if err != nil {
		return c, err
	}
	c.Data.Digest, c.Init = j.Data.Digest, j.Init
	return c, nil
}

func (j *Job) digest(ctx context.Context) (string, error) {
	digest, err := data.Digest(ctx, j.Data.Name, j.options())
	return digest, interrupted(ctx, err)
}

// options to open the data with.
func (j *Job) options() data.OpenOptions {
	return data.OpenOptions{Size: j.Data.Size, PerPhoto: j.Data.PerPhoto, Frames: j.Data.Frames, Progress: func(file string, done, total int64) {
		j.store.Tell(Progress{Key: j.Key, Name: file, Bytes: done, Total: total})
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

// suits says why the method has nothing to learn from the data, whose training examples are train.
func (j *Job) suits(train data.Source) error {
	m, n := j.Config.Method, train.Len()
	r, _ := sslkit.RegistrationOf(m)
	needs := r.Needs.Input()
	if r.Role == sslkit.Labelled || r.Role == sslkit.Untrained { // whatever their network reads
		needs = sslkit.Backbone(m).Input()
	}
	if needs != inputOf(train) {
		return fmt.Errorf("runs: %s learns from %v, and %s has %v: choose %s (--data)", sslkit.TitleOf(m), needs, j.Data.Name, inputOf(train), suitable[needs])
	}
	if c, ok := m.(sslkit.Colored); ok && c.NeedsColor() && j.Inventory.Gray == j.Inventory.Train+j.Inventory.Test {
		return fmt.Errorf("runs: the images of %s are grey, and %s has nothing to colour: choose images in colour, or another method", j.Data.Name, sslkit.TitleOf(j.Method))
	}
	if c, ok := m.(sslkit.Counted); ok && n < c.MinImages() {
		return fmt.Errorf("runs: %s takes at least %d training images, and %s has %d: lower what asks for so many, or train on more (--train)", sslkit.TitleOf(m), c.MinImages(), j.Data.Name, n)
	}
	return nil
}

// inputOf is what the examples of src are.
func inputOf(src data.Source) nn.Input {
	if _, moves := src.(data.Clips); moves {
		return nn.Clips
	}
	if data.IsText(src) {
		return nn.Texts
	}
	return nn.Images
}

// suitable are datasets to choose from.
var suitable = map[nn.Input]string{
	nn.Images: "a dataset of images", nn.Clips: "clips, moving-fashion, spoken-digits, video:PATH or audio:PATH", nn.Texts: "glosses or glosses-all",
}

// Load opens the data, looks at them, and completes the method with what it needs of them.
func (j *Job) Load(ctx context.Context) error {
	if j.Train != nil {
		return nil
	}
	train, test, err := j.open(ctx)
	if err != nil {
		return interrupted(ctx, err)
	}
	if j.Inventory.Digest != j.Data.Digest {
		return fmt.Errorf("runs: %s has changed since this command began: give it again", j.Data.Name)
	}
	if err := j.suits(train); err != nil {
		return err
	}
	if m, ok := j.Config.Method.(sslkit.Taught); ok {
		taught := train
		if s, ok := m.(*eval.Supervised); ok {
			if taught, err = data.By(train, s.Label); err != nil {
				return err
			}
		}
		if j.Method, err = m.Teach(data.Labels(taught), len(taught.Classes())); err != nil {
			return fmt.Errorf("runs: %s: %w", j.Data.Name, err)
		}
	}
	if m, ok := j.Config.Method.(sslkit.Reader); ok {
		vocabulary, length := m.Reads()
		if j.Text, err = data.NewTokenizer(train, vocabulary, length); err != nil {
			return err
		}
	}
	if data.IsText(train) {
		b := sslkit.Backbone(j.Method)
		tokenizer, err := data.NewTokenizer(train, b.Words, b.Length)
		if err != nil {
			return err
		}
		train, test = &data.Tokenized{Captioned: train.(data.Captioned), Tokenizer: tokenizer}, &data.Tokenized{Captioned: test.(data.Captioned), Tokenizer: tokenizer}
	}
	j.Train, j.Test = train, test
	return nil
}

// open returns the training and the test split, and takes their inventory.
func (j *Job) open(ctx context.Context) (train, test data.Source, err error) {
	if train, test, j.Inventory, err = data.Inspect(ctx, j.Data.Name, j.options()); err == nil {
		err = j.Inventory.Err() // what cannot be read
	}
	if err != nil {
		return nil, nil, err
	}
	if train, err = Part(train, j.Data.Train); err != nil {
		return nil, nil, fmt.Errorf("runs: --train: %w", err)
	}
	if test, err = Part(test, j.Data.Test); err != nil {
		return nil, nil, fmt.Errorf("runs: --test: %w", err)
	}
	return train, test, nil
}

// Part draws n examples, always the same: equally many of each class, or in proportion where a class has too few for that.
func Part(src data.Source, n int) (data.Source, error) {
	if n == 0 || n == src.Len() {
		return src, nil
	}
	some, err := data.Subset(src, n, 0)
	if err != nil {
		if some, err := data.Proportional(src, n, 0); err == nil {
			return some, nil
		}
	}
	return some, err
}

// By is the data with their labels of a kind, see [data.By].
func (j *Job) By(kind string) (train, test data.Source, err error) {
	if train, err = data.By(j.Train, kind); err != nil {
		return nil, nil, err
	}
	test, err = data.By(j.Test, kind)
	return train, test, err
}

func (j *Job) String() string {
	return fmt.Sprintf("%s, %s, seed %d", sslkit.TitleOf(j.Config.Method), j.Data.Name, j.Seed)
}

func (s *Store) pretrain(ctx context.Context, j *Job) (*Record, error) {
	r, err := s.read(j.Key)
	if err == nil && r.Done {
		if from := r.Origin(); from != "" {
			s.Tell(Progress{Key: j.Key, Now: fmt.Sprintf("%v: found run %s of this checkout, %s", j, j.Key, from)})
		} else {
			s.Tell(Progress{Key: j.Key, Now: fmt.Sprintf("%v: found the finished run %s", j, j.Key)})
		}
		return r, s.tell(ctx, j, r)
	}
	unlock, err := s.lock(ctx, j.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.locked(ctx, j)
}

// locked is pretrain for who has the run's lock.
func (s *Store) locked(ctx context.Context, j *Job) (*Record, error) {
	r, err := s.read(j.Key) // another process may have finished it meanwhile
	switch {
	case err == nil && r.Done:
		return r, nil
	case errors.Is(err, ErrDamaged):
		s.Tell(Progress{Key: j.Key, Note: fmt.Sprintf("%v; it is made again from its checkpoint", err)})
		r = nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("runs: %w", err)
	}
	if err := j.Load(ctx); err != nil {
		return nil, err
	}
	run, err := s.run(ctx, j)
	if err != nil {
		return nil, err
	}
	curves := &curves{s: s, j: j, began: time.Now(), ctx: context.WithoutCancel(ctx)} // an interrupted run ends its epoch, too
	if r != nil {
		curves.began = r.Started
	}
	if run != nil {
		if err := s.track(curves); err != nil {
			return nil, err
		}
	}
	fresh := r == nil
	if fresh { // what cannot be begun leaves no record
		s.announce(j)
		r = &Record{Key: j.Key, Config: j.Config, Revision: j.Revision(), Version: Version(), Backend: j.choice,
			Inventory: j.Inventory, Started: time.Now().UTC()}
		if err := s.write(r); err != nil {
			return nil, err
		}
	}
	if run != nil {
		s.Tell(Progress{Key: j.Key, Now: fmt.Sprintf("%v: compiling", j)})
		run.Ended = func(h sslkit.History) {
			curves.write(h)
			s.Tell(Progress{Key: j.Key, Name: j.String(), Epoch: &h})
		}
		r.History, err = run.Pretrain(ctx)
		if err == nil {
			curves.write(r.History) // of a run that was stopped after its last step
		}
		curves.close(err)
		if err != nil {
			if errors.Is(err, sslkit.ErrInterrupted) { // show how far it got
				err = errors.Join(err, s.write(r))
			}
			return nil, err
		}
	}
	if digest, err := j.digest(ctx); err != nil {
		return nil, err
	} else if digest != j.Data.Digest {
		return nil, fmt.Errorf("runs: %s has changed while run %s was trained on it: bring the old data back and give the same command again, or 'sslkit runs delete %s'",
			j.Data.Name, j.Key, j.Key)
	}
	if run != nil {
		r.Parameters = run.Parameters
		if s.Alone {
			r.Memory = peakMemory()
			if fresh {
				r.CPU = processorTime()
			}
		}
	}
	r.Done, r.Finished = true, time.Now().UTC()
	return r, s.write(r)
}

// announce says of a run that begins what it computes on and what it computes with, where that may not be what was meant.
func (s *Store) announce(j *Job) {
	note := func(format string, args ...any) { s.Tell(Progress{Key: j.Key, Note: fmt.Sprintf(format, args...)}) }
	if why := j.choice.Fallback(); why != "" {
		note("%s", why)
	}
	if j.Devices > 1 && j.choice.Conv != "" {
		note("each batch is divided among %d devices, which XLA's own convolutions can be and those of %s cannot", j.Devices, j.choice.Conv)
	}
	if !userFiles(j.Data.Digest) {
		return
	}
	note("%s", j.Inventory.Line())
	if records, _ := s.List(); records != nil {
		slices.Reverse(records)
		for _, r := range records {
			same := j.Config
			same.Data.Digest = r.Config.Data.Digest
			if r.Key != j.Key && r.Config.KeyAt(sslkit.Revision{}) == same.KeyAt(sslkit.Revision{}) {
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
func (s *Store) resumed(j *Job, state sslkit.State) {
	for _, err := range state.Damaged {
		s.Tell(Progress{Key: j.Key, Note: fmt.Sprintf("%v; going on from step %d", err, state.Step)})
	}
}

// run prepares the training; there is none of the random encoder.
func (s *Store) run(ctx context.Context, j *Job) (*sslkit.Run, error) {
	if j.Role() == sslkit.Untrained {
		return nil, nil
	}
	loader, err := data.Batches(j.Train, data.Options{Batch: j.batch(), Seed: j.Seed, Shuffle: true, Text: j.Text})
	if err != nil {
		return nil, err
	}
	run := &sslkit.Run{
		Method: j.Method, Backend: j.Backend, Train: loader, Epochs: j.Epochs, Seed: j.Seed, Devices: j.Devices, Precision: j.Precision,
		Optimizer: j.Optimizer.Build(loader.Steps(), j.Epochs),
		Dir:       s.path(j.Key, "checkpoints"), Key: j.Key, Save: saveEvery,
		Resumed:  func(state sslkit.State) { s.resumed(j, state) },
		Progress: func(p sslkit.Progress) { s.Tell(Progress{Key: j.Key, Name: j.String(), Step: p}) },
	}
	if j.Init != nil {
		run.Init = func(r *sslkit.Run) error {
			from, err := j.given()
			if err != nil {
				return err
			}
			if err := sslkit.CopyEncoder(r.Store, from); err != nil {
				return fmt.Errorf("runs: %s: %w", j.Init.File, err)
			}
			return nil
		}
	}
	run.Monitor, err = j.monitor(ctx)
	return run, err
}

// monitor measures a run on few examples, or not at all where there are no labels or the network reads none such.
func (j *Job) monitor(ctx context.Context) (func(*sslkit.Run, int) (map[string]float64, error), error) {
	classes := len(j.Train.Classes())
	if sslkit.Backbone(j.Method).Input() != inputOf(j.Train) || classes == 0 || j.Test.Len() == 0 {
		return nil, nil
	}
	train, err := few(j.Train, 1000)
	if err != nil {
		return nil, err
	}
	test, err := few(j.Test, 500)
	if err != nil {
		return nil, err
	}
	labels := data.Labels(j.Train)
	// An interrupted run first ends its epoch: a figure must not be missing after it is resumed.
	ctx = context.WithoutCancel(ctx)
	var encoder *sslkit.Encoder // compiled once; the run's store comes with the first call
	return func(r *sslkit.Run, _ int) (figures map[string]float64, err error) {
		if encoder == nil {
			if encoder, err = sslkit.NewEncoder(r.Backend, r.Store, r.Method, eval.Pooled); err != nil {
				return nil, err
			}
		}
		figures, err = eval.Live(ctx, encoder, train.Loader, test.Loader, train.Labels, test.Labels, classes)
		if m, ok := r.Method.(sslkit.Clusterer); ok && err == nil {
			figures["nmi_classes"] = cluster.NMI(m.Labels(r.Store)[:len(labels)], labels)
		}
		return figures, err
	}, nil
}

// Ordered is a part of the data in order, with its labels.
type Ordered struct {
	Loader *data.Loader
	Labels []int32
}

// InOrder walks over all of src.
func InOrder(src data.Source) (Ordered, error) {
	loader, err := data.Batches(src, data.Options{Batch: min(250, src.Len()), KeepLast: true})
	return Ordered{loader, data.Labels(src)}, err
}

// few draws at most n examples; where the classes are too uneven for that it takes all.
func few(src data.Source, n int) (Ordered, error) {
	if src.Len() > n {
		if s, err := data.Subset(src, n, 0); err == nil {
			src = s
		}
	}
	return InOrder(src)
}

// encoder returns the store of j's encoder, once its run is done.
func (s *Store) encoder(ctx context.Context, j *Job, record *Record) (*model.Store, error) {
	if record.Shipped != nil {
		return s.shippedEncoder(record)
	}
	if j.Role() == sslkit.Untrained {
		in, err := InOrder(j.Train)
		if err != nil {
			return nil, err
		}
		store, err := eval.RandomInit(ctx, j.Backend, j.Method, in.Loader, j.Seed)
		if r, ok := j.Method.(*eval.Random); ok && r.Fitted && err == nil {
			shuffled, err := data.Batches(j.Train, data.Options{Batch: min(250, j.Train.Len()), Seed: j.Seed, Shuffle: true})
			if err != nil {
				return nil, err
			}
			return store, eval.FitNorms(ctx, j.Backend, store, j.Method, shuffled)
		}
		if j.Init != nil && err == nil {
			from, err := j.given()
			if err != nil {
				return nil, err
			}
			if err := sslkit.CopyEncoder(store, from); err != nil {
				return nil, fmt.Errorf("runs: %s: %w", j.Init.File, err)
			}
		}
		return store, err
	}
	store, err := sslkit.LoadFinal(s.path(j.Key, "checkpoints"), record.Parameters)
	if err != nil {
		return nil, fmt.Errorf("runs: run %s is finished, but its encoder cannot be read; 'sslkit runs repair %s' trains it on from its newest whole checkpoint: %w", j.Key, j.Key, err)
	}
	return store, nil
}

// batch is how many images a step takes: of the supervised baseline, on few images, an eighth of them but at least 8, so
// that there are some steps.
func (j *Job) batch() int {
	if n := j.Train.Len(); j.Role() == sslkit.Labelled {
		return min(j.Batch, max(8, n/8), n)
	}
	return j.Batch
}

// Path is that of a file in the run's folder.
func (j *Job) Path(parts ...string) string { return j.store.path(j.Key, parts...) }
