// Package notebooks is what the notebooks' cells need beside the library: showing things below a
// cell, and stopping as the kernel asks.
package notebooks

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Context ends when the cell is interrupted or its kernel stopped: runs then save what they have
// learnt. Running the cell again goes on from there.
func Context() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the cell
	return ctx
}

// Plot shows a chart below the cell, as SVG.
func Plot(f *widgets.Figure, err error) {
	must.M(err)
	gonbui.DisplaySVG(f.SVG())
	gonbui.Sync() // else the last output of a cell may be lost
}

// Picture shows images below the cell, as PNG.
func Picture(f *widgets.Figure, err error) {
	must.M(err)
	gonbui.DisplayHTML(f.HTML())
	gonbui.Sync()
}

// Table shows a comparison below the cell, by the probes and by k-NN, and how its encoders were probed.
func Table(c *study.Comparison) {
	head, rows := c.Table()
	names, accuracies := c.Neighbours()
	gonbui.DisplayMarkdown(must.M1(widgets.Table{Head: head, Rows: rows}.Markdown()) + "\n\n" +
		must.M1(widgets.Table{Head: names, Rows: accuracies}.Markdown()) + "\n\n" +
		widgets.EscapeMarkdown(c.Caption()))
	gonbui.Sync()
}

// Slider shows charts below the cell, one at a time; it works without a kernel.
func Slider(f widgets.Frames, err error) {
	must.M(err)
	gonbui.DisplayHTML(must.M1(f.HTML()))
	gonbui.Sync()
}

// Markdown shows Markdown below the cell: names in it must have been escaped, see widgets.EscapeMarkdown.
func Markdown(text string, err error) {
	must.M(err)
	gonbui.DisplayMarkdown(text)
	gonbui.Sync()
}

// If is what a cell needs to do less in a quick look.
func If[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
