package runs

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/sealed"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// Store keeps the records of runs in a folder, one subfolder each.
type Store struct {
	Dir    string
	Report func(Progress) // what long work has to tell; nil: nothing

	// Alone says that this process trains one run and does nothing else, so that its peak memory is the
	// run's: it is kept in the record.
	Alone bool

	// Bucket is where [Store.Fetch] and [Store.Offer] take finished runs from and bring them to; nil: nowhere.
	Bucket *Bucket

	// Tracker is told of each run that is trained or found; nil: none.
	Tracker *Tracker

	// Shipped is the folder of records that came with the checkout, "" for none: see [Shipment].
	Shipped string
	index   sync.Once
	byRun   map[string]string // keys of shipped runs, see shippedKey

	of Several // what news are about
}

// Record is what is kept of a run, beside its checkpoints.
type Record struct {
	Key             string         `json:"key"`
	Config          sslkit.Config  `json:"config"` // whose hash with the revision is the key
	sslkit.Revision                // of the method's numbers
	Done            bool           `json:"done"`
	History         sslkit.History `json:"history"`
	Version         string         `json:"version"` // of the code that began it
	Backend         pjrt.Choice    `json:"backend"`
	Started         time.Time      `json:"started"`
	Finished        time.Time      `json:"finished,omitzero"`
	// Parameters is the SHA-256 of the last checkpoint's, of a run that is done and has any.
	Parameters string `json:"parameters,omitempty"`
	// Inventory of the data that it was trained on.
	Inventory *data.Inventory `json:"inventory,omitempty"`

	Memory    int64     `json:"memory,omitempty"`  // peak of the process that trained it, in bytes of main memory; 0: not known, see Store.Alone
	CPU       float64   `json:"cpu,omitempty"`     // seconds of processors of that process, compiling included; 0: not known, as of a run that was resumed
	Shipped   *Shipment `json:"shipped,omitempty"` // of a record that came with the checkout
	Unchecked bool      `json:"-"`                 // written before records had checksums and digests of their data
}

// EpochSeconds is the median of the run's epochs, see sslkit.History, without the first where there are
// others: that one compiles. It is 0 where no times were kept.
func (r *Record) EpochSeconds() float64 {
	times := slices.Clone(r.History.EpochSeconds)
	if len(times) > 1 {
		times = times[1:]
	}
	slices.Sort(times)
	n := len(times)
	if n == 0 {
		return 0
	}
	return (times[(n-1)/2] + times[n/2]) / 2
}

// peakMemory is the most main memory that this process has had, in bytes; 0 where only Linux could tell.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscanf(line, "%d kB", &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}

// processorTime is what this process has had of the processors, in seconds; 0 where only Linux could tell.
func processorTime() float64 {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name before may have spaces; see proc(5)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (user + system) / 100 // of Linux's ticks for programs
}

// Open returns the store in dir. Without dir it is $SSLKIT_RUNS, or runs within $SSLKIT_HOME, or
// sslkit/runs within the user's cache. Records of the checkout are in $SSLKIT_RECORDS, if that is set. Progress goes to
// standard error.
func Open(dir string) (*Store, error) {
	if dir == "" {
		dir = os.Getenv("SSLKIT_RUNS")
	}
	if home := os.Getenv("SSLKIT_HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, "runs")
	}
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("runs: no folder for runs, set SSLKIT_HOME to one: %w", err)
		}
		dir = filepath.Join(cache, "sslkit", "runs")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("runs: the folder for runs, set SSLKIT_HOME to another: %w", err)
	}
	return &Store{Dir: dir, Shipped: os.Getenv("SSLKIT_RECORDS"), Report: Printer(os.Stderr)}, nil
}

// Tell reports news, where somebody listens.
func (s *Store) Tell(p Progress) {
	if s.Report != nil {
		p.Of = s.of
		s.Report(p)
	}
}

func (s *Store) path(key string, parts ...string) string {
	return filepath.Join(append([]string{s.Dir, key}, parts...)...)
}

// ErrDamaged marks a record that cannot be read.
var ErrDamaged = errors.New("damaged record")

// read returns fs.ErrNotExist for a run that was never begun, and ErrDamaged for a broken record.
func (s *Store) read(key string) (*Record, error) {
	r, err := s.readAt(s.path(key, "record.json"), key)
	if errors.Is(err, fs.ErrNotExist) && s.Shipped != "" {
		return s.readAt(s.shippedPath(key, "record.json"), key)
	}
	return r, err
}

