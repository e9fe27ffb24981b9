package sslkit_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
)

// stranger is a method of somebody else's, who wrote no JSON tags and no Validate.
type stranger struct {
	Backbone    nn.Backbone
	Temperature float64
	Inner       struct{ Steps int }
	hidden      int
}

func (s stranger) Loss(scope *model.Scope, b sslkit.Batch) *Node {
	return ReduceAllMean(nn.Last(s.Encode(scope, b.Image)))
}

func (s stranger) Encode(scope *model.Scope, image *Node) []*Node {
	return s.Backbone.Stages(scope.In("encoder"), image)
}

// bare is a method without the field that all must have.
type bare struct{ sslkit.Method }

// behind has it where nothing is before a pointer is set.
type behind struct{ *stranger }

// derived is a method of the laboratory's with a field more.
type derived struct {
	sslkit.Rotation
	Extra float64
}

func newStranger() sslkit.Method {
	return &stranger{Backbone: nn.ResNet(8, 4), Temperature: 0.5, hidden: 1}
}

// register registers for the time of a test.
func register(t *testing.T, r sslkit.Registration) {
	t.Helper()
	sslkit.Register(r)
	t.Cleanup(func() { sslkit.Unregister(r.Name) })
}

func TestRegisterRefuses(t *testing.T) {
	register(t, sslkit.Registration{Name: "stranger", New: newStranger})
	before := sslkit.Methods()
	other := func() sslkit.Method { return &eval.Random{} }
	for _, test := range []struct {
		r    sslkit.Registration
		want string
	}{
		{sslkit.Registration{New: newStranger}, `registering method "": the name "": write it in small letters`},
		{sslkit.Registration{Name: "Stranger", New: newStranger}, `the name "Stranger": write it in small letters`},
		{sslkit.Registration{Name: "a b", New: newStranger}, "small letters, digits, - and _"},
		{sslkit.Registration{Name: "a.b", New: newStranger}, "small letters, digits, - and _"}, // would be a path
		{sslkit.Registration{Name: "new"}, `registering method "new": there is no New`},
		{sslkit.Registration{Name: "new", New: func() sslkit.Method { return nil }}, "want a pointer to a struct"},
		{sslkit.Registration{Name: "new", New: func() sslkit.Method { return stranger{} }}, "what New returns is sslkit_test.stranger, want a pointer to a struct"},
		{sslkit.Registration{Name: "new", New: func() sslkit.Method { return &bare{} }}, "*sslkit_test.bare has no field Backbone of type nn.Backbone"},
		{sslkit.Registration{Name: "new", New: func() sslkit.Method { return &behind{new(stranger)} }}, "*sslkit_test.behind has its Backbone behind an embedded pointer: embed the struct itself"},
		{sslkit.Registration{Name: "stranger", New: other}, `the method "stranger" is registered twice, as *sslkit_test.stranger and as *eval.Random: give one of them another name`},
		{sslkit.Registration{Name: "rotation", New: newStranger}, `the method "rotation" is registered twice, as *sslkit.Rotation and as *sslkit_test.stranger`},
		{sslkit.Registration{Name: "new", New: newStranger}, `*sslkit_test.stranger is registered twice, as "stranger" and as "new"`},
	} {
		func() {
			defer func() {
				err, ok := recover().(error)
				if !ok {
					t.Errorf("%q: want a panic with an error", test.want)
					return
				}
				labtest.WantError(t, test.want, err, "sslkit: ", test.want)
			}()
			sslkit.Register(test.r)
		}()
	}
	if after := sslkit.Methods(); !slices.Equal(before, after) {
		t.Errorf("what was refused is registered: %q", after)
	}
}

