package cli

import (
	"encoding/csv"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/study"
)

func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("trains three networks")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	t.Setenv("SSLKIT_TEST_RUN", "1") // the processes that --memory starts are the command
	dir := t.TempDir()
	md, table, svg := filepath.Join(dir, "t.md"), filepath.Join(dir, "t.csv"), filepath.Join(dir, "t.svg")
	line := "compare --methods rotation,simclr --seeds 4 --labels 20% --draws 2 --finetune 1 --finetune-steps 2 --sort k-nn --memory"
	tiny := append(tiny[:len(tiny):len(tiny)], "--train", "50", "--test", "40", "--batch", "25")
	out, _ := must(t, line+" --md "+md+" --csv "+table+" --svg "+svg, tiny...)
	wantAll(t, "compare", out, "rotation ", "simclr ", "NIN(3, 6)", "linear 20%", "fine-tuned 20%", "s/epoch", "random init ", "supervised ",
		"chosen by the test set", "one training seed", "written: "+md, "written: "+table, "written: "+svg)
	wantAll(t, "the Markdown", read(t, md), "| encoder | backbone | k-NN ", "| simclr | NIN(3, 6) | ", "fine-tuning: all stages")
	wantAll(t, "the figure", read(t, svg), "<svg", "simclr", "linear 20%", "one seed")
	rows, err := csv.NewReader(strings.NewReader(read(t, table))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	// k-NN, linear, best stage, few, parameters of 5; fine-tuned with all and few of 4; epochs and their time of 3; one classifier.
	least := 1 + 1 + 5*5 + 4*2 + 3*2 + 1
	if memory := strings.Contains(read(t, table), "peak MB"); len(rows) != least && !(memory && len(rows) == least+3) {
		t.Errorf("%d lines of CSV, want %d, or 3 more with peak MB", len(rows), least)
	}

	// Asked again it trains nothing; JSON has the same, in the order of another column.
	out, progress := must(t, line+" --json --sort linear", tiny...)
	var result study.TransferTable
	decode(t, out, &result)
	for i, r := range result.Rows[1:] {
		if r.Values["linear"].Mean > result.Rows[i].Values["linear"].Mean {
			t.Errorf("%s after %s: not sorted", r.Name, result.Rows[i].Name)
		}
	}
	if len(result.Rows) != 5 || strings.Contains(progress, "step") || strings.Contains(progress, "probing") {
		t.Errorf("%d rows; asked again it works again:\n%s", len(result.Rows), progress)
	}
}

func TestCompareMistakes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "t.md")
	wantMistakes(t, []mistake{
		{"compare --methods rotation,magic", 2, `no method is called "magic"`},
		{"compare --methods supervised", 2, "supervised is a row of the table in any case"},
		{"compare --methods=", 2, "name at least one"},
		{"compare --methods mae --arch resnet", 2, `only the backbone "vit" can`},
		{"compare --arch vgg", 2, "--arch vgg needs"},
		{"compare --config x.json", 2, "--config holds one method"},
		{"compare --labels ten", 2, "write a share such as 1%"},
		{"compare --labels 0", 2, "write a share such as 1%"},
		{"compare --labels 200%", 2, "a share of 2 of the labels"},
		{"compare --labels 10,10", 2, "is given twice"},
		{"compare --finetune -1", 2, "-1 epochs"},
		{"compare --sort linaer", 2, `did you mean "linear"`},
		{"compare --md " + missing, 2, "there is no folder for " + missing},
		{"compare --svg t.jpeg", 2, "give it a name that ends with .svg or .png"},
		{"compare --seeds 1,1 --methods simclr", 1, "seed 1 is given twice"},
		{"compare --methods clip", 1, "has no captions to make"},
		{"compare --methods simclr,jigsaw --arch vit", 1, "jigsaw: "},
	})
}

// By default all methods are meant that can have the backbone; those that cannot are named.
func TestCompareVariants(t *testing.T) {
	var f configFlags
	cmd := (&cli{}).compare()
	f.flags = cmd.Flags()
	if err := cmd.Flags().Parse([]string{"--arch", "resnet", "--data", "photos"}); err != nil {
		t.Fatal(err)
	}
	f.arch, f.data, f.preset = "resnet", "photos", "smoke"
	f.depth, f.width = 8, 8
	variants, left, err := f.variants(study.ImageMethods(), true)
	var vits []string // of which those are left out that need one
	for _, err := range left {
		name, _, _ := strings.Cut(err.Error(), ":")
		vits = append(vits, name)
	}
	if err != nil || len(variants)+len(left) != len(study.ImageMethods()) || !slices.Equal(vits, []string{"mocov3", "mae", "simmim", "ijepa"}) {
		t.Fatalf("%d variants, left out %v, %v", len(variants), left, err)
	}
	for _, v := range variants {
		if b := sslkit.Backbone(v.Config.Method); b.Arch != "resnet" || b.Depth != 8 || b.Width != 8 || v.Config.Data != variants[0].Config.Data || v.Config.Data.Size != 64 {
			t.Errorf("%s: %+v, %+v", v.Name, *b, v.Config.Data)
		}
	}
}
