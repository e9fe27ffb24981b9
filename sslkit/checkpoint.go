package sslkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/internal/sealed"
)

// ErrNoCheckpoint says that a directory holds no checkpoint to load.
var ErrNoCheckpoint = errors.New("sslkit: no checkpoint")

// ErrDamaged says that there are checkpoints and that none of them is whole.
var ErrDamaged = errors.New("sslkit: every checkpoint is damaged, delete the run and start it again")

// State is what a checkpoint keeps beside the parameters.
type State struct {
	Key     string  `json:"key,omitempty"` // of the run
	Step    int     `json:"step"`          // training steps taken
	History History `json:"history"`

	// Sums over the epoch under way: loss first, then the reports.
	Sums  []float64 `json:"sums,omitempty"`
	Count int       `json:"count,omitempty"`
	Spent float64   `json:"spent,omitempty"` // seconds, see History.EpochSeconds

	// Parameters is the SHA-256 of the file of parameters: the same for a run that was resumed and one that was not.
	Parameters string `json:"parameters"`
	// Damaged are the later checkpoints that were passed over for this one, and why.
	Damaged []error `json:"-"`
}

const (
	stateFile      = "state.json"
	parametersFile = "parameters.safetensors"
	stepFormat     = "step-%09d"
	keep           = 2 // checkpoints on disk: the newest, and one to fall back on
)

// saveStore writes a checkpoint under dir in one atomic rename: after a crash at any moment the
// directory holds the checkpoints that were complete before, and nothing else is read.
func saveStore(dir string, store *model.Store, state *State) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sslkit: %w", err)
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if state.Parameters, err = writeParameters(filepath.Join(tmp, parametersFile), store, nil, false); err != nil {
		return err
	}
	if err := sealed.Write(filepath.Join(tmp, stateFile), state); err != nil {
		return err
	}
	if err := syncDir(tmp); err != nil {
		return err
	}
	final := filepath.Join(dir, fmt.Sprintf(stepFormat, state.Step))
	if err := os.RemoveAll(final); err != nil { // a damaged one of the same step
		return err
	}
	if err := os.Rename(tmp, final); err != nil {
		return err
	}
	if err := syncFile(dir); err != nil {
		return err
	}
	return prune(dir)
}

// LoadStore reads the newest whole checkpoint under dir. A damaged one is passed over for the one
// before it, and State.Damaged says so. Without a whole one the error names each that could not be
// read; without any it is [ErrNoCheckpoint].
func LoadStore(dir string) (*model.Store, State, error) {
	paths, err := checkpoints(dir)
	if err != nil {
		return nil, State{}, err
	}
	var bad []error
	for i := len(paths) - 1; i >= 0; i-- {
		store, state, err := loadStore(paths[i])
		if err == nil {
			state.Damaged = bad
			return store, state, nil
		}
		bad = append(bad, fmt.Errorf("%s: %w", paths[i], err))
	}
	if len(bad) > 0 {
		return nil, State{}, fmt.Errorf("%w: %w", ErrDamaged, errors.Join(bad...))
	}
	return nil, State{}, fmt.Errorf("%w in %s", ErrNoCheckpoint, dir)
}

// LoadFinal reads the newest checkpoint under dir, and none in its place: its parameters must have this SHA-256.
func LoadFinal(dir, digest string) (*model.Store, error) {
	paths, err := checkpoints(dir)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w in %s", ErrNoCheckpoint, dir)
	}
	newest := paths[len(paths)-1]
	store, state, err := loadStore(newest)
	if err == nil && state.Parameters != digest {
		err = errors.New("its parameters are not those that the run ended with")
	}
	if err != nil {
		return nil, fmt.Errorf("sslkit: %s: %w", newest, err)
	}
	return store, nil
}

// FinalFiles are the files of the newest checkpoint under dir, which is whole and has parameters of this SHA-256.
func FinalFiles(dir, digest string) ([]string, error) {
	if _, err := LoadFinal(dir, digest); err != nil {
		return nil, err
	}
	paths, err := checkpoints(dir)
	if err != nil {
		return nil, err
	}
	newest := paths[len(paths)-1]
	return []string{filepath.Join(newest, stateFile), filepath.Join(newest, parametersFile)}, nil
}

// PlaceFinal makes the folder from, which holds what [FinalFiles] named elsewhere, the only checkpoint under dir. One that is not
// whole, or has other parameters than those of this SHA-256, is refused.
func PlaceFinal(dir, from, digest string) error {
	var state State
	if err := sealed.Read(filepath.Join(from, stateFile), &state); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if state.Parameters != digest {
		return fmt.Errorf("sslkit: %s has other parameters than those that the run ended with", from)
	}
	if _, err := readParameters(filepath.Join(from, parametersFile), digest); err != nil {
		return fmt.Errorf("sslkit: %s: %w", from, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	if err := os.Rename(from, filepath.Join(dir, fmt.Sprintf(stepFormat, state.Step))); err != nil {
		return fmt.Errorf("sslkit: %w", err)
	}
	return nil
}

// DropDamaged deletes the checkpoints under dir that are damaged, so that a run goes on from the newest whole one, or begins
// again.
func DropDamaged(dir string) error {
	paths, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if _, _, err := loadStore(path); err != nil {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("sslkit: %w", err)
			}
		}
	}
	return nil
}

func loadStore(path string) (*model.Store, State, error) {
	var state State
	if err := sealed.Read(filepath.Join(path, stateFile), &state); err != nil {
		return nil, State{}, err
	}
	if filepath.Base(path) != fmt.Sprintf(stepFormat, state.Step) {
		return nil, State{}, fmt.Errorf("it is of step %d", state.Step)
	}
	store, err := readParameters(filepath.Join(path, parametersFile), state.Parameters)
	if err != nil {
		return nil, State{}, fmt.Errorf("%s: %w", parametersFile, err)
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