func TestMethods(t *testing.T) {
	got := sslkit.Methods()
	for _, name := range []string{"colorization", "tracking", "rotation", "simclr", "clip", "swav", "mae", "position", "supervised", "random"} {
		if !slices.Contains(got, name) {
			t.Errorf("got %q, without %s", got, name)
		}
	}
	if sorted := slices.Sorted(slices.Values(got)); len(slices.Compact(sorted)) != len(got) {
		t.Errorf("got %q: a name twice", got)
	}
	last := sslkit.Registration{}
	for _, r := range sslkit.Registered() {
		if r.Role < last.Role {
			t.Errorf("%s comes after %s: methods first, then instruments, then baselines", r.Name, last.Name)
		}
		if r.Role == last.Role && r.Chapter < last.Chapter {
			t.Errorf("%s of chapter %d comes after %s of chapter %d", r.Name, r.Chapter, last.Name, last.Chapter)
		}
		if r.Role == sslkit.SelfSupervised && (r.Chapter == 0 || r.Paper == "") {
			t.Errorf("%s: of no chapter, or without its paper", r.Name)
		}
		last = r
		c, err := recipe.Preset(t.Context(), r.Name, sslkit.Class, r.Data)
		if err != nil || sslkit.NameOf(c.Method) != r.Name || c.Role() != r.Role || sslkit.Backbone(c.Method).Arch == "" {
			t.Errorf("%s: %+v, %v", r.Name, c.Method, err)
		}
		if found, err := sslkit.Lookup(r.Name); err != nil || found.Name != r.Name {
			t.Errorf("%s: looked up %+v, %v", r.Name, found, err)
		}
	}
	if !slices.Equal(got[len(got)-4:], []string{"supervised", "supcon", "given", "random"}) {
		t.Errorf("got %q: the baselines come last", got)
	}

	register(t, sslkit.Registration{Name: "stranger", New: newStranger})                   // of no chapter: behind those of one
	register(t, sslkit.Registration{Name: "older", Paper: "1990", Chapter: 3, New: older}) // by year, before moco and simclr
	all := sslkit.Methods()
	at := func(name string) int { return slices.Index(all, name) }
	if !(at("rotation") < at("older") && at("older") < at("moco") && at("mae") < at("stranger") && at("stranger") < at("position")) {
		t.Errorf("got %q", all)
	}
	_, err := sslkit.Lookup("strangr")
	if labtest.WantError(t, "a slip", err, `no method is called "strangr"; did you mean "stranger"?`); !errors.Is(err, sslkit.ErrUnknownMethod) {
		t.Errorf("error %v, want ErrUnknownMethod", err)
	}
}

type ancient struct{ stranger }

func older() sslkit.Method { return &ancient{} }

// What somebody registers with a name and a New alone is had like a method of the laboratory's.
func TestRegisteredMethod(t *testing.T) {
	register(t, sslkit.Registration{Name: "stranger", New: newStranger})
	r, err := sslkit.Lookup("stranger")
	if err != nil || r.Revision != 1 || r.Data != "fashion-mnist-10k" || r.Role != sslkit.SelfSupervised || r.NoPaper == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	c, err := recipe.Preset(t.Context(), "stranger", sslkit.Smoke, "")
	if err != nil || c.Validate() != nil {
		t.Fatalf("%+v, %v, %v", c, err, c.Validate())
	}
	if usual, err := sslkit.Usual(sslkit.Smoke, "fashion-mnist-10k", newStranger()); err != nil || usual.Key() != c.Key() {
		t.Errorf("%+v, want the usual %+v", c, usual)
	}
	text, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(text), `{"method":{"stranger":{"Backbone":{"arch":"resnet","depth":8,"width":4},"Temperature":0.5,"Inner":{"Steps":0}}}`) {
		t.Errorf("%s, %v", text, err)
	}
	back, err := sslkit.ReadConfig(strings.NewReader(string(text)))
	if err != nil || back.Key() != c.Key() {
		t.Errorf("read again: %+v, %v", back, err)
	}
	for path, value := range map[string]any{
		"Temperature": 0.2, "temperature": 0.2, "stranger.temperature": 0.2, "method.stranger.Temperature": 0.2, "steps": 3, "Inner.Steps": 3, "width": 8, "backbone.depth": 14,
	} {
		changed, err := c.With(path, value)
		if err != nil || changed.Key() == c.Key() {
			t.Errorf("%s: %+v, %v", path, changed.Method, err)
		}
		if sslkit.Backbone(c.Method).Width != 4 {
			t.Errorf("%s: the original changed", path)
		}
	}
	_, err = c.With("temprature", 1)
	labtest.WantError(t, "a slip", err, `did you mean "method.stranger.Temperature"?`)
	_, err = c.With("hidden", 1)
	labtest.WantError(t, "what JSON does not have", err, "no field is called")
	_, err = recipe.Preset(t.Context(), "stranger", sslkit.Paper, "")
	labtest.WantError(t, "paper", err, "stranger has no preset paper: it was given none; choose smoke or class", "that have it: rotation, ")
	_, err = recipe.Preset(t.Context(), "stranger", "quick", "")
	labtest.WantError(t, "a preset of nobody's", err, `no preset is called "quick": choose smoke, class, night or paper`)
	for _, base := range []sslkit.Config{recipe.Supervised(c), recipe.RandomInit(c)} {
		if err := base.Validate(); err != nil || *sslkit.Backbone(base.Method) != nn.ResNet(8, 4) {
			t.Errorf("%s: %+v, %v", sslkit.NameOf(base.Method), base, err)
		}
	}
	sslkit.Backbone(c.Method).Depth = 9
	if err := c.Validate(); err == nil {
		t.Error("a backbone that cannot be is not refused")
	}
	if sslkit.View(c.Method) != nil || sslkit.TitleOf(c.Method) != "stranger" || c.GuessLoss() != 0 {
		t.Errorf("%v, %q, %g", sslkit.View(c.Method), sslkit.TitleOf(c.Method), c.GuessLoss())
	}
}

