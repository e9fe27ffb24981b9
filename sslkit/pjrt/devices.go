package pjrt

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/gomlx/compute"
)

// OpenDevices is [Open] for work that is divided among the first n devices of the backend. An accelerator's client has all of
// its devices; a CPU is a few of them in any case, and as many as it has cores where one asks for that, of a client of their own,
// the same at every call. It fails where there are fewer than n, and on the pure-Go backend.
//
// XLA does not divide the calls of package conv: a program that is divided convolves as the plugin does. Programs on one device
// of the same client call its kernels, as ever.
func OpenDevices(n int) (compute.Backend, Choice, error) {
	backend, choice, err := Open()
	if err != nil {
		return nil, choice, err
	}
	if choice.Devices = max(n, 1); n <= 1 {
		return backend, choice, nil
	}
	have := backend.NumDevices()
	switch {
	case choice.Kind == "xla:cpu":
		if have = max(have, runtime.NumCPU()); n <= have {
			backend, err = several.open(backend, n)
		}
	case choice.Kind == "go" || backend.Name() != "xla":
		return nil, choice, fmt.Errorf("%d devices: XLA divides work among devices, the backend here is %s: leave devices out, or see 'sslkit backend'", n, choice.Kind)
	}
	if n > have {
		return nil, choice, fmt.Errorf("%d devices: the backend %s has %d here: choose at most so many", n, choice.Kind, have)
	}
	if err != nil {
		return nil, choice, fmt.Errorf("opening %d devices: %w", n, err)
	}
	choice.Why += fmt.Sprintf("; work is divided among %d devices", n)
	if choice.Conv != "" {
		choice.Why += ", with XLA's own convolutions in what is divided"
	}
	return backend, choice, nil
}

// clients are those with several CPU devices, by their number. Each stays, as the process's first backend does.
type clients struct {
	sync.Mutex
	byNumber map[int]compute.Backend
}

var several clients

func (c *clients) open(first compute.Backend, n int) (compute.Backend, error) {
	c.Lock()
	defer c.Unlock()
	if first.NumDevices() >= n {
		return first, nil
	}
	if b := c.byNumber[n]; b != nil {
		return b, nil
	}
	b, err := cpuDevices(first, n)
	if err != nil {
		return nil, err
	}
	if c.byNumber == nil {
		c.byNumber = map[int]compute.Backend{}
	}
	c.byNumber[n] = b
	return b, nil
}
