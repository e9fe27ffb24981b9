package pjrt

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// pinned is the CPU plugin that this project is tested with: an unmodified build of XLA, from a Python wheel. Its file in
// the cache is named so that go-xla finds it too, as "cpu", where PJRT_PLUGIN_LIBRARY_PATH says the cache.
var pinned = plugin{
	project: "fastatomstruct-xla-cpu",
	version: "2026.6.23",
	entry:   wheelPackage + "/libpjrt_cpu.so",
	file:    "pjrt_c_api_cpu_v2026.6.23_plugin.so",
	sha256:  "0a0fe56ca17be9efc7b942e89e534e5e0ad4a0f1e369b66d27b62184509015b9",
	size:    273768800,
}

const wheelPackage = "fastatomstruct_xla_cpu" // the wheel's folder in site-packages

type plugin struct {
	project, version string // of the Python wheel
	entry            string // path in the wheel
	file             string // name in the cache
	sha256           string // of the plugin
	size             int64
}

// allowUnverified is the environment variable for it.
const allowUnverified = "SSLKIT_ALLOW_UNVERIFIED"

const (
	installTimeout = 15 * time.Minute // the pinned wheel has 63 MB
	goxlaTimeout   = 90 * time.Second // go-xla's installer has no limit of its own
)

// A setup installs plugins into a folder.
type setup struct {
	dir      string
	want     plugin
	download func(ctx context.Context, dest string) error // puts the wheel into the folder dest
	now      func() time.Time
	force    bool // heed no earlier failure
	// unverified allows go-xla's installer, which verifies no checksum.
	unverified bool
}

// pip brings the pinned plugin. It returns its path in s.dir, at once where it is there already.
func (s setup) pip(ctx context.Context) (string, error) {
	path := filepath.Join(s.dir, s.want.file)
	err := s.once(ctx, "pip", func(ctx context.Context) error {
		if isPinned(path, s.want) {
			return nil // another process was faster
		}
		work, err := os.MkdirTemp(s.dir, workPattern)
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		if err := s.download(ctx, work); err != nil {
			return err
		}
		wheels, _ := filepath.Glob(filepath.Join(work, "*.whl"))
		if len(wheels) != 1 {
			return fmt.Errorf("pip brought %d wheels, and one was asked for", len(wheels))
		}
		progress("unpacking and checking it (%d MB)", s.want.size>>20)
		temp := filepath.Join(work, s.want.file)
		if err := s.want.extract(wheels[0], temp); err != nil {
			return err
		}
		if err := os.Rename(temp, path); err != nil {
			return err
		}
		progress("installed %s", path)
		return nil
	})
	return path, err
}

const workPattern = ".installing-*"

// once runs an installation under the folder's lock, so that two processes don't install at the same time, and not again
// soon after it has failed.
func (s setup) once(parent context.Context, name string, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(parent, installTimeout)
	defer cancel()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if _, err := trusted(s.dir); err != nil { // what is brought there would be refused
		return err
	}
	lock := flock.New(filepath.Join(s.dir, ".lock"))
	if ok, err := lock.TryLock(); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Path(), err)
	} else if !ok {
		progress("another process is installing; waiting for it")
		if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for another process that holds %s: %w", lock.Path(), err)
		}
	}
	defer func() { _ = lock.Unlock() }()

	failed := filepath.Join(s.dir, ".failed-"+name)
	if data, err := os.ReadFile(failed); err == nil && !s.force {
		var f failure
		if err := json.Unmarshal(data, &f); err == nil && f.holds(s.now()) {
			return f.again(failed)
		}
	}
	left, _ := filepath.Glob(filepath.Join(s.dir, workPattern)) // of processes that were killed
	for _, dir := range left {
		os.RemoveAll(dir)
	}
	start := s.now()
	err := run(ctx)
	switch {
	case err == nil:
		os.Remove(failed)
	case parent.Err() == nil && s.now().Sub(start) > slow:
		if data, jsonErr := json.Marshal(failure{s.now(), oneLine(err)}); jsonErr == nil {
			_ = writeFile(failed, data) // else it is tried again, which is only slow
		}
	}
	return err
}