// A struct that is embedded is part of the method, as it is of its JSON.
func TestDerivedMethod(t *testing.T) {
	register(t, sslkit.Registration{Name: "derived", New: func() sslkit.Method { return &derived{*sslkit.RotNet(nn.NIN(3, 6)), 1} }})
	c, err := recipe.Preset(t.Context(), "derived", sslkit.Smoke, "")
	if err != nil || sslkit.Backbone(c.Method).Arch != "nin" || sslkit.NameOf(c.Method) != "derived" {
		t.Fatalf("%+v, %v", c, err)
	}
	for path, value := range map[string]any{"angles": []int{0, 90}, "extra": 2, "method.derived.pad": 3, "backbone.width": 12} {
		changed, err := c.With(path, value)
		if err != nil || changed.Key() == c.Key() || changed.Validate() != nil {
			t.Errorf("%s: %+v, %v, %v", path, changed.Method, err, changed.Validate())
		}
	}
	changed, err := c.With("angles", []int{0})
	if err != nil {
		t.Fatal(err)
	}
	labtest.WantError(t, "rotation's own Validate", changed.Validate(), "at least 2 angles")
}

func TestUsual(t *testing.T) {
	m := newStranger()
	for _, test := range []struct {
		preset, dataset               string
		epochs, train, test, perPhoto int
	}{
		{sslkit.Smoke, "fashion-mnist-10k", 3, 2000, 1000, 0},
		{sslkit.Smoke, "photos", 3, 0, 0, 8},
		{sslkit.Smoke, "emoji", 3, 0, 0, 0},
		{sslkit.Class, "fashion-mnist", 10, 5000, 2000, 0},
		{sslkit.Class, "mnist", 10, 5000, 2000, 0},
		{sslkit.Class, "photos", 10, 0, 0, 24},
		{sslkit.Class, "scenes", 24, 2000, 1000, 0},
		{sslkit.Class, "folder:x", 10, 0, 0, 0},
	} {
		c, err := sslkit.Usual(test.preset, test.dataset, m)
		want := sslkit.Data{Name: test.dataset, Train: test.train, Test: test.test, PerPhoto: test.perPhoto}
		if err != nil || !reflect.DeepEqual(c.Method, m) || c.Epochs != test.epochs || c.Data != want || c.Batch != 128 || c.Seed != 1 {
			t.Errorf("%s of %s: %+v, %v", test.preset, test.dataset, c, err)
		}
	}
}

// cell is the program that GoNB makes of the cells of a notebook with a method.
const cell = `package main

import "fmt"

// Mine is a method.
type Mine struct {
	T float64 // temperature
}

func (m *Mine) Loss() float64 { return scale(m.T) * sharp }

func scale(x float64) float64 { return 2 * x } // helper

const sharp = 3

var unrelated = 1

func plot() { fmt.Println(unrelated) }

func main() { plot() }
`

