package pjrt

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
)

// here holds the plugins of this machine, found before TestMain turns the environment into an empty one.
var here []candidate

func TestMain(m *testing.M) {
	here = find()
	if path, ok := strings.CutPrefix(os.Getenv(compute.ConfigEnvVar), "xla:/"); ok {
		here = append(here, newCandidate("/"+path))
	}
	home, err := os.MkdirTemp("", "pjrt-test-")
	if err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		compute.ConfigEnvVar: "", "SSLKIT_HOME": home, "SSLKIT_NO_INSTALL": "1", "PJRT_PLUGIN_LIBRARY_PATH": "",
	} {
		os.Setenv(name, value)
	}
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

// a fake chooser: files that load map to nil, those that don't to their error.
func fake(t *testing.T, files map[string]error, found ...string) (*chooser, *[]string) {
	t.Helper()
	if errNoXLA != nil {
		t.Skip("plugins play no part in this build: ", errNoXLA)
	}
	var log []string
	c := &chooser{
		find: func() []candidate {
			var all []candidate
			for _, path := range found {
				all = append(all, newCandidate(path))
			}
			return all
		},
		absent: func(kind string) error {
			if kind == "tpu" {
				return errors.New("no TPU here")
			}
			return nil
		},
		load: func(p candidate, options string) (loaded, error) {
			log = append(log, p.path+options)
			if err := files[p.path]; err != nil {
				return loaded{}, err
			}
			backend, err := gobackend.New("")
			return loaded{backend: backend, kind: "xla:" + p.kind, note: "noted"}, err
		},
	}
	return c, &log
}

func installs(path string, err error) installer {
	return installer{"fake installer", func(context.Context) (string, error) { return path, err }}
}

func TestChoose(t *testing.T) {
	const cpu, cpu2, cuda, tpu, rocm = "/a/libpjrt_cpu.so", "/b/libpjrt_cpu.so", "/c/xla_cuda_plugin.so", "/d/libtpu.so", "/e/pjrt_c_api_rocm_plugin.so"
	broken := errors.New("broken\n  plugin")
	for _, test := range []struct {
		name     string
		explicit string
		files    map[string]error
		found    []string
		install  []installer
		config   string   // "" expects an error
		loads    []string // what was loaded, in order
		why      string   // in Why, or in the error
	}{
		{name: "accelerator first", found: []string{cpu, rocm, tpu, cuda}, config: "xla:" + cuda, loads: []string{cuda}, why: "first plugin"},
		{name: "next accelerator", found: []string{cpu, rocm, cuda}, files: map[string]error{cuda: broken}, config: "xla:" + rocm, loads: []string{cuda, rocm}},
		{name: "hardware absent", found: []string{tpu, cpu}, config: "xla:" + cpu, loads: []string{cpu}},
		{name: "order kept", found: []string{cpu2, cpu}, files: map[string]error{cpu2: broken}, config: "xla:" + cpu, loads: []string{cpu2, cpu}},
		{name: "installed", install: []installer{installs("", broken), installs(cpu, nil)}, config: "xla:" + cpu, loads: []string{cpu}, why: "installed by fake installer"},
		{name: "not installed where one works", found: []string{cpu}, install: []installer{installs(cpu2, nil)}, config: "xla:" + cpu, loads: []string{cpu}},
		{name: "tried once", found: []string{cpu}, files: map[string]error{cpu: broken}, install: []installer{installs(cpu, nil)}, config: "go", loads: []string{cpu}, why: "last tried: broken plugin"},
		{name: "the user's flags", found: []string{cpu}, files: map[string]error{cpu: errFlags}, install: []installer{installs(cpu2, nil)}, loads: []string{cpu}, why: "XLA_FLAGS"},
		{name: "the user's flags and a plugin that knows them", found: []string{cuda, cpu}, files: map[string]error{cuda: errFlags}, config: "xla:" + cpu, loads: []string{cuda, cpu}},
		{name: "the user's flags and an installed plugin", files: map[string]error{cpu: errFlags}, install: []installer{installs(cpu, nil), installs(cpu2, nil)}, loads: []string{cpu}, why: "XLA_FLAGS"},
		{name: "the user's flags, by name", explicit: "xla:" + cpu, files: map[string]error{cpu: errFlags}, loads: []string{cpu}, why: "XLA_FLAGS"},
		{name: "nothing", config: "go", why: "SSLKIT_NO_INSTALL"},
		{name: "nothing to be had", install: []installer{installs("", broken)}, config: "go", why: "could be installed: fake installer: broken plugin"},

		{name: "long reason", install: []installer{installs("", errors.New(strings.Repeat("ä", 500)))}, config: "go", why: "ä... (sslkit backend shows all)"},

		{name: "explicit go", explicit: "go", found: []string{cuda}, config: "go", why: "GOMLX_BACKEND asks"},
		{name: "explicit unknown", explicit: "torch:cpu", found: []string{cpu}, why: `there is no backend "torch"`},
		{name: "explicit path", explicit: "xla:" + cpu2, found: []string{cuda}, config: "xla:" + cpu2, loads: []string{cpu2}, why: "GOMLX_BACKEND asks"},
		{name: "explicit path fails", explicit: "xla:" + cpu2, found: []string{cpu}, files: map[string]error{cpu2: broken},
			install: []installer{installs(cpu, nil)}, loads: []string{cpu2}, why: "broken"},
		{name: "explicit kind", explicit: "xla:cpu,noshared_buffers", found: []string{cuda, cpu}, config: "xla:" + cpu + ",noshared_buffers", loads: []string{cpu + ",noshared_buffers"}},
		{name: "explicit name", explicit: "xla:rocm", found: []string{cuda, rocm}, config: "xla:" + rocm, loads: []string{rocm}},
		{name: "explicit kind whose hardware is not seen", explicit: "xla:tpu", found: []string{cpu, tpu}, config: "xla:" + tpu, loads: []string{tpu}},
		{name: "explicit kind fails", explicit: "xla:cuda", found: []string{cpu, cuda}, files: map[string]error{cuda: broken},
			install: []installer{installs(cpu, nil)}, loads: []string{cuda}, why: "no PJRT plugin for cuda works"},
		{name: "explicit kind not there", explicit: "xla:cuda", found: []string{cpu}, install: []installer{installs(cpu2, nil)}, why: "pip install"},
		{name: "explicit kind installed", explicit: "xla:cpu", install: []installer{installs(cpu, nil)}, config: "xla:" + cpu, loads: []string{cpu}},
		{name: "explicit xla takes no pure Go", explicit: "xla", install: []installer{installs("", broken)}, why: "could be installed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, loads := fake(t, test.files, test.found...)
			c.explicit, c.installers = test.explicit, test.install
			backend, choice, err := c.choose()
			if test.config == "" {
				if err == nil || backend != nil {
					t.Fatalf("backend %v, error %v; want an error only", backend, err)
				}
				wants := []string{test.why, "GOMLX_BACKEND=", test.explicit}
				if strings.HasPrefix(test.why, "XLA_FLAGS") { // then that variable is not to blame
					wants = wants[:1]
				}
				for _, want := range wants {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q lacks %q", err, want)
					}
				}
			} else {
				if err != nil || backend == nil {
					t.Fatalf("backend %v, error %v", backend, err)
				}
				if fell := choice.Kind == "go" && test.explicit == ""; fell != (choice.Fallback() != "") || fell && !strings.Contains(choice.Fallback(), "sslkit backend") {
					t.Errorf("fallback %q, with %s by %q", choice.Fallback(), choice.Kind, test.explicit)
				}
				if choice.Config != test.config || !strings.Contains(choice.Why, test.why) || strings.Contains(choice.Why, "\n") {
					t.Errorf("choice %+v; want config %q, why with %q in one line", choice, test.config, test.why)
				}
			}
			if !slices.Equal(*loads, test.loads) {
				t.Errorf("loaded %q, want %q", *loads, test.loads)
			}
		})
	}
}

