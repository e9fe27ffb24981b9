package show

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func TestMain(m *testing.M) {
	os.Setenv("GOMLX_BACKEND", "go") // compiles at once; what is drawn does not depend on it
	os.Setenv("SSLKIT_RECORDS", "")  // what is drawn is trained here
	os.Exit(m.Run())
}

func clothes(t *testing.T) data.Source {
	t.Helper()
	train, _, err := data.Open("fashion-mnist-10k", data.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return train
}

// says checks that a figure has all of the texts, in their order of mention or not.
func says(t *testing.T, f *widgets.Figure, err error, texts ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(f.SVG(), text) {
			t.Errorf("the figure does not say %q", text)
		}
	}
}

func TestImages(t *testing.T) {
	src := clothes(t)
	f, err := Images(src, 0, 1)
	says(t, f, err, src.Classes()[src.Label(0)], src.Classes()[src.Label(1)])
	for want, index := range map[string][]int{"at least one": nil, "which has 10000": {10000}} {
		if _, err := Images(src, index...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestCopies(t *testing.T) {
	src := clothes(t)
	f, err := Copies([]int{0, 45, 270}, src, 0, 1)
	says(t, f, err, "0°", "45°", "270°", src.Classes()[src.Label(1)])
	// A copy at 0 degrees is the image itself, and a gallery of the same pixels the same picture.
	upright, err := Copies([]int{0}, src, 3)
	if err != nil {
		t.Fatal(err)
	}
	images, names, err := read(src, []int{3})
	if err != nil {
		t.Fatal(err)
	}
	want, err := widgets.Gallery{Rows: names, Cols: []string{"0°"}, Images: [][]widgets.Image{images}, Size: 72}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	if upright.SVG() != want.SVG() {
		t.Error("the copy at 0 degrees is not the image")
	}
}

// small trains in a second on the pure-Go backend.
func small(t *testing.T) (*runs.Store, sslkit.Config) {
	t.Helper()
	s, err := runs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.Report = nil
	c, err := recipe.Rotation(sslkit.Smoke, "fashion-mnist-10k")
	if err != nil {
		t.Fatal(err)
	}
	c.Method.(*sslkit.Rotation).Backbone = nn.NIN(3, 6)
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch = 100, 100, 2, 25
	return s, c
}

func TestResults(t *testing.T) {
	s, c := small(t)
	ctx := context.Background()
	record, err := s.Pretrain(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Training(record)
	says(t, f, err, "pretext task", "class, block 2", "class, block 3", "pretext, by chance", "epoch")

	comparison, err := study.Compare(ctx, s, c, eval.Defaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err = Blocks(comparison)
	says(t, f, err, "rotation", "random init", "supervised", "linear probe", "block 3", "one seed")
	f, err = Neighbours(comparison)
	says(t, f, err, "k-NN")

	f, err = Attention(ctx, s, c, clothes(t), 0, 1)
	says(t, f, err, "image", "block 1", "block 3")
}

func TestGap(t *testing.T) {
	g := &study.Gap{Comparison: study.Comparison{Seeds: []int64{1, 2}, Config: sslkit.Config{Data: sslkit.Data{Name: "toys"}}}}
	for _, set := range study.AngleSets {
		g.Rows = append(g.Rows, study.Row{Name: set.Name, Angles: set.Angles, Paper: set.Paper, NonLinear: eval.Spread{Mean: 0.8, Std: 0.01, N: 2}})
	}
	g.Rows = append(g.Rows, study.Row{Name: "random init", NonLinear: eval.Spread{Mean: 0.7, N: 2}}, study.Row{Name: "supervised", NonLinear: eval.Spread{Mean: 0.9, N: 2}})
	f, err := Gap(g)
	says(t, f, err, "here: toys", "paper: CIFAR-10", "random init", "supervised", "4 rotations", "2 seeds")
}
