package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site serves one file on the loopback, and can misbehave.
type site struct {
	*httptest.Server
	content  []byte
	cut      int  // bytes after which the connection breaks; 0 for never
	cuts     int  // how often it does
	noRanges bool // ignores Range
	hang     bool // sends some, then nothing

	mu     sync.Mutex
	ranges []string // Range headers of the requests
}

func newSite(t *testing.T, content []byte) *site {
	s := &site{content: content}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	old := web
	web.pause, web.stall = time.Millisecond, 10*time.Second
	t.Cleanup(func() { web = old })
	return s
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if strings.HasSuffix(r.URL.Path, "missing") {
		http.NotFound(w, r)
		return
	}
	if s.hang || s.cuts > 0 {
		from := 0
		if value := r.Header.Get("Range"); value != "" {
			if _, err := fmt.Sscanf(value, "bytes=%d-", &from); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(s.content)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.content)-1, len(s.content)))
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(s.content[from:min(from+s.cut, len(s.content))]) // the client may have left
		w.(http.Flusher).Flush()
		if s.hang {
			s.mu.Unlock()
			<-r.Context().Done()
			s.mu.Lock()
			return
		}
		s.cuts--
		panic(http.ErrAbortHandler)
	}
	if s.noRanges {
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}

func (s *site) asset() asset {
	return asset{
		name: "file.bin", urls: []string{s.URL + "/file.bin"}, size: int64(len(s.content)),
		sum: checksum(fmt.Sprintf("sha256:%x", sha256.Sum256(s.content))),
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// checkOnly fails unless dir holds the named files and no others but locks.
func checkOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Name() != ".lock" {
			got = append(got, e.Name())
		}
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("folder holds %v, want %v", got, names)
	}
}

func checkContent(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has other content, %d bytes instead of %d", name, len(got), len(want))
	}
}

func TestFetch(t *testing.T) {
	s, dir := newSite(t, noise(300_000)), t.TempDir()
	var last int64
	o := OpenOptions{Progress: func(file string, done, total int64) {
		if file != "file.bin" || done < last || total != 300_000 {
			t.Errorf("progress of %s: %d of %d after %d", file, done, total, last)
		}
		last = done
	}}
	for range 2 { // the second time from the cache
		name, err := web.fetch(t.Context(), dir, s.asset(), o)
		if err != nil {
			t.Fatal(err)
		}
		checkContent(t, name, s.content)
		checkOnly(t, dir, "file.bin")
	}
	if last != 300_000 || len(s.ranges) != 1 {
		t.Errorf("progress ended at %d, %d requests", last, len(s.ranges))
	}
}

