package pjrt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func touch(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFind puts a plugin in every place there is, and expects each file once, in the documented order.
func TestFind(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(root, "home")
	t.Setenv("HOME", home)
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", filepath.Join(root, "no such")+":"+filepath.Join(root, "own"))
	t.Setenv("LD_LIBRARY_PATH", "")
	t.Setenv("SSLKIT_HOME", filepath.Join(root, "project"))
	t.Setenv("VIRTUAL_ENV", filepath.Join(root, "venv"))
	t.Setenv("PATH", filepath.Join(root, "pyenv", "shims"))
	t.Setenv("PYENV_VERSION", "")

	own := touch(t, filepath.Join(root, "own", "pjrt_c_api_cpu_plugin.so"))
	touch(t, filepath.Join(root, "own", "libc.so"))
	goxla := filepath.Join(home, ".local", "lib", "go-xla")
	newer := touch(t, filepath.Join(goxla, "pjrt_c_api_cpu_v0.2.0_plugin.so"))
	older := touch(t, filepath.Join(goxla, "pjrt_c_api_cpu_v0.1.0_plugin.so"))
	link := filepath.Join(goxla, "pjrt_c_api_cpu_plugin.so")
	if err := os.Symlink(newer, link); err != nil {
		t.Fatal(err)
	}
	nvidia := touch(t, filepath.Join(goxla, "nvidia", "pjrt_c_api_cuda_plugin.so"))
	cache := touch(t, filepath.Join(root, "project", "pjrt", pinned.file))
	cuda := touch(t, filepath.Join(root, "venv", "lib", "python3.12", "site-packages", "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so"))
	tpu := touch(t, filepath.Join(root, "project", "venv", "lib", "python3.12", "site-packages", "libtpu", "libtpu.so"))
	wheel := touch(t, filepath.Join(root, "pyenv", "versions", "3.11.7", "lib", "python3.11", "site-packages", wheelPackage, "libpjrt_cpu.so"))
	touch(t, filepath.Join(root, "pyenv", "shims", "python3"))
	if err := os.WriteFile(filepath.Join(root, "pyenv", "version"), []byte("3.11.7\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, c := range find() {
		if strings.HasPrefix(c.path, root) { // the machine's own may be there too
			got = append(got, c.path)
		}
	}
	// Of newer and its link, the first by name; backward, since versions are tried newest first.
	want := []string{own, newer, older, nvidia, cache, cuda, tpu, wheel}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestKindOf(t *testing.T) {
	for path, want := range map[string]string{
		"/x/pjrt_c_api_cpu_v0.114.0_plugin.so":      "cpu",
		"/home/nvidia/libpjrt_cpu.so":               "cpu",
		"/cpu/jax_plugins/xla_cuda_plugin.so":       "cuda",
		"/x/libtpu.so":                              "tpu",
		"/x/pjrt_c_api_metal_plugin.dylib":          "metal",
		"/x/pjrt-plugin-rocm.so":                    "rocm",
		"/x/plugin.so":                              "unknown",
		"/x/" + pinned.file:                         "cpu",
		"/x/pjrt_c_api_cuda_v1_plugin.so":           "cuda",
		"/x/pjrt_plugin_iree.so":                    "iree",
		"/cuda/site-packages/" + wheelPackage + "/": "cpu",
	} {
		if got := kindOf(path); got != want {
			t.Errorf("kindOf(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("SSLKIT_HOME", "/project")
	if dir, err := cacheDir(); dir != filepath.FromSlash("/project/pjrt") || err != nil {
		t.Errorf("%q, %v", dir, err)
	}
	t.Setenv("SSLKIT_HOME", "")
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	if _, err := cacheDir(); err == nil || !strings.Contains(err.Error(), "SSLKIT_HOME") {
		t.Errorf("error %v; want one that says what to set", err)
	}
}

func TestAbsolute(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	t.Chdir("/")
	for path, want := range map[string]string{"~/p.so": "/home/ada/p.so", "./p.so": "/p.so", "/a/../p.so": "/p.so"} {
		if got, err := absolute(path); got != want || err != nil {
			t.Errorf("absolute(%q) = %q, %v; want %q", path, got, err, want)
		}
	}
}
