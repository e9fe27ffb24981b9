package sweep

import (
	"bytes"
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
