package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func TestDense(t *testing.T) {
	s, c := small(t)
	c.Data = sslkit.Data{Name: "scenes", Size: 16, Train: 40, Test: 20}
	c.Batch, c.Epochs = 20, 1
	o := eval.DenseDefaults()
	o.Epochs, o.Labels = 1, 20
	result, err := study.Dense(t.Context(), s, []study.Variant{{Name: "rotation", Config: c}}, o, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, draw := range map[string]func(tuned bool, index ...int) (*widgets.Figure, error){
		"segments": func(tuned bool, index ...int) (*widgets.Figure, error) {
			return Segmentations(t.Context(), s, result, tuned, index...)
		},
		"boxes": func(tuned bool, index ...int) (*widgets.Figure, error) {
			return Detections(t.Context(), s, result, tuned, index...)
		},
	} {
		for _, tuned := range []bool{false, true} {
			f, err := draw(tuned, 0, 3)
			says(t, f, err, "truth", "rotation", "random init", "supervised", map[bool]string{false: "frozen", true: "fine-tuned"}[tuned])
			if n := strings.Count(f.SVG(), "<image"); n != 10 {
				t.Errorf("%s: %d images, want 5 of each of two", name, n)
			}
		}
		if _, err := draw(false, 17); err == nil || !strings.Contains(err.Error(), "the first 16 only") {
			t.Errorf("%s of an image of which nothing is kept: %v", name, err)
		}
		if _, err := draw(false); err == nil {
			t.Errorf("%s of no image", name)
		}
	}
	text, err := Dense(result)
	if err != nil || !strings.Contains(text, "| rotation |") || !strings.Contains(text, "mIoU, fine-tuned") || !strings.Contains(text, "20 labelled images") {
		t.Errorf("%s\n%v", text, err)
	}
}
