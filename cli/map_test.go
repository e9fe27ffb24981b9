package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

func TestMap(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	var one, two runs.Record
	out, _ := must(t, "pretrain --json", tiny...)
	decode(t, out, &one)
	out, _ = must(t, "pretrain --json --seed 2", tiny...)
	decode(t, out, &two)

	file := filepath.Join(t.TempDir(), "map.svg")
	line := "map " + one.Key[:8] + " " + two.Key[:8] + " --method tsne --images 40 --seed 5 --out " + file
	out, _ = must(t, line)
	wantAll(t, "map", out, "rotation 0,90,180,270, seed 1: ", "seed 2: ", "% of the 10 nearest kept", "40 of 100 test examples", "t-SNE, perplexity 13, seed 5", "written: "+file)
	first := read(t, file)
	wantAll(t, "the figure", first, "<svg", "Ankle boot", "rotation 0,90,180,270, seed 2")
	if must(t, line); read(t, file) != first {
		t.Error("the same command draws another figure")
	}

	out, progress := must(t, "map "+one.Key+" --method pca --images 30 --json")
	var m study.FeatureMap
	decode(t, out, &m)
	if len(m.Layouts) != 1 || len(m.Layouts[0].Points) != 30 || strings.Contains(progress, "step") {
		t.Errorf("%+v; it says\n%s", m, progress)
	}
}

func TestMapMistakes(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	wantMistakes(t, []mistake{
		{"map", 2, "takes the keys of one run or more, not nothing"},
		{"map 12", 2, "say where to draw: --out FILE"},
		{"map 12 --out m.pdf", 2, "ends with .svg or .png"},
		{"map 12 --out nowhere/m.svg", 2, "there is no folder for nowhere/m.svg"},
		{"map 12 --out m.svg --method tnse", 2, `no layout is called "tnse"; did you mean "tsne"?`},
		{"map 12 --out m.svg --images 3", 2, "choose 20 to 10000"},
		{"map 12 --out m.svg --metod pca", 2, "(did you mean --method?)"},
		{"map 12 --out m.svg", 1, `no run's key begins with "12"`},
	})
}
