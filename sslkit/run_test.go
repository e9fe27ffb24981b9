package sslkit

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// newRun has 3 epochs of 8 steps, and Adam, whose moments a resumed run must restore.
func newRun(t testing.TB, dir string) *Run {
	return &Run{
		Method: &reconstruct{}, Backend: goBackend(t), Train: toyData{n: 64, s: 8, batch: 8},
		Optimizer: optimizer.Adam().LearningRate(1e-2).Done(), Epochs: 3, Seed: 1, Dir: dir,
	}
}

func TestPretrainLearns(t *testing.T) {
	r := newRun(t, "")
	var last Progress
	r.Progress = func(p Progress) { last = p }
	r.Monitor = func(_ *Run, epoch int) (map[string]float64, error) {
		return map[string]float64{"epoch": float64(epoch)}, nil
	}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Loss) != 3 || !(h.Loss[2] < h.Loss[0]) {
		t.Errorf("loss an epoch %v: want 3, falling", h.Loss)
	}
	if len(h.Reports["noise"]) != 3 || h.Reports["noise"][0] == h.Reports["noise"][1] {
		t.Errorf("reports %v: want 3 different draws", h.Reports)
	}
	if got := h.Figures["epoch"]; len(got) != 3 || got[2] != 2 {
		t.Errorf("figures %v: want Monitor's 0, 1, 2", got)
	}
	if last.Step != 24 || last.Steps != 24 || last.Epoch != 2 || last.Left != 0 {
		t.Errorf("last progress %+v", last)
	}
	if h.Seconds <= 0 {
		t.Error("no time was counted")
	}
}

func TestPretrainFollowsSeed(t *testing.T) {
	var runs []map[string]string
	for _, seed := range []int64{1, 1, 2} {
		r := newRun(t, "")
		r.Seed, r.Epochs = seed, 1
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, variables(t, r.Store))
	}
	if !maps.Equal(runs[0], runs[1]) {
		t.Error("the same seed gave two results")
	}
	if runs[0]["/encoder/dense/weights"] == runs[2]["/encoder/dense/weights"] {
		t.Error("two seeds gave the same result")
	}
}

// onBest is newRun on the backend that users get.
func onBest(t testing.TB, dir string) *Run {
	r := newRun(t, dir)
	r.Backend = bestBackend(t)
	return r
}

// stopAfter interrupts a run after the given step.
func stopAfter(r *Run, step int) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	r.Progress = func(p Progress) {
		if p.Step == step {
			cancel(errors.New("enough"))
		}
	}
	return ctx
}

func TestInterruptedRunResumesExactly(t *testing.T) {
	whole := onBest(t, t.TempDir())
	want, err := whole.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// Within an epoch, and at the ends of two: the stop follows the step after the named one.
	for _, step := range []int{3, 7, 15} {
		dir := t.TempDir()
		r := onBest(t, dir)
		if _, err := r.Pretrain(stopAfter(r, step)); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped after step %d: error %v, want ErrInterrupted", step, err)
		}
		r = onBest(t, dir)
		first := 0
		r.Progress = func(p Progress) {
			if first == 0 {
				first = p.Step
			}
		}
		got, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if first != step+2 {
			t.Errorf("stopped after step %d, resumed with step %d", step+1, first)
		}
		sameResult(t, r, got, whole, want)
		if r.Parameters != whole.Parameters {
			t.Error("the last checkpoint is another file than that of the uninterrupted run")
		}
	}
}

func sameResult(t *testing.T, r *Run, got History, whole *Run, want History) {
	t.Helper()
	a, b := variables(t, r.Store), variables(t, whole.Store)
	for name := range b {
		if a[name] != b[name] {
			t.Errorf("%s differs from the uninterrupted run's", name)
		}
	}
	for i := range want.Loss {
		if got.Loss[i] != want.Loss[i] || got.Reports["noise"][i] != want.Reports["noise"][i] {
			t.Errorf("history %v, the uninterrupted run's is %v", got, want)
		}
	}
}

