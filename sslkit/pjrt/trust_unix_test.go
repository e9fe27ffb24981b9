//go:build linux || darwin

package pjrt

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTrusted(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(dir, file string) error // of a plugin in its own folder, which is below another
		want   string
	}{
		{"mine", func(_, _ string) error { return nil }, ""},
		{"read-only", func(_, file string) error { return os.Chmod(file, 0o444) }, ""},
		{"anybody may write to it", func(_, file string) error { return os.Chmod(file, 0o646) }, "others may write to FILE"},
		{"anybody may write to its folder", func(dir, _ string) error { return os.Chmod(dir, 0o777) }, "chmod go-w 'DIR'"},
		{"as in /tmp", func(dir, _ string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, ""},
		{"anybody may write to a folder above", func(dir, _ string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "others may write to"},
		{"behind a link", func(dir, file string) error {
			hidden := filepath.Join(filepath.Dir(dir), "hidden")
			if err := os.Mkdir(hidden, 0o755); err != nil {
				return err
			}
			if err := os.Rename(file, filepath.Join(hidden, "real.so")); err != nil {
				return err
			}
			if err := os.Symlink("../hidden/real.so", file); err != nil {
				return err
			}
			return os.Chmod(hidden, 0o777)
		}, "/hidden (d"},
		{"links in a circle", func(_, file string) error { os.Remove(file); return os.Symlink(file, file) }, "too many"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "folder")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			file := touch(t, filepath.Join(dir, "libpjrt_cpu.so"))
			if err := test.change(dir, file); err != nil {
				t.Fatal(err)
			}
			foreign, err := trusted(file)
			want := strings.NewReplacer("FILE", file, "DIR", dir).Replace(test.want)
			if foreign != nil || want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("error %v, foreign %v; want %q", err, foreign, want)
			}
		})
	}
}

// TestForeignOwner: a plugin of another user's is refused; a folder of another user's is told apart.
func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "libpjrt_cpu.so")
	l := plant(t, path, sharedLibrary("GetPjrtApi", nil))
	if l.foreign != nil {
		t.Fatalf("foreign: %v", l.foreign)
	}
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if foreign, err := trusted(path); err != nil || foreign == nil || !strings.Contains(foreign.Error(), dir+" belongs to user 12345") {
		t.Errorf("foreign %v, error %v; want the folder", foreign, err)
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := open(path); err == nil || !strings.Contains(err.Error(), path+" belongs to user 12345") {
		t.Errorf("error %v; want the file refused", err)
	}
}

func TestPrivateGroup(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /etc/group")
	}
	if private(uint32(os.Geteuid()), 1<<31-7) {
		t.Error("an unknown group is private")
	}
	if os.Geteuid() == 0 && private(0, 1) {
		t.Error("another's group is private to root")
	}
}

// TestDescriptor: what is loaded is what was opened, though another file has its name by then.
func TestDescriptor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	path := filepath.Join(t.TempDir(), "libpjrt_cpu.so")
	good := sharedLibrary("GetPjrtApi", nil)
	l := plant(t, path, good)
	other := touch(t, filepath.Join(t.TempDir(), "other"))
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	through, err := os.ReadFile(l.descriptor())
	if err != nil || !bytes.Equal(through, good) {
		t.Errorf("%d bytes, %v; want those that were opened", len(through), err)
	}
	if l.unchanged(true) == nil {
		t.Error("another file under the name is not seen")
	}
}
