package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// idxSet is a dataset in the four gzipped idx files of MNIST.
type idxSet struct {
	name, licence string
	classes       []string
	train, test   int      // examples
	side          int      // of the images, in pixels
	files         [4]asset // images and labels of train, then of test
	places        func() []string
	torch         string // folder of torchvision, in which raw has the files, compressed or not
	module        string // path@version of a Go module that carries the files in its folder data; "" without
}

func (s *idxSet) id() string { return s.name }

func (s *idxSet) info(cache string) Info {
	info := Info{
		Name: s.name, Train: s.train, Test: s.test, Height: s.side, Width: s.side, Channels: 1,
		Classes: s.classes, Licence: s.licence, Where: filepath.Join(cache, s.name),
	}
	if dirs := s.find(cache); len(dirs) > 0 {
		info.Present, info.Where = true, dirs[0]
		return info
	}
	for _, f := range s.files {
		info.Download += f.size
	}
	return info
}

// find returns the folders that have all files, the cache first.
func (s *idxSet) find(cache string) (found []string) {
	dirs := append([]string{filepath.Join(cache, s.name)}, s.places()...)
	if s.torch != "" {
		for _, place := range append([]string{cache}, otherPlaces()...) {
			dirs = append(dirs, filepath.Join(place, s.torch, "raw"))
		}
	}
	for _, dir := range dirs {
		if s.in(dir) != nil {
			found = append(found, dir)
		}
	}
	return found
}