func (s *Store) readAt(path, key string) (*Record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(text, path, key)
}

// parse reads the text of the record of a key, which stands at path.
func parse(text []byte, path, key string) (*Record, error) {
	r := new(Record)
	err := sealed.Unmarshal(text, r)
	if errors.Is(err, sealed.ErrUnsealed) {
		r, err = old(text)
	}
	switch {
	case errors.Is(err, sslkit.ErrUnknownMethod):
		return nil, fmt.Errorf("run %s was made with a method that this program does not have, and is left alone: %w", key, err)
	case err == nil && r.Config.KeyAt(r.Revision) != r.Key:
		err = errors.New("its configuration is of another key")
	}
	if err == nil && r.Key != key {
		err = fmt.Errorf("it is of run %q", r.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrDamaged, path, err)
	}
	return r, nil
}

// old reads a record from before there were checksums and digests of data. No request finds it any more, since its key
// has no digest; it can be shown.
func old(text []byte) (*Record, error) {
	r := &Record{Unchecked: true}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	if r.Config.Data.Digest != "" {
		return nil, sealed.ErrDamaged
	}
	for r.Number = 1; r.Number <= r.Config.Revision().Number; r.Number++ {
		if r.Config.KeyAt(r.Revision) == r.Key {
			return r, nil
		}
	}
	return nil, errors.New("its configuration is of another key")
}

func (s *Store) write(r *Record) error { return write(s.path(r.Key, "record.json"), r) }

// write replaces a file at once, or leaves it as it was.
func write(path string, v any) error {
	if err := sealed.Write(path, v); err != nil {
		return fmt.Errorf("runs: writing %s: %w", path, err)
	}
	return nil
}

