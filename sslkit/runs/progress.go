package runs

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

// Progress is news of long work: a step of a run, bytes of a download, what is being done, or else a note.
type Progress struct {
	Key          string          // of the run
	Name         string          // what is being done, for people
	Step         sslkit.Progress // of training
	Bytes, Total int64           // done of the file called Name; Total is 0 while unknown
	Now          string          // what is being done or was just found, of no interest once there is other news
	Note         string          // what should be known of the result
	Epoch        *sslkit.History // of the run called Name after an epoch, up to it
}

// Printer shows progress on w: a bar with the time left on a terminal, elsewhere a line now and then.
func Printer(w io.Writer) func(Progress) {
	f, ok := w.(*os.File)
	p := &printer{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
	return func(news Progress) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.print(news)
	}
}

type printer struct {
	w        io.Writer
	terminal bool
	mu       sync.Mutex
	bar      *progressbar.ProgressBar // of what, nil before and between
	what     string
	last     time.Time // of a line
}

const lineEvery = 10 * time.Second

func (p *printer) print(news Progress) {
	step := news.Step
	switch {
	case step.Steps > 0:
		text := fmt.Sprintf("epoch %d/%d  loss %.3f", step.Epoch+1, step.Epochs, step.Loss)
		if step.Left > 0 {
			text += fmt.Sprintf("  %s left", step.Left.Round(time.Second))
		}
		p.show(news.Key+news.Name, news.Name, text, int64(step.Step), int64(step.Steps), progressbar.OptionShowCount())
	case news.Bytes > 0:
		p.show(news.Name, "", news.Name, news.Bytes, news.Total, progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true))
	case news.Now != "" || news.Note != "":
		p.endBar()
		fmt.Fprintln(p.w, news.Now+news.Note)
	}
}

// show has on a terminal a line for the title, so that the bar below it fits into 80 columns.
func (p *printer) show(what, title, text string, done, total int64, options ...progressbar.Option) {
	begins, ends := what != p.what, done == total
	p.what = what
	if p.terminal {
		if begins || p.bar == nil {
			p.endBar()
			if begins && title != "" {
				fmt.Fprintln(p.w, title)
			}
			if total == 0 {
				total = -1 // a spinner
			}
			p.bar = progressbar.NewOptions64(total, append([]progressbar.Option{progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(text),
				progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100 * time.Millisecond),
				// Of a run the bar would reckon with the steps before it was resumed.
				progressbar.OptionSetPredictTime(false)}, options...)...)
		}
		_ = p.bar.Set64(done) // before Describe, which would draw a new bar at 0
		p.bar.Describe(text)
		if ends {
			p.endBar()
		}
		return
	}
	if title != "" {
		text = title + "  " + text
	}
	if begins || ends || time.Since(p.last) > lineEvery {
		p.last = time.Now()
		if len(options) > 1 { // bytes
			fmt.Fprintf(p.w, "%s  %d of %d MB\n", text, done>>20, total>>20)
		} else {
			fmt.Fprintf(p.w, "%s  step %d/%d\n", text, done, total)
		}
	}
}

// endBar leaves the bar's line as it is.
func (p *printer) endBar() {
	if p.bar != nil {
		fmt.Fprintln(p.w)
		p.bar = nil
	}
}
