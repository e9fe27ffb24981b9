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
	module        string // path@version of a Go module that carries the files in its folder data; "" without
}

func (s *idxSet) id() string { return s.name }

func (s *idxSet) info(cache string) Info {
	info := Info{
		Name: s.name, Train: s.train, Test: s.test, Height: s.side, Width: s.side, Channels: 1,
		Classes: s.classes, Licence: s.licence, Where: filepath.Join(cache, s.name),
	}
	if dir := s.find(info.Where); dir != "" {
		info.Present, info.Where = true, dir
		return info
	}
	for _, f := range s.files {
		info.Download += f.size
	}
	return info
}

// find returns the first folder that has all files.
func (s *idxSet) find(cached string) string {
	for _, dir := range append([]string{cached}, s.places()...) {
		if exist(dir, s.files[0].name, s.files[1].name, s.files[2].name, s.files[3].name) {
			return dir
		}
	}
	return ""
}

func exist(dir string, names ...string) bool {
	for _, name := range names {
		if stat, err := os.Stat(filepath.Join(dir, name)); err != nil || !stat.Mode().IsRegular() {
			return false
		}
	}
	return true
}

func (s *idxSet) open(ctx context.Context, o OpenOptions) (train, test Source, err error) {
	cached, err := o.cacheDir(s.name)
	if err != nil {
		return nil, nil, err
	}
	dir := s.find(cached)
	if dir == "" {
		if dir, err = s.fetch(ctx, cached, o); err != nil {
			return nil, nil, err
		}
	}
	var splits [2]Source
	for i, split := range []string{"train", "test"} {
		images, labels := s.files[2*i], s.files[2*i+1]
		splits[i], err = readIdxSplit(s.name+"/"+split, s.classes,
			func() (io.ReadCloser, error) { return os.Open(filepath.Join(dir, images.name)) }, images.sum,
			func() (io.ReadCloser, error) { return os.Open(filepath.Join(dir, labels.name)) }, labels.sum)
		if err != nil {
			return nil, nil, fmt.Errorf("%w\nDelete the damaged file in %s and try again", err, dir)
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

// readIdxSplit reads images and labels and checks that they belong together.
func readIdxSplit(name string, classes []string, images func() (io.ReadCloser, error), imageSum checksum,
	labels func() (io.ReadCloser, error), labelSum checksum) (*memory, error) {
	dims, pixels, err := readIdx(images, 3, imageSum)
	if err != nil {
		return nil, fmt.Errorf("images of %s: %w", name, err)
	}
	count, label, err := readIdx(labels, 1, labelSum)
	if err != nil {
		return nil, fmt.Errorf("labels of %s: %w", name, err)
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

// idxLimit is the largest content in bytes; MNIST has 47 million.
const idxLimit = 1 << 30

// readIdx reads a gzipped idx file of unsigned bytes with the given number of
// dimensions (LeCun et al., "The MNIST database": magic 0, 0, 8, dimensions,
// then sizes as big-endian 32-bit integers). An empty sum is not checked.
func readIdx(open func() (io.ReadCloser, error), dimensions int, sum checksum) (dims []int, data []uint8, err error) {
	f, err := open()
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, truncated(err)
	}
	h := sum.hash()
	r := io.TeeReader(z, h)

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
		if d == 0 || d > idxLimit/size {
			return nil, nil, fmt.Errorf("idx header of size %d in dimension %d: at most %d bytes are read", d, i, idxLimit)
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
