package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// idxFile is a gzipped idx file of bytes.
func idxFile(content []byte, dims ...int) []byte {
	head := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		head = binary.BigEndian.AppendUint32(head, uint32(d))
	}
	return gzipped(append(head, content...))
}

func gzipped(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		panic(err) // a buffer does not fail
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func opens(content []byte, sum checksum) idxPart {
	return idxPart{"some.gz", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, sum}
}

func TestReadIdx(t *testing.T) {
	content := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	dims, got, err := readIdx(t.Context(), opens(idxFile(content, 2, 3, 2), ""), 3, 12)
	if err != nil || !slices.Equal(dims, []int{2, 3, 2}) || !bytes.Equal(got, content) {
		t.Errorf("%v %v, error %v", dims, got, err)
	}
}

func TestReadIdxRefuses(t *testing.T) {
	good := idxFile(noise(1000), 10, 10, 10)
	swapped := slices.Clone(good)
	swapped[len(swapped)/2] ^= 1
	for _, test := range []struct {
		name    string
		content []byte
		sum     checksum
		want    string
	}{
		{"empty", nil, "", "truncated file: unexpected EOF"},
		{"not gzip", []byte("not gzip at all"), "", "gzip: invalid header"},
		{"truncated gzip", good[:500], "", "truncated file: unexpected EOF"},
		{"truncated gzip trailer", good[:len(good)-1], "", "truncated file: unexpected EOF"},
		{"truncated header", gzipped([]byte{0, 0, 8, 3, 0, 0}), "", "truncated file: unexpected EOF"},
		{"truncated content", idxFile(noise(999), 10, 10, 10), "", "truncated file: unexpected EOF"},
		{"too long", idxFile(noise(1001), 10, 10, 10), "", "more than the 1000 bytes"},
		{"labels for images", idxFile(noise(10), 10), "", "not an idx file of bytes in 3 dimensions: it begins with 00 00 08 01"},
		{"floats", gzipped(append([]byte{0, 0, 13, 3}, noise(1000)...)), "", "not an idx file of bytes"},
		{"nothing in it", idxFile(nil, 0, 28, 28), "", "size 0 in dimension 0"},
		{"huge header", idxFile(nil, 1<<31, 1<<31, 1<<31), "", "at most 1000 bytes are read"},
		{"damaged", swapped, "", "g"}, // gzip: invalid checksum, or flate: corrupt input
		{"wrong checksum", good, sum256([]byte("other")), "wrong checksum"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := readIdx(t.Context(), opens(test.content, test.sum), 3, 1000)
			wantError(t, err, test.want)
		})
	}
}

func TestReadIdxSplitRefuses(t *testing.T) {
	classes := []string{"a", "b", "c"}
	read := func(labels ...byte) error {
		_, err := readIdxSplit(t.Context(), "set/train", classes, opens(idxFile(noise(12), 3, 2, 2), ""), opens(idxFile(labels, len(labels)), ""), 12)
		return err
	}
	if err := read(0, 1, 2); err != nil {
		t.Error(err)
	}
	wantError(t, read(0, 1), "set/train: 3 images, but 2 labels")
	wantError(t, read(0, 1, 3), "label 3 of example 2 is out of range: there are 3 classes")
}

// smallSet is an idx dataset of 6 and 3 images of 4x4, and its files' content.
func smallSet() (*idxSet, map[string][]byte) {
	content := map[string][]byte{
		"train-images.gz": idxFile(noise(6*16), 6, 4, 4),
		"train-labels.gz": idxFile([]byte{0, 1, 0, 1, 0, 1}, 6),
		"test-images.gz":  idxFile(noise(3*16), 3, 4, 4),
		"test-labels.gz":  idxFile([]byte{1, 0, 1}, 3),
	}
	s := &idxSet{name: "small", classes: []string{"a", "b"}, train: 6, test: 3, side: 4, places: func() []string { return nil }}
	for i, name := range []string{"train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz"} {
		z, _ := gzip.NewReader(bytes.NewReader(content[name]))
		plain, _ := io.ReadAll(z)
		s.files[i] = asset{name: name, size: int64(len(content[name])), sum: "sha256-gunzip:" + checksum(strings.TrimPrefix(string(sum256(plain)), "sha256:"))}
	}
	return s, content
}

// serveSmall makes the set downloadable from the loopback.
func serveSmall(t *testing.T, s *idxSet, content map[string][]byte) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := content[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(server.Close)
	for i := range s.files {
		s.files[i].urls = []string{server.URL + "/" + s.files[i].name}
	}
}

