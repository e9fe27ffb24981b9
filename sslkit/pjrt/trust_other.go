//go:build !linux && !darwin

package pjrt

import "os"

// Who may write to a file is another question on other systems; there the checksum and the child process are the checks.
func trusted(string) (foreign, err error) { return nil, nil }

func identify(info os.FileInfo) identity {
	return identity{Size: info.Size(), ModTime: info.ModTime().UnixNano()}
}
