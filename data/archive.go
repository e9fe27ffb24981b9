package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
)

// archiveSet is a dataset in a tar.gz archive, whose members are unpacked and
// verified each time that they are opened.
type archiveSet struct {
	about  Info    // without Present, Where, Download
	folder string  // in the cache; default about.Name
	forms  []*form // the first is the one that is downloaded
}

// form is one of the forms in which a dataset is published.
type form struct {
	folder   string // which the archive unpacks to
	unpacked string // the same where this package unpacks it, in the cache
	archive  asset
	members  []member
	read     readForm
}

// readForm opens the splits of the dataset in dir; what it has to keep beside
// goes into the folder kept.
type readForm func(ctx context.Context, f *form, dir, kept string, o OpenOptions) (train, test Source, err error)

func (s *archiveSet) id() string { return s.about.Name }

func (s *archiveSet) parent() string {
	if s.folder != "" {
		return s.folder
	}
	return s.about.Name
}

// place is a folder or an archive of a form.
type place struct {
	path string
	form *form
}

// folders returns those that have all members, this package's own first.
func (s *archiveSet) folders(cache string) (found []place) {
	add := func(dir string, f *form) {
		if exist(dir, memberNames(f.members)...) {
			found = append(found, place{dir, f})
		}
	}
	for _, f := range s.forms {
		add(filepath.Join(cache, s.parent(), f.unpacked), f)
	}
	for _, dir := range searched(cache, s.parent()) {
		for _, f := range s.forms {
			add(filepath.Join(dir, f.folder), f)
		}
	}
	return found
}

func (s *archiveSet) archives(cache string) (found []place) {
	for _, dir := range searched(cache, s.parent()) {
		for _, f := range s.forms {
			if exist(dir, f.archive.name) {
				found = append(found, place{filepath.Join(dir, f.archive.name), f})
			}
		}
	}
	return found
}

func (s *archiveSet) info(cache string) Info {
	info := s.about
	info.Where = filepath.Join(cache, s.parent())
	if found := append(s.folders(cache), s.archives(cache)...); len(found) > 0 {
		info.Present = true
		if dir := filepath.Dir(found[0].path); dir != info.Where {
			info.Where = found[0].path
		}
		return info
	}
	info.Download = s.forms[0].archive.size
	return info
}