// A connection that breaks twice: what has come is not asked for again.
func TestFetchResumesAfterBreaks(t *testing.T) {
	s, dir := newSite(t, noise(300_000)), t.TempDir()
	s.cut, s.cuts = 100_000, 2
	name, err := web.fetch(t.Context(), dir, s.asset(), OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkContent(t, name, s.content)
	if got := strings.Join(s.ranges, "|"); got != "|bytes=100000-|bytes=200000-" {
		t.Errorf("ranges asked for: %s", got)
	}
}

// What an earlier process left is continued, or replaced if it is not the
// beginning of the file.
func TestFetchResumesPart(t *testing.T) {
	for _, test := range []struct {
		name     string
		part     []byte
		noRanges bool
		ranges   string
	}{
		{"beginning", noise(300_000)[:123_456], false, "bytes=123456-"},
		{"server without ranges", noise(300_000)[:123_456], true, "bytes=123456-"},
		{"complete", noise(300_000), false, "bytes=300000-"},
		{"of another file", make([]byte, 1000), false, "bytes=1000-|"},
		{"too long", make([]byte, 300_001), false, "bytes=300001-|"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, dir := newSite(t, noise(300_000)), t.TempDir()
			s.noRanges = test.noRanges
			if err := os.WriteFile(filepath.Join(dir, "file.bin.part"), test.part, 0o644); err != nil {
				t.Fatal(err)
			}
			name, err := web.fetch(t.Context(), dir, s.asset(), OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			checkContent(t, name, s.content)
			checkOnly(t, dir, "file.bin")
			if got := strings.Join(s.ranges, "|"); got != test.ranges {
				t.Errorf("ranges asked for: %q, want %q", got, test.ranges)
			}
		})
	}
}

func TestFetchWrongChecksum(t *testing.T) {
	s, dir := newSite(t, noise(1000)), t.TempDir()
	a := s.asset()
	s.content = append(noise(999), 0)
	_, err := web.fetch(t.Context(), dir, a, OpenOptions{})
	if !errors.Is(err, errChecksum) {
		t.Errorf("error is %v", err)
	}
	wantError(t, err, "or put the file into "+dir)
	checkOnly(t, dir)
	if len(s.ranges) != 1 {
		t.Errorf("a wrong file was downloaded %d times", len(s.ranges))
	}
}

func TestFetchTriesTheNextAddress(t *testing.T) {
	s, dir := newSite(t, noise(1000)), t.TempDir()
	a := s.asset()
	a.urls = []string{s.URL + "/missing", s.URL + "/file.bin"}
	if _, err := web.fetch(t.Context(), dir, a, OpenOptions{}); err != nil {
		t.Error(err)
	}
	a.name, a.urls = "other.bin", a.urls[:1]
	_, err := web.fetch(t.Context(), dir, a, OpenOptions{})
	wantError(t, err, "/missing: refused: the server answers 404 Not Found")
	s.Close()
	_, err = web.fetch(t.Context(), dir, a, OpenOptions{})
	wantError(t, err, "Check the network")
}

// A server that says it has far more than was published is not believed.
func TestFetchRefusesOversize(t *testing.T) {
	s, dir := newSite(t, noise(100_000)), t.TempDir()
	a := s.asset()
	a.size = 1000
	_, err := web.fetch(t.Context(), dir, a, OpenOptions{})
	wantError(t, err, "100000 bytes instead of 1000")
}

func TestFetchGivesUpOnSilence(t *testing.T) {
	s, dir := newSite(t, noise(300_000)), t.TempDir()
	s.hang, s.cut = true, 1000
	web.stall, web.attempts = 50*time.Millisecond, 2
	_, err := web.fetch(t.Context(), dir, s.asset(), OpenOptions{})
	wantError(t, err, "no data for 50ms")
	checkOnly(t, dir, "file.bin.part") // to be continued
}

func TestFetchCancelled(t *testing.T) {
	s, dir := newSite(t, noise(300_000)), t.TempDir()
	s.hang, s.cut = true, 1000
	ctx, cancel := context.WithCancel(t.Context())
	_, err := web.fetch(ctx, dir, s.asset(), OpenOptions{Progress: func(string, int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	checkOnly(t, dir, "file.bin.part")
	s.mu.Lock()
	s.hang = false
	s.mu.Unlock()
	if _, err := web.fetch(t.Context(), dir, s.asset(), OpenOptions{}); err != nil {
		t.Errorf("after the cancellation: %v", err)
	}
}

func TestFetchDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs /dev/full, a disk without room")
	}
	s, dir := newSite(t, noise(300_000)), t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "file.bin.part")); err != nil {
		t.Fatal(err)
	}
	_, err := web.fetch(t.Context(), dir, s.asset(), OpenOptions{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error is %v", err)
	}
	wantError(t, err, "free some space there, or set SSLKIT_HOME")
	if len(s.ranges) != 1 {
		t.Errorf("%d attempts to fill a full disk", len(s.ranges))
	}
	if _, err := os.Stat(filepath.Join(dir, "file.bin")); err == nil {
		t.Error("the file is there as if complete")
	}
}

func TestUnwritableCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open("cifar10", OpenOptions{Dir: file})
	wantError(t, err, "set SSLKIT_HOME to a folder on a disk with room")
}

