package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/pjrt"
)

func TestBackend(t *testing.T) {
	out, _ := must(t, "backend")
	wantAll(t, "backend", out, "backend  go\n", "kind     go\n", "why      GOMLX_BACKEND asks for it")
	var choice pjrt.Choice
	out, _ = must(t, "backend --json")
	if decode(t, out, &choice); choice.Kind != "go" {
		t.Errorf("backend --json: %+v", choice)
	}
}

// Where nothing can be installed, --install is satisfied with a plugin that is there already, and
// fails with one line where none is.
func TestBackendInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	notAFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notAFolder, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "backend", "--install")
	child.Env = append(os.Environ(), "SSLKIT_TEST_RUN=1", "GOMLX_BACKEND=", "SSLKIT_HOME="+notAFolder, "HOME="+notAFolder, "PATH=", "VIRTUAL_ENV=")
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	err = child.Run()
	switch {
	case err == nil && strings.Contains(stdout.String(), "\nkind     xla"):
	case child.ProcessState.ExitCode() == exitFailed && stdout.Len() == 0 && strings.Count(stderr.String(), "\n") == 1:
	default:
		t.Errorf("%v\n%s%s", err, &stdout, &stderr)
	}
}

func TestVersion(t *testing.T) {
	out, _ := must(t, "version")
	wantAll(t, "version", out, "sslkit ", ", go1.", runtime.GOOS+"/"+runtime.GOARCH+"\n")
	if strings.Contains(out, " ,") {
		t.Errorf("version has a gap: %q", out)
	}
	var v map[string]string
	out, _ = must(t, "version --json")
	if decode(t, out, &v); v["sslkit"] == "" || v["go"] != runtime.Version() {
		t.Errorf("version --json: %v", v)
	}
	// The binary of a test knows of no modules; the command's does.
	v = versions(&debug.BuildInfo{Deps: []*debug.Module{{Path: "github.com/gomlx/gomlx", Version: "v0.28.1"}, {Path: "github.com/else/gomlx", Version: "v9"}}})
	if v["gomlx"] != "v0.28.1" || v["go"] != runtime.Version() {
		t.Errorf("versions: %v", v)
	}
}
