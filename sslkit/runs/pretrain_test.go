package runs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
)

// sameHistory compares all but the time.
func sameHistory(t *testing.T, got, want sslkit.History) {
	t.Helper()
	got.Seconds, want.Seconds = 0, 0
	got.EpochSeconds, want.EpochSeconds = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("history %+v\nwant, to the last bit, %+v", got, want)
	}
}

func TestPretrainRecord(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	r := pretrain(t, s, c)
	c.Backend, c.Data.Digest = "go", r.Config.Data.Digest
	if !r.Done || !strings.HasPrefix(c.Data.Digest, "sha256:") || !reflect.DeepEqual(r.Config, c) || r.Key != c.Key() || r.Backend.Kind != "go" || r.Backend.Devices != 1 || r.Version != Version() {
		t.Errorf("record %+v", r)
	}
	if r.Started.IsZero() || r.Finished.Before(r.Started) {
		t.Errorf("from %v to %v", r.Started, r.Finished)
	}
	h := r.History
	if len(h.Loss) != 2 || h.Loss[0] == h.Loss[1] || len(h.Reports["accuracy"]) != 2 || h.Seconds <= 0 {
		t.Errorf("history %+v, want a figure an epoch", h)
	}
	for _, name := range []string{"knn", "knn_1", "knn_2", "knn_3", "feature_std", "effective_rank"} {
		if f := h.Figures[name]; len(f) != 2 || !(f[0] > 0 && f[1] > 0) || f[0] == f[1] {
			t.Errorf("%s is %v, want a figure an epoch", name, f)
		}
	}
	if k := h.Figures["knn"][1]; k > 1 || k <= 0.3 { // a bar's place is plain to see; a guess has 0.25
		t.Errorf("k-NN accuracy %v", k)
	}
	if r := h.Figures["effective_rank"][1]; r < 1 || r > 6 {
		t.Errorf("effective rank %v of 6 dimensions", r)
	}
	if notes.Steps != 10 {
		t.Errorf("news of %d steps, want 10", notes.Steps)
	}
	if kept, err := s.Get(r.Key); err != nil || !reflect.DeepEqual(kept, r) {
		t.Errorf("kept is %+v, %v", kept, err)
	}
}

func TestPretrainSupervised(t *testing.T) {
	s, _ := newStore(t)
	r := pretrain(t, s, labelled(t))
	if h := r.History; !r.Done || len(h.Figures["knn"]) != 2 || len(h.Reports["accuracy"]) != 2 {
		t.Errorf("%+v", r)
	}
	if m := r.Config.Method.(*eval.Supervised); m.Classes != 0 || m.Labels != nil { // else its key would be another's
		t.Errorf("the data's labels are in the configuration: %+v", m)
	}
}

func TestPretrainRandomTrainsNothing(t *testing.T) {
	s, notes := newStore(t)
	r := pretrain(t, s, recipe.RandomInit(labtest.Tiny(t)))
	if !r.Done || notes.Steps != 0 || len(r.History.Loss) != 0 {
		t.Errorf("%d steps, %+v", notes.Steps, r)
	}
}

func TestFinishedRunIsReturned(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	there := filepath.Join(t.TempDir(), "pictures")
	if err := os.CopyFS(there, os.DirFS(strings.TrimPrefix(c.Data.Name, "folder:"))); err != nil {
		t.Fatal(err)
	}
	c.Data.Name = "folder:" + there
	first := pretrain(t, s, c)
	if err := os.RemoveAll(s.path(first.Key, "checkpoints")); err != nil { // of no use to who asks what came out
		t.Fatal(err)
	}
	notes.Forget()
	if again := pretrain(t, s, c); !reflect.DeepEqual(again, first) || notes.Steps != 0 {
		t.Errorf("%d steps, %+v\nwant %+v", notes.Steps, again, first)
	}
	if !strings.Contains(notes.String(), "found the finished run "+first.Key) {
		t.Errorf("news %q", notes)
	}

	// Without the data nobody knows whether it is they that the run is of. The record stays.
	if err := os.Rename(there, there+"-away"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Pretrain(t.Context(), c)
	labtest.WantError(t, "data that are gone", err, there)
	if kept, err := s.Get(first.Key); err != nil || !reflect.DeepEqual(kept, first) {
		t.Errorf("kept is %+v, %v", kept, err)
	}
	if err := os.Rename(there+"-away", there); err != nil {
		t.Fatal(err)
	}
	if again := pretrain(t, s, c); !reflect.DeepEqual(again, first) || notes.Steps != 0 {
		t.Errorf("with the data back %d steps, %+v", notes.Steps, again)
	}
}

// stopAt cancels after a step.
func stopAt(s *Store, step int) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	report := s.Report
	s.Report = func(p Progress) {
		report(p)
		if p.Step.Step == step {
			cancel(errors.New("enough"))
		}
	}
	return ctx
}

