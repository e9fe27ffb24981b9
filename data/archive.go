package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// archiveSet is a dataset in a tar.gz archive, whose members are unpacked and
// read where they lie, one example at a time.
type archiveSet struct {
	about   Info   // without Present, Where, Download
	folder  string // in the cache; default about.Name
	archive asset
	members []string
	read    func(s *archiveSet, dir string) (train, test *records, err error)
}

func (s *archiveSet) id() string { return s.about.Name }

func (s *archiveSet) parent() string {
	if s.folder != "" {
		return s.folder
	}
	return s.about.Name
}

func (s *archiveSet) info(cache string) Info {
	info := s.about
	info.Where = filepath.Join(cache, s.parent())
	switch {
	case exist(filepath.Join(info.Where, "unpacked"), s.members...), exist(info.Where, s.archive.name):
		info.Present = true
	default:
		info.Download = s.archive.size
	}
	return info
}

func (s *archiveSet) open(ctx context.Context, o OpenOptions) (train, test Source, err error) {
	dir, err := o.cacheDir(s.parent())
	if err != nil {
		return nil, nil, err
	}
	unpacked := filepath.Join(dir, "unpacked")
	if !exist(unpacked, s.members...) {
		if err := s.unpack(ctx, dir, unpacked, o); err != nil {
			return nil, nil, err
		}
	}
	a, b, err := s.read(s, unpacked)
	if err != nil {
		return nil, nil, fmt.Errorf("%w\nDelete the folder %s and try again", err, unpacked)
	}
	return a, b, nil
}

func (s *archiveSet) unpack(ctx context.Context, dir, unpacked string, o OpenOptions) error {
	if o.Offline && !exist(dir, s.archive.name) {
		return errOffline
	}
	unlock, err := exclusive(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	if exist(unpacked, s.members...) {
		return nil // another process was faster
	}
	given := exist(dir, s.archive.name)
	archive, err := web.fetch(ctx, dir, s.archive, o)
	if err != nil {
		return err
	}
	if err := extract(ctx, archive, s.archive.sum, s.members, unpacked, o); err != nil {
		return err
	}
	if !given { // what somebody put there is theirs
		os.Remove(archive)
	}
	return nil
}

// records reads images from files of equal records: header bytes, the last of
// which is the label, then one plane of side*side bytes a channel (red, green,
// blue). Nothing is held in memory but labels.
type records struct {
	name         string
	classes      []string
	side, header int
	columns      bool // planes are column by column
	files        []*os.File
	starts       []int // number of the first record in each file
	labels       []uint8
	length       int
}

// openSplits returns two splits of this layout.
func (r records) openSplits(dir, name string, trainFiles, testFiles []string) (train, test *records, err error) {
	if train, err = r.open(dir, name+"/train", trainFiles); err != nil {
		return nil, nil, err
	}
	test, err = r.open(dir, name+"/test", testFiles)
	return train, test, err
}

func (r records) size() int64 { return int64(r.header + 3*r.side*r.side) }

// open returns a split of this layout. Files stay open; the runtime closes
// them when the split is garbage.
func (r records) open(dir, name string, files []string) (*records, error) {
	r.name = name
	for _, file := range files {
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		stat, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if stat.Size() == 0 || stat.Size()%r.size() != 0 {
			return nil, fmt.Errorf("%s has %d bytes, not a multiple of %d: it is truncated or of another format", f.Name(), stat.Size(), r.size())
		}
		r.files, r.starts = append(r.files, f), append(r.starts, r.length)
		n := int(stat.Size() / r.size())
		r.length += n
		if r.header == 0 {
			continue
		}
		for i := range n {
			var label [1]byte
			if _, err := f.ReadAt(label[:], int64(i)*r.size()+int64(r.header)-1); err != nil {
				return nil, err
			}
			if int(label[0]) >= len(r.classes) {
				return nil, fmt.Errorf("%s: label %d of example %d is out of range: there are %d classes", f.Name(), label[0], i, len(r.classes))
			}
			r.labels = append(r.labels, label[0])
		}
	}
	return &r, nil
}

func (r *records) Name() string                         { return r.name }
func (r *records) Len() int                             { return r.length }
func (r *records) Shape() (height, width, channels int) { return r.side, r.side, 3 }

func (r *records) Classes() []string {
	if r.labels == nil {
		return nil
	}
	return r.classes
}

func (r *records) Label(i int) int32 {
	if r.labels == nil {
		return -1
	}
	return int32(r.labels[i])
}

func (r *records) Read(i int, pixels []uint8) error {
	n := sort.SearchInts(r.starts, i+1) - 1
	f := r.files[n]
	plane := r.side * r.side
	planes := make([]byte, 3*plane)
	if _, err := f.ReadAt(planes, int64(i-r.starts[n])*r.size()+int64(r.header)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the file was cut since it was opened
		}
		return err
	}
	for y := range r.side {
		for x := range r.side {
			from := y*r.side + x
			if r.columns {
				from = x*r.side + y
			}
			to := 3 * (y*r.side + x)
			pixels[to], pixels[to+1], pixels[to+2] = planes[from], planes[plane+from], planes[2*plane+from]
		}
	}
	return nil
}