// keys returns the runs of the store, and those that came with the checkout.
func (s *Store) keys() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if s.Shipped != "" && err == nil {
		var more []fs.DirEntry
		if more, err = os.ReadDir(s.Shipped); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		entries = append(entries, more...)
	}
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	var keys []string
	for _, e := range entries {
		if IsKey(e.Name()) {
			keys = append(keys, e.Name())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// List returns all records, oldest first, and an error that joins those that cannot be read.
func (s *Store) List() ([]*Record, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	var records []*Record
	var bad []error
	for _, key := range keys {
		r, err := s.read(key)
		switch {
		case err == nil:
			records = append(records, r)
		case !errors.Is(err, fs.ErrNotExist):
			bad = append(bad, told(err))
		}
	}
	slices.SortFunc(records, func(a, b *Record) int { return a.Started.Compare(b.Started) })
	return records, errors.Join(bad...)
}

// IsKey tells runs from what else lies in the folder.
func IsKey(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == sslkit.KeyDigits
}

// find completes the beginning of a key.
func (s *Store) find(prefix string) (string, error) {
	keys, err := s.keys()
	if err != nil {
		return "", err
	}
	var found []string
	for _, key := range keys {
		if prefix != "" && strings.HasPrefix(key, prefix) {
			found = append(found, key)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("runs: no run's key begins with %q; 'sslkit runs list' shows them", prefix)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("runs: the keys of %d runs begin with %q: %s", len(found), prefix, strings.Join(found, ", "))
}

// Get returns the record whose key begins with prefix.
func (s *Store) Get(prefix string) (*Record, error) {
	key, err := s.find(prefix)
	if err != nil {
		return nil, err
	}
	r, err := s.read(key)
	if err != nil {
		return nil, told(err)
	}
	return r, nil
}

// told says of an error of read what can be done about it.
func told(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("runs: %w; the same request begins it again", err)
	}
	return fmt.Errorf("runs: %w", err)
}

// Find returns the record of c's run, finished or not; the error is fs.ErrNotExist if there is none.
func (s *Store) Find(ctx context.Context, c sslkit.Config) (*Record, error) {
	j, err := s.Job(ctx, c)
	if err != nil {
		return nil, err
	}
	r, err := s.read(j.Key)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return r, nil
}

// Delete removes the run whose key begins with prefix, checkpoints and all, and returns its key. A
// run that is under way stays.
func (s *Store) Delete(prefix string) (string, error) {
	key, err := s.find(prefix)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(s.path(key)); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("runs: run %s came with this checkout, and nothing of it is in the store", key)
	}
	lock := flock.New(s.lockFile(key))
	if err := os.MkdirAll(filepath.Dir(lock.Path()), 0o755); err != nil {
		return "", fmt.Errorf("runs: %w", err)
	}
	if ok, err := lock.TryLock(); err != nil {
		return "", fmt.Errorf("runs: %w", err)
	} else if !ok {
		return "", fmt.Errorf("runs: run %s is under way in %s: stop that first", key, s.holder(key))
	}
	defer func() { _ = lock.Unlock() }()
	// The record goes first: killed in between, what is left must not pass for a finished run.
	if err := os.Remove(s.path(key, "record.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("runs: %w", err)
	}
	if err := os.RemoveAll(s.path(key)); err != nil {
		return "", fmt.Errorf("runs: %w", err)
	}
	if err := s.SetFailed(key, nil); err != nil {
		return "", err
	}
	return key, nil
}

// lockFile lies beside the runs: it must outlive its run, or a process that waits for it would end up
// with the lock of a deleted file, and a third one with that of a new one.
func (s *Store) lockFile(key string) string { return filepath.Join(s.Dir, ".locks", key) }

// lock takes the run for this process, waiting for another that has it.
func (s *Store) lock(ctx context.Context, key string) (unlock func(), err error) {
	lock := flock.New(s.lockFile(key))
	if err := os.MkdirAll(filepath.Dir(lock.Path()), 0o755); err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	ok, err := lock.TryLock()
	if err == nil && !ok {
		s.Tell(Progress{Key: key, Now: fmt.Sprintf("%s is at the same run; waiting for its result", s.holder(key))})
		ok, err = lock.TryLockContext(ctx, 200*time.Millisecond)
		if err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("%w while waiting for run %s", sslkit.ErrInterrupted, key)
		}
	}
	if err == nil && ok {
		if err = os.WriteFile(s.lockFile(key)+".holder", []byte(holding()), 0o644); err != nil {
			_ = lock.Unlock()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("runs: locking run %s: %w", key, err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// jobs are the environment variables in which schedulers name a job: Slurm (of an array the job and its task), PBS, LSF, Grid
// Engine, Kubernetes' indexed jobs.
var jobs = [][]string{{"SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"}, {"SLURM_JOB_ID"}, {"PBS_JOBID"}, {"LSB_JOBID"}, {"JOB_ID"}, {"JOB_COMPLETION_INDEX"}}

// holding says who has a run: "process 20108 on n1, job 45_6". Where many machines share the store a process alone names nobody.
func holding() string {
	text := fmt.Sprintf("process %d", os.Getpid())
	if host, err := os.Hostname(); err == nil {
		text += " on " + host
	}
	for _, names := range jobs {
		var values []string
		for _, name := range names {
			if value := os.Getenv(name); value != "" {
				values = append(values, value)
			}
		}
		if len(values) == len(names) {
			return text + ", job " + strings.Join(values, "_")
		}
	}
	return text
}

// Busy names who is at the run of a key now, "" for nobody.
func (s *Store) Busy(key string) string {
	if _, err := os.Stat(s.lockFile(key)); err != nil {
		return "" // nobody ever was
	}
	lock := flock.New(s.lockFile(key))
	if ok, err := lock.TryLock(); err != nil || ok {
		_ = lock.Unlock()
		return ""
	}
	return s.holder(key)
}

// holder names who has the run.
func (s *Store) holder(key string) string {
	if text, err := os.ReadFile(s.lockFile(key) + ".holder"); err == nil && len(text) > 0 {
		return string(text)
	}
	return "another process"
}

// failure is what is kept of a task that failed, for whoever asks how its plan stands.
type failure struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

func (s *Store) failedFile(key string) string { return s.lockFile(key) + ".failed" }

// SetFailed keeps that work on the run of a key ended with this error, or forgets it where there is none. Who else asks for the
// run tries again all the same.
func (s *Store) SetFailed(key string, err error) error {
	if !IsKey(key) {
		return fmt.Errorf("runs: %q is no key", key)
	}
	if err == nil {
		if err := os.Remove(s.failedFile(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("runs: %w", err)
		}
		return nil
	}
	return write(s.failedFile(key), failure{holding(), time.Now().UTC(), err.Error()})
}

// Failed says who failed at the run of a key, when, and why; "" if nobody did, or somebody has done it since.
func (s *Store) Failed(key string) string {
	var f failure
	if !IsKey(key) || sealed.Read(s.failedFile(key), &f) != nil { // a damaged one says nothing
		return ""
	}
	return fmt.Sprintf("%s, %s: %s", f.By, f.At.Local().Format(time.DateTime), f.Error)
}

// Standing is how far a run is.
type Standing struct {
	Record *Record // nil: nobody has begun it
	Busy   string  // who is at it now
	Failed string  // see [Store.Failed]
}

// Standings returns a function that tells how far the run of a key is or, where there is none, the same on another backend: a
// plan is written on one machine and worked on by others. The error joins those of records that cannot be read.
func (s *Store) Standings() (of func(key string, c sslkit.Config) Standing, damaged error) {
	all, damaged := s.List()
	byKey, byRun := make(map[string]*Record), make(map[string]*Record)
	for _, r := range all {
		byKey[r.Key] = r
		run := anywhere(r.Config).KeyAt(r.Revision)
		if other := byRun[run]; other == nil || !other.Done {
			byRun[run] = r
		}
	}
	return func(key string, c sslkit.Config) Standing {
		r := byKey[key]
		if r == nil {
			r = byRun[anywhere(c).Key()]
		}
		at := Standing{Record: r, Failed: s.Failed(key), Busy: s.Busy(key)}
		if r != nil && at.Busy == "" {
			at.Busy = s.Busy(r.Key)
		}
		return at
	}, damaged
}

// Version is the code's, from what the Go toolchain stamps into the binary.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path == modulePath && dep.Version == "(devel)" { // a notebook's cell is a program of its own, just built from a checkout
			_, file, _, _ := runtime.Caller(0)
			version = checkedOut(filepath.Dir(file), version)
		}
	}
	for _, set := range info.Settings {
		if set.Key == "vcs.revision" {
			version = set.Value[:min(12, len(set.Value))]
		}
	}
	for _, set := range info.Settings {
		if set.Key == "vcs.modified" && set.Value == "true" {
			version += "+modified"
		}
	}
	return version
}

const modulePath = "github.com/sslkit/lab"

// checkedOut is the revision of a checkout, or else what is given.
func checkedOut(dir, otherwise string) string {
	out, err := exec.Command("git", "-C", dir, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+modified").Output()
	if text := strings.TrimSpace(string(out)); err == nil && text != "" {
		return text
	}
	return otherwise
}

// Repair trains a finished run, whose key begins with prefix and whose last checkpoint is damaged, on from its newest whole
// one, or anew where there is none, and returns its record. On the machine that trained it the parameters are again those
// that it ended with; where they are not, what was measured of the old ones is measured anew when it is asked for.
func (s *Store) Repair(ctx context.Context, prefix string) (*Record, error) {
	r, err := s.Get(prefix)
	if err != nil {
		return nil, err
	}
	j, err := s.Job(ctx, r.Config)
	if err != nil {
		return nil, err
	}
	if r.Shipped != nil {
		return nil, fmt.Errorf("runs: run %s came with this checkout: bring its files back from there", r.Key)
	}
	if j.Key != r.Key {
		return nil, fmt.Errorf("runs: run %s is of another version of its method or has no digest of its data: begin it again", r.Key)
	}
	unlock, err := s.lock(ctx, j.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	dir := s.path(j.Key, "checkpoints")
	if _, err := sslkit.LoadFinal(dir, r.Parameters); err == nil || !r.Done || r.Parameters == "" {
		return s.locked(ctx, j) // nothing is wrong with it, or it goes on in any case
	}
	if err := sslkit.DropDamaged(dir); err != nil {
		return nil, err
	}
	was := r.Parameters
	r.Done, r.Parameters = false, ""
	if err := s.write(r); err != nil {
		return nil, err
	}
	if r, err = s.locked(ctx, j); err == nil && r.Parameters != was {
		s.Tell(Progress{Key: j.Key, Note: fmt.Sprintf("run %s ends with other parameters than before; what was measured of it is measured again when it is asked for", j.Key)})
	}
	return r, err
}
