package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sslkit/lab/internal/shorten"
	"github.com/sslkit/lab/sslkit/runs"
)

// TestMain lets the test binary be the command itself, for tests that need a process to kill.
func TestMain(m *testing.M) {
	shorten.SupervisedEpochs = 2
	if os.Getenv("SSLKIT_TEST_RUN") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(inFreshHome(m))
}

func inFreshHome(m *testing.M) int {
	home, err := os.MkdirTemp("", "sslkit-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(home)
	for name, value := range map[string]string{
		"SSLKIT_HOME": home, "SSLKIT_RUNS": "", "SSLKIT_RECORDS": "", "SSLKIT_PRESET": "",
		"GOMLX_BACKEND": "go", // compiles at once
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// tiny is a run of a second.
var tiny = []string{"--train", "200", "--test", "100", "--arch", "nin", "--depth", "3", "--width", "6", "--epochs", "1", "--batch", "50"}

// call runs a command line of the words, and more arguments.
func call(words string, more ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(append(strings.Fields(words), more...), &out, &errs)
	return code, out.String(), errs.String()
}

// must is call for a command line that works; it returns what is printed.
func must(t *testing.T, words string, more ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := call(words, more...)
	if code != 0 {
		t.Fatalf("sslkit %s %q exits with %d\n%s%s", words, more, code, stdout, stderr)
	}
	return stdout, stderr
}

// decode reads JSON into v, and nothing must follow it.
func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
}

func wantAll(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s does not say %q:\n%s", what, p, text)
		}
	}
}

// mistake is a command line that cannot be run: how it ends, and a part of the one line it says.
type mistake struct {
	line string
	code int
	want string
}

func wantMistakes(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		code, stdout, stderr := call(m.line)
		if code != m.code {
			t.Errorf("sslkit %s exits with %d, want %d", m.line, code, m.code)
		}
		if stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "sslkit: ") || !strings.Contains(stderr, m.want) {
			t.Errorf("sslkit %s says %q and %q, want one line that begins with sslkit: and has %q", m.line, stdout, stderr, m.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "gap.svg")
	wantMistakes(t, []mistake{
		{"pretran --epochs 3", 2, `'sslkit' has no command "pretran" (did you mean pretrain?); see 'sslkit --help'`},
		{"xyz", 2, `'sslkit' has no command "xyz"; see`},
		{"runs lst", 2, `'sslkit runs' has no command "lst" (did you mean list?)`},
		{"data gett mnist", 2, "(did you mean get?)"},
		{"pretrain --epoch 3", 2, "unknown flag: --epoch (did you mean --epochs?); see 'sslkit pretrain --help'"},
		{"pretrain --seeds 1,2", 2, "(did you mean --seed?)"},
		{"pretrain --epochs three", 2, `--epochs cannot be "three"`},
		{"pretrain --epochs", 2, "flag needs an argument: --epochs"},
		{"pretrain --epochs 0", 2, "0 epochs: choose at least 1"},
		{"pretrain --epochs 0 --batch 0", 2, "batch of 0: choose at least 1 (--batch); 0 epochs: choose at least 1 (--epochs)"},
		{"pretrain --rate -1", 2, "learning rate -1: it must be"},
		{"pretrain --preset fast", 2, `no preset is called "fast": choose smoke, class, night or paper`},
		{"pretrain --method magic", 2, `no method is called "magic"; known: colorization`},
		{"pretrain --set rate", 2, "write FIELD=VALUE"},
		{"pretrain --set rats=1", 2, `did you mean "optimizer.rate"`},
		{"pretrain --angles 0,30", 2, "angle 30 is not one of 0, 45, ... 315"},
		{"pretrain --angles 0,180 --method supervised", 2, "--angles: supervised tells no angles apart"},
		{"pretrain --depth 7", 2, "a nin's depth is 3, 4 or 5 blocks, not 7"},
		{"pretrain --arch resnet", 2, "--arch resnet needs its --depth and --width"},
		{"pretrain --arch vgg --depth 8 --width 8", 2, `unknown backbone "vgg"`},
		{"pretrain now", 2, "'sslkit pretrain' takes flags only, not now"},
		{"pretrain --config x.json --preset paper", 2, "give one of them"},
		{"pretrain --config missing.json", 1, "missing.json"},
		{"pretrain --data fashon-mnist", 1, `did you mean "fashion-mnist"`},
		{"evaluate --k 0", 2, "k"},
		{"evaluate --nonlinear 0", 2, "stages count from 1"},
		{"evaluate 12 --epochs 3 --seed 2", 2, "the key 12 names a run, and so does --seed, --epochs: give one of them"},
		{"evaluate 12", 1, `no run's key begins with "12"`},
		{"taskgap --seeds 1,x", 2, `--seeds cannot be "1,x"`},
		{"taskgap --svg gap.jpeg", 2, "gap.jpeg: give it a name that ends with .svg or .png"},
		{"taskgap --svg " + missing, 2, "there is no folder for " + missing},
		{"runs show", 2, "'sslkit runs show' takes the key of a run, not nothing"},
		{"runs show 12", 1, `no run's key begins with "12"`},
		{"runs compare 12", 2, "takes the keys of two runs or more, not 12"},
		{"runs delete", 2, "takes the keys of one run or more, not nothing"},
		{"data get", 2, "takes the name of a dataset, not nothing"},
		{"data get nothing", 1, `no dataset is called "nothing"`},
	})
}

