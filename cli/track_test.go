package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/study"
)

func TestTrack(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := t.TempDir()
	md, masks, colors := filepath.Join(dir, "t.md"), filepath.Join(dir, "masks.svg"), filepath.Join(dir, "colors.png")
	line := "track --seeds 4 --previous 1 --radius 2 --clip 3 --box 2,2,20,9 --epochs 1 --batch 5 --train 10 --test 5" +
		" --depth 8 --width 4 --set size=16 --set tracking.dim=8 --set colors=8 --set warmup=0"
	out, _ := must(t, line+" --md "+md+" --masks "+masks+" --colors "+colors)
	wantAll(t, "track", out, "features ", "region J", "tracking ", "pixels, colour", "identity ", "within 2 places", "one training seed",
		"written: "+md, "written: "+masks, "written: "+colors)
	wantAll(t, "the Markdown", read(t, md), "| features | region J | contour F |", "| identity | ", "objects of one set of test clips")
	wantAll(t, "the figure", read(t, masks), "<svg", "marked", "random init")

	out, progress := must(t, line+" --json")
	var table study.TrackTable
	decode(t, out, &table)
	if len(table.Rows) != 6 || table.Objects() == 0 || strings.Contains(progress, "step") {
		t.Errorf("%d rows, %d objects; asked again it trains again:\n%s", len(table.Rows), table.Objects(), progress)
	}
}

func TestTrackMistakes(t *testing.T) {
	wantMistakes(t, []mistake{
		{"track --box 1,2,3", 2, "write TOP,LEFT,BOTTOM,RIGHT"},
		{"track --box 1,2,x,4", 2, "in whole pixels"},
		{"track --box 9,2,3,4", 2, "the top above the bottom"},
		{"track --temperature 0", 2, "above 0"},
		{"track --masks m.jpeg", 2, "ends with .svg or .png"},
		{"track --data fashion-mnist-10k", 1, "clips"},
		{"track --data video:nowhere", 1, "nowhere"},
		{"track --data video:nowhere --masks m.svg", 2, "mark what is to be followed with --box"},
	})
}