// Of several that want the same file at once, one downloads it.
func TestExclusive(t *testing.T) {
	s, dir := newSite(t, noise(100_000)), t.TempDir()
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			unlock, err := exclusive(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if _, err := web.fetch(t.Context(), dir, s.asset(), OpenOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(s.ranges) != 1 {
		t.Errorf("%d downloads", len(s.ranges))
	}
	unlock, err := exclusive(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := exclusive(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a lock ends with %v", err)
	}
}

// The digests are those of RFC 1321, A.5, and FIPS 180-2, B.1, for "abc".
func TestChecksum(t *testing.T) {
	dir := t.TempDir()
	plain, zipped := filepath.Join(dir, "abc"), filepath.Join(dir, "abc.gz")
	writeFiles(t, dir, map[string][]byte{"abc": []byte("abc"), "abc.gz": gzipped([]byte("abc"))})
	const sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	for _, test := range []struct {
		sum  checksum
		file string
		good bool
	}{
		{"md5:900150983cd24fb0d6963f7d28e17f72", plain, true},
		{"md5:900150983cd24fb0d6963f7d28e17f72", zipped, false},
		{"sha256:" + sha, plain, true},
		{"sha256:" + sha, zipped, false},
		{"sha256-gunzip:" + sha, zipped, true},
		{"sha256-gunzip:" + sha, plain, false}, // not even gzip
	} {
		if err := test.sum.verify(t.Context(), test.file); test.good && err != nil || !test.good && !errors.Is(err, errChecksum) {
			t.Errorf("%s of %s: %v", test.sum, filepath.Base(test.file), err)
		}
	}
	if err := checksum("md5:").verify(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("file that is not there: %v", err)
	}
}

// tarball makes a tar.gz of the named contents.
func tarball(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum256(b []byte) checksum { return checksum(fmt.Sprintf("sha256:%x", sha256.Sum256(b))) }

func TestExtract(t *testing.T) {
	whole := tarball(t, map[string][]byte{"set/a.bin": noise(50_000), "set/b.bin": []byte("b"), "../../evil": []byte("evil"), "set/readme": nil})
	lacking := tarball(t, map[string][]byte{"set/a.bin": []byte("a")})
	for _, test := range []struct {
		name    string
		content []byte
		sum     checksum
		want    string // error
	}{
		{"whole", whole, sum256(whole), ""},
		{"truncated", whole[:len(whole)/2], sum256(whole), "is damaged or truncated: wrong checksum"},
		{"truncated in the middle, as published", whole[:len(whole)/2], sum256(whole[:len(whole)/2]), "unexpected EOF"},
		{"wrong checksum", whole, sum256(lacking), "is damaged or truncated: wrong checksum"},
		{"not gzip", []byte("<html>"), sum256(whole), "is damaged or truncated"},
		{"lacking", lacking, sum256(lacking), "lacks b.bin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			archive := filepath.Join(dir, "set.tar.gz")
			if err := os.WriteFile(archive, test.content, 0o644); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "set")
			err := extract(t.Context(), archive, test.sum, []string{"a.bin", "b.bin"}, out, OpenOptions{})
			if test.want != "" {
				wantError(t, err, test.want)
				checkOnly(t, dir, "set.tar.gz")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkOnly(t, dir, "set", "set.tar.gz")
			checkOnly(t, out, "a.bin", "b.bin")
			checkContent(t, filepath.Join(out, "a.bin"), noise(50_000))
		})
	}
}

func TestExtractCancelled(t *testing.T) {
	whole, dir := tarball(t, map[string][]byte{"a.bin": noise(1 << 20)}), t.TempDir()
	archive := filepath.Join(dir, "set.tar.gz")
	if err := os.WriteFile(archive, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := extract(ctx, archive, sum256(whole), []string{"a.bin"}, filepath.Join(dir, "set"), OpenOptions{
		Progress: func(file string, done, total int64) { cancel() },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	checkOnly(t, dir, "set.tar.gz")
}

func TestMain(m *testing.M) {
	otherPlaces = func() []string { return nil } // what this machine has
	before := runtime.NumGoroutine()
	code := m.Run()
	web.client.CloseIdleConnections()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // its workers have goroutines of their own
	}
	for deadline := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if after := runtime.NumGoroutine(); code == 0 && after > before {
		fmt.Fprintf(os.Stderr, "%d goroutines before the tests, %d after them\n", before, after)
		code = 1
	}
	os.Exit(code)
}