// A cell's method has the digest of its source and of what that uses for a revision: see [sslkit.Register].
func TestSourceDigest(t *testing.T) {
	digest := func(text string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return sslkit.SourceDigest(file, "Mine")
	}
	edit := func(old, new string) string {
		t.Helper()
		if !strings.Contains(cell, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(cell, old, new, 1)
	}
	want := digest(cell)
	if len(want) != 16 {
		t.Fatalf("digest %q", want)
	}
	method, helper := "func (m *Mine) Loss() float64 { return scale(m.T) * sharp }\n\n", "func scale(x float64) float64 { return 2 * x } // helper\n\n"
	for name, text := range map[string]string{
		"a comment":                   edit("// Mine is a method.", "// Mine is the best method."),
		"a comment on a field":        edit(" // temperature", ""),
		"spaces":                      edit("return 2 * x }", "return   2*x }"),
		"lines":                       edit("{ return 2 * x }", "{\n\treturn 2 * x\n}"),
		"order of cells":              strings.Replace(edit(method, ""), helper, helper+method, 1),
		"what it does not use":        edit("unrelated = 1", "unrelated = 2"),
		"a function it does not use":  edit("fmt.Println(unrelated)", "fmt.Print(unrelated)"),
		"another cell's declarations": cell + "\ntype Yours struct{}\n\nfunc (y Yours) Loss() float64 { return 1 }\n",
		"what the cell does":          edit("func main() { plot() }", "func main() { plot(); plot() }"),
	} {
		if got := digest(text); got != want {
			t.Errorf("%s makes it another method", name)
		}
	}
	seen := map[string]string{want: "nothing"}
	for name, text := range map[string]string{
		"its method":           edit("scale(m.T) * sharp", "scale(m.T) + sharp"),
		"its field":            edit("T float64", "T float32"),
		"another method":       cell + "\nfunc (m Mine) Validate() error { return nil }\n",
		"a function it uses":   edit("return 2 * x", "return 4 * x"),
		"a constant it uses":   edit("sharp = 3", "sharp = 4"),
		"a function used then": strings.Replace(edit("return 2 * x", "return deep(x)"), "func plot", "func deep(x float64) float64 { return x }\n\nfunc plot", 1),
	} {
		got := digest(text)
		if other, taken := seen[got]; taken || got == "" {
			t.Errorf("after a change of %s the digest is %q, that of %s", name, got, other)
		}
		seen[got] = name
	}
	if got := digest("package main\n\nfunc {"); got != "" {
		t.Errorf("of what is no Go it is %q", got)
	}
	if got := sslkit.SourceDigest(filepath.Join(t.TempDir(), "main.go"), "Mine"); got != "" {
		t.Errorf("of no file it is %q", got)
	}
}

// The digest is of methods in the folder where GoNB compiles cells, where no revision is given.
func TestCellRevision(t *testing.T) {
	_, here, _, _ := runtime.Caller(0)
	revision := func(r sslkit.Registration) sslkit.Revision {
		t.Helper()
		r.Name, r.New = "stranger", newStranger
		sslkit.Register(r)
		defer sslkit.Unregister("stranger")
		c, err := recipe.Preset(t.Context(), "stranger", sslkit.Smoke, "")
		if err != nil {
			t.Fatal(err)
		}
		if c.KeyAt(c.Revision()) != c.Key() {
			t.Error("the key does not follow the revision")
		}
		return c.Revision()
	}
	t.Setenv("GONB_TMP_DIR", "")
	if got := revision(sslkit.Registration{}); got != (sslkit.Revision{Number: 1}) {
		t.Errorf("in a module: %+v", got)
	}
	t.Setenv("GONB_TMP_DIR", filepath.Join(filepath.Dir(here), "elsewhere"))
	if got := revision(sslkit.Registration{}); got != (sslkit.Revision{Number: 1}) {
		t.Errorf("in a module, while a notebook runs: %+v", got)
	}
	t.Setenv("GONB_TMP_DIR", filepath.Dir(here))
	want := sslkit.Revision{Number: 1, Source: sslkit.SourceDigest(here, "stranger")}
	if got := revision(sslkit.Registration{}); got != want || want.Source == "" {
		t.Errorf("in a cell: %+v, want %+v", got, want)
	}
	if got := revision(sslkit.Registration{Revision: 2}); got != (sslkit.Revision{Number: 2}) {
		t.Errorf("in a cell that says its revision: %+v", got)
	}
	// Methods of the laboratory stay what they are, whatever registers them.
	if r, _ := sslkit.RegistrationOf(&sslkit.Rotation{}); r.Revision != 1 || (sslkit.Config{Method: &sslkit.Rotation{}}).Revision().Source != "" {
		t.Errorf("rotation: %+v", r)
	}
}
