// Package pjrt opens the backend that everything else computes on.
//
// [Open] looks for it in this order and takes the first that works:
//
//  1. what GOMLX_BACKEND names ("go", "xla:cpu", "xla:cuda", "xla:/path/to/plugin.so"); nothing else is tried then;
//  2. a PJRT plugin (XLA's compiler as a shared library) that is already on this machine, an accelerator before the CPU;
//  3. a CPU plugin that it installs: that of a pinned wheel, or, where SSLKIT_ALLOW_UNVERIFIED allows it, what go-xla's own
//     installer brings, which verifies no checksum;
//  4. GoMLX's pure-Go backend, which needs nothing and is much slower.
//
// A plugin is C++ that is loaded into the process: a broken one takes the process with it, and a malicious one whatever the
// user may do. Therefore each is checked first. Others than the user and root must not be able to write to it or to a folder
// above it. Then come its ELF headers and its checksum, taken at each start of the file that is loaded; and where that is
// not the pinned one, it is loaded in a child process, which is this program again (see xla.go).
//
// Environment: GOMLX_BACKEND; PJRT_PLUGIN_LIBRARY_PATH, folders of plugins; SSLKIT_HOME, whose folder pjrt replaces the
// user's cache folder; SSLKIT_NO_INSTALL or GOMLX_NO_AUTO_INSTALL, install nothing; SSLKIT_ALLOW_UNVERIFIED, also what has
// no known checksum; XLA_FLAGS, XLA's own; SSLKIT_CONV=xla, convolve as the plugin does and not with the kernels of package
// conv.
//
// Built with -tags noxla, or without cgo (which is what Go does where there is no C compiler), the package knows the
// pure-Go backend only.
package pjrt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
)

// Choice says which backend was opened and why.
type Choice struct {
	Config string    `json:"config"`          // as for GOMLX_BACKEND: "xla:/path/to/plugin.so" or "go"
	Kind   string    `json:"kind"`            // "xla:cpu", "xla:cuda", "xla:tpu" or "go"
	Why    string    `json:"why"`             // one line
	Conv   string    `json:"conv,omitempty"`  // the version of the convolutions' kernels, see package conv; empty: the backend's own
	Tried  []Attempt `json:"tried,omitempty"` // what was tried before and did not work, in order

	Devices int `json:"devices,omitempty"` // among which work is divided; 0 where OpenDevices was not asked

	fallback string
}

// Fallback is one sentence for the user where the pure-Go backend was taken though XLA was to be expected: why, and what to
// do. Otherwise, and in a Choice that was read from a record, it is "".
func (c Choice) Fallback() string { return c.fallback }

// Name is what figures follow from to the last bit: the kind, and the version of the convolutions' kernels where they are
// used, "xla:cpu+direct-1".
func (c Choice) Name() string {
	if c.Conv == "" {
		return c.Kind
	}
	return c.Kind + "+" + c.Conv
}

// Attempt is a candidate that did not work.
type Attempt struct {
	Candidate string `json:"candidate"` // a plugin's path or an installer
	Err       string `json:"error"`
}

// String is the report that `sslkit backend` prints: several lines, without a newline at the end.
func (c Choice) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "backend  %s\nkind     %s\nwhy      %s", c.Config, c.Kind, c.Why)
	if len(c.Tried) > 0 {
		s.WriteString("\ntried    and not taken:")
	}
	for _, a := range c.Tried {
		fmt.Fprintf(&s, "\n  %s\n    %s", a.Candidate, a.Err)
	}
	return s.String()
}

// Open returns the backend of this process, the same at every call, and how it was chosen. It may install a plugin, with
// progress on standard error. It fails only where GOMLX_BACKEND names a backend that cannot be opened and where XLA_FLAGS
// holds what XLA does not take; the Choice then still holds what was tried.
func Open() (compute.Backend, Choice, error) {
	opened.Do(func() {
		opened.backend, opened.choice, opened.err = newChooser().choose()
	})
	return opened.backend, opened.choice, opened.err
}

var opened struct {
	sync.Once
	backend compute.Backend
	choice  Choice
	err     error
}

const whyLength = 150 // in characters; one line on a wide terminal

const acceleratorHint = `pip install "jax[cuda13]" or libtpu brings one`

