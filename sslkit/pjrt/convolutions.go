//go:build !noxla && cgo

package pjrt

import (
	"os"
	"strings"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// convEnv says whose convolutions are wanted: "xla", the plugin's own, or nothing, the fastest.
const convEnv = "SSLKIT_CONV"

// loadConv loads the plugin that is configured so with the kernels for convolutions, where it can, and notes that.
func (l *loaded) loadConv(config string) {
	switch value := os.Getenv(convEnv); value {
	case "":
		path, _, _ := strings.Cut(config, ",")
		if err := conv.Load(path); err != nil {
			l.note += "; " + err.Error()
			return
		}
		l.conv = conv.Version
		l.note += "; with fast convolutions (" + conv.Version + ")"
	case "xla":
		l.note += "; " + convEnv + "=xla: its own convolutions"
	default:
		l.note += "; " + convEnv + "=" + value + " says nothing: only xla does"
	}
}
