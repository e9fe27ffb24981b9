package runs

import (
	"fmt"
	"io"
	"os"
	"strings"
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

	Of Several // what the run is one of
}

// Several is where work on several runs stands, which a study does one after the other.
type Several struct {
	Run, Runs int           // the run under way, from 1, of how many; 0 of a single one
	Variant   string        // what it is called in the study
	Left      time.Duration // of all, estimated; 0 while unknown

	began   time.Time     // the run under way
	trained int           // runs that took time
	took    time.Duration // these
}

// Title is what is being done, for people: "run 3 of 8, temperature 0.1: simclr, fashion-mnist-10k, seed 1".
func (p Progress) Title() string {
	if p.Of.Runs == 0 || p.Name == "" {
		return p.Name
	}
	variant := ""
	if p.Of.Variant != "" {
		variant = ", " + p.Of.Variant
	}
	return fmt.Sprintf("run %d of %d%s: %s", p.Of.Run, p.Of.Runs, variant, p.Name)
}

// Time is how long it still takes, "" while unknown.
func (p Progress) Time() string {
	var parts []string
	if p.Step.Left > 0 {
		parts = append(parts, fmt.Sprintf("%v left", p.Step.Left.Round(time.Second)))
	}
	if p.Of.Left > 0 {
		parts = append(parts, fmt.Sprintf("%v of all", p.Of.Left.Round(time.Minute)))
	}
	return strings.Join(parts, ", ")
}

// Several says that what follows is work on so many runs, until over is called. Next is to be called before each.
func (s *Store) Several(runs int) (over func()) {
	s.of = Several{Runs: runs}
	return func() { s.of = Several{} }
}

// Next says that the next of several runs is under way, and what it is called. News then tell.
func (s *Store) Next(variant string) {
	// A run that is remembered is there at once, and says nothing of how long others take.
	if took := time.Since(s.of.began); s.of.Run > 0 && took > time.Second {
		s.of.trained, s.of.took = s.of.trained+1, s.of.took+took
	}
	if s.of.trained > 0 {
		s.of.Left = s.of.took / time.Duration(s.of.trained) * time.Duration(max(0, s.of.Runs-s.of.Run))
	}
	s.of.Run, s.of.Variant, s.of.began = s.of.Run+1, variant, time.Now()
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
		if left := news.Time(); left != "" {
			text += "  " + left
		}
		p.show(news.Key+news.Name, news.Title(), text, int64(step.Step), int64(step.Steps), progressbar.OptionShowCount())
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
