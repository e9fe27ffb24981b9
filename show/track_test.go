package show

import (
	"image"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
)

func TestTracking(t *testing.T) {
	s, rotation := small(t)
	c, err := recipe.Preset(t.Context(), "tracking", sslkit.Smoke, "clips")
	if err != nil {
		t.Fatal(err)
	}
	*sslkit.Backbone(c.Method) = nn.ResNet(8, 4)
	m := c.Method.(*sslkit.VideoColorization)
	m.Dim, m.Colors = 8, 8
	c.Data.Size, c.Data.Train, c.Data.Test, c.Epochs, c.Batch, c.Optimizer.Warmup = 16, 10, 10, 1, 5, 0
	table, err := study.Track(t.Context(), s, c, eval.TrackingDefaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Tracked(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| tracking |", "random init", "pixels, colour", "identity", "region J", "one training seed", "7 frames"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not say %q:\n%s", want, text)
		}
	}
	f, err := Overlap(table)
	says(t, f, err, "region J, %", "identity", "tracking")
	f, err = Masks(t.Context(), s, c, eval.TrackingDefaults(), 3)
	says(t, f, err, "truth", "pixels, grey", "<image")
	f, err = Masks(t.Context(), s, c, eval.TrackingDefaults(), 3, image.Rect(2, 2, 9, 20))
	says(t, f, err, "marked", "pixels, grey")
	if _, err := Masks(t.Context(), s, c, eval.TrackingDefaults(), 3, image.Rect(16, 0, 20, 4)); err == nil || !strings.Contains(err.Error(), "box 0") {
		t.Errorf("a box beside the frame: %v", err)
	}
	f, err = CopiedColors(t.Context(), s, c, eval.TrackingDefaults(), 3)
	says(t, f, err, "in grey", "tracking", "truth")
	if _, err := Masks(t.Context(), s, c, eval.TrackingDefaults(), 10); err == nil || !strings.Contains(err.Error(), "which has 10") {
		t.Errorf("clip 10 of 10: %v", err)
	}
	if _, err := Masks(t.Context(), s, rotation, eval.TrackingDefaults(), 0); err == nil || !strings.Contains(err.Error(), "not by rotation") {
		t.Errorf("rotation tracks: %v", err)
	}
	if _, err := s.Evaluate(t.Context(), c, eval.Defaults()); err == nil || !strings.Contains(err.Error(), "Track measures") {
		t.Errorf("clips were classified: %v", err)
	}
}
