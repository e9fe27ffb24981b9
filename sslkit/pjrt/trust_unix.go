//go:build linux || darwin

package pjrt

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// trusted is an error if others than the user and root may write to a plugin, or could put another into its place: it, the
// folders above it and the links on the way to it are looked at. A folder above that merely belongs to somebody else is told
// apart, as foreign: where the content is verified and loaded as verified, it does no harm.
func trusted(path string) (foreign, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	at, rest := string(filepath.Separator), split(path)
	if foreign, err = trustedEntry(at); err != nil {
		return nil, err
	}
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." { // of a link's target; at has no links
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			return nil, err
		}
		if info.Mode()&os.ModeSymlink != 0 {
			if links++; links > 40 { // the kernel's own limit
				return nil, fmt.Errorf("%s: too many links", path)
			}
			// Its own mode says nothing, but in a sticky folder anybody may have made it.
			if st, ok := info.Sys().(*syscall.Stat_t); ok && !ours(st.Uid) && foreign == nil {
				foreign = belongs(next, st.Uid)
			}
			target, err := os.Readlink(next)
			if err != nil {
				return nil, err
			}
			if filepath.IsAbs(target) {
				at = string(filepath.Separator)
			}
			rest = append(split(target), rest...)
			continue
		}
		entry, err := trustedEntry(next)
		if err != nil {
			return nil, err
		}
		if entry != nil && !info.IsDir() {
			return nil, entry
		}
		if foreign == nil {
			foreign = entry
		}
		at = next
	}
	return foreign, nil
}

func split(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path), func(r rune) bool { return r == '/' })
}

// trustedEntry judges one file or folder.
func trustedEntry(path string) (foreign, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("nobody knows whose %s is", path)
	}
	mode := info.Mode()
	sticky := mode.IsDir() && mode&os.ModeSticky != 0 // there nobody can replace what is another's
	if !sticky && (mode&0o002 != 0 || mode&0o020 != 0 && !private(st.Uid, st.Gid)) {
		return nil, fmt.Errorf("refused: others may write to %s (%v), and so could give you a program of theirs; if all in it is yours: chmod go-w '%s'", path, mode, path)
	}
	if !ours(st.Uid) {
		return belongs(path, st.Uid), nil
	}
	return nil, nil
}

func belongs(path string, uid uint32) error {
	return fmt.Errorf("refused: %s belongs to user %d, not to you or root, who so could give you a program of theirs; put the plugin into a folder of your own", path, uid)
}

func ours(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// private says whether a group has nobody in it but the owner: many systems give each user such a group, and with it files
// that the group may write.
func private(uid, gid uint32) bool {
	owner, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false
	}
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		return false
	}
	for line := range bytes.Lines(groups) { // name:password:id:members
		field := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(field) == 4 && field[2] == strconv.FormatUint(uint64(gid), 10) {
			return field[0] == owner.Username && (field[3] == "" || field[3] == owner.Username)
		}
	}
	return false
}

func identify(info os.FileInfo) identity {
	id := identity{Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.Device, id.Inode, id.ChangeTime = uint64(st.Dev), st.Ino, changeTime(st) //nolint:unconvert // Dev is signed on some systems
	}
	return id
}