// A failure that took long is remembered and not repeated for a while: each cell of a notebook is a process that opens the
// backend. What fails at once may be tried at once.
type failure struct {
	At  time.Time `json:"at"`
	Err string    `json:"error"`
}

const slow, pause = 2 * time.Second, time.Hour

func (f failure) holds(now time.Time) bool { return f.Err != "" && now.Sub(f.At).Abs() < pause }

// again is the error to return in place of trying again; file is where the failure is remembered.
func (f failure) again(file string) error {
	return fmt.Errorf("failed at %s and is not tried again for an hour (remove %s to try now): %s",
		f.At.Local().Format(time.TimeOnly), file, f.Err)
}

// extract unpacks the plugin from the wheel into a new file and verifies its checksum.
func (p plugin) extract(wheel, path string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(wheel), err)
	}
	defer archive.Close()
	entry, err := archive.Open(p.entry)
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(wheel), err)
	}
	defer entry.Close()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o555)
	if err != nil {
		return err
	}
	h := sha256.New()
	// One byte more than it has is enough to see that it is another file, and fills no disk.
	_, err = io.Copy(io.MultiWriter(file, h), io.LimitReader(entry, p.size+1))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("unpacking %s: %w", p.entry, err)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != p.sha256 {
		return fmt.Errorf("refused: the SHA-256 of %s in %s is %s, and %s is the known one", p.entry, filepath.Base(wheel), sum, p.sha256)
	}
	return nil
}

// pipDownload has pip fetch the pinned wheel: pip knows the user's proxies, mirrors and certificates.
func pipDownload(ctx context.Context, dest string) error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("%s exists for linux/amd64 only, and this is %s/%s", pinned.project, runtime.GOOS, runtime.GOARCH)
	}
	all := pythons()
	if len(all) == 0 {
		return errors.New("python3 was not found, whose pip downloads the plugin")
	}
	var err error
	for _, python := range all {
		args := []string{"-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--dest", dest}
		if !online() {
			args = append(args, "--retries", "0") // only a folder of wheels can serve
		}
		cmd := exec.CommandContext(ctx, python, append(args, pinned.project+"=="+pinned.version)...)
		cmd.WaitDelay = time.Second
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if info, statErr := os.Stderr.Stat(); statErr == nil && info.Mode()&os.ModeCharDevice != 0 {
			cmd.Stdout = os.Stderr // a terminal: pip draws its progress bar
		}
		progress("fetching XLA's CPU compiler with pip (%s %s, 63 MB, once)", pinned.project, pinned.version)
		if err = cmd.Run(); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s -m pip download: %w", python, ctx.Err())
		}
		err = fmt.Errorf("%s -m pip download: %w: %s", python, err, pipError(output.String()))
		if !strings.Contains(output.String(), "No module named pip") {
			break
		}
	}
	return err
}

// pythons lists Python interpreters that may have pip: the project's, the active environment's, the system's.
func pythons() []string {
	var all []string
	if home := os.Getenv("SSLKIT_HOME"); home != "" {
		all = append(all, filepath.Join(home, "venv", "bin", "python3"))
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		all = append(all, filepath.Join(venv, "bin", "python3"))
	}
	all = append(all, "python3", "/usr/bin/python3")
	var found []string
	for _, python := range all {
		if path, err := exec.LookPath(python); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// pipError is the last of pip's own error lines, or the last line.
func pipError(output string) string {
	last := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && (strings.HasPrefix(line, "ERROR:") || !strings.HasPrefix(last, "ERROR:")) {
			last = line
		}
	}
	return last
}

// online says whether a network is thinkable: a proxy is set or an interface other than the loopback has an address.
func online() bool {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // not known
	}
	for _, addr := range addrs {
		if ip, ok := addr.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			return true
		}
	}
	return false
}

// progress tells the user what takes so long.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "sslkit: "+format+"\n", args...)
}
