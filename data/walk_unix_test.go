//go:build unix

package data

import (
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A pipe that is opened waits for somebody to write into it, for ever.
func TestPipesAndSocketsAreNeverOpened(t *testing.T) {
	root := t.TempDir()
	img := encode(t, quarters(8, 8), "png")
	writeFiles(t, root, map[string][]byte{"cat/1.png": img, "cat/2.png": img})
	if err := syscall.Mkfifo(filepath.Join(root, "cat", "x.png"), 0o644); err != nil {
		t.Fatal(err)
	}
	link(t, "x.png", filepath.Join(root, "cat", "link.png"))
	t.Chdir(root) // a socket's path may not be long
	socket, err := net.Listen("unix", "s.png")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	link(t, "/dev/zero", filepath.Join(root, "cat", "zero.png"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		train, test, err := Open("folder:"+root, OpenOptions{})
		if err != nil || train.Len()+test.Len() != 2 {
			t.Errorf("error %v", err)
		}
		w := walkIn(t, root)
		var said []string
		for _, p := range w.passed {
			said = append(said, p.String())
		}
		if want := []string{"1 passed over: no files but devices", "2 passed over: no files but pipes", "1 passed over: no files but sockets"}; !slices.Equal(said, want) {
			t.Errorf("%q, want %q", said, want)
		}
		// What became a pipe after the walk.
		if _, _, err := readFile(filepath.Join(root, "cat", "x.png")); err == nil {
			t.Error("a pipe was read")
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for a pipe")
	}
}
