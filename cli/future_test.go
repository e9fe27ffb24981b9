package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/study"
)

func TestFuture(t *testing.T) {
	if testing.Short() {
		t.Skip("trains networks")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := t.TempDir()
	md, svg, strips := filepath.Join(dir, "f.md"), filepath.Join(dir, "f.svg"), filepath.Join(dir, "strips.svg")
	line := "future --seeds 4 --seen 6 --epochs 1 --batch 10 --train 20 --test 10 --depth 1 --width 8 --set state=4 --set features=4 --set warmup=0"
	out, _ := must(t, line+" --films 3 --md "+md+" --svg "+svg+" --strips "+strips)
	wantAll(t, "future", out, "prediction ", "2 ahead", "nextframe ", "copy the last frame ", "constant velocity ", "10 test films, one training seed",
		"written: "+md, "written: "+svg, "written: "+strips)
	wantAll(t, "the Markdown", read(t, md), "| prediction | 1 ahead | 2 ahead |")
	wantAll(t, "the figure", read(t, svg), "<svg", "constant velocity", "6 frames seen")
	wantAll(t, "the strips", read(t, strips), "<svg", "pixels", "features", "film")

	out, progress := must(t, line+" --json")
	var table study.Future
	decode(t, out, &table)
	if len(table.Each) != 1 || len(table.Each[0].Painted) != 2 || table.Each[0].Constant[1] != 0 || strings.Contains(progress, "step") {
		t.Errorf("%+v; asked again it trains again:\n%s", table, progress)
	}
}

func TestFutureMistakes(t *testing.T) {
	wantMistakes(t, []mistake{
		{"future --seen 1", 2, "at least 2 frames"},
		{"future --strips s.jpeg", 2, "ends with .svg or .png"},
		{"future --svg s.png", 2, "ends with .svg"},
		{"future --data fashion-mnist-10k", 1, "clips"},
	})
}
