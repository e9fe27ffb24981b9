// Package notebooks is what the notebooks' cells need beside the library: showing things below a
// cell, progress among them, and stopping as the kernel asks.
package notebooks

import (
	"context"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Plot shows a chart below the cell, as SVG and as PNG: JupyterLab removes SVG from notebooks that it does not trust, as do most
// hosts of code, and shows the PNG in its place.
func Plot(f *widgets.Figure, err error) {
	must.M(err)
	below.end()
	if !gonbui.IsNotebook {
		return
	}
	width, height := f.Size()
	gonbui.SendData(&protocol.DisplayData{
		Data:     map[protocol.MIMEType]any{protocol.MIMEImageSVG: f.SVG(), protocol.MIMEImagePNG: f.PNG(), protocol.MIMETextPlain: f.Alt()},
		Metadata: map[string]any{string(protocol.MIMEImagePNG): map[string]int{"width": width, "height": height}},
	})
	gonbui.Sync() // else the last output of a cell may be lost
}

// About shows a method below the cell, by its name: a step of it as a drawing, and what its source says of it, with links to its paper and
// its file and, folded, its loss. Nothing is trained.
func About(name string) {
	Plot(show.Method(name))
	Markdown(show.MethodText(name))
}

// Picture shows images below the cell, as PNG.
func Picture(f *widgets.Figure, err error) {
	must.M(err)
	below.end()
	gonbui.DisplayHTML(f.HTML())
	gonbui.Sync()
}

// Table shows a comparison below the cell, by the probes and by k-NN, and how its encoders were probed.
func Table(c *study.Comparison) {
	below.end()
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
	below.end()
	gonbui.DisplayHTML(must.M1(f.HTML()))
	gonbui.Sync()
}

// Markdown shows Markdown below the cell: names in it must have been escaped, see widgets.EscapeMarkdown.
func Markdown(text string, err error) {
	must.M(err)
	below.end()
	gonbui.DisplayMarkdown(text)
	gonbui.Sync()
}

// Text shows a text below the cell, in its place among the cell's other outputs, which printed lines need not keep.
func Text(text string) { Markdown(widgets.EscapeMarkdown(text), nil) }

// If is what a cell needs to do less in a quick look.
func If[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}

// Claims shows what became of what the lecture says in one of its chapters, see study.Lecture: all in one table, and below it, folded,
// each with its figures. Nothing is trained: the runs are those that come with the checkout, or that are in the store.
func Claims(ctx context.Context, s *runs.Store, chapter int) {
	Markdown(show.ChapterClaims(must.M1(study.TestClaims(ctx, s, false, nil, must.M1(study.ClaimsOf(chapter))...))))
}