func TestInterruptedRunGoesOn(t *testing.T) {
	whole, _ := newStore(t)
	want := pretrain(t, whole, labtest.Tiny(t))
	for _, step := range []int{1, 6} { // within the first epoch, and within the second
		s, notes := newStore(t)
		report := s.Report
		_, err := s.Pretrain(stopAt(s, step), labtest.Tiny(t))
		if !errors.Is(err, sslkit.ErrInterrupted) {
			t.Fatalf("error %v, want ErrInterrupted", err)
		}
		labtest.WantError(t, "interrupted", err, fmt.Sprintf("at step %d of 10", step+1), "enough")
		r, err := s.Get(want.Key)
		if err != nil || r.Done || len(r.History.Loss) != step/5 || !r.Finished.IsZero() {
			t.Errorf("stopped after step %d: %+v, %v", step+1, r, err)
		}
		s.Report = report
		notes.Steps = 0
		got := pretrain(t, s, labtest.Tiny(t))
		sameHistory(t, got.History, want.History)
		if notes.Steps != 10-step-1 {
			t.Errorf("stopped after step %d, then %d more", step+1, notes.Steps)
		}
		if got.Parameters != want.Parameters {
			t.Errorf("stopped after step %d, the last checkpoint is another file than that of the undisturbed run", step+1)
		}
		if !got.Started.Equal(r.Started) {
			t.Error("the resumed run is not the one that was begun")
		}
	}
}

func TestInterruptedDownload(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	s, _ := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := labtest.Tiny(t)
	c.Data = sslkit.Data{Name: "cifar10"}
	if _, err := s.Pretrain(ctx, c); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
}

// holdAt starts a process that trains c until the given step and waits there.
func holdAt(t *testing.T, s *Store, c sslkit.Config, step int) (lines *bufio.Scanner, goOn, kill func()) {
	t.Helper()
	hold := filepath.Join(s.Dir, "hold")
	if err := os.WriteFile(hold, fmt.Append(nil, step), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := child("pretrain", s.Dir, c)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(stop)
	lines = bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != fmt.Sprint("step ", step) {
	}
	if lines.Text() != fmt.Sprint("step ", step) {
		t.Fatalf("the other process ended with %q", lines.Text())
	}
	return lines, func() { os.Remove(hold) }, stop
}

func TestKilledRunGoesOn(t *testing.T) {
	whole, _ := newStore(t)
	want := pretrain(t, whole, labtest.Tiny(t))
	s, notes := newStore(t)
	_, _, kill := holdAt(t, s, labtest.Tiny(t), 7)
	kill()
	if r, err := s.Get(want.Key); err != nil || r.Done {
		t.Errorf("after the kill: %+v, %v", r, err)
	}
	got := pretrain(t, s, labtest.Tiny(t))
	sameHistory(t, got.History, want.History)
	if notes.Steps != 3 {
		t.Errorf("%d steps after the kill in the seventh of ten", notes.Steps)
	}
}

func TestTwoProcessesTrainOnce(t *testing.T) {
	s, notes := newStore(t)
	lines, goOn, _ := holdAt(t, s, labtest.Tiny(t), 2)

	records, err := s.List()
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	_, err = s.Delete(records[0].Key)
	labtest.WantError(t, "deleting the other's run", err, "under way in process")

	type result struct {
		r   *Record
		err error
	}
	second := make(chan result, 1)
	go func() {
		r, err := s.Pretrain(context.Background(), labtest.Tiny(t))
		second <- result{r, err}
	}()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(notes.String(), "waiting for its result"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the second process does not say that it waits")
		}
	}
	select {
	case got := <-second:
		t.Fatalf("the second did not wait: %+v", got)
	default:
	}
	goOn()
	steps := 2
	for lines.Scan() && lines.Text() != "done" {
		steps++
	}
	got := <-second
	if got.err != nil {
		t.Fatal(got.err)
	}
	if lines.Text() != "done" || steps != 10 || notes.Steps != 0 {
		t.Errorf("the first took %d steps and ended with %q, the second took %d", steps, lines.Text(), notes.Steps)
	}
	if kept, err := s.Get(got.r.Key); err != nil || !got.r.Done || !reflect.DeepEqual(kept, got.r) {
		t.Errorf("the second has %+v, kept is %+v, %v", got.r, kept, err)
	}
}

