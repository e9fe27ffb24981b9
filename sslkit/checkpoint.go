package sslkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
)

// ErrNoCheckpoint says that a directory holds no checkpoint to load.
var ErrNoCheckpoint = errors.New("sslkit: no checkpoint")

// State is what a checkpoint keeps beside the variables.
type State struct {
	Step    int     `json:"step"` // training steps taken
	History History `json:"history"`

	// Sums over the epoch under way: loss first, then the reports.
	Sums  []float64 `json:"sums,omitempty"`
	Count int       `json:"count,omitempty"`
	Spent float64   `json:"spent,omitempty"` // seconds, see History.EpochSeconds

	// GoMLX's checkpoints forget which variables are trained; one that is forgotten here (the
	// random state, running statistics, a queue of keys) would be changed by the optimizer.
	Frozen []string          `json:"frozen"`
	SHA256 map[string]string `json:"sha256"` // of GoMLX's files
}

const (
	stateFile  = "state.json"
	stepFormat = "step-%09d"
	keep       = 2 // checkpoints on disk: the newest, and one to fall back on
)

// saveStore writes a checkpoint under dir in one atomic rename: after a crash at any moment the
// directory holds the checkpoints that were complete before, and nothing else is read.
func saveStore(dir string, store *model.Store, state State) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	tmp, err := os.MkdirTemp(dir, "tmp-")
	if err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	defer os.RemoveAll(tmp)

	loader := store.Loader() // the handler puts itself in front of it, once for each save
	defer store.SetLoader(loader)
	handler, err := checkpoint.Build(store).Dir(tmp).Keep(-1).WithCompression(checkpoint.BinUncompressed).Done()
	if err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := handler.Save(); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := checkWritten(tmp, store.ByteSize()); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	state.Frozen = nil
	for v := range store.IterVariables() {
		if !v.Trainable {
			state.Frozen = append(state.Frozen, v.Path())
		}
	}
	if state.SHA256, err = sumDir(tmp); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	text, err := json.MarshalIndent(state, "", " ")
	if err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := os.WriteFile(filepath.Join(tmp, stateFile), text, 0o644); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := syncDir(tmp); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	final := filepath.Join(dir, fmt.Sprintf(stepFormat, state.Step))
	if err := os.RemoveAll(final); err != nil { // a damaged one of the same step
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := syncFile(dir); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	return prune(dir)
}

// checkWritten finds out about a full disk: GoMLX v0.28.1 drops the error of a failed write of a
// variable (it wraps another, nil one) and goes on.
func checkWritten(dir string, want int64) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"+checkpoint.BinDataSuffix))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("%d data files in %s, want 1: %w", len(files), dir, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		return err
	}
	if info.Size() != want {
		return fmt.Errorf("%d of %d bytes written to %s: is the disk full?", info.Size(), want, dir)
	}
	return nil
}

// LoadStore reads the newest whole checkpoint under dir. A damaged one is passed over for the one
// before it; the error then names each that could not be read. Without any it is [ErrNoCheckpoint].
func LoadStore(dir string) (*model.Store, State, error) {
	paths, err := checkpoints(dir)
	if err != nil {
		return nil, State{}, err
	}
	var bad []error
	for i := len(paths) - 1; i >= 0; i-- {
		store, state, err := loadStore(paths[i])
		if err == nil {
			return store, state, nil
		}
		bad = append(bad, fmt.Errorf("%s: %w", paths[i], err))
	}
	if len(bad) > 0 {
		return nil, State{}, fmt.Errorf("sslkit: every checkpoint is damaged, delete the run and start it again: %w", errors.Join(bad...))
	}
	return nil, State{}, fmt.Errorf("%w in %s", ErrNoCheckpoint, dir)
}

func loadStore(path string) (*model.Store, State, error) {
	var state State
	text, err := os.ReadFile(filepath.Join(path, stateFile))
	if err != nil {
		return nil, state, err
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, state, fmt.Errorf("%s: %w", stateFile, err)
	}
	for name, want := range state.SHA256 {
		got, err := sumFile(filepath.Join(path, name))
		if err != nil {
			return nil, state, err
		}
		if got != want {
			return nil, state, fmt.Errorf("%s does not have the checksum it was written with", name)
		}
	}
	store := model.NewStore()
	if _, err := checkpoint.Load(store).Dir(path).Immediate().Done(); err != nil {
		return nil, state, err
	}
	store.SetLoader(nil) // all is loaded; a handler left behind would answer for deleted variables
	for _, name := range state.Frozen {
		if v := store.GetVariable(name); v != nil {
			v.SetTrainable(false)
		}
	}
	return store, state, nil
}

// checkpoints lists the complete checkpoints under dir, oldest first.
func checkpoints(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "step-*"))
	if err != nil {
		return nil, fmt.Errorf("sslkit: %w", err)
	}
	sort.Strings(paths)
	return paths, nil
}

func prune(dir string) error {
	paths, err := checkpoints(dir)
	if err != nil {
		return err
	}
	stale, err := filepath.Glob(filepath.Join(dir, "tmp-*")) // of a process that was killed while saving
	if err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	for _, p := range append(stale, paths[:max(0, len(paths)-keep)]...) {
		if err := os.RemoveAll(p); err != nil {
			return fmt.Errorf("sslkit: %w", err)
		}
	}
	return nil
}

func sumDir(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sums := make(map[string]string)
	for _, e := range entries {
		if e.Type() != fs.ModeDir {
			if sums[e.Name()], err = sumFile(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return sums, nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// syncDir flushes the files of dir, and dir itself, to the disk: a rename must not be seen before
// what it names.
func syncDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncFile(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return syncFile(dir)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