// A chooser is what the choice depends on.
type chooser struct {
	explicit   string // GOMLX_BACKEND
	find       func() []candidate
	absent     func(kind string) error // why hardware of the kind cannot be there
	load       func(c candidate, options string) (loaded, error)
	installers []installer // empty: install nothing
}

// loaded is a plugin that works.
type loaded struct {
	backend compute.Backend
	kind    string // "xla:cpu"
	note    string // how it was verified
	conv    string // Choice.Conv
}

// An installer brings one plugin and returns its path.
type installer struct {
	name string
	run  func(context.Context) (string, error)
}

func newChooser() *chooser {
	c := &chooser{explicit: os.Getenv(compute.ConfigEnvVar), find: find, absent: absent, load: load}
	if os.Getenv("SSLKIT_NO_INSTALL") == "" && os.Getenv("GOMLX_NO_AUTO_INSTALL") == "" {
		c.installers = installers(false)
	}
	return c
}

// pureGo opens the Go backend, where nothing else is said with operations one after another: each of them still uses all
// cores. Operations side by side, its default, can wait for each other's workers for ever (compute v0.1.2: matrix products
// within executeParallel, in workerspool's Saturate).
func pureGo(config string) (compute.Backend, error) {
	if !strings.Contains(config, "ops_") {
		config = strings.Trim(config+",ops_sequential", ",")
	}
	return gobackend.New(config)
}

func (c *chooser) choose() (compute.Backend, Choice, error) {
	if c.explicit != "" {
		return c.named()
	}
	var choice Choice
	found, err := c.plugins(&choice, "", "", c.installers)
	if err == nil {
		return found.backend, choice, nil
	}
	if errors.Is(err, errFlags) { // who sets flags for XLA wants XLA
		return nil, choice, err
	}
	backend, goErr := pureGo("")
	if goErr != nil {
		return nil, choice, fmt.Errorf("opening the pure-Go backend: %w", goErr)
	}
	choice.Config, choice.Kind = "go", "go"
	why := []rune(oneLine(err))
	if len(why) > whyLength {
		why = append(why[:whyLength:whyLength], []rune("... (sslkit backend shows all)")...)
	}
	choice.Why = "pure Go, much slower than XLA: " + string(why)
	if errNoXLA == nil || os.Getenv("XLA_FLAGS") != "" || os.Getenv("PJRT_PLUGIN_LIBRARY_PATH") != "" {
		choice.fallback = "Computing in pure Go, much slower than XLA and with other figures in the last digits: " + oneLine(err) +
			"; 'sslkit backend' shows all that was tried, GOMLX_BACKEND=go says that it is meant"
	}
	return backend, choice, nil
}

// plugins takes the first plugin of the wanted kind ("" is any) that loads with the options, and fills in choice.
func (c *chooser) plugins(choice *Choice, want, options string, install []installer) (loaded, error) {
	if errNoXLA != nil {
		return loaded{}, errNoXLA
	}
	tried := map[string]bool{}
	var refused error // XLA_FLAGS
	try := func(p candidate, how string) (loaded, bool) {
		if tried[p.path] || !p.is(want) {
			return loaded{}, false
		}
		tried[p.path] = true
		err := c.absent(p.kind)
		if err == nil || c.explicit != "" { // who asks for it may know better
			var l loaded
			if l, err = c.load(p, options); err == nil {
				choice.Config, choice.Kind, choice.Conv = "xla:"+p.path+options, l.kind, l.conv
				choice.Why = how + "; " + l.note
				return l, true
			}
		}
		if errors.Is(err, errFlags) {
			refused, install = err, nil // another plugin would not know them either
		}
		choice.Tried = append(choice.Tried, Attempt{p.path, oneLine(err)})
		return loaded{}, false
	}

	var last error // of the installers
	all := byRank(c.find())
	if want == "" && c.absent("cuda") == nil && !slices.ContainsFunc(all, func(p candidate) bool { return p.kind == "cuda" }) {
		choice.Tried = append(choice.Tried, Attempt{"xla:cuda", "this machine has a GPU, but no plugin for it was found (" + acceleratorHint + ")"})
	}
	for _, p := range all {
		if l, ok := try(p, "the first plugin found that works"); ok {
			return l, nil
		}
	}
	for i := 0; i < len(install); i++ { // try may empty it
		in := install[i]
		path, err := in.run(context.Background())
		if err != nil {
			err := fmt.Errorf("%s: %w", in.name, err)
			if last == nil {
				last = err
			} else {
				last = fmt.Errorf("%w; %w", last, err)
			}
			choice.Tried = append(choice.Tried, Attempt{in.name, oneLine(err)})
			continue
		}
		if l, ok := try(newCandidate(path), "installed by "+in.name); ok {
			return l, nil
		}
	}
	what := "PJRT plugin"
	if want != "" {
		what += " for " + want
	}
	switch {
	case refused != nil:
		return loaded{}, refused
	case len(tried) > 0:
		return loaded{}, fmt.Errorf("no %s works here, the last tried: %s", what, choice.Tried[len(choice.Tried)-1].Err)
	case last != nil:
		return loaded{}, fmt.Errorf("no %s was found and none could be installed: %w", what, last)
	case want == "" || want == "cpu":
		return loaded{}, fmt.Errorf("no %s was found, and SSLKIT_NO_INSTALL or GOMLX_NO_AUTO_INSTALL forbids installing one", what)
	default:
		return loaded{}, fmt.Errorf("no %s was found (%s)", what, acceleratorHint)
	}
}

