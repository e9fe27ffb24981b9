//go:build cgo && !noxla

package conv

// #cgo CFLAGS: -O3
// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "plugin_linux_amd64.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"
	"k8s.io/klog/v2"
)

var (
	loading     sync.Mutex
	rewriteWith = Rewrite // tests plant mistakes here
)

// Load loads the plugin at an absolute path, with the kernels, and makes it known to go-xla by that path. It fails where the
// kernels cannot be had here; go-xla may then load the plugin itself. A process can have them in one plugin.
func Load(path string) error {
	loading.Lock()
	defer loading.Unlock()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var message *C.char
	api := C.conv_open(name, &message)
	if api == nil {
		defer C.free(unsafe.Pointer(message))
		return errors.New(C.GoString(message))
	}
	var missing *C.char
	table := C.conv_hook(api, &missing)
	if table == nil {
		return fmt.Errorf("no fast convolutions: %s", C.GoString(missing))
	}
	return pjrt.RegisterPreloadedPlugin(path, uintptr(table))
}

// convRewrite returns a copy of the program, rewritten, for C to free, or nil where there is nothing to rewrite.
//
//export convRewrite
func convRewrite(code *C.char, size C.size_t, rewrittenSize *C.size_t) *C.char {
	out, calls := rewriteWith(unsafe.String((*byte)(unsafe.Pointer(code)), int(size)))
	if calls == 0 {
		return nil
	}
	*rewrittenSize = C.size_t(len(out))
	return C.CString(out)
}

// useLanes makes the kernels use vectors of 8 or 16 floats, and returns what they used before.
func useLanes(n int) int { return int(C.conv_use_lanes(C.int(n))) }

//export convRefused
func convRefused(message *C.char, size C.size_t) {
	err := fmt.Errorf("XLA's compiler refuses the fast convolutions and uses its own: %s", C.GoStringN(message, C.int(size)))
	klog.Error(err)
	refused.CompareAndSwap(nil, &err)
}

var refused atomic.Pointer[error]

// Refused is nil as long as the plugin has compiled all programs with the kernels. Else it is the first that it said.
func Refused() error {
	if err := refused.Load(); err != nil {
		return *err
	}
	return nil
}
