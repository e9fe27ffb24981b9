//go:build !linux || !amd64 || !cgo || noxla

package conv

import "errors"

// Load fails: the kernels cannot be had here.
func Load(string) error {
	return errors.New("no fast convolutions: they need Linux on x86-64, and cgo")
}

// Refused is nil: nothing was asked.
func Refused() error { return nil }