// in returns the paths of the files in dir, nil if one is missing. They may
// have been decompressed.
func (s *idxSet) in(dir string) (paths []string) {
	for _, f := range s.files {
		name, plain := f.name, strings.TrimSuffix(f.name, ".gz")
		switch {
		case exist(dir, name):
		case exist(dir, plain):
			name = plain
		default:
			return nil
		}
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

func exist(dir string, names ...string) bool {
	for _, name := range names {
		if stat, err := os.Stat(filepath.Join(dir, name)); err != nil || !stat.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// open takes the first undamaged copy. As archiveSet.open it never downloads in
// place of a file that is damaged in the cache.
func (s *idxSet) open(ctx context.Context, o OpenOptions) (train, test Source, err error) {
	cached, err := o.cacheDir(s.name)
	if err != nil {
		return nil, nil, err
	}
	var damaged []error
	for _, dir := range s.find(filepath.Dir(cached)) {
		train, test, err := s.read(ctx, dir)
		if err == nil || ctx.Err() != nil {
			return train, test, err
		}
		damaged = append(damaged, err)
	}
	if slices.ContainsFunc(damaged, func(err error) bool { return isWithin(cached, err) }) {
		return nil, nil, errors.Join(damaged...)
	}
	dir, err := s.fetch(ctx, cached, o)
	if err != nil {
		return nil, nil, errors.Join(append(damaged, err)...)
	}
	return s.read(ctx, dir)
}

// read reads and verifies the splits in dir.
func (s *idxSet) read(ctx context.Context, dir string) (train, test Source, err error) {
	paths := s.in(dir)
	if paths == nil {
		return nil, nil, fmt.Errorf("%s lacks files of %s", dir, s.name)
	}
	var splits [2]Source
	for i, split := range []struct {
		name  string
		count int
	}{{"train", s.train}, {"test", s.test}} {
		parts := [2]idxPart{}
		for k := range parts {
			name := paths[2*i+k]
			parts[k] = idxPart{name, func() (io.ReadCloser, error) {
				f, _, err := openRegular(name)
				return f, err
			}, s.files[2*i+k].sum}
		}
		if splits[i], err = readIdxSplit(ctx, s.name+"/"+split.name, s.classes, parts[0], parts[1], int64(split.count*s.side*s.side)); err != nil {
			return nil, nil, err
		}
	}
	return splits[0], splits[1], nil
}

// fetch brings the files into the cache, or finds out where the Go module is
// that has them, for networks with nothing but a module proxy.
func (s *idxSet) fetch(ctx context.Context, dir string, o OpenOptions) (string, error) {
	if o.Offline {
		return "", errOffline
	}
	unlock, err := exclusive(ctx, dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	for _, f := range s.files {
		_, err := web.fetch(ctx, dir, f, o)
		if err == nil {
			continue
		}
		if s.module == "" || ctx.Err() != nil || isDiskError(err) {
			return "", err
		}
		module, e := goModule(ctx, s.module)
		if e != nil {
			return "", fmt.Errorf("%w\n(Nor is the Go module %s to be had: %w)", err, s.module, e)
		}
		return filepath.Join(module, "data"), nil
	}
	return dir, nil
}

// goModule returns the folder of a module in Go's module cache, where the go
// tool puts it if need be.
func goModule(ctx context.Context, module string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	// Outside of any module, so that no go.mod, go.work or vendor folder of
	// the user takes part.
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if json.Unmarshal(out, &answer) == nil && answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	if err != nil {
		return "", err
	}
	return answer.Dir, nil
}

// moduleCaches are the folders where Go may keep modules.
func moduleCaches() []string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	for _, dir := range filepath.SplitList(build.Default.GOPATH) {
		dirs = append(dirs, filepath.Join(dir, "pkg", "mod"))
	}
	return dirs
}

// memory is a split that is held in memory.
type memory struct {
	name                    string
	height, width, channels int
	pixels, labels          []uint8
	classes                 []string
}

func (m *memory) Name() string                         { return m.name }
func (m *memory) Len() int                             { return len(m.labels) }
func (m *memory) Shape() (height, width, channels int) { return m.height, m.width, m.channels }
func (m *memory) Label(i int) int32                    { return int32(m.labels[i]) }
func (m *memory) Classes() []string                    { return m.classes }
func (m *memory) Read(i int, pixels []uint8) error {
	size := m.height * m.width * m.channels
	copy(pixels, m.pixels[i*size:(i+1)*size])
	return nil
}

// idxPart is an idx file.
type idxPart struct {
	path string // compressed where it ends in .gz
	open func() (io.ReadCloser, error)
	sum  checksum // of what is compressed; an empty one is not checked
}

// readIdxSplit reads images of at most limit bytes and labels and checks that
// they belong together.
func readIdxSplit(ctx context.Context, name string, classes []string, images, labels idxPart, limit int64) (*memory, error) {
	dims, pixels, err := readIdx(ctx, images, 3, limit)
	if err != nil {
		return nil, err
	}
	count, label, err := readIdx(ctx, labels, 1, limit)
	if err != nil {
		return nil, err
	}
	if count[0] != dims[0] {
		return nil, fmt.Errorf("%s: %d images, but %d labels", name, dims[0], count[0])
	}
	for i, l := range label {
		if int(l) >= len(classes) {
			return nil, fmt.Errorf("%s: label %d of example %d is out of range: there are %d classes", name, l, i, len(classes))
		}
	}
	return &memory{name: name, height: dims[1], width: dims[2], channels: 1, pixels: pixels, labels: label, classes: classes}, nil
}

// readIdx reads an idx file of unsigned bytes with the given number of
// dimensions and a content of at most limit bytes.
func readIdx(ctx context.Context, part idxPart, dimensions int, limit int64) (dims []int, data []uint8, err error) {
	f, err := part.open()
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var r io.Reader = contextReader{ctx, f}
	if strings.HasSuffix(part.path, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			err = truncated(err)
		}
	}
	if err == nil {
		dims, data, err = decodeIdx(r, dimensions, limit, part.sum)
	}
	switch {
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case err != nil:
		return nil, nil, &damagedError{part.path, fmt.Errorf("%s: %w", part.path, err)}
	}
	return dims, data, nil
}

// decodeIdx reads the format (LeCun et al., "The MNIST database": magic 0, 0,
// 8, dimensions, then sizes as big-endian 32-bit integers).
func decodeIdx(r io.Reader, dimensions int, limit int64, sum checksum) (dims []int, data []uint8, err error) {
	h := sum.hash()
	r = io.TeeReader(r, h)

	head := make([]byte, 4+4*dimensions)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, nil, truncated(err)
	}
	if !bytes.Equal(head[:4], []byte{0, 0, 8, byte(dimensions)}) {
		return nil, nil, fmt.Errorf("not an idx file of bytes in %d dimensions: it begins with % x", dimensions, head[:4])
	}
	size := int64(1)
	for i := range dimensions {
		d := int64(binary.BigEndian.Uint32(head[4+4*i:]))
		if d == 0 || d > limit/size {
			return nil, nil, fmt.Errorf("idx header of size %d in dimension %d: at most %d bytes are read", d, i, limit)
		}
		size *= d
		dims = append(dims, int(d))
	}
	// Grown as it is read, since the header of a truncated file may promise
	// anything; one byte more, to notice a file that is longer than it says.
	var content bytes.Buffer
	n, err := io.Copy(&content, io.LimitReader(r, size+1))
	switch {
	case err != nil:
		return nil, nil, truncated(err)
	case n < size:
		return nil, nil, truncated(io.ErrUnexpectedEOF)
	case n > size:
		return nil, nil, fmt.Errorf("idx file has more than the %d bytes that its header tells", size)
	}
	if sum != "" {
		if err := sum.check(h); err != nil {
			return nil, nil, err
		}
	}
	return dims, content.Bytes(), nil
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("truncated file: %w", io.ErrUnexpectedEOF)
	}
	return err
}