func checkSmall(t *testing.T, s *idxSet, o OpenOptions) {
	t.Helper()
	train, test, err := s.open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if train.Name() != "small/train" || train.Len() != 6 || test.Name() != "small/test" || test.Len() != 3 {
		t.Errorf("splits %s of %d and %s of %d", train.Name(), train.Len(), test.Name(), test.Len())
	}
	if got := fmt.Sprint(Labels(test)); got != "[1 0 1]" {
		t.Errorf("labels %s", got)
	}
	pixels := make([]uint8, 16)
	if err := train.Read(5, pixels); err != nil || !bytes.Equal(pixels, noise(6 * 16)[5*16:]) {
		t.Errorf("example 5 is %v, error %v", pixels, err)
	}
}

func TestIdxSetDownloadsOnce(t *testing.T) {
	s, content := smallSet()
	serveSmall(t, s, content)
	o := OpenOptions{Dir: t.TempDir()}
	if info := s.info(o.Dir); info.Present || info.Download == 0 {
		t.Errorf("before the download: %+v", info)
	}
	checkSmall(t, s, o)
	checkOnly(t, filepath.Join(o.Dir, "small"), "test-images.gz", "test-labels.gz", "train-images.gz", "train-labels.gz")
	if info := s.info(o.Dir); !info.Present || info.Where != filepath.Join(o.Dir, "small") || info.Download != 0 {
		t.Errorf("after the download: %+v", info)
	}
	o.Offline = true
	checkSmall(t, s, o)

	damaged := filepath.Join(o.Dir, "small", "train-images.gz")
	if err := os.WriteFile(damaged, content["train-images.gz"][:50], 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.open(t.Context(), o)
	wantError(t, err, damaged+": truncated file: unexpected EOF\nIt is damaged or of another version: move or delete "+damaged+" and try again")
}

func TestIdxSetFoundElsewhere(t *testing.T) {
	s, content := smallSet()
	system := t.TempDir()
	s.places = func() []string { return []string{filepath.Join(system, "none"), system} }
	for name, b := range content {
		if err := os.WriteFile(filepath.Join(system, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := OpenOptions{Dir: t.TempDir(), Offline: true}
	checkSmall(t, s, o)
	if info := s.info(o.Dir); !info.Present || info.Where != system {
		t.Errorf("%+v", info)
	}
	// Decompressed, as torchvision keeps them.
	torch := t.TempDir()
	s.torch, otherPlaces = "Small", func() []string { return []string{torch} }
	defer func() { otherPlaces = func() []string { return nil } }()
	for name, b := range content {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		writeFiles(t, torch, map[string][]byte{"Small/raw/" + strings.TrimSuffix(name, ".gz"): plain})
	}
	if err := os.Truncate(filepath.Join(system, "test-labels.gz"), 5); err != nil {
		t.Fatal(err)
	}
	checkSmall(t, s, o)
	otherPlaces = func() []string { return nil }
	_, _, err := s.open(t.Context(), o)
	wantError(t, err, "test-labels.gz: truncated file")
	wantError(t, err, "Offline forbids")

	if err := os.Remove(filepath.Join(system, "test-labels.gz")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.open(t.Context(), o); !errors.Is(err, errOffline) {
		t.Errorf("with a file missing: %v", err)
	}
}

// Without the usual address the files come with a Go module.
func TestIdxSetFromGoModule(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the go tool of this test is a shell script")
	}
	s, content := smallSet()
	serveSmall(t, s, nil) // 404
	o := OpenOptions{Dir: t.TempDir()}
	_, _, err := s.open(t.Context(), o)
	wantError(t, err, "404 Not Found")

	s.module = "example.org/small@v1.0.0"
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range content {
		if err := os.WriteFile(filepath.Join(dir, "data", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tool := func(script string) {
		if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("GOFLAGS", "-mod=vendor") // must not reach the tool
	tool(fmt.Sprintf(`[ "$*" = "mod download -json example.org/small@v1.0.0" ] && [ -z "$GOFLAGS" ] && echo '{"Dir": "%s"}'`, dir))
	checkSmall(t, s, o)

	tool(`echo '{"Error": "no such module"}'; exit 1`)
	_, _, err = s.open(t.Context(), o)
	wantError(t, err, "404 Not Found")
	wantError(t, err, "(Nor is the Go module example.org/small@v1.0.0 to be had: no such module)")
	if err := os.Remove(filepath.Join(bin, "go")); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.open(t.Context(), o)
	wantError(t, err, "executable file not found")
}

func TestIdxSetCancelled(t *testing.T) {
	s, content := smallSet()
	serveSmall(t, s, content)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.open(ctx, OpenOptions{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