func TestDamagedRecordGoesOnFromCheckpoint(t *testing.T) {
	s, notes := newStore(t)
	want := pretrain(t, s, labtest.Tiny(t))
	path := s.path(want.Key, "record.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string]string{"empty": "", "cut": string(text[:len(text)/2]), "another's": `{"key": "0123", "done": true}`} {
		notes.Forget()
		if err := os.WriteFile(path, []byte(damaged), 0o644); err != nil {
			t.Fatal(err)
		}
		got := pretrain(t, s, labtest.Tiny(t))
		sameHistory(t, got.History, want.History)
		if notes.Steps != 0 || !got.Done {
			t.Errorf("%s: %d steps though all were taken, %+v", name, notes.Steps, got)
		}
		if text := notes.String(); !strings.Contains(text, "damaged record "+path) || !strings.Contains(text, "made again from its checkpoint") {
			t.Errorf("%s: news %q", name, text)
		}
		if _, err := s.Get(want.Key); err != nil {
			t.Errorf("%s: it is still damaged: %v", name, err)
		}
	}
	// Nothing is left but the folder: it trains again.
	if err := errors.Join(os.Remove(path), os.RemoveAll(s.path(want.Key, "checkpoints"))); err != nil {
		t.Fatal(err)
	}
	sameHistory(t, pretrain(t, s, labtest.Tiny(t)).History, want.History)
	if notes.Steps != 10 {
		t.Errorf("%d steps to train again", notes.Steps)
	}
}

func TestPretrainUnlabelled(t *testing.T) {
	s, _ := newStore(t)
	c := labtest.Tiny(t)
	c.Data.Name = labtest.Folder(t, false)
	r := pretrain(t, s, c)
	if h := r.History; len(h.Loss) != 2 || len(h.Figures) != 0 {
		t.Errorf("history %+v, want no figures, since they take labels", h)
	}
	_, err := s.Pretrain(t.Context(), recipe.Supervised(c))
	labtest.WantError(t, "supervised without labels", err, c.Data.Name)
}

