//go:build !noxla && cgo

package pjrt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	goxlapjrt "github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// compile makes a shared library of C code; the test is skipped where there is no C compiler.
func compile(t *testing.T, name, code string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("makes ELF libraries")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: ", err)
	}
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command(cc, "-w", "-shared", "-fPIC", "-o", path, "-x", "c", "-")
	cmd.Stdin = strings.NewReader(code)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestLoadBroken loads plugins that would take the process with them. That this test ends is half of what it shows; the
// other half is that each error says what is wrong and that the next candidate is taken.
func TestLoadBroken(t *testing.T) {
	t.Setenv(xlaFlags, "")
	for _, test := range []struct {
		name, code string
		damage     func([]byte) []byte
		want       string
	}{
		{"aborts while it is loaded", `void abort(void); __attribute__((constructor)) static void f(void) { abort(); } void *GetPjrtApi(void) { return 0; }`, nil, "it died"},
		{"reads where nothing is", `void *GetPjrtApi(void) { return *(void **)8; }`, nil, "it died"},
		{"writes a reason and exits", `int write(int, const char *, long); void _exit(int);
			void *GetPjrtApi(void) { write(2, "F0000 plugin.cc:1] no licence\n", 30); _exit(7); }`, nil, "exit status 7; it wrote \"F0000 plugin.cc:1] no licence\""},
		{"has no API", `void *GetPjrtApi(void) { return 0; }`, nil, "in a child process"},
		{"is no plugin", `int main_of_another(void) { return 0; }`, nil, "does not export GetPjrtApi"},
		{"lacks a library", `void *missing(void); void *GetPjrtApi(void) { return missing(); }`, nil, "in a child process"},
		{"empty", "", func([]byte) []byte { return nil }, "empty"},
		{"cut in half", `void *GetPjrtApi(void) { return 0; }`, func(b []byte) []byte { return b[:len(b)/2] }, "truncated"},
		{"cut at its end", `void *GetPjrtApi(void) { return 0; }`, func(b []byte) []byte { return b[:len(b)-1] }, "truncated"},
		{"zeros inside", `void *GetPjrtApi(void) { return 0; }`, func(b []byte) []byte { clear(b[64 : len(b)/2]); return b }, "corrupt"},
		{"other machine", `void *GetPjrtApi(void) { return 0; }`, func(b []byte) []byte { binary.LittleEndian.PutUint16(b[18:], 243); return b }, "EM_RISCV"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := compile(t, "libpjrt_cpu.so", test.code)
			if test.damage != nil {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, test.damage(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := &chooser{
				find: func() []candidate { return []candidate{newCandidate(path)} },
				load: load,
				absent: func(kind string) error {
					if kind == "cpu" {
						return nil
					}
					return errors.New("none")
				},
			}
			backend, choice, err := c.choose()
			if err != nil || backend == nil || choice.Kind != "go" {
				t.Fatalf("choice %+v, error %v; want pure Go", choice, err)
			}
			if len(choice.Tried) == 1 {
				t.Log(choice.Tried[0].Err)
			}
			if len(choice.Tried) != 1 || !strings.Contains(choice.Tried[0].Err, test.want) {
				t.Errorf("tried %+v, want %q", choice.Tried, test.want)
			}
			c.explicit = "xla:" + path
			if _, _, err := c.choose(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("asked for by name: error %v, want %q", err, test.want)
			}
		})
	}
}

func TestTryInChildTimeout(t *testing.T) {
	path := compile(t, "libpjrt_cpu.so", `unsigned sleep(unsigned); void *GetPjrtApi(void) { sleep(60); return 0; }`)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := tryInChild(ctx, path, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("error %v after %v; want a deadline", err, time.Since(start))
	}
}

// TestWrongChecksumInCache: what lies in the cache under the pinned plugin's name is not even tried with other content.
func TestWrongChecksumInCache(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	path := filepath.Join(os.Getenv("SSLKIT_HOME"), "pjrt", pinned.file)
	touch(t, path)
	if err := os.WriteFile(path, sharedLibrary("GetPjrtApi", nil), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := load(newCandidate(path), ""); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error %v, want one on the checksum", err)
	}
}

// TestSlowFailureIsRemembered: a plugin that hangs costs its time once, not at every start.
func TestSlowFailureIsRemembered(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	path := compile(t, "libpjrt_cpu.so", `unsigned sleep(unsigned); void *GetPjrtApi(void) { sleep(60); return 0; }`)
	l, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	v := l.recall()
	key := strings.Join([]string{"", fusionFlag, os.Getenv("CUDA_VISIBLE_DEVICES"), os.Getenv("LD_LIBRARY_PATH"), conv.Version}, "|")
	v.Trials = map[string]trial{key: {Failed: failure{time.Now().Add(-time.Minute), "no answer in time"}}}
	v.remember()
	t.Setenv(xlaFlags, "")
	start := time.Now()
	if _, err := load(newCandidate(path), ""); err == nil || !strings.Contains(err.Error(), "not tried again") || time.Since(start) > cpuTimeout/2 {
		t.Errorf("error %v after %v; want the remembered one at once", err, time.Since(start))
	}
}

// TestGoxlaTakesWhatAnotherProcessBrought, instead of downloading it again.
func TestGoxlaTakesWhatAnotherProcessBrought(t *testing.T) {
	if !online() {
		t.Skip("without a network the installer does nothing")
	}
	s, _ := fakeSetup(t, nil)
	if _, err := s.goxla(t.Context()); err == nil || !strings.Contains(err.Error(), "--allow-unverified") {
		t.Errorf("error %v, want it not to be asked and why", err)
	}
	s.unverified = true
	there := filepath.Join(s.dir, "pjrt_c_api_cpu_"+goxlapjrt.DefaultCPUVersion+"_plugin.so")
	touch(t, there)
	if err := os.WriteFile(there, sharedLibrary("GetPjrtApi", nil), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := s.goxla(t.Context()); path != there || err != nil {
		t.Errorf("%q, %v; want %q", path, err, there)
	}
}

func TestUnknownTask(t *testing.T) {
	if _, err := runChild(t.Context(), "dance"); err == nil || !strings.Contains(err.Error(), "unknown task") {
		t.Errorf("error %v, want one on the task", err)
	}
}

func TestLastWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"\nfirst\nsecond": "first",
		"WARNING: All log messages before absl::InitializeLog()\nF0000 00:00 a.cc:1] bad\nSIGABRT: abort": "F0000 00:00 a.cc:1] bad",
		"noise\n2026: F parse_flags_from_env.cc:224] Unknown flags in XLA_FLAGS: --a":                     "2026: F parse_flags_from_env.cc:224] Unknown flags in XLA_FLAGS: --a",
	} {
		if got := lastWords(text); got != want {
			t.Errorf("lastWords(%q) = %q, want %q", text, got, want)
		}
	}
}

