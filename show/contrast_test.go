package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
)

// contrastive is the preset of a method made to train in seconds on the pure-Go backend.
func contrastive(t *testing.T, method, dataset string) sslkit.Config {
	t.Helper()
	c, err := recipe.Preset(t.Context(), method, sslkit.Smoke, dataset)
	if err != nil {
		t.Fatal(err)
	}
	*sslkit.Backbone(c.Method) = nn.ResNet(8, 4)
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch, c.Optimizer.Warmup = 100, 60, 1, 20, 0
	return c
}

func TestContrast(t *testing.T) {
	s, _ := small(t)
	ctx, src := t.Context(), clothes(t)
	c := contrastive(t, "simclr", "fashion-mnist-10k")
	record, err := s.Pretrain(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Loss(record)
	says(t, f, err, "loss", "by guessing", "simclr")
	f, err = Views(c, src, 0, 3)
	says(t, f, err, "image", "view 5", src.Classes()[src.Label(3)])

	pull, err := Pull(ctx, s, c, src, 0.1, 1)
	if err != nil || len(pull.Figures) != 2 || pull.Names[1] != "1" {
		t.Fatalf("%+v, %v", pull.Names, err)
	}
	says(t, pull.Figures[0], err, "negatives", "gradient", "temperature 0.1")
	variants, err := study.Vary(c, "simclr.temperature", 0.2, 1.0)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := Similarities(ctx, s, src, "trained with", variants...)
	if err != nil || len(frames.Figures) != 2 {
		t.Fatalf("%+v, %v", frames.Names, err)
	}
	says(t, frames.Figures[1], err, "temperature 1", "two views of one image")

	result, err := study.Ablate(ctx, s, variants, eval.Defaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err = Ablation(result)
	says(t, f, err, "temperature; ", "0.2", "linear probe", "k-NN", "supervised")
	f, err = Geometry(ctx, s, src, result, variants...)
	says(t, f, err, "uniformity", "alignment", "temperature 0.2")
	if _, err := Geometry(ctx, s, src, result, variants[1], variants[0]); err == nil {
		t.Error("variants in another order than the table's rows pass")
	}
	plane, err := c.With("dim", 2)
	if err != nil {
		t.Fatal(err)
	}
	f, err = Directions(ctx, s, plane, src)
	says(t, f, err, src.Classes()[0], "test images")

	rotation, err := recipe.Rotation(sslkit.Smoke, "fashion-mnist-10k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Views(rotation, src, 0); err == nil || !strings.Contains(err.Error(), "no recipe") {
		t.Errorf("views of rotation: %v", err)
	}
}

// The colours of crops tell their image, and disturbed ones less so: what the chapter shows.
func TestShortcut(t *testing.T) {
	src, _, err := data.Open("photos", data.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if src, err = data.Subset(src, 60, 0); err != nil {
		t.Fatal(err)
	}
	all := view.SimCLR(1)
	f, err := Shortcut(t.Context(), src, []string{"crop", "both"}, all.Only("crop"), all.Only("crop", "color"))
	says(t, f, err, "crop", "both", "chance", "60 images")
}

func TestGrid(t *testing.T) {
	cell := func(name string, mean float64) study.Row {
		return study.Row{Name: name, Linear: []eval.Spread{{Mean: 0.1, N: 1}, {Mean: mean, N: 1}}}
	}
	result := &study.Comparison{Seeds: []int64{1}, Rows: []study.Row{cell("crop+crop", 0.5), cell("crop+gray", 0.625), cell("gray+gray", 0.25)}}
	f, err := Grid(result, "crop", "gray")
	says(t, f, err, "crop", "gray", "50.0", "62.5", "25.0")
	if _, err := Grid(result, "crop", "blur"); err == nil {
		t.Error("a cell that is not there passes")
	}
}

func TestCorrespondence(t *testing.T) {
	s, _ := small(t)
	c := contrastive(t, "densecl", "fashion-mnist-10k")
	m := c.Method.(*sslkit.DenseCL)
	m.Queue, m.Split = 40, 1
	f, err := Correspondence(t.Context(), s, c, clothes(t), 0, 1)
	says(t, f, err, "<image")
	if _, err := Correspondence(t.Context(), s, contrastive(t, "simclr", "fashion-mnist-10k"), clothes(t), 0); err == nil {
		t.Error("simclr matches places")
	}
}

func TestImagesAndTexts(t *testing.T) {
	s, _ := small(t)
	c := contrastive(t, "clip", "emoji")
	c.Data.Train, c.Data.Test = 80, 40
	text, err := ImageText(t.Context(), s, c, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| clip |", "guessing, about", "40 test images", "2 training seeds", "12.5", "| commonest class |", "as a mean over classes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not say %q:\n%s", want, text)
		}
	}
	f, err := Search(t.Context(), s, c, "red car", "smiling face")
	says(t, f, err, "red car", "smiling face")
}
