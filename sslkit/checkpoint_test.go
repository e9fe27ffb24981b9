package sslkit

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// saved returns a directory with the checkpoints of steps 23 and 24.
func saved(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	r := newRun(t, dir)
	r.Save = 1
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckpointKeepsTwoAndWhatIsFrozen(t *testing.T) {
	dir := saved(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 || entries[0].Name() != "step-000000023" || entries[1].Name() != "step-000000024" {
		t.Errorf("checkpoints on disk: %v", entries)
	}
	store, state, err := LoadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if state.Step != 24 || len(state.History.Loss) != 3 {
		t.Errorf("state %+v", state)
	}
	for name, trainable := range map[string]bool{"/#rngState": false, "/seen": false, "/global_step": false, "/encoder/dense/weights": true} {
		if v := store.GetVariable(name); v == nil || v.Trainable != trainable {
			t.Errorf("%s: trainable is not %v after loading", name, trainable)
		}
	}
}

func TestDamagedCheckpointFallsBack(t *testing.T) {
	damage := map[string]func(t *testing.T, path string){
		"truncated": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()/2)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"bit flipped": func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err == nil {
				data[len(data)/2] ^= 1
				err = os.WriteFile(path, data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"missing": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			dir := saved(t)
			hit := func(step string) {
				files, _ := filepath.Glob(filepath.Join(dir, step, "*.bin"))
				if len(files) != 1 {
					t.Fatalf("%s holds %v", step, files)
				}
				do(t, files[0])
			}
			hit("step-000000024")
			_, state, err := LoadStore(dir)
			if err != nil || state.Step != 23 {
				t.Fatalf("step %d, error %v: want the checkpoint before the damaged one", state.Step, err)
			}
			r := newRun(t, dir)
			if _, err := r.Pretrain(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, state, err := LoadStore(dir); err != nil || state.Step != 24 {
				t.Fatalf("step %d, error %v: the damaged checkpoint was not replaced", state.Step, err)
			}
			hit("step-000000023")
			hit("step-000000024")
			if _, _, err := LoadStore(dir); err == nil || errors.Is(err, ErrNoCheckpoint) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("error %v, want one that says all are damaged", err)
			}
		})
	}
}

func TestFullDiskKeepsTheOldCheckpoint(t *testing.T) {
	dir := saved(t)
	// A limit on the size of files makes writing fail in the middle of one, as a full disk does.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := limit
	small.Cur = 4096
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	r := newRun(t, dir)
	r.Epochs = 4
	_, err := r.Pretrain(context.Background())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("error %v, want one that says what to do", err)
	}
	if _, state, err := LoadStore(dir); err != nil || state.Step != 24 {
		t.Errorf("step %d, error %v after a failed save", state.Step, err)
	}
	r = newRun(t, dir)
	r.Epochs = 4
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Errorf("with space again: %v", err)
	}
}