// pinnedHere is a pinned plugin of this machine; without one the test is skipped.
func pinnedHere(t *testing.T) candidate {
	t.Helper()
	for _, c := range here {
		if isPinned(c.path, pinned) {
			return c
		}
	}
	t.Skipf("the pinned plugin is not on this machine (sslkit backend installs it, or name it in GOMLX_BACKEND)")
	return candidate{}
}

// TestPinned loads the pinned plugin, also through a folder whose name go-xla takes for CUDA's, and computes.
func TestPinned(t *testing.T) {
	c := pinnedHere(t)
	t.Setenv(xlaFlags, "")
	os.Unsetenv(xlaFlags)
	odd := filepath.Join(t.TempDir(), "nvidia,cuda", "libpjrt_cpu.so")
	if err := errors.Join(os.Mkdir(filepath.Dir(odd), 0o755), os.Symlink(c.path, odd)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []candidate{c, newCandidate(odd)} {
		l, err := load(c, "")
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := add(l.backend, 1, 2); sum != 3 || err != nil {
			t.Errorf("1+2 = %v, %v", sum, err)
		}
		if l.kind != "xla:cpu" || !strings.Contains(l.note, "checksum") || !strings.Contains(l.note, fusionFlag) || !l.backend.HasSharedBuffers() {
			t.Errorf("kind %q, note %q, shared buffers %v", l.kind, l.note, l.backend.HasSharedBuffers())
		}
		if flags, set := os.LookupEnv(xlaFlags); set {
			t.Errorf("XLA_FLAGS=%q is left to other programs", flags)
		}
		l.backend.Finalize()
	}
}

// TestUserFlags: a flag of the user's that XLA does not know would abort the process; one that it knows is kept, and the
// trial is remembered.
func TestUserFlags(t *testing.T) {
	c := pinnedHere(t)
	t.Setenv(xlaFlags, "--xla_no_such_flag=1")
	if _, err := load(c, ""); !errors.Is(err, errFlags) || !strings.HasPrefix(err.Error(), "XLA_FLAGS holds --xla_no_such_flag, which XLA does not know") {
		t.Errorf("error %v, want XLA's complaint", err)
	}
	t.Setenv(xlaFlags, "--xla_cpu_enable_fast_math=perhaps")
	if _, err := load(c, ""); !errors.Is(err, errFlags) || !strings.Contains(err.Error(), "fast_math=perhaps") {
		t.Errorf("error %v, want XLA's complaint about a value", err)
	}
	const known = "--xla_cpu_enable_fast_math=false"
	t.Setenv(xlaFlags, known)
	for range 2 {
		l, err := load(c, "")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(l.note, "child process") || !strings.Contains(l.note, fusionFlag) || os.Getenv(xlaFlags) != known {
			t.Errorf("note %q, XLA_FLAGS %q", l.note, os.Getenv(xlaFlags))
		}
		l.backend.Finalize()
	}
	lib, err := open(c.path)
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	if v := lib.recall(); len(v.Trials) == 0 {
		t.Error("no trial is remembered; want the one with the flags")
	}
}

// TestFusionFlag looks at what XLA makes of a convolution's weight gradient, in a process of its own, since a plugin reads
// XLA_FLAGS once: with the flag no operation is handed to the other library, and the user's own value is kept.
func TestFusionFlag(t *testing.T) {
	const helper = "SSLKIT_TEST_FUSION"
	if os.Getenv(helper) != "" {
		l, err := load(newCandidate(os.Getenv(helper)), "")
		if err != nil {
			t.Fatal(err)
		}
		image := tensors.FromShape(shapes.Make(dtypes.Float32, 128, 32, 32, 16)) // NxHxWxC; smaller ones are never handed over
		kernel := tensors.FromShape(shapes.Make(dtypes.Float32, 3, 3, 16, 16))
		if _, err := graph.CallOnce(l.backend, func(x, k *graph.Node) *graph.Node {
			y := graph.Convolve(x, k).PadSame().Done()
			return graph.Gradient(graph.ReduceAllSum(graph.Mul(y, y)), k)[0]
		}, image, kernel); err != nil {
			t.Fatal(err)
		}
		return
	}
	c := pinnedHere(t)
	for _, own := range []bool{false, true} {
		dump := t.TempDir()
		flags := "--xla_dump_to=" + dump
		if own {
			flags += " " + fusionFlag + "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestFusionFlag$")
		cmd.Env = append(os.Environ(), helper+"="+c.path, xlaFlags+"="+flags, convEnv+"=xla")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		compiled, err := filepath.Glob(filepath.Join(dump, "*cpu_after_optimizations.txt"))
		if err != nil || len(compiled) == 0 {
			t.Fatalf("XLA dumped no program (%v): the flags did not reach it", err)
		}
		handedOver := false
		for _, path := range compiled {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			handedOver = handedOver || bytes.Contains(text, []byte("__ynn_fusion"))
		}
		if handedOver != own {
			t.Errorf("XLA_FLAGS=%q: convolutions handed over: %v, want %v", flags, handedOver, own)
		}
	}
}

// TestUnpinnedPlugin: a CPU plugin with another checksum, here the pinned one behind a signature, goes by the child process.
func TestUnpinnedPlugin(t *testing.T) {
	c := pinnedHere(t)
	path := filepath.Join(t.TempDir(), "plugin.so") // a name that does not tell its kind
	if err := exec.Command("cp", "--reflink=auto", c.path, path).Run(); err != nil {
		t.Skip("cannot copy: ", err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(file, "signature"); errors.Join(err, file.Close()) != nil {
		t.Fatal(err)
	}
	t.Setenv(xlaFlags, "")
	l, err := load(newCandidate(path), "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.backend.Finalize()
	if l.kind != "xla:cpu" || !strings.Contains(l.note, "child process") {
		t.Errorf("kind %q, note %q; want the platform that the child found", l.kind, l.note)
	}
}
