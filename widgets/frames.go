package widgets

import (
	"crypto/sha256"
	_ "embed" // frames.js
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strings"
)

// Frames puts figures behind a slider: the same chart for each temperature, say.
// It needs neither a kernel nor a network, and any number share a page. Give the
// charts the same axes, or they cannot be compared.
type Frames struct {
	Label   string    // of the slider: "temperature"
	Names   []string  // of the frames, in the slider's order: "0.07"
	Figures []*Figure // a frame for each name
	At      int       // the frame shown first, and the only one where scripts may not run
}

//go:embed frames.js
var framesJS string

func (f Frames) check() error {
	switch {
	case f.Label == "":
		return errors.New("widgets: frames: no label: nobody could tell what the slider changes")
	case len(f.Figures) == 0:
		return errors.New("widgets: frames: no figures")
	case len(f.Names) != len(f.Figures):
		return fmt.Errorf("widgets: frames: %d names for %d figures", len(f.Names), len(f.Figures))
	case f.At < 0 || f.At >= len(f.Figures):
		return fmt.Errorf("widgets: frames: at frame %d of %d", f.At, len(f.Figures))
	}
	for i, fig := range f.Figures {
		if fig == nil {
			return fmt.Errorf("widgets: frames: figure %d is nil", i)
		}
	}
	return nil
}

// Figure returns the frame shown first, for where there is no HTML.
func (f Frames) Figure() (*Figure, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.Figures[f.At], nil
}

// HTML returns an element that shows the frame At, and with scripts a slider
// over it that the keyboard moves too. Pictures are PNG in img elements, since
// JupyterLab removes scripts and SVG from notebooks that it does not trust.
func (f Frames) HTML() (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	type img struct {
		Src    string `json:"src"`
		Alt    string `json:"alt"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
	}
	type frame struct {
		Name string `json:"name"`
		Img  img    `json:"img"`
	}
	frames := make([]frame, len(f.Figures))
	for i, fig := range f.Figures {
		width, height := fig.Size()
		frames[i] = frame{Printable(f.Names[i]), img{
			"data:image/png;base64," + base64.StdEncoding.EncodeToString(fig.PNG()),
			strings.TrimPrefix(Printable(fmt.Sprintf("%s, %s: %s", fig.alt, f.Label, f.Names[i])), ", "),
			width, height,
		}}
	}
	data, err := json.Marshal(frames) // escapes <, > and &, which could end the script
	if err != nil {
		return "", fmt.Errorf("widgets: frames: %w", err)
	}
	id := sha256.Sum256(fmt.Append(data, f.At)) // of the content, so that a notebook run again is the same
	first := frames[f.At]
	return fmt.Sprintf(`<div data-frames="%[1]x"><p style="margin:0 0 6px;font:13px/1.4 Arial,Helvetica,sans-serif"><label>%[2]s: <b>%[3]s</b></label></p>
<img alt="%[4]s" width="%[5]d" height="%[6]d" src="%[7]s">
<script>(%[8]s)("%[1]x", %[9]d, %[10]s)</script></div>
`, id[:8], html.EscapeString(Printable(f.Label)), html.EscapeString(first.Name),
		html.EscapeString(first.Img.Alt), first.Img.Width, first.Img.Height, first.Img.Src,
		strings.TrimSpace(framesJS), f.At, data), nil
}
