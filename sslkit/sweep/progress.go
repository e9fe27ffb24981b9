package sweep

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sslkit/lab/sslkit"
)

// Progress is news of long work: a step of a run, or else a note.
type Progress struct {
	Key  string          // of the run
	Name string          // what is being done, for people
	Step sslkit.Progress // of training; zero for a note
	Note string
}

// Printer shows progress on w: a bar with the time left on a terminal, elsewhere a line now and then.
func Printer(w io.Writer) func(Progress) {
	var mu sync.Mutex
	var bar *progressbar.ProgressBar
	var name string
	var last time.Time
	f, ok := w.(*os.File)
	terminal := ok && term.IsTerminal(int(f.Fd()))
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		step := p.Step
		if step.Steps == 0 {
			if p.Note != "" {
				fmt.Fprintln(w, p.Note)
			}
			return
		}
		text := fmt.Sprintf("%s  epoch %d/%d  loss %.3f", p.Name, step.Epoch+1, step.Epochs, step.Loss)
		if terminal {
			if bar == nil || name != p.Name+p.Key {
				bar = progressbar.NewOptions(step.Steps, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
					progressbar.OptionSetWidth(24), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
					progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }))
			}
			bar.Describe(text)
			bar.Set(step.Step)
		} else if name != p.Name+p.Key || step.Step == step.Steps || time.Since(last) > 10*time.Second {
			last = time.Now()
			fmt.Fprintf(w, "%s  step %d/%d", text, step.Step, step.Steps)
			if step.Left > 0 {
				fmt.Fprintf(w, "  %s left", step.Left.Round(time.Second))
			}
			fmt.Fprintln(w)
		}
		name = p.Name + p.Key
	}
}
