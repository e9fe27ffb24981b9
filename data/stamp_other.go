//go:build !linux && !darwin

package data

import "io/fs"

func stampOf(stat fs.FileInfo) stamp {
	return stamp{size: stat.Size(), modified: stat.ModTime().UnixNano()}
}
