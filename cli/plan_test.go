package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

// A grid is planned, worked on in one process and then in two at once, and then only read.
func TestPlanWork(t *testing.T) {
	if testing.Short() {
		t.Skip("trains five networks")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	t.Setenv("SSLKIT_TEST_RUN", "1") // of the processes that --parallel starts
	plan, svg := filepath.Join(t.TempDir(), "plan.jsonl"), filepath.Join(t.TempDir(), "grid.svg")
	grid := "ablate --vary rate=0.01,0.1 --vary flip=true,false --seeds 4 --l2 0.01"
	_, stderr := must(t, "plan "+grid+" --out "+plan, tiny...)
	wantAll(t, "the plan", stderr, "7 tasks written") // four, two random ones, supervised
	if lines := strings.Split(strings.TrimSpace(read(t, plan)), "\n"); len(lines) != 7 || !strings.Contains(lines[1], `"name":"rate 0.01, flip false, seed 4"`) {
		t.Fatalf("the plan is\n%s", read(t, plan))
	}
	out, _ := must(t, "work "+plan+" --task 2 --json")
	var done []struct{ Key, Name string }
	if decode(t, out, &done); len(done) != 1 || done[0].Name != "rate 0.01, flip false, seed 4" {
		t.Errorf("task 2 was %+v", done)
	}
	must(t, "work "+plan+" --parallel 2 --quiet")
	out, stderr = must(t, grid+" --json --svg "+svg, tiny...)
	if strings.Contains(stderr, "step ") || strings.Contains(stderr, "probing") {
		t.Errorf("after its plan was worked on, the grid computes:\n%s", stderr)
	}
	var planned study.Comparison
	decode(t, out, &planned)
	if want := []study.Axis{{Field: "rate", Values: []string{"0.01", "0.1"}}, {Field: "flip", Values: []string{"true", "false"}}}; !reflect.DeepEqual(planned.Axes, want) {
		t.Errorf("axes %+v, want %+v", planned.Axes, want)
	}
	wantAll(t, "the heat map", read(t, svg), "rate", "flip", "0.01", "false", "random init")
}

func TestPlanOthers(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	for line, want := range map[string]int{
		"plan taskgap --preset smoke --seeds 1,2":                                                        2 * (4 + 3),
		"plan compare --preset smoke --methods rotation,simclr --seeds 1 --arch nin --depth 3 --width 6": 2 + 3,
	} {
		out, _ := must(t, line)
		tasks, err := study.ReadPlan(strings.NewReader(out))
		if err != nil || len(tasks) != want {
			t.Errorf("%s: %d tasks, want %d; %v", line, len(tasks), want, err)
			continue
		}
		for _, task := range tasks {
			if task.Config.Backend != "" || task.Config.Data.Digest == "" {
				t.Errorf("%s: backend %q, data %+v: want none, and data with a digest", line, task.Config.Backend, task.Config.Data)
			}
		}
	}
}

func TestPlanMistakes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	for text, want := range map[string]string{
		"":              "the plan has no tasks",
		"{}\n":          "line 1 of the plan: it has no configuration",
		"{\"kez\":1}\n": `unknown field "kez"`,
		"\n":            "line 1 of the plan is empty",
	} {
		if err := os.WriteFile(bad, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := call("work " + bad)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d, says %q, want %q", text, code, stderr, want)
		}
	}
	wantMistakes(t, []mistake{
		{"work", 2, "takes a plan"},
		{"work missing.jsonl", 1, "missing.jsonl"},
		{"plan taskgap --turned", 2, "--turned has the runs of the gap itself"},
		{"plan evaluate", 2, "has no command"},
		{"plan", 2, "takes the name of a study"},
	})
}

// A task of which nothing comes does not keep the others from being done.
func TestWorkGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	dir := t.TempDir()
	t.Setenv("SSLKIT_RUNS", dir)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	must(t, "plan ablate --vary rate=0.1 --seeds 4 --out "+plan, tiny...)
	lines := strings.SplitAfter(read(t, plan), "\n")
	broken := strings.ReplaceAll(lines[0], `"digest":"`, `"digest":"0`)
	if err := os.WriteFile(plan, []byte(broken+lines[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := call("work " + plan)
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, "standard error", stderr, "has changed", "1 of 2 tasks failed")
	wantAll(t, "the table", out, "random init, seed 4")
	if s := (&runs.Store{Dir: dir}); s.Busy("none") != "" {
		t.Error("somebody is at a run that was never begun")
	}
}
