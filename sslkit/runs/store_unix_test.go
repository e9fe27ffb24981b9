//go:build unix

package runs

import (
	"errors"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
)

// A limit on the size of files stands for a full disk: writes fail in the middle.
func TestFullDisk(t *testing.T) {
	s, _ := newStore(t)
	old := put(t, s, keyA, 0)
	big := *old
	big.Version = "v2"
	big.History.Loss = make([]float64, 1_000_000)

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	low := limit
	low.Cur = 1 << 20 // above what go test itself logs to a file meanwhile
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		t.Skip(err)
	}
	err := s.write(&big)
	if back := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); back != nil {
		t.Fatal(back)
	}

	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error %v", err)
	}
	labtest.WantError(t, "a full disk", err, "runs: writing", s.path(keyA, "record.json"))
	if got, err := s.Get(keyA); err != nil || !reflect.DeepEqual(got, old) {
		t.Errorf("the old record is %+v, %v", got, err)
	}
	if entries, err := os.ReadDir(s.path(keyA)); err != nil || len(entries) != 1 {
		t.Errorf("left are %v, %v", entries, err)
	}
	if err := s.write(&big); err != nil { // there is room again
		t.Error(err)
	}
}
