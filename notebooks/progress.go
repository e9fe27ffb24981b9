package notebooks

import (
	"fmt"
	"html"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

// Open returns the store of runs, see runs.Open, whose progress is a line below the cell that changes, and stays at the end.
// Where nobody looks at the cell, under env/execute.py or in a program, it is lines on standard error. Changes that the next cell
// will not see are said.
func Open() (*runs.Store, error) {
	warnLost()
	store, err := runs.Open("")
	if err == nil && gonbui.IsNotebook && os.Getenv("SSLKIT_HEADLESS") == "" {
		store.Report = below.report
	}
	return store, err
}

// below is what this cell shows of its progress: a cell is a program of its own.
var below = &line{began: time.Now(), show: func(html string) { gonbui.UpdateHTML(block, html) }}

var block = "sslkit_progress_" + gonbui.UniqueId()

// line tells progress in one line, below what notes there are.
type line struct {
	show  func(html string)
	began time.Time

	mu      sync.Mutex
	notes   []string
	now     string
	shown   time.Time
	trained map[string]bool // by key: in this cell, or else before
}

// redraw is often enough for eyes, and not too often for a browser.
const redraw = 250 * time.Millisecond

func (l *line) report(p runs.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	step := p.Step
	last := false
	switch {
	case step.Steps > 0:
		last = step.Step == step.Steps
		l.count(p.Key, true)
		l.now = fmt.Sprintf("%s: epoch %d/%d, step %d/%d, loss %.3f", p.Title(), step.Epoch+1, step.Epochs, step.Step, step.Steps, step.Loss)
		if left := p.Time(); left != "" {
			l.now += ", " + left
		}
		if last {
			l.now = fmt.Sprintf("%s: trained, %d steps, loss %.3f", p.Name, step.Steps, step.Loss)
		}
	case p.Bytes > 0:
		last = p.Bytes == p.Total
		l.now = fmt.Sprintf("%s: %d MB", p.Name, p.Bytes>>20)
		if p.Total > 0 {
			l.now = fmt.Sprintf("%s: %d of %d MB", p.Name, p.Bytes>>20, p.Total>>20)
		}
	case p.Now != "":
		last = true
		l.count(p.Key, false)
		l.now = p.Now
	case p.Note != "":
		last = true
		l.notes = append(l.notes, p.Note)
	default:
		return
	}
	if last || time.Since(l.shown) >= redraw {
		l.draw(l.now)
	}
}

func (l *line) count(key string, trained bool) {
	if key == "" {
		return
	}
	if l.trained == nil {
		l.trained = make(map[string]bool)
	}
	l.trained[key] = l.trained[key] || trained
}

// draw shows the notes and a line below them.
func (l *line) draw(now string) {
	l.shown = time.Now()
	var b strings.Builder
	for _, text := range append(l.notes[:len(l.notes):len(l.notes)], now) {
		if text != "" {
			fmt.Fprintf(&b, "<div>%s</div>\n", html.EscapeString(widgets.Printable(text)))
		}
	}
	l.show(`<div style="font-size: 85%; opacity: 0.7">` + "\n" + b.String() + "</div>")
}

// end leaves in the line what was done, before the cell shows its results.
func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown.IsZero() {
		return
	}
	trained := 0
	for _, t := range l.trained {
		if t {
			trained++
		}
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{trained, "trained"}, {len(l.trained) - trained, "found finished"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s %s", p.n, If(p.n == 1, "run", "runs"), p.what))
		}
	}
	if len(parts) > 0 {
		l.now = fmt.Sprintf("%s, in %v", strings.Join(parts, " and "), time.Since(l.began).Round(time.Second))
	}
	l.draw(l.now)
}

func (l *line) drawn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.shown.IsZero()
}

// say replaces the line, if there is one.
func (l *line) say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.shown.IsZero() {
		l.draw(text)
	}
}
