package sweep

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
)

func TestPretrainOnce(t *testing.T) {
	s, notes := newStore(t)
	r := pretrain(t, s, tiny(t))
	if !r.Done || r.Finished.Before(r.Started) || r.Backend.Kind != "go" || r.Config.Backend != "go" || r.Version == "" {
		t.Errorf("record %+v", r)
	}
	if h := r.History; len(h.Loss) != 2 || len(h.Reports["accuracy"]) != 2 || len(h.Figures["knn"]) != 2 {
		t.Errorf("history %+v", h)
	}
	steps := notes.steps
	if again := pretrain(t, s, tiny(t)); !reflect.DeepEqual(again, r) || notes.steps != steps {
		t.Errorf("the second time %+v after %d more steps, want %+v", again, notes.steps-steps, r)
	}

	c := tiny(t)
	c.Backend = "xla:cuda"
	_, err := s.Pretrain(context.Background(), c)
	wantError(t, "another backend", err, "xla:cuda", "this machine has go", "GOMLX_BACKEND")
	c = tiny(t)
	c.Batch = 81
	_, err = s.Pretrain(context.Background(), c)
	wantError(t, "a batch larger than the data", err, "a batch of 81", "at most 80")
	if all, err := s.List(); err != nil || len(all) != 1 {
		t.Errorf("what cannot be begun left %d records, %v", len(all)-1, err)
	}
}

// undisturbed is the record that a run has without interruptions.
func undisturbed(t *testing.T) *Record {
	t.Helper()
	s, _ := newStore(t)
	return pretrain(t, s, tiny(t))
}

// sameResult compares bit by bit what training decides; times differ.
func sameResult(t *testing.T, got, want *Record) {
	t.Helper()
	a, b := *got, *want
	a.Started, a.Finished, a.History.Seconds = b.Started, b.Finished, b.History.Seconds
	if !reflect.DeepEqual(a, b) {
		t.Errorf("record %+v, the undisturbed run's is %+v", a, b)
	}
}

func TestPretrainInterrupted(t *testing.T) {
	s, _ := newStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.Report = func(p Progress) {
		if p.Step.Step == 6 {
			cancel()
		}
	}
	if _, err := s.Pretrain(ctx, tiny(t)); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	if r, err := s.Find(tiny(t)); err != nil || r.Done || len(r.History.Loss) != 1 {
		t.Errorf("the record does not show how far it got: %+v, %v", r, err)
	}
	first := 0
	s.Report = func(p Progress) {
		if first == 0 {
			first = p.Step.Step
		}
	}
	got := pretrain(t, s, tiny(t))
	if first != 8 {
		t.Errorf("stopped after step 7, resumed with step %d", first)
	}
	sameResult(t, got, undisturbed(t))
}

// start begins a child and returns a function that waits for a line of its output.
func start(t *testing.T, cmd *exec.Cmd) (await func(part string)) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	return func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		rest, _ := io.ReadAll(out)
		t.Fatalf("the process ended without saying %q: %s", part, rest)
	}
}

func TestPretrainKilled(t *testing.T) {
	s, _ := newStore(t)
	hold := filepath.Join(s.Dir, "hold")
	if err := os.WriteFile(hold, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // at its first step with nothing, and with something to resume
		cmd := child("pretrain", s.Dir, tiny(t))
		start(t, cmd)("step")
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		_, err := s.Get("")
		wantError(t, "the empty key", err, "no run's key")
	}
	r, err := s.Find(tiny(t))
	if err != nil || r.Done {
		t.Fatalf("a killed run's record is %+v, %v", r, err)
	}
	first := 0
	s.Report = func(p Progress) {
		if first == 0 {
			first = p.Step.Step
		}
	}
	got := pretrain(t, s, tiny(t)) // the dead process's lock is free
	if first != 3 {
		t.Errorf("killed after steps 1 and 2, resumed with step %d", first)
	}
	sameResult(t, got, undisturbed(t))
}

func TestTwoProcesses(t *testing.T) {
	s, _ := newStore(t)
	hold := filepath.Join(s.Dir, "hold")
	if err := os.WriteFile(hold, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	trainer, waiter := child("pretrain", s.Dir, tiny(t)), child("pretrain", s.Dir, tiny(t))
	trained := start(t, trainer)
	trained("step 1")
	waited := start(t, waiter)
	waited("is at the same run; waiting")
	r, err := s.Find(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(r.Key); err == nil {
		t.Error("a run under way was deleted")
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	trained("done")
	waited("done")
	if err := errors.Join(trainer.Wait(), waiter.Wait()); err != nil {
		t.Fatal(err)
	}
	if r, err = s.Get(r.Key); err != nil {
		t.Fatal(err)
	}
	sameResult(t, r, undisturbed(t))
}

func TestPretrainDamaged(t *testing.T) {
	s, notes := newStore(t)
	want := pretrain(t, s, tiny(t))
	path := s.path(want.Key, "record.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	steps := notes.steps
	for name, damage := range map[string]string{"empty": "", "cut": string(text[:len(text)/2]), "another's": `{"key": "0123", "done": true}`} {
		if err := os.WriteFile(path, []byte(damage), 0o644); err != nil {
			t.Fatal(err)
		}
		sameResult(t, pretrain(t, s, tiny(t)), want)
		if notes.steps != steps || !strings.Contains(notes.String(), "going on from its checkpoint") {
			t.Errorf("%s: %d steps were repeated; news %q", name, notes.steps-steps, notes)
		}
	}
	// Nothing is left but the folder: it trains again.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.path(want.Key, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	sameResult(t, pretrain(t, s, tiny(t)), want)
}
