package widgets

import (
	"strings"
	"testing"
)

func TestDashboard(t *testing.T) {
	f, err := Curves{XLabel: "epoch", YLabel: "loss", Series: []Series{{Name: "a < b", Y: []float64{3, 2}}}}.Figure()
	if err != nil {
		t.Fatal(err)
	}
	got := Dashboard{f, f}.HTML()
	if n := strings.Count(got, "<img "); n != 2 || strings.Contains(got, "<svg") || strings.Contains(got, "<script") || strings.Contains(got, "a < b") {
		t.Errorf("%d pictures:\n%.500s", n, got)
	}
	button := StopButton(`x"y`)
	if !strings.HasPrefix(button, `<div data-stop="x&#34;y"></div>`) || strings.Count(button, "<script>") != 1 || strings.Contains(button, "<button") {
		t.Errorf("without scripts there must be no button:\n%s", button)
	}
}
