package notebooks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
)

// A cell's program is this one in another role: it fails with what the variable says.
const failEnv = "SSLKIT_TEST_FAIL"

func TestMain(m *testing.M) {
	switch os.Getenv(failEnv) {
	case "":
		os.Exit(m.Run())
	case "mistake":
		must.M1(0, errors.New("sslkit: 0 epochs: choose at least 1"))
	case "interrupted":
		must.M(fmt.Errorf("study: seed 2: %w at step 3 of 10", sslkit.ErrInterrupted))
	case "registration":
		Register(sslkit.Registration{Name: "My method"})
	}
}

// What is wrong is said once, before anything else, and the cells after it do not run.
func TestCellsFailInOneSentence(t *testing.T) {
	for role, want := range map[string]string{
		"mistake":      "sslkit: 0 epochs: choose at least 1",
		"interrupted":  interrupted,
		"registration": `sslkit: registering method "My method": the name "My method": write it in small letters, digits, - and _`,
	} {
		for _, kernel := range []bool{false, true} {
			file := filepath.Join(t.TempDir(), "said")
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), failEnv+"="+role)
			if kernel { // whose pipe nobody reads
				cmd.Env = append(cmd.Env, "SSLKIT_CELL_ERROR="+file, "GONB_PIPE="+filepath.Join(t.TempDir(), "none"))
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%s: %v, want exit status 1", role, err)
			}
			said, _ := os.ReadFile(file)
			if kernel && string(said) != want {
				t.Errorf("%s: the kernel is to say %q, want %q", role, said, want)
			}
			if !kernel && stderr.String() != want+"\n" {
				t.Errorf("%s: standard error has %q, want %q alone", role, &stderr, want)
			}
			if kernel && strings.Contains(stderr.String(), want) {
				t.Errorf("%s: it is said twice: %q", role, &stderr)
			}
		}
	}
}

// A line that changes, with what should be known above it, and at the end what was done.
func TestProgressIsOneLine(t *testing.T) {
	var shown []string
	l := &line{began: time.Now(), show: func(html string) { shown = append(shown, html) }}
	last := func() string { return shown[len(shown)-1] }
	l.end()
	l.say("nothing")
	if len(shown) != 0 {
		t.Fatalf("a cell without progress shows %q", shown)
	}
	l.report(runs.Progress{Key: "a", Now: "rotation, <b>, seed 1: compiling"})
	if !strings.Contains(last(), "rotation, &lt;b&gt;, seed 1: compiling") {
		t.Errorf("before the first step: %q", last())
	}
	l.report(runs.Progress{Key: "a", Note: "computing in pure Go"})
	for step := 1; step <= 1000; step++ {
		l.report(runs.Progress{Key: "a", Name: "rotation, seed 1", Step: sslkit.Progress{Epoch: step / 501, Epochs: 2, Step: step, Steps: 1000, Loss: 0.5}})
	}
	if want := "rotation, seed 1: trained, 1000 steps, loss 0.500"; !strings.Contains(last(), want) || strings.Contains(last(), "compiling") {
		t.Errorf("after the last step: %q, want %q", last(), want)
	}
	// A thousand steps are reported within milliseconds, of which the first and the last are drawn, or some more on a slow machine.
	if n := len(shown); n > 40 {
		t.Errorf("drawn %d times", n)
	}
	l.report(runs.Progress{Key: "b", Now: "rotation, seed 2: found the finished run b"})
	l.report(runs.Progress{Key: "a", Now: "rotation, seed 1: found the finished run a"}) // as a figure asks for it again
	l.report(runs.Progress{Name: "images.gz", Bytes: 5 << 20, Total: 9 << 20})
	if !strings.Contains(last(), "found the finished run a") && !strings.Contains(last(), "images.gz: 5 of 9 MB") {
		t.Errorf("now: %q", last())
	}
	l.end()
	for _, want := range []string{"<div>computing in pure Go</div>", "<div>1 run trained and 1 run found finished, in 0s</div>"} {
		if !strings.Contains(last(), want) {
			t.Errorf("at the end: %q, want %q", last(), want)
		}
	}
	if n := strings.Count(last(), "<div>"); n != 2 {
		t.Errorf("at the end %d lines: %q", n, last())
	}
}

func TestRevisionSaysWhatAnEditDoes(t *testing.T) {
	for want, r := range map[string]sslkit.Revision{
		"mine, revision 0123abcd, the digest of its source": {Number: 1, Source: "0123abcd"},
		"mine, revision 3: raise the number":                {Number: 3},
	} {
		if got := revision("mine", r); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
