package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/study"
)

// mean is somebody else's method: features guess an image's mean colour. With Fail it cannot be built.
type mean struct {
	Backbone nn.Backbone `json:"backbone"`
	Fail     bool        `json:"fail"`
}

func (m *mean) Validate() error   { return m.Backbone.Validate() }
func (m *mean) Reports() []string { return nil }

func (m *mean) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	if m.Fail {
		exceptions.Panicf("mean: there is nothing to guess: set fail to false")
	}
	guess := nn.Pool(nn.Last(m.Encode(scope, b.Image)))
	return ReduceAllMean(Square(Sub(ReduceAndKeep(guess, ReduceMean, 1), ReduceAndKeep(nn.Pool(b.Image), ReduceMean, 1))))
}

func (m *mean) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "mean", Paper: "Nobody, 2031", Revision: 1,
		New: func() sslkit.Method { return &mean{Backbone: nn.NIN(3, 6)} },
	})
}

// A method that is registered is one of the command's, without a word about it here.
func TestRegisteredMethod(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	for _, command := range []string{"pretrain", "evaluate", "ablate", "compare"} {
		out, _ := must(t, command+" --help")
		wantAll(t, command+" --help", out, ", mean")
	}
	var all []struct {
		Name, Role, Needs, Paper string
		Presets                  []string
	}
	out, _ := must(t, "methods --json")
	decode(t, out, &all)
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
		if m.Name == "mean" && (m.Role != "self-supervised" || m.Needs != "images" || !slices.Equal(m.Presets, []string{"smoke", "class", "night"})) {
			t.Errorf("%+v", m)
		}
	}
	if !slices.Equal(names, sslkit.Methods()) {
		t.Errorf("methods lists %q, want %q", names, sslkit.Methods())
	}
	out, _ = must(t, "methods")
	wantAll(t, "methods", out, "\nmean ", "Nobody, 2031", "\nsimclr ", "\nclip ", "captions", "\nrandom ", "(untrained)")

	code, _, stderr := call("pretrain --method mean --preset paper")
	if code != exitUsage || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, "the missing preset", stderr, "mean has no preset paper", "choose smoke or class")

	// An error of the graph is one line that begins with what the method says.
	code, _, stderr = call("pretrain --quiet --method mean --set fail=true", tiny...)
	if code != exitFailed || !strings.Contains(stderr, "there is nothing to guess: set fail to false") || strings.Count(stderr, "\n") != 1 || len(stderr) > 300 {
		t.Errorf("a method that cannot be built: exit code %d, %q", code, stderr)
	}

	if testing.Short() {
		return
	}
	little := append(tiny[:len(tiny):len(tiny)], "--train", "50", "--test", "40", "--batch", "25", "--quiet")
	var ablation study.Comparison
	out, _ = must(t, "ablate --json --method mean --vary rate=0.001,0.01 --seeds 1", little...)
	decode(t, out, &ablation)
	var table study.TransferTable
	out, _ = must(t, "compare --json --methods mean --labels= --finetune 0", little...)
	decode(t, out, &table)
	if ablation.Rows[0].Name != "rate 0.001" || len(table.Rows) != 4 || !slices.ContainsFunc(table.Rows, func(r study.TransferRow) bool { return r.Name == "mean" }) {
		t.Errorf("%+v, %+v", ablation.Rows[0], table.Rows)
	}
}

// A configuration of a method that this program has not is refused in a line that names it.
func TestMissingMethod(t *testing.T) {
	_, good := printed(t, "--method mean")
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(strings.Replace(good, `"mean"`, `"medal"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	wantMistakes(t, []mistake{{"pretrain --config " + file, exitUsage, `"medal"`}})
}

// The shell completes what is registered.
func TestCompletion(t *testing.T) {
	words := func(line ...string) (words []string) {
		out, _ := must(t, "__complete", line...)
		for _, l := range strings.Split(out, "\n") {
			if word, _, _ := strings.Cut(l, "\t"); word != "" && !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		return words
	}
	if got := words("pretrain", "--method", ""); !slices.Equal(got, sslkit.Methods()) {
		t.Errorf("--method: %q, want %q", got, sslkit.Methods())
	}
	if got := words("compare", "--methods", "simclr,mo"); !slices.Equal(got, []string{"simclr,moco", "simclr,mocov3"}) {
		t.Errorf("--methods simclr,mo: %q", got)
	}
	for method, want := range map[string][]string{"mean": {"smoke", "class", "night"}, "simclr": {"smoke", "class", "night", "paper"}} {
		if got := words("ablate", "--method", method, "--preset", ""); !slices.Equal(got, want) {
			t.Errorf("--preset of %s: %q, want %q", method, got, want)
		}
	}
	want := []string{"folder:", "captions:", "video:", "audio:", "logmel:"}
	for _, d := range data.Names() {
		want = append(want, d.Name)
	}
	got := words("evaluate", "--data", "")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("--data: %q, want %q", got, want)
	}
	fields := words("pretrain", "--method", "simclr", "--set", "")
	for _, want := range []string{"temperature=", "backbone.width=", "view.min_scale=", "optimizer.rate=", "data.train="} {
		if !slices.Contains(fields, want) {
			t.Errorf("--set completes %q, want %q", fields, want)
		}
	}
	if got := words("ablate", "--method", "simclr", "--vary", "tempera"); !slices.Equal(got, []string{"temperature="}) {
		t.Errorf("--vary tempera: %q", got)
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	t.Setenv("SSLKIT_RECORDS", filepath.Join("..", "records"))
	keys := words("export", "")
	for _, dir := range entries(t, filepath.Join("..", "records")) {
		if !slices.Contains(keys, dir) {
			t.Errorf("export completes %d keys, and not %s", len(keys), dir)
		}
	}
	if got := words("runs", "show", keys[0][:12]); !slices.Equal(got, keys[:1]) {
		t.Errorf("runs show %s: %q", keys[0][:12], got)
	}
	if got := words("pretrain", "--data", "fashion"); len(got) < 2 || slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "fashion") }) {
		t.Errorf("--data fashion: %q", got)
	}
}

// entries are the names of what lies in a folder.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}
