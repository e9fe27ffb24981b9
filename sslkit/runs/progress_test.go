package runs

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sslkit/lab/sslkit"
)

// Where it is no terminal: the first step of each run, the last one, and between them one line in a while.
func TestPrinterWritesFewLines(t *testing.T) {
	var out bytes.Buffer
	show := Printer(&out)
	for _, name := range []string{"first", "second"} {
		for step := 1; step <= 100; step++ {
			show(Progress{Key: "k", Name: name, Step: sslkit.Progress{Epoch: step / 51, Epochs: 2, Step: step, Steps: 100, Loss: 0.5, Left: time.Minute}})
		}
	}
	show(Progress{})
	show(Progress{Note: "a note"})
	for done := int64(0); done <= 64; done++ {
		show(Progress{Name: "images.gz", Bytes: done << 20, Total: 64 << 20})
	}
	want := `first  epoch 1/2  loss 0.500  1m0s left  step 1/100
first  epoch 2/2  loss 0.500  1m0s left  step 100/100
second  epoch 1/2  loss 0.500  1m0s left  step 1/100
second  epoch 2/2  loss 0.500  1m0s left  step 100/100
a note
images.gz  1 of 64 MB
images.gz  64 of 64 MB
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// On a terminal: a title, one bar that is drawn over itself, and a new line before what follows.
func TestPrinterDrawsBars(t *testing.T) {
	var out bytes.Buffer
	p := &printer{w: &out, terminal: true}
	for step := 1; step <= 4; step++ {
		p.print(Progress{Key: "k", Name: "rotation", Step: sslkit.Progress{Epochs: 2, Epoch: step / 3, Step: step, Steps: 4, Loss: 0.5, Left: time.Duration(4-step) * time.Second}})
	}
	p.print(Progress{Key: "k", Name: "supervised", Step: sslkit.Progress{Epochs: 2, Step: 1, Steps: 4, Loss: 0.5}})
	p.print(Progress{Key: "k", Note: "a note"})
	p.print(Progress{Name: "images.gz", Bytes: 5 << 20}) // of a length that nobody told
	got := out.String()
	for _, want := range []string{"rotation\n", "1s left", "epoch 2/2", "(4/4)", "supervised\n", "\na note\n", "images.gz"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not show %q", got, want)
		}
	}
	if n := strings.Count(got, "rotation\n"); n != 1 {
		t.Errorf("%q shows the title %d times", got, n)
	}
	// The titles' two, the note's, one after each of the finished and the abandoned bar.
	if n := strings.Count(got, "\n"); n != 5 {
		t.Errorf("%q has %d lines, want 5", got, n)
	}
}

// Of several runs, news tell which one is under way, and how long all of them take.
func TestSeveral(t *testing.T) {
	var got []Progress
	s := &Store{Report: func(p Progress) { got = append(got, p) }}
	step := sslkit.Progress{Step: 1, Steps: 4, Left: 3 * time.Second}
	s.Tell(Progress{Name: "alone", Step: step})
	over := s.Several(4)
	s.Next("remembered")
	s.Next("first")
	s.Tell(Progress{Name: "a run", Step: step})
	s.of.began = s.of.began.Add(-10 * time.Minute) // which it took
	s.Next("second")
	s.Tell(Progress{Name: "a run", Step: step})
	over()
	s.Tell(Progress{Name: "alone", Step: step})
	for i, want := range []string{"alone, 3s left", "run 2 of 4, first: a run, 3s left", "run 3 of 4, second: a run, 3s left, 20m0s of all", "alone, 3s left"} {
		if text := got[i].Title() + ", " + got[i].Time(); text != want {
			t.Errorf("%d: %q, want %q", i, text, want)
		}
	}
}