// open takes the first undamaged copy: unpacked ones, then archives, which it
// unpacks into the cache, and at last a download. It never downloads in place
// of what is damaged in the cache without being told to, by its deletion.
func (s *archiveSet) open(ctx context.Context, o OpenOptions) (train, test Source, err error) {
	dir, err := o.cacheDir(s.parent())
	if err != nil {
		return nil, nil, err
	}
	cache := filepath.Dir(dir)
	train, test, damaged := s.openFolders(ctx, cache, o)
	switch {
	case train != nil:
		return train, test, nil
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case o.Offline && len(s.archives(cache)) == 0:
		return nil, nil, errors.Join(append(damaged, errOffline)...)
	}
	unlock, err := exclusive(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	// Another process may have been faster.
	if train, test, damaged = s.openFolders(ctx, cache, o); train != nil {
		return train, test, nil
	}
	for _, a := range s.archives(cache) {
		train, test, err := s.openArchive(ctx, a, dir, o)
		if err == nil || ctx.Err() != nil || isDiskError(err) {
			return train, test, err
		}
		damaged = append(damaged, err)
	}
	switch {
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case o.Offline:
		return nil, nil, errors.Join(append(damaged, errOffline)...)
	case slices.ContainsFunc(damaged, func(err error) bool { return isWithin(dir, err) }):
		return nil, nil, errors.Join(damaged...)
	}
	archive, err := web.fetch(ctx, dir, s.forms[0].archive, o)
	if err != nil {
		return nil, nil, errors.Join(append(damaged, err)...)
	}
	if train, test, err = s.openArchive(ctx, place{archive, s.forms[0]}, dir, o); err != nil {
		return nil, nil, err
	}
	os.Remove(archive) // an archive that somebody put there stays, but this one
	return train, test, nil
}

// damagedError is a copy that cannot be used.
type damagedError struct {
	path string // to be deleted
	err  error
}

func (e *damagedError) Unwrap() error { return e.err }
func (e *damagedError) Error() string {
	return fmt.Sprintf("%v\nIt is damaged or of another version: move or delete %s and try again", e.err, e.path)
}

// isWithin tells whether err is of a damaged copy below dir.
func isWithin(dir string, err error) bool {
	damaged, ok := errors.AsType[*damagedError](err)
	if !ok {
		return false
	}
	below, err := filepath.Rel(dir, damaged.path)
	return err == nil && filepath.IsLocal(below)
}

// openFolders opens the first undamaged folder, or tells what is damaged.
func (s *archiveSet) openFolders(ctx context.Context, cache string, o OpenOptions) (train, test Source, damaged []error) {
	for _, p := range s.folders(cache) {
		train, test, err := p.form.read(ctx, p.form, p.path, filepath.Join(cache, s.parent()), o)
		if err == nil {
			return train, test, nil
		}
		if ctx.Err() != nil {
			return nil, nil, nil
		}
		damaged = append(damaged, &damagedError{p.path, err})
	}
	return nil, nil, damaged
}

// openArchive unpacks an archive into the cache.
func (s *archiveSet) openArchive(ctx context.Context, a place, dir string, o OpenOptions) (train, test Source, err error) {
	// The checksum is known at the end only, but a truncated archive at once.
	if stat, err := os.Stat(a.path); err == nil && stat.Size() != a.form.archive.size {
		return nil, nil, &damagedError{a.path, fmt.Errorf("%s is damaged or truncated: it has %d bytes instead of %d", a.path, stat.Size(), a.form.archive.size)}
	}
	unpacked := filepath.Join(dir, a.form.unpacked)
	if err := extract(ctx, a.path, a.form.archive.sum, memberNames(a.form.members), unpacked, o); err != nil {
		if ctx.Err() == nil && !isDiskError(err) {
			err = &damagedError{a.path, err}
		}
		return nil, nil, err
	}
	if train, test, err = a.form.read(ctx, a.form, unpacked, dir, o); err != nil {
		return nil, nil, &damagedError{unpacked, err}
	}
	return train, test, nil
}

// records reads images from files of equal records: header bytes, the last of
// which is the label, then one plane of side*side bytes a channel (red, green,
// blue). Held in memory are labels and the digest of each record, which is
// verified when the record is read.
type records struct {
	name         string
	classes      []string
	side, header int
	columns      bool   // planes are column by column
	kept         string // folder for the digests of large files
	files        []*os.File
	starts       []int // number of the first record in each file
	digests      []digest
	labels       []uint8
}

// openSplits returns two splits of this layout.
func (r records) openSplits(ctx context.Context, dir, name string, trainFiles, testFiles []member, o OpenOptions) (train, test *records, err error) {
	if train, err = r.open(ctx, dir, name+"/train", trainFiles, o); err != nil {
		return nil, nil, err
	}
	test, err = r.open(ctx, dir, name+"/test", testFiles, o)
	return train, test, err
}

func (r records) size() int64 { return int64(r.header + 3*r.side*r.side) }

// open returns a split of this layout. Files stay open; the runtime closes
// them when the split is garbage.
func (r records) open(ctx context.Context, dir, name string, files []member, o OpenOptions) (*records, error) {
	r.name = name
	for _, file := range files {
		f, stat, err := openRegular(filepath.Join(dir, file.name))
		if err != nil {
			return nil, err
		}
		if stat.Size() == 0 || stat.Size()%r.size() != 0 {
			return nil, fmt.Errorf("%s has %d bytes, not a multiple of %d: it is truncated or of another format", f.Name(), stat.Size(), r.size())
		}
		r.files, r.starts = append(r.files, f), append(r.starts, len(r.digests))
		if r.header == 0 && stat.Size() > largeFile {
			digests, err := r.scanLarge(ctx, f, stat.Size(), file, o)
			if err != nil {
				return nil, err
			}
			r.digests = append(r.digests, digests...)
			continue
		}
		digests, labels, err := r.scan(ctx, f, stat.Size(), file.sum, o)
		if err != nil {
			return nil, err
		}
		for i, l := range labels {
			if int(l) >= len(r.classes) {
				return nil, fmt.Errorf("%s: label %d of example %d is out of range: there are %d classes", f.Name(), l, i, len(r.classes))
			}
		}
		r.digests, r.labels = append(r.digests, digests...), append(r.labels, labels...)
	}
	return &r, nil
}

func (r *records) Name() string                         { return r.name }
func (r *records) Len() int                             { return len(r.digests) }
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
	record := make([]byte, r.size())
	if _, err := f.ReadAt(record, int64(i-r.starts[n])*r.size()); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the file was cut since it was opened
		}
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if sha256.Sum256(record) != r.digests[i] {
		return fmt.Errorf("%s: %w of example %d: the file is damaged, or has changed since it was verified: delete it and try again",
			f.Name(), errChecksum, i-r.starts[n])
	}
	interleave(pixels, record[r.header:], r.side, r.columns)
	return nil
}

// interleave writes pixel by pixel what has one plane a channel.
func interleave(pixels, planes []uint8, side int, columns bool) {
	plane := side * side
	for y := range side {
		for x := range side {
			from := y*side + x
			if columns {
				from = x*side + y
			}
			to := 3 * (y*side + x)
			pixels[to], pixels[to+1], pixels[to+2] = planes[from], planes[plane+from], planes[2*plane+from]
		}
	}
}
