package study

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// stateOf is a task's, and what is said of it.
func stateOf(t *testing.T, s *runs.Store, tasks []Task, i int) (state, said string) {
	t.Helper()
	all, err := Status(s, tasks)
	if err != nil || len(all) != len(tasks) || all[i].Line != i+1 || all[i].Key != tasks[i].Key || all[i].Name != tasks[i].Name {
		t.Fatalf("%+v, %v, want a line for each of %d tasks", all, err, len(tasks))
	}
	return all[i].State, all[i].By + all[i].Error
}

// A task waits, is at work, fails, and is done when all is there that its study asks for: of both kinds of study.
func TestStatus(t *testing.T) {
	if testing.Short() {
		t.Skip("measures four networks")
	}
	s, _ := newStore(t)
	ablation, err := PlanAblation(t.Context(), s, pair(t)[:1], brief().Options, 1)
	if err != nil {
		t.Fatal(err)
	}
	transfers, err := PlanTransfer(t.Context(), s, pair(t)[:1], brief(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := func(tasks []Task, i int, state, said string) {
		t.Helper()
		if got, text := stateOf(t, s, tasks, i); got != state || !strings.Contains(text, said) || said == "" && text != "" {
			t.Errorf("%s is %s, %q, want %s, %q", tasks[i].Name, got, text, state, said)
		}
	}
	random := slices.IndexFunc(transfers, func(t Task) bool { r, ok := t.Config.Method.(*eval.Random); return ok && !r.Fitted })
	want(transfers, random, Waiting, "")

	// What fails is kept until it is done; without the data's digest being that of the data nothing can be.
	broken := transfers[random]
	broken.Config.Data.Digest = "0" + broken.Config.Data.Digest
	if _, err := broken.Work(t.Context(), s); err == nil {
		t.Fatal("a task with other data passes")
	}
	want(transfers, random, Failed, "has changed")
	note := filepath.Join(s.Dir, ".locks", transfers[random].Key+".failed")
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(note, []byte(strings.Replace(string(text), "changed", "charged", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	want(transfers, random, Waiting, "") // a damaged note says nothing
	if s.Failed("../../passwd") != "" || s.SetFailed("../x", errors.New("no")) == nil {
		t.Error("what is no key is written or read")
	}

	// It is the same run as that of the ablation, and measured in another way.
	if ablation[1].Key != transfers[random].Key {
		t.Fatalf("%s and %s are not the same run", ablation[1].Name, transfers[random].Name)
	}
	lock := flock.New(filepath.Join(s.Dir, ".locks", transfers[random].Key))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	want(transfers, random, Running, "another process")
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	r, err := ablation[1].Work(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want(ablation, 1, Done, "")
	want(transfers, random, Waiting, "")
	if _, err := transfers[random].Work(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want(transfers, random, Done, "")
	for _, file := range transfers[random].files() { // each of which the study needs
		path := filepath.Join(s.Dir, r.Key, file)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want(transfers, random, Waiting, "")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want(transfers, random, Done, "")

	var left []string // by both studies, in the run's folder
	for _, kind := range []string{"scores-*.json", "finetune-*.json"} {
		paths, err := filepath.Glob(filepath.Join(s.Dir, r.Key, kind))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			left = append(left, filepath.Base(path))
		}
	}
	expected := append(ablation[1].files(), transfers[random].files()...)
	slices.Sort(left)
	slices.Sort(expected)
	if expected = slices.Compact(expected); !slices.Equal(left, expected) {
		t.Errorf("the studies left %q, and are done with %q", left, expected)
	}
	fitted := slices.IndexFunc(transfers, func(t Task) bool { r, ok := t.Config.Method.(*eval.Random); return ok && r.Fitted }) // less is measured
	if _, err := transfers[fitted].Work(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want(transfers, fitted, Done, "")

	// Planned for another backend, it is found all the same.
	elsewhere := slices.Clone(transfers)
	elsewhere[random].Key = "0123456789abcdef"
	all, err := Status(s, elsewhere)
	if err != nil || all[random].State != Done || all[random].Run != r.Key {
		t.Errorf("%+v, %v, want it done as run %s", all[random], err, r.Key)
	}
}
