//go:build noxla || !cgo

package pjrt

import (
	"errors"

	"github.com/gomlx/compute"
)

var errNoXLA = errors.New("this program has no XLA: it was built with -tags noxla or without a C compiler (cgo)")

func load(candidate, string) (loaded, error) { return loaded{}, errNoXLA }

func installers(bool) []installer { return nil }

func cpuDevices(compute.Backend, int) (compute.Backend, error) { return nil, errNoXLA }
