package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

// A run from its training to its deletion.
func TestRuns(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	if out, _ := must(t, "runs"); out != "no runs yet in "+os.Getenv("SSLKIT_RUNS")+"; 'sslkit pretrain' makes one\n" {
		t.Errorf("runs of none: %q", out)
	}
	if out, _ := must(t, "runs list --json"); out != "[]\n" {
		t.Errorf("runs list --json of none: %q", out)
	}

	out, progress := must(t, "pretrain --json", tiny...)
	var first, again, other runs.Record
	decode(t, out, &first)
	wantAll(t, "progress", progress, "rotation 0,90,180,270", "step 4/4")
	if !first.Done || len(first.History.Loss) != 1 || first.Config.Backend != "go" {
		t.Fatalf("%+v", first)
	}

	// The second request is answered with the record, and trains nothing.
	out, progress = must(t, "pretrain --json", tiny...)
	decode(t, out, &again)
	if !reflect.DeepEqual(again, first) || strings.Contains(progress, "step") || !strings.Contains(progress, "found the finished run "+first.Key) {
		t.Errorf("the second request says %q and returns\n%+v, want\n%+v", progress, again, first)
	}
	if out, progress = must(t, "pretrain --quiet", tiny...); progress != "" {
		t.Errorf("--quiet says %q", progress)
	}
	wantAll(t, "pretrain", out, "run      "+first.Key+", finished\n", "method   rotation 0,90,180,270\n", "backend  go\n", "\nepoch   loss  accuracy ")

	out, _ = must(t, "pretrain --quiet --seed 2 --json", tiny...)
	decode(t, out, &other)
	if other.Key == first.Key {
		t.Fatal("another seed has the same key")
	}

	out, _ = must(t, "runs list")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "key       method                 data               seed  epochs  state") ||
		!strings.HasPrefix(lines[2], first.Key[:8]+"  rotation 0,90,180,270  fashion-mnist-10k     1  1/1     done ") ||
		!strings.HasPrefix(lines[3], other.Key[:8]+"  rotation 0,90,180,270  fashion-mnist-10k     2  1/1     done ") {
		t.Errorf("runs list:\n%s", out)
	}
	for flags, want := range map[string][]string{ // in this order
		"--sort=-seed":                         {other.Key, first.Key},
		"--method rotation --sort begun":       {first.Key, other.Key},
		"--data fashion-mnist-10k --sort k-nn": {first.Key, other.Key},
		"--method simclr":                      {},
		"--state unfinished,shipped":           {},
		"--data scenes":                        {},
	} {
		var some []runs.Record
		out, _ := must(t, "runs list --json "+flags)
		decode(t, out, &some)
		keys := []string{}
		for _, r := range some {
			keys = append(keys, r.Key)
		}
		if strings.Contains(flags, "k-nn") { // which may be either
			slices.Sort(keys)
			slices.Sort(want)
		}
		if !slices.Equal(keys, want) {
			t.Errorf("runs list %s: %q, want %q", flags, keys, want)
		}
	}
	if out, _ := must(t, "runs list --method simclr"); !strings.HasPrefix(out, "none of the 2 runs in ") {
		t.Errorf("runs list of what there is not: %q", out)
	}
	wantMistakes(t, []mistake{
		{"runs list --sort size", 2, "--sort size: there are begun, data, epochs,"},
		{"runs list --state broken", 2, "--state broken: there are done, unfinished,"},
	})
	var all []runs.Record
	out, _ = must(t, "runs --json")
	decode(t, out, &all)
	if len(all) != 2 || !reflect.DeepEqual(all[0], first) {
		t.Errorf("runs --json: %+v", all)
	}

	evaluated(t, first)

	out, _ = must(t, "runs compare", first.Key[:8], other.Key)
	lines = strings.Split(out, "\n")
	if !strings.Contains(lines[0], first.Key[:8]+"  "+other.Key[:8]) || !strings.HasPrefix(lines[2], "seed ") || strings.Contains(out, "epochs") {
		t.Errorf("runs compare shows what is the same, or not what differs:\n%s", out)
	}
	wantAll(t, "runs compare", out, "\naccuracy ", "\nloss ", "\nknn ")
	var compared struct {
		Keys []string
		Rows []struct {
			Name   string
			Values []string
		}
	}
	out, _ = must(t, "runs compare --json", first.Key, other.Key)
	decode(t, out, &compared)
	if !reflect.DeepEqual(compared.Keys, []string{first.Key, other.Key}) || compared.Rows[0].Name != "seed" || !reflect.DeepEqual(compared.Rows[0].Values, []string{"1", "2"}) {
		t.Errorf("runs compare --json: %+v", compared)
	}

	// Of a list with a mistake in it nothing is deleted.
	if code, _, _ := call("runs delete", other.Key, "zz"); code != exitFailed {
		t.Errorf("runs delete of an unknown run exits with %d", code)
	}
	if out, _ = must(t, "runs delete", other.Key); out != "deleted "+other.Key+"\n" {
		t.Errorf("runs delete: %q", out)
	}
	if code, _, stderr := call("runs show", other.Key); code != exitFailed || !strings.Contains(stderr, "no run's key begins with") {
		t.Errorf("a deleted run is shown: %d, %s", code, stderr)
	}

	// A damaged record is said, and does not hide the others.
	if err := os.WriteFile(filepath.Join(os.Getenv("SSLKIT_RUNS"), first.Key, "record.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "pretrain --quiet --method random", append(tiny[:8:8], "--width", "6")...)
	code, out, stderr := call("runs list")
	if code != exitFailed || !strings.Contains(stderr, "damaged record") || !strings.Contains(out, "  untrained ") {
		t.Errorf("runs list with a damaged record exits with %d:\n%s%s", code, out, stderr)
	}
}

// evaluated checks evaluate, and what runs show has of it.
func evaluated(t *testing.T, r runs.Record) {
	t.Helper()
	out, progress := must(t, "evaluate --k 5 --per-class 10", r.Key[:6])
	wantAll(t, "evaluate", out, "run "+r.Key+": rotation 0,90,180,270, fashion-mnist-10k, seed 1\n",
		"k=5", "10 labels a class", "200 training and 100 test examples", "\nencoder ", "\nrandom init ", "\nsupervised ", "end to end", "k-NN, block 3")
	wantAll(t, "progress", progress, "supervised, fashion-mnist-10k, seed 1  epoch 2/2")

	var result struct {
		Key        string
		Config     sslkit.Config
		Scores     *runs.Scores
		Comparison *study.Comparison
	}
	out, progress = must(t, "evaluate --k 5 --per-class 10 --json", r.Key)
	decode(t, out, &result)
	if strings.Contains(progress, "step") || strings.Contains(progress, "probing") {
		t.Errorf("evaluating again works again:\n%s", progress)
	}
	if result.Key != r.Key || len(result.Scores.Stages) != 3 || result.Comparison == nil || len(result.Comparison.Rows) != 4 ||
		result.Scores.Options.K != 5 || result.Scores.Options.Linear.PerClass != 10 {
		t.Errorf("evaluate --json: %s", out)
	}
	result.Comparison = nil
	out, _ = must(t, "evaluate --k 5 --per-class 10 --json --baselines=false", r.Key)
	if decode(t, out, &result); result.Comparison != nil {
		t.Errorf("--baselines=false compares")
	}

	out, _ = must(t, "runs show", r.Key)
	wantAll(t, "runs show", out, `config   {"method":{"rotation":`, "\nepoch ", "\nstage dims ", "k=5")
	var shown struct {
		runs.Record
		Folder string
		Scores []runs.Scores
	}
	out, _ = must(t, "runs show --json", r.Key)
	decode(t, out, &shown)
	if shown.Key != r.Key || len(shown.Scores) != 1 || filepath.Base(shown.Folder) != r.Key {
		t.Errorf("runs show --json: %s", out)
	}

	for _, baseline := range []string{"random", "supervised"} {
		out, _ := must(t, "evaluate --quiet --k 5 --per-class 10 --method "+baseline, tiny...)
		if strings.Contains(out, "\nencoder ") || strings.Contains(out, "end to end") != (baseline == "supervised") {
			t.Errorf("evaluate --method %s:\n%s", baseline, out)
		}
	}
}