func TestWhatCannotBeRun(t *testing.T) {
	s, notes := newStore(t)
	for _, test := range []struct {
		edit func(*sslkit.Config)
		want []string
	}{
		{func(c *sslkit.Config) { c.Batch = 81 }, []string{"a batch of 81 is larger than the 80 examples", "at most 80"}},
		{func(c *sslkit.Config) { c.Data.Name = "fashion" }, []string{`no dataset is called "fashion"`, "did you mean", "fashion-mnist"}},
		{func(c *sslkit.Config) { c.Data.Name = "folder:" + filepath.Join(s.Dir, "nowhere") }, []string{"nowhere"}},
		{func(c *sslkit.Config) { c.Data.Train = 81 }, []string{"a subset of 81 examples", "choose 1 to 80"}},
		{func(c *sslkit.Config) { c.Backend = "xla:cpu" }, []string{"for the backend xla:cpu and this machine has go", "set GOMLX_BACKEND or SSLKIT_CONV, or leave the backend out"}},
		{func(c *sslkit.Config) { c.Epochs = 0 }, []string{"0 epochs"}},
		{func(c *sslkit.Config) { c.Devices = 2 }, []string{"2 devices: XLA divides work among devices, the backend here is go", "leave devices out"}},
		{func(c *sslkit.Config) { c.Batch, c.Devices = 15, 2 }, []string{"a batch of 15 cannot be divided among 2 devices", "choose a multiple"}},
		{func(c *sslkit.Config) { *c = recipe.RandomInit(*c); c.Data.Name = "fashion" }, []string{"no dataset is called"}},
	} {
		c := labtest.Tiny(t)
		test.edit(&c)
		_, err := s.Pretrain(t.Context(), c)
		labtest.WantError(t, strings.Join(test.want, ", "), err, test.want...)
	}
	if all, err := s.List(); len(all) != 0 || err != nil || notes.Steps != 0 {
		t.Errorf("they left %d records and took %d steps, %v", len(all), notes.Steps, err)
	}
}

func TestTrained(t *testing.T) {
	s, notes := newStore(t)
	for _, c := range []sslkit.Config{labtest.Tiny(t), labelled(t), recipe.RandomInit(labtest.Tiny(t))} {
		tr, err := s.Trained(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if tr.Method == nil || tr.Backend == nil || tr.Store.NumVariables() == 0 {
			t.Errorf("%s: %+v", sslkit.NameOf(c.Method), tr)
		}
	}
	if notes.Steps != 26 {
		t.Errorf("%d steps, want 10 for rotation and 16 for supervised", notes.Steps)
	}
}

// Where a class has too few images for an even draw, it is in proportion.
func TestUnevenClasses(t *testing.T) {
	s, _ := newStore(t)
	j := &Job{Config: labtest.Tiny(t), store: s}
	j.Data.Train = 30
	train, _, err := j.open(t.Context())
	if err != nil || train.Len() != 30 {
		t.Errorf("%v, %v", train, err)
	}
	j.Data.Train = 81
	_, _, err = j.open(t.Context())
	labtest.WantError(t, "more than there are", err, "--train", "choose 1 to 80")
}

// A folder of few images is no reason for the supervised row to fail, or for a single step an epoch.
func TestSupervisedOnFewImages(t *testing.T) {
	s, news := newStore(t)
	c := labtest.Tiny(t)
	c.Data.Train = 24
	c = recipe.Supervised(c).WithEpochs(2)
	c.Optimizer.Warmup = 0
	pretrain(t, s, c)
	if news.Steps != 2*3 {
		t.Errorf("%d steps, want 3 of 8 images an epoch", news.Steps)
	}
}

func TestEpochSeconds(t *testing.T) {
	for want, times := range map[float64][]float64{0: nil, 9: {9}, 2: {9, 2}, 3: {9, 2, 4}, 4: {9, 2, 5, 4}} {
		if got := (&Record{History: sslkit.History{EpochSeconds: times}}).EpochSeconds(); got != want {
			t.Errorf("%v: %g, want %g", times, got, want)
		}
	}
	s, _ := newStore(t)
	r := pretrain(t, s, labtest.Tiny(t))
	sum := 0.0
	for _, v := range r.History.EpochSeconds {
		sum += v
	}
	if len(r.History.EpochSeconds) != 2 || !(sum > 0 && sum < r.History.Seconds) || r.Memory != 0 {
		t.Errorf("%+v", r)
	}
	c := labtest.Tiny(t)
	c.Seed, s.Alone = 2, true
	if r := pretrain(t, s, c); peakMemory() > 0 && (r.Memory < 10<<20 || r.Memory > peakMemory()) {
		t.Errorf("peak memory %d, of the process %d", r.Memory, peakMemory())
	} else if processorTime() > 0 && (r.CPU <= 0 || r.CPU > processorTime()) {
		t.Errorf("%g s of processors, of the process %g", r.CPU, processorTime())
	}
}
