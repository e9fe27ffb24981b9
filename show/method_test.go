package show

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
)

func methodsOfTheLecture() (all []sslkit.Registration) {
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised {
			all = append(all, r)
		}
	}
	return all
}

// Each method is drawn: its encoder, which is kept, its loss, and who it is by. That nothing overlaps is what Figure itself holds.
func TestMethod(t *testing.T) {
	all := methodsOfTheLecture()
	if len(all) < 31 {
		t.Fatalf("%d methods", len(all))
	}
	for _, r := range all {
		f, err := Method(r.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		svg := f.SVG()
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if w, h := f.Size(); w != 640 || h > 400 {
			t.Errorf("%s has %d x %d pixels: on a page it should be seen whole", r.Name, w, h)
		}
		if !strings.Contains(f.Alt(), r.Paper) || !strings.Contains(svg, "trained and kept") {
			t.Errorf("%s: %s", r.Name, f.Alt())
		}
		for what, bracket := range map[string]string{"network that is kept": "[[", "loss": "<"} {
			if !strings.Contains(r.Drawing, bracket) {
				t.Errorf("the drawing of %s shows no %s", r.Name, what)
			}
		}
	}
	if _, err := Method("position"); err == nil || !strings.Contains(err.Error(), "no drawing") {
		t.Errorf("an instrument without a drawing: %v", err)
	}
	if _, err := Method("simclear"); err == nil || !strings.Contains(err.Error(), "simclr") {
		t.Errorf("no method: %v", err)
	}
}

// What stops no gradient, and what does, is drawn as it is computed: a drawing has a stop where the code of the method has one.
func TestDrawingsStopGradientsWhereLossesDo(t *testing.T) {
	for name, want := range map[string]struct{ stopped, follows bool }{
		"simclr": {}, "barlow": {}, "vicreg": {}, "lejepa": {}, "mae": {}, "clip": {}, "cpc": {},
		"simsiam": {stopped: true}, "nnclr": {stopped: true}, "swav": {stopped: true}, "deepcluster": {stopped: true},
		"moco": {true, true}, "mocov3": {true, true}, "densecl": {true, true}, "byol": {true, true}, "dino": {true, true}, "ijepa": {true, true},
	} {
		r, err := sslkit.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(r.Drawing, "-x>"); got != want.stopped {
			t.Errorf("%s stops a gradient: %v, want %v", name, got, want.stopped)
		}
		if got := strings.Contains(r.Drawing, "~>"); got != want.follows {
			t.Errorf("%s has parameters that follow: %v, want %v", name, got, want.follows)
		}
	}
}

// The text of each method has its Loss as it stands in the file of package sslkit, found there in another way, and links that lead
// somewhere.
func TestMethodText(t *testing.T) {
	for _, r := range methodsOfTheLecture() {
		text, err := MethodText(r.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		link := regexp.MustCompile(`\]\(\.\./(sslkit/\w+\.go)\)`).FindStringSubmatch(text)
		if link == nil {
			t.Errorf("%s: no link to the file:\n%s", r.Name, text)
			continue
		}
		content, err := os.ReadFile(filepath.Join("..", link[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		kind := reflect.TypeOf(r.New()).Elem().Name()
		loss := regexp.MustCompile(`(?sm)^(?:// [^\n]*\n|//\n)+func \(m \*` + kind + `\) Loss\(.*?^\}$`).Find(content)
		if loss == nil {
			t.Errorf("%s has no Loss of %s", link[1], kind)
			continue
		}
		_, code, _ := strings.Cut(text, "```go\n")
		code, _, _ = strings.Cut(code, "\n```")
		// Blanks begin no line of formatted Go: those that do here are its tabs.
		tabs := regexp.MustCompile(`(?m)^(?:    )+`).ReplaceAllStringFunc(code, func(s string) string { return strings.Repeat("\t", len(s)/4) })
		if tabs != string(loss) {
			t.Errorf("%s: Loss is\n%s\nand in %s\n%s", r.Name, tabs, link[1], loss)
		}
		if !strings.HasPrefix(text, "**"+kind+"** ") {
			t.Errorf("%s: the text does not begin with its name:\n%s", r.Name, text)
		}
		if paper := strings.Contains(text, "(https://arxiv.org/abs/"); paper == slices.Contains([]string{"gpt", "arrow"}, r.Name) { // which are on no server
			t.Errorf("%s has a link to its paper: %v", r.Name, paper)
		}
	}
}

func TestLinked(t *testing.T) {
	for in, want := range map[string]string{
		"A, ICML 2020,\narXiv:2002.05709. Loss is Eq. 1": "A, ICML 2020, [arXiv:2002.05709](https://arxiv.org/abs/2002.05709). Loss is Eq. 1",
		"see [loss.VICReg] and [MAE]'s":                  "see `loss.VICReg` and `MAE`'s",
		"E[x^2] <b>":                                     "E\\[x^2\\] &lt;b&gt;",
	} {
		if got := linked(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