// runVictim trains in a process of its own, saving at each step.
func runVictim(dir string) {
	r := onBest(new(testing.B), dir)
	r.Epochs = 1000
	r.Save = 1
	r.Progress = func(p Progress) {
		if p.Step == 5 {
			os.WriteFile(filepath.Join(dir, "running"), nil, 0o644)
		}
	}
	r.Pretrain(context.Background())
}

func TestResumeAfterKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SSLKIT_TEST_VICTIM="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "running")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			t.Fatal("the process did not begin to train")
		}
	}
	time.Sleep(37 * time.Millisecond) // likely within a save: one is under way most of the time
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()

	_, state, err := LoadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	epochs := state.Step/8 + 2
	r := onBest(t, dir)
	r.Epochs = epochs
	got, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	whole := onBest(t, "")
	whole.Epochs = epochs
	want, err := whole.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sameResult(t, r, got, whole, want)
}

func TestDivergedRunKeepsItsCheckpoint(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir)
	r.Method = &reconstruct{diverge: true}
	r.Save = 1
	_, err := r.Pretrain(context.Background())
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "learning rate") {
		t.Fatalf("error %v: want ErrDiverged and what to try", err)
	}
	store, state, err := LoadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if state.Step != 2 {
		t.Errorf("newest checkpoint is of step %d, want 2: the loss of step 3 is infinite", state.Step)
	}
	for v := range store.IterVariables() {
		if v.DType().IsFloat() && v.Shape().IsScalar() {
			if x := v.MustValue().Value(); x == float32(math.Inf(1)) {
				t.Errorf("%s is %v", v.Path(), x)
			}
		}
	}
}

type starting struct {
	reconstruct
	started []string
}

func (m *starting) Start(r *Run) error {
	if r.Store.GetVariable("/encoder/dense/weights") == nil {
		return errors.New("no variables yet")
	}
	m.started = append(m.started, "run")
	return nil
}

func (m *starting) StartEpoch(_ *Run, epoch int) error {
	m.started = append(m.started, "epoch "+string(rune('0'+epoch)))
	return nil
}

func TestStartsAreCalledOnce(t *testing.T) {
	dir := t.TempDir()
	m := &starting{}
	r := newRun(t, dir)
	r.Method = m
	if _, err := r.Pretrain(stopAfter(r, 10)); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	r = newRun(t, dir)
	r.Method = m
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.started, ", "); got != "run, epoch 0, epoch 1, epoch 2" {
		t.Errorf("started %s", got)
	}
}

type forgetful struct{ reconstruct }

func (m *forgetful) Reports() []string { return []string{"noise", "accuracy"} }

func TestPretrainRefuses(t *testing.T) {
	for name, change := range map[string]func(*Run){
		"at least 1": func(r *Run) { r.Epochs = 0 },
		`"accuracy"`: func(r *Run) { r.Method = &forgetful{} },
		"measuring":  func(r *Run) { r.Monitor = func(*Run, int) (map[string]float64, error) { return nil, errors.New("no") } },
		"is NaN": func(r *Run) {
			r.Monitor = func(*Run, int) (map[string]float64, error) { return map[string]float64{"x": math.NaN()}, nil }
		},
	} {
		r := newRun(t, "")
		change(r)
		if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

func TestFeaturesChangeNothing(t *testing.T) {
	r := newRun(t, "")
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	before := variables(t, r.Store)
	f, err := Features(context.Background(), r.Backend, r.Store, r.Method, r.Train, func(maps []*graph.Node) []*graph.Node { return maps })
	if err != nil {
		t.Fatal(err)
	}
	if len(f) != 1 || len(f[0]) != 64 || len(f[0][0]) != 8 {
		t.Fatalf("features are %d matrices of %d rows", len(f), len(f[0]))
	}
	if !maps.Equal(before, variables(t, r.Store)) {
		t.Error("reading features changed a variable")
	}
	_, err = Features(context.Background(), r.Backend, r.Store, r.Method, r.Train, func(m []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.InsertAxes(m[0], 1)}
	})
	if err == nil || !strings.Contains(err.Error(), "want [N, D]") {
		t.Errorf("error %v for features of rank 3", err)
	}
}
