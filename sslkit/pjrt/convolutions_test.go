//go:build !noxla && cgo

package pjrt

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// The pinned plugin gets the kernels unless the user asks for its own convolutions.
func TestConvEnvironment(t *testing.T) {
	c := pinnedHere(t)
	want := conv.Version
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		want = ""
	}
	t.Setenv(xlaFlags, "")
	for _, test := range []struct{ env, conv, note string }{
		{"", want, "convolutions"}, {"xla", "", convEnv + "=xla asks for its own"}, {"fast", "", `="fast" says nothing`},
	} {
		t.Setenv(convEnv, test.env)
		var choice Choice
		ch := &chooser{find: func() []candidate { return []candidate{c} }, load: load, absent: func(string) error { return nil }}
		l, err := ch.plugins(&choice, "", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if choice.Conv != test.conv || !strings.Contains(choice.Why, test.note) {
			t.Errorf("%s=%q: convolutions %q, %q; want %q and a note of %q", convEnv, test.env, choice.Conv, choice.Why, test.conv, test.note)
		}
		l.backend.Finalize()
	}
	if err := conv.Refused(); err != nil {
		t.Error(err)
	}
}

// Whether a plugin takes the kernels, and convolves rightly with them, is asked in the child process.
func TestConvInChild(t *testing.T) {
	c := pinnedHere(t)
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("no kernels here")
	}
	a, err := tryInChild(t.Context(), c.path, "")
	if err != nil || a.Platform != "cpu" || a.Conv != conv.Version {
		t.Errorf("got %+v, %v; want kernels %q", a, err, conv.Version)
	}
	// A child that dies while it tries them has said before that the plugin works without.
	path := compile(t, "libpjrt_cpu.so", `void *GetPjrtApi(void) { return 0; }`)
	if got := tryConvHere(path); got != "" {
		t.Errorf("a plugin without functions has kernels %q", got)
	}
}

func TestCheckConv(t *testing.T) {
	b, err := pureGo("")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkConv(b, 1); err != nil {
		t.Error(err)
	}
	if err := checkConv(b, 0); err == nil || !strings.Contains(err.Error(), "wrongly") { // the kernel one row too low
		t.Errorf("a wrong convolution: error %v", err)
	}
}

// What a child says last counts, also where it dies then.
func TestLastAnswerOfChild(t *testing.T) {
	const helper = "SSLKIT_TEST_ANSWERS"
	if os.Getenv(helper) != "" {
		answer{Platform: "cpu"}.say()
		if os.Getenv(helper) == "both" {
			answer{Platform: "cpu", Conv: "x"}.say()
		}
		os.Exit(3)
	}
	for answers, want := range map[string]string{"one": "", "both": "x"} {
		t.Setenv(helper, answers)
		a, err := runChild(t.Context(), "", "GOMAXPROCS=2")
		if err != nil || a.Platform != "cpu" || a.Conv != want {
			t.Errorf("%s: %+v, %v", answers, a, err)
		}
	}
}
