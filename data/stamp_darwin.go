package data

import (
	"io/fs"
	"syscall"
)

func stampOf(stat fs.FileInfo) stamp {
	s := stamp{size: stat.Size(), modified: stat.ModTime().UnixNano()}
	if sys, ok := stat.Sys().(*syscall.Stat_t); ok {
		s.inode, s.changed = sys.Ino, sys.Ctimespec.Nano()
	}
	return s
}