func TestChoiceTellsOfAnIdleGPU(t *testing.T) {
	c, _ := fake(t, nil, "/a/libpjrt_cpu.so")
	_, choice, err := c.choose()
	if err != nil || len(choice.Tried) != 1 || choice.Tried[0].Candidate != "xla:cuda" {
		t.Errorf("tried %+v, error %v; want a line on the GPU without a plugin", choice.Tried, err)
	}
}

func TestChoiceString(t *testing.T) {
	c := Choice{Config: "go", Kind: "go", Why: "because", Tried: []Attempt{{"/a.so", "empty"}, {"pip", "no network"}}}
	want := "backend  go\nkind     go\nwhy      because\ntried    and not taken:\n  /a.so\n    empty\n  pip\n    no network"
	if got := c.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	data, err := json.Marshal(c)
	if want := `{"config":"go","kind":"go","why":"because","tried":[{"candidate":"/a.so","error":"empty"},{"candidate":"pip","error":"no network"}]}`; string(data) != want {
		t.Errorf("JSON %s, error %v; want %s", data, err, want)
	}
}

// TestOpen holds in every build: what Open returns computes, and is the same at the next call.
func TestOpen(t *testing.T) {
	backend, choice, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if errNoXLA != nil && choice.Kind != "go" {
		t.Errorf("kind %q in a build without XLA", choice.Kind)
	}
	sum, err := graph.CallOnce(backend, func(x, y *graph.Node) *graph.Node { return graph.Add(x, y) }, float32(1), float32(2))
	if err != nil {
		t.Fatal(err)
	}
	if got := sum.Value().(float32); got != 3 {
		t.Errorf("1+2 = %v on %s", got, choice.Kind)
	}
	if again, same, _ := Open(); again != backend || same.Config != choice.Config {
		t.Error("the second call opened another backend")
	}
}

func TestExplicitXLAWithoutXLA(t *testing.T) {
	if errNoXLA == nil {
		t.Skip("this build has XLA")
	}
	c := newChooser()
	c.explicit = "xla:cpu"
	if _, _, err := c.choose(); !errors.Is(err, errNoXLA) {
		t.Errorf("error %v, want %v", err, errNoXLA)
	}
	if _, err := Install(t.Context()); !errors.Is(err, errNoXLA) {
		t.Errorf("Install: error %v, want %v", err, errNoXLA)
	}
}
