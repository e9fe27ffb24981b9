package cluster

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/sslkit/lab/sslkit/pjrt"
)

// best is the backend that users get.
func best(t testing.TB) compute.Backend {
	t.Helper()
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// pureGo compiles at once.
func pureGo() compute.Backend {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	return backend
}

// normals are n rows of d draws.
func normals(seed uint64, n, d int) [][]float32 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	x := make([][]float32, n)
	for i := range x {
		x[i] = make([]float32, d)
		for j := range x[i] {
			x[i][j] = float32(rnd.NormFloat64())
		}
	}
	return x
}

// rejects wants a panic with an error that says so.
func rejects(t *testing.T, want string, call func()) {
	t.Helper()
	defer func() {
		t.Helper()
		err, ok := recover().(error)
		if !ok {
			err = errors.New("none")
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("panic %q, want an error with %q", err, want)
		}
	}()
	call()
}
