package pjrt

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// writeWheel makes a wheel with one entry.
func writeWheel(t *testing.T, path, entry string, content []byte) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	e, err := w.Create(entry)
	if err == nil {
		_, err = e.Write(content)
	}
	if err = errors.Join(err, w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// fakeSetup installs a small plugin; content is what the wheel holds.
func fakeSetup(t *testing.T, content []byte) (s setup, downloads *atomic.Int32) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("SSLKIT_HOME", home)
	good := sharedLibrary("GetPjrtApi", nil)
	sum := sha256.Sum256(good)
	downloads = new(atomic.Int32)
	return setup{
		dir:  filepath.Join(home, "pjrt"),
		want: plugin{"small", "1", "small/libpjrt_cpu.so", "pjrt_c_api_cpu_v1_plugin.so", hex.EncodeToString(sum[:]), int64(len(good))},
		now:  time.Now,
		download: func(_ context.Context, dest string) error {
			downloads.Add(1)
			writeWheel(t, filepath.Join(dest, "small-1-py3-none-any.whl"), "small/libpjrt_cpu.so", content)
			return nil
		},
	}, downloads
}

// leftovers lists what lies in the folder besides the lock and the verdicts.
func leftovers(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".lock" && e.Name() != "verified" {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestInstall(t *testing.T) {
	content := sharedLibrary("GetPjrtApi", nil)
	s, downloads := fakeSetup(t, content)
	if err := os.MkdirAll(filepath.Join(s.dir, ".installing-killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	path, err := s.pip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := leftovers(t, s.dir); len(got) != 1 || filepath.Join(s.dir, got[0]) != path || !strings.Contains(got[0], "cpu") {
		t.Errorf("the folder holds %q; want only %s", got, path)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o222 != 0 || !isPinned(path, s.want) {
		t.Errorf("mode %v, %v; want the wanted plugin, read-only", info.Mode(), err)
	}
	if _, err := s.pip(t.Context()); err != nil || downloads.Load() != 1 {
		t.Errorf("second call: error %v, %d downloads; want none", err, downloads.Load())
	}
	// A plugin that was cut off, and one with another byte, are replaced.
	for _, damage := range [][]byte{content[:100], append([]byte("\x7fELF-"), content[5:]...)} {
		before := downloads.Load()
		os.Remove(path) // it is read-only
		if err := os.WriteFile(path, damage, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := s.pip(t.Context()); err != nil || downloads.Load() != before+1 {
			t.Errorf("damaged plugin: error %v, %d downloads; want one more than %d", err, downloads.Load(), before)
		}
		if !isPinned(path, s.want) {
			t.Error("damaged plugin: not replaced")
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	good := sharedLibrary("GetPjrtApi", nil)
	other := append([]byte{}, good...)
	other[len(other)-1]++
	for _, test := range []struct {
		name     string
		content  []byte
		download func(context.Context, string) error
		want     string
	}{
		{"other content", other, nil, "refused: the SHA-256"},
		{"longer content", append(good, 0), nil, "refused: the SHA-256"},
		{"nothing", nil, func(context.Context, string) error { return nil }, "0 wheels"},
		{"no network", nil, func(context.Context, string) error { return errors.New("no route") }, "no route"},
		{"not a zip", nil, func(_ context.Context, dest string) error {
			return os.WriteFile(filepath.Join(dest, "a.whl"), []byte("<html>"), 0o644)
		}, "reading a.whl"},
		{"another wheel", nil, func(_ context.Context, dest string) error {
			writeWheel(t, filepath.Join(dest, "a.whl"), "a/b.so", good)
			return nil
		}, "reading a.whl"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := fakeSetup(t, test.content)
			if test.download != nil {
				s.download = test.download
			}
			if _, err := s.pip(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if got := leftovers(t, s.dir); len(got) > 0 {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

func TestInstallTwiceAtOnce(t *testing.T) {
	s, downloads := fakeSetup(t, sharedLibrary("GetPjrtApi", nil))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := s.pip(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := downloads.Load(); n != 1 {
		t.Errorf("%d downloads by four at once, want 1", n)
	}
}

func TestInstallWaitsNoLongerThanAsked(t *testing.T) {
	s, downloads := fakeSetup(t, nil)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(s.dir, ".lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer lock.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.pip(ctx); !errors.Is(err, context.DeadlineExceeded) || downloads.Load() != 0 {
		t.Errorf("error %v, %d downloads; want a deadline and none", err, downloads.Load())
	}
}

func TestInstallPausesAfterFailure(t *testing.T) {
	s, _ := fakeSetup(t, sharedLibrary("GetPjrtApi", nil))
	works := s.download
	now := time.Unix(1e9, 0)
	s.now = func() time.Time { return now }
	s.download = func(context.Context, string) error { return errors.New("refused at once") }
	if _, err := s.pip(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if got := leftovers(t, s.dir); len(got) > 0 {
		t.Fatalf("a quick failure is remembered: %q", got)
	}
	s.download = func(context.Context, string) error {
		now = now.Add(time.Minute)
		return errors.New("no answer")
	}
	if _, err := s.pip(t.Context()); err == nil {
		t.Fatal("no error")
	}
	s.download = works
	if _, err := s.pip(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer") || !strings.Contains(err.Error(), "remove ") {
		t.Errorf("error %v; want the earlier one and how to try again", err)
	}
	forced := s
	forced.force = true
	if _, err := forced.pip(t.Context()); err != nil {
		t.Errorf("forced: %v", err)
	}
	if got := leftovers(t, s.dir); len(got) != 1 {
		t.Errorf("the folder holds %q; want only the plugin", got)
	}
	if err := errors.Join(os.Remove(filepath.Join(s.dir, s.want.file)), writeFile(filepath.Join(s.dir, ".failed-pip"), []byte("no JSON"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pip(t.Context()); err != nil {
		t.Errorf("with a damaged note of failure: %v", err)
	}
}

// TestPipDownload runs scripts in python3's place.
func TestPipDownload(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		if err := pipDownload(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), runtime.GOARCH) {
			t.Errorf("error %v; want one that names the platform", err)
		}
		return
	}
	script := func(path, body string) {
		t.Helper()
		touch(t, path)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	home, venv, dest := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("SSLKIT_HOME", home)
	t.Setenv("VIRTUAL_ENV", venv)
	script(filepath.Join(home, "venv", "bin", "python3"), "echo 'python3: No module named pip' >&2; exit 1\n")
	script(filepath.Join(venv, "bin", "python3"), fmt.Sprintf("echo \"$@\" > %s/args\n", dest))
	if err := pipDownload(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	args, err := os.ReadFile(filepath.Join(dest, "args"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-m pip download --no-deps", "--dest " + dest, pinned.project + "==" + pinned.version} {
		if !strings.Contains(string(args), want) {
			t.Errorf("arguments %q lack %q", args, want)
		}
	}

	script(filepath.Join(venv, "bin", "python3"), "echo Looking; echo 'ERROR: No matching distribution'; echo; echo WARNING: new pip; exit 1\n")
	if err := pipDownload(t.Context(), dest); err == nil || !strings.HasSuffix(err.Error(), "ERROR: No matching distribution") {
		t.Errorf("error %v; want pip's own", err)
	}
	script(filepath.Join(venv, "bin", "python3"), "exec sleep 60\n")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := pipDownload(ctx, dest); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; want a deadline", err)
	}
	t.Setenv("PATH", "")
	t.Setenv("SSLKIT_HOME", "")
	t.Setenv("VIRTUAL_ENV", t.TempDir())
	if got := pythons(); len(got) > 1 || len(got) == 1 && got[0] != "/usr/bin/python3" {
		t.Errorf("interpreters %q; want the system's at most", got)
	}
}

// TestInstallIntoUnsafeFolder: nothing is downloaded to where others may write, since it would not be loaded from there.
func TestInstallIntoUnsafeFolder(t *testing.T) {
	s, downloads := fakeSetup(t, sharedLibrary("GetPjrtApi", nil))
	if err := errors.Join(os.MkdirAll(s.dir, 0o755), os.Chmod(s.dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pip(t.Context()); err == nil || !strings.Contains(err.Error(), "others may write to "+s.dir) || downloads.Load() > 0 {
		t.Errorf("error %v, %d downloads; want a refusal before any", err, downloads.Load())
	}
}
