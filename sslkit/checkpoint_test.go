package sslkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
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
				files, _ := filepath.Glob(filepath.Join(dir, step, "*.safetensors"))
				if len(files) != 1 {
					t.Fatalf("%s holds %v", step, files)
				}
				do(t, files[0])
			}
			hit("step-000000024")
			_, state, err := LoadStore(dir)
			if err != nil || state.Step != 23 || len(state.Damaged) != 1 || !strings.Contains(state.Damaged[0].Error(), "step-000000024") {
				t.Fatalf("step %d, damaged %v, error %v: want the checkpoint before the damaged one", state.Step, state.Damaged, err)
			}
			if _, err := LoadFinal(dir, state.Parameters); err == nil {
				t.Error("LoadFinal stepped back")
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

// runOnFullDisk goes on with a run in a process of its own, in which no file can grow beyond 4 kB: writing
// fails in the middle, as on a full disk.
func runOnFullDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
		fmt.Println(err)
		return
	}
	r := newRun(new(testing.B), dir)
	r.Epochs = 4
	_, err := r.Pretrain(context.Background())
	fmt.Println(err)
}

func TestFullDiskKeepsTheOldCheckpoint(t *testing.T) {
	dir := saved(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SSLKIT_TEST_FULL_DISK="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "free some space") {
		t.Errorf("%s (%v): want an error that says what to do", out, err)
	}
	if _, state, err := LoadStore(dir); err != nil || state.Step != 24 {
		t.Errorf("step %d, error %v after a failed save", state.Step, err)
	}
	r := newRun(t, dir)
	r.Epochs = 4
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

// A checkpoint of another run is not gone on from, nor one beyond the run's end.
func TestOtherCheckpoints(t *testing.T) {
	dir := saved(t)
	r := newRun(t, dir)
	r.Key = "another"
	if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), "give another folder") {
		t.Errorf("another key: %v", err)
	}
	r = newRun(t, dir)
	r.Epochs = 2
	if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), "of 16 steps") {
		t.Errorf("beyond the end: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "step-000000024"), filepath.Join(dir, "step-000000025")); err != nil {
		t.Fatal(err)
	}
	if _, state, err := LoadStore(dir); err != nil || state.Step != 23 {
		t.Errorf("renamed: step %d, %v", state.Step, err)
	}
}

func TestParametersRefuseWhatTheyAreNot(t *testing.T) {
	store, _, err := LoadStore(saved(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "p")
	if _, err := writeParameters(path, store, nil, false); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Without the checksum, which finds all of it, nothing panics either, and no number is read from elsewhere.
	for i := range 400 {
		changed := append([]byte{}, data...)
		changed[i] ^= 1 << (i % 8)
		decodeParameters(changed)
		decodeParameters(data[:i])
	}
	if _, err := decodeParameters(data[:len(data)-1]); err == nil {
		t.Error("a file that lacks its last byte was read")
	}
}

// Half a file has half the values' bytes, and what is read is float32 again, as near as float16 is, with nothing else changed.
func TestHalfParameters(t *testing.T) {
	want := []float32{0, 1, -2.5, 1 + 1.0/1024, 1.0 / 3, -6.1e-5, 3e-6, 65504}
	store := model.NewStore()
	store.VariableWithValue("/w", tensors.FromFlatDataAndDimensions(want, 2, 4))
	store.VariableWithValue("/step", int64(1<<40+1)).SetTrainable(false)
	path := filepath.Join(t.TempDir(), "p")
	digest, err := WriteParameters(path, store, &SimCLR{}, true)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadParameters(path, digest)
	if err != nil {
		t.Fatal(err)
	}
	w, err := read.GetVariable("/w").Value()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := w.Value().([][]float32)
	for i, x := range want {
		// Rounded to nearest: 11 bits, or 24 behind the point.
		if !ok || math.Abs(float64(got[i/4][i%4]-x)) > max(math.Abs(float64(x))/2048, 1.0/(1<<25)) {
			t.Fatalf("read %v, written %v", w.Value(), want)
		}
	}
	step := read.GetVariable("/step")
	if value, err := step.Value(); err != nil || value.Value() != int64(1<<40+1) || step.Trainable {
		t.Errorf("the step is read as %v, %v", value, err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte(`"dtype":"F16","shape":[2,4],"data_offsets":[8,24]`)) {
		t.Errorf("the file is %q, %v", text, err)
	}
	store.VariableWithValue("/large", []float32{65536})
	if _, err := WriteParameters(path, store, &SimCLR{}, true); err == nil || !strings.Contains(err.Error(), "variable /large: 65536 is beyond float16") {
		t.Errorf("65,536 was written: %v", err)
	}
}

func FuzzParameters(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Add([]byte("\x40\x00\x00\x00\x00\x00\x00\x00{\"/w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}         \x00\x00\x80\x3f"))
	f.Fuzz(func(_ *testing.T, data []byte) { decodeParameters(data) })
}