func TestHelp(t *testing.T) {
	for _, line := range []string{"", "pretrain", "evaluate", "taskgap", "compare", "track", "future", "map", "runs", "runs list", "runs show", "runs compare", "runs delete",
		"data", "data list", "data get", "backend", "version"} {
		stdout, stderr := must(t, line, "--help")
		wantAll(t, line+" --help", stdout, "Usage:\n  sslkit "+line, "Examples:\n  sslkit ", "--json")
		if stderr != "" {
			t.Errorf("sslkit %s --help says %q on standard error", line, stderr)
		}
	}
}

func TestQuote(t *testing.T) {
	got := quote([]string{"pretrain", "--data", "folder:/my pictures", "--angles", "0,180", "it's", ""})
	if want := `pretrain --data 'folder:/my pictures' --angles 0,180 'it'\''s' ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"runs: batch of 0\n  sslkit: angle 3\n": "batch of 0; sslkit: angle 3",
		"recipe: data: a: b":                    "a: b",
	} {
		if got := oneLine(errors.New(text)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A process that is interrupted, terminated or loses its connection saves, says how to go on, and the
// same command finishes the run.
func TestInterrupt(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, signals := range map[string][]os.Signal{
		"Ctrl-C": {os.Interrupt}, "SIGTERM": {syscall.SIGTERM},
		"lost connection": {syscall.SIGHUP, syscall.SIGHUP}, // of the kernel and of the shell
		"nobody reads":    {syscall.SIGPIPE, syscall.SIGPIPE},
	} {
		t.Run(name, func(t *testing.T) {
			if slices.Contains(signals, os.Signal(syscall.SIGHUP)) && signal.Ignored(syscall.SIGHUP) {
				t.Skip("nohup asks for runs that outlive the connection")
			}
			interrupt(t, self, signals)
		})
	}
}

func interrupt(t *testing.T, self string, signals []os.Signal) {
	folder := filepath.Join(t.TempDir(), "my runs")
	args := append([]string{"pretrain", "--runs", folder, "--json"}, tiny...)
	args = append(args, "--batch", "10", "--epochs", "2") // 40 steps: enough to be interrupted in
	command := func() (*exec.Cmd, *watched, *bytes.Buffer) {
		child := exec.Command(self, args...)
		child.Env = append(os.Environ(), "SSLKIT_TEST_RUN=1")
		stderr, stdout := &watched{want: "step 1/", seen: make(chan struct{})}, new(bytes.Buffer)
		child.Stdout, child.Stderr = stdout, stderr
		return child, stderr, stdout
	}

	child, stderr, stdout := command()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stderr.seen:
	case <-time.After(30 * time.Second): // the step itself takes a fraction of a second
		child.Process.Kill()
		child.Wait()
		t.Fatalf("no step was taken:\n%s", &stderr.text)
	}
	for i, s := range signals {
		if i > 0 {
			time.Sleep(20 * time.Millisecond) // for the first to be handled, or it is one
		}
		if err := child.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	child.Wait() // its code is looked at
	if code := child.ProcessState.ExitCode(); code != exitInterrupted || stdout.Len() > 0 {
		t.Fatalf("exit code %d, want %d; prints %q\n%s", code, exitInterrupted, stdout, &stderr.text)
	}
	wantAll(t, "standard error", stderr.text.String(), "\nsslkit: interrupted at step ", " of 40", "goes on:\n\n    "+self+" pretrain --runs '"+folder+"' --json --train 200")

	child, stderr, stdout = command()
	if err := child.Run(); err != nil {
		t.Fatalf("going on: %v\n%s", err, &stderr.text)
	}
	var r runs.Record
	decode(t, stdout.String(), &r)
	if !r.Done || len(r.History.Loss) != 2 {
		t.Errorf("done %t with %d epochs, want 2", r.Done, len(r.History.Loss))
	}
	first := regexp.MustCompile(`step (\d+)/40`).FindStringSubmatch(stderr.text.String())
	if first == nil || first[1] == "1" {
		t.Errorf("it began again:\n%s", &stderr.text)
	}
}

// watched is a buffer that tells when a text was written.
type watched struct {
	text bytes.Buffer // not embedded: io.Copy would call its ReadFrom
	want string
	seen chan struct{} // closed once
	once sync.Once
}

func (w *watched) Write(p []byte) (int, error) {
	w.text.Write(p)
	if strings.Contains(w.text.String(), w.want) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}
