package cli

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/study"
)

func TestTaskGap(t *testing.T) {
	if testing.Short() {
		t.Skip("trains five networks")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := t.TempDir()
	md, table, svg := filepath.Join(dir, "gap.md"), filepath.Join(dir, "gap.csv"), filepath.Join(dir, "gap.svg")
	tiny := append(tiny[:len(tiny):len(tiny)], "--train", "100", "--test", "50")
	line := "taskgap --seeds 1 --md " + md + " --csv " + table + " --svg " + svg
	out, _ := must(t, line, tiny...)
	wantAll(t, "taskgap", out, "encoder ", "4 rotations ", "89.06", "2 rotations, 90 and 270 ", "random init ", "random, norms fitted ", "supervised ",
		"k-NN, block 3", "By the non-linear probe on block 2", "Fewer than three seeds", "50,000 colour images of CIFAR-10",
		"one training seed", "non-linear probe: stage 2", "written: "+md)

	text := read(t, md)
	wantAll(t, "the Markdown", text, "| encoder ", "| --- ", "| 4 rotations | 89.06 |", "By the non-linear probe on block 2", "linear probe")
	rows, err := csv.NewReader(strings.NewReader(read(t, table))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	// Seven encoders: k-NN and linear at three blocks, non-linear at one; four of them in the paper and
	// with a pretext task; one has its own classifier. And the commonest class.
	if want := 1 + 7*(3+3+1) + 4 + 4 + 1 + 1; len(rows) != want {
		t.Errorf("%d lines of CSV, want %d", len(rows), want)
	}
	wantAll(t, "the figure", read(t, svg), "<svg", "4 rotations", "paper")
	wantAll(t, "the figure of blocks", read(t, filepath.Join(dir, "gap-blocks.svg")), "<svg", "block 3", "random init")

	// Asked again it trains nothing, and JSON has the same.
	var gap study.Gap
	out, progress := must(t, "taskgap --seeds 1 --json", tiny...)
	decode(t, out, &gap)
	if len(gap.Rows) != 7 || gap.Rows[0].Paper != 0.8906 || gap.Rows[6].EndToEnd == nil || gap.Finding == "" {
		t.Errorf("taskgap --json: %s", out)
	}
	if strings.Contains(progress, "step") || strings.Contains(progress, "probing") {
		t.Errorf("asked again it works again:\n%s", progress)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