// named opens what GOMLX_BACKEND asks for, and nothing else. go-xla's own search by name is not used: it dereferences nil
// at a plugin that does not load, and it downloads without a time limit.
func (c *chooser) named() (backend compute.Backend, choice Choice, err error) {
	defer func() {
		if err != nil && !errors.Is(err, errFlags) {
			err = fmt.Errorf("%s=%q: %w (unset it, and the backend is chosen for you)", compute.ConfigEnvVar, c.explicit, err)
		}
	}()
	choice = Choice{Config: c.explicit, Why: compute.ConfigEnvVar + " asks for it"}
	name, config, _ := strings.Cut(c.explicit, ":")
	choice.Kind = name
	switch name {
	case gobackend.BackendName:
		backend, err = pureGo(config)
		return backend, choice, err
	case "xla", "stablehlo", "hlo", "shlo": // the names that go-xla registers
	default:
		// That of onnxruntime is there to write encoders by, and not for what a run computes.
		known := slices.DeleteFunc(compute.List(), func(n string) bool { return strings.HasPrefix(n, "onnx") })
		if !slices.Contains(known, name) {
			return nil, choice, fmt.Errorf("there is no backend %q, only %q", name, known)
		}
		backend, err = compute.NewWithConfig(c.explicit)
		return backend, choice, err
	}

	plugin, options := config, ""
	if i := strings.IndexByte(config, ','); i >= 0 {
		plugin, options = config[:i], config[i:]
	}
	var l loaded
	if strings.ContainsRune(plugin, os.PathSeparator) {
		if plugin, err = absolute(plugin); err != nil {
			return nil, choice, err
		}
		l, err = c.load(newCandidate(plugin), options)
		choice.Config, choice.Kind, choice.Conv = "xla:"+plugin+options, cmp.Or(l.kind, choice.Kind), l.conv
		if err != nil {
			choice.Tried = []Attempt{{plugin, oneLine(err)}}
		}
	} else {
		var install []installer
		if plugin == "" || plugin == "cpu" { // the installers bring no other kind
			install = c.installers
		}
		l, err = c.plugins(&choice, plugin, options, install)
	}
	if err != nil {
		return nil, choice, err
	}
	choice.Why = compute.ConfigEnvVar + " asks for it; " + l.note
	return l.backend, choice, nil
}

// oneLine is err in one printable line: what a broken plugin last wrote may be anything.
func oneLine(err error) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, err.Error())
	return strings.Join(strings.Fields(printable), " ")
}

// errFlags says that the plugin refuses the user's XLA_FLAGS; see flagsError.
var errFlags = errors.New("XLA_FLAGS holds")

// Install brings a CPU plugin into the project's cache and returns its path. Where the pinned one is there already it
// does nothing. Unlike [Open] it heeds neither SSLKIT_NO_INSTALL nor an installation that failed a short while ago.
func Install(ctx context.Context) (string, error) {
	if errNoXLA != nil {
		return "", errNoXLA
	}
	var all error
	for _, in := range installers(true) {
		path, err := in.run(ctx)
		if err == nil {
			return path, nil
		}
		all = errors.Join(all, fmt.Errorf("%s: %w", in.name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return "", all
}
