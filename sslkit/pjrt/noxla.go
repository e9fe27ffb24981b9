//go:build noxla || !cgo

package pjrt

import "errors"

var errNoXLA = errors.New("this program has no XLA: it was built with -tags noxla or without a C compiler (cgo)")

func load(candidate, string) (loaded, error) { return loaded{}, errNoXLA }

func installers(bool) []installer { return nil }
