//go:build unix

package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Who may not write to a checkout, as in a class that shares one, keeps runs and files of their own elsewhere, and reads the rest from it.
func TestSharedCheckout(t *testing.T) {
	root, home := t.TempDir(), t.TempDir()
	script, err := os.ReadFile("env/lab")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"env", ".lab/bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{"env/lab": string(script), ".lab/bin/ours": "#!/bin/sh\necho \"$LAB_MINE $SSLKIT_RUNS $SSLKIT_HOME $SSLKIT_RECORDS $JUPYTER_RUNTIME_DIR\"\ntouch \"$SSLKIT_HOME/scratch\" 2>/dev/null && echo written\nexit 0\n"} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(as *syscall.Credential) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(root, "env/lab"), "ours")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	lab, mine := filepath.Join(root, ".lab"), filepath.Join(home, ".cache/sslkit/lab")
	if got, want := run(nil), strings.Join([]string{lab, "", lab, filepath.Join(root, "records"), filepath.Join(lab, "jupyter/runtime")}, " ")+"\nwritten"; got != want {
		t.Errorf("the owner has %q, want %q", got, want)
	}
	// Root may write anywhere, and becomes nobody; others take their own right away.
	var as *syscall.Credential
	if os.Getuid() == 0 {
		as = &syscall.Credential{Uid: 65534, Gid: 65534}
		for _, dir := range []string{root, home, filepath.Dir(root)} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(home, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	} else {
		if err := os.Chmod(lab, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(lab, 0o755)
	}
	want := strings.Join([]string{mine, filepath.Join(mine, "runs"), lab, filepath.Join(root, "records"), filepath.Join(mine, "jupyter/runtime")}, " ")
	if got := run(as); got != want {
		t.Errorf("who may not write has %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(mine, "jupyter/ipython")); err != nil {
		t.Error(err)
	}
}
