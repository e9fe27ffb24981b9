package pjrt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// An identity changes with a file's content: the time of change, unlike that of modification, cannot be set back, but by
// root.
type identity struct {
	Device     uint64 `json:"device"`
	Inode      uint64 `json:"inode"`
	Size       int64  `json:"size"`
	ModTime    int64  `json:"mod_time"`    // nanoseconds since 1970
	ChangeTime int64  `json:"change_time"` // likewise; 0 where the system has none
}

// A library is an opened plugin. What is checked, and on Linux what is loaded, is what was opened, whatever lies under its
// name by then.
type library struct {
	*os.File
	path    string
	id      identity
	foreign error // a folder above it belongs to somebody else, who can put another file under this name
}

// open opens a plugin that nobody but the user and root can have written, and checks its headers.
func open(path string) (*library, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return nil, fmt.Errorf("not a file but %s", info.Mode().Type())
	}
	foreign, err := trusted(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l := &library{File: file, path: path, foreign: foreign}
	if err := l.check(info); err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

func (l *library) check(seen os.FileInfo) error {
	info, err := l.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, seen) {
		return errReplaced
	}
	l.id = identify(info)
	if info.Size() == 0 {
		return errors.New("the file is empty")
	}
	if runtime.GOOS != "linux" {
		return nil // other systems have other headers; there the child process is the check
	}
	return checkELF(l, info.Size())
}

var errReplaced = errors.New("the file was changed while it was being checked: try again")

// is says whether the plugin is the pinned one, by its checksum as it is now.
func (l *library) is(p plugin) (bool, error) {
	if l.id.Size != p.size {
		return false, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(l, 0, l.id.Size)); err != nil {
		return false, fmt.Errorf("reading %s: %w", l.path, err)
	}
	return hex.EncodeToString(h.Sum(nil)) == p.sha256, nil
}

// unchanged is an error if the plugin was written to, or its name given to another file, since it was opened. Of a plugin
// that is loaded through its descriptor the name does not matter.
func (l *library) unchanged(byName bool) error {
	info, err := l.Stat()
	if err == nil && identify(info) == l.id && byName {
		info, err = os.Stat(l.path)
	}
	if err == nil && identify(info) != l.id {
		err = errReplaced
	}
	return err
}

// descriptor is a path to the opened file itself, for this process and its children; "" where the system has none.
func (l *library) descriptor() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	self, err := os.Readlink("/proc/self") // the process id, as this /proc counts
	if err != nil {
		return ""
	}
	path := filepath.Join("/proc", self, "fd", strconv.Itoa(int(l.Fd())))
	there, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if opened, err := l.Stat(); err != nil || !os.SameFile(there, opened) {
		return ""
	}
	return path
}

// isPinned says whether a file is the wanted plugin, for all that is known of it.
func isPinned(path string, want plugin) bool {
	l, err := open(path)
	if err != nil {
		return false
	}
	defer l.Close()
	is, err := l.is(want)
	return is && err == nil
}
