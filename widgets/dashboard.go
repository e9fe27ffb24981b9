package widgets

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"strings"
)

//go:embed stop.js
var stopJS string

// StopButton returns an element that is, where scripts run in JupyterLab, a button that interrupts the kernel at work, as JupyterLab's own
// does; elsewhere it is empty. The id is to be another one for each button of a page.
func StopButton(id string) string {
	id = html.EscapeString(id)
	return fmt.Sprintf("<div data-stop=\"%s\"></div>\n<script>(%s)(\"%[1]s\")</script>\n", id, strings.TrimSpace(stopJS))
}

// Dashboard is small charts side by side, of what changes while one looks at it. Pictures are PNG in img elements, since JupyterLab
// removes SVG from notebooks that it does not trust.
type Dashboard []*Figure

// HTML returns the charts as one element.
func (d Dashboard) HTML() string {
	var b strings.Builder
	b.WriteString(`<div style="display:flex;flex-wrap:wrap;gap:8px">` + "\n")
	for _, f := range d {
		width, _ := f.Size()
		fmt.Fprintf(&b, `<img alt="%s" style="width:%dpx;max-width:48%%;min-width:240px" src="data:image/png;base64,%s">`+"\n",
			html.EscapeString(f.Alt()), width, base64.StdEncoding.EncodeToString(f.PNG()))
	}
	return b.String() + "</div>\n"
}
