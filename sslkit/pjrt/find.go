package pjrt

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A candidate is a file that may be a plugin.
type candidate struct {
	path string // absolute
	kind string // "cpu", "cuda", "tpu" or what else the file's name says
}

func newCandidate(path string) candidate { return candidate{path, kindOf(path)} }

// is says whether GOMLX_BACKEND=xla:want means this one: by kind, or by the name in pjrt_c_api_NAME_plugin.so.
func (c candidate) is(want string) bool {
	return want == "" || want == c.kind || slices.Contains(pluginName.FindStringSubmatch(filepath.Base(c.path)), want)
}

// pluginName matches the names that go-xla searches for, and the plugins in Python wheels.
var pluginName = regexp.MustCompile(`^(?:pjrt_c_api_(.+)_plugin|pjrt[-_]plugin[-_](.+)|xla_(cuda)_plugin|lib(tpu)|libpjrt_(cpu))\.(?:so|dylib|dll)$`)

// kindOf guesses from the file's name what a plugin computes on.
func kindOf(path string) string {
	name := strings.ToLower(filepath.Base(path))
	for _, kind := range []string{"cuda", "tpu", "cpu"} {
		if strings.Contains(name, kind) {
			return kind
		}
	}
	for i, part := range pluginName.FindStringSubmatch(name) {
		if i > 0 && part != "" {
			return part
		}
	}
	return "unknown"
}

// byRank puts accelerators before the CPU and keeps the order otherwise.
func byRank(all []candidate) []candidate {
	rank := map[string]int{"cuda": 0, "tpu": 0, "cpu": 2} // others: 1
	of := func(c candidate) int {
		if r, ok := rank[c.kind]; ok {
			return r
		}
		return 1
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(of(a), of(b)) })
	return all
}

// find lists the plugins on this machine, each file once.
func find() []candidate {
	var all []candidate
	seen := map[string]bool{}
	add := func(path string) {
		path, err := filepath.Abs(path)
		if err != nil {
			return
		}
		file, err := filepath.EvalSymlinks(path)
		if err != nil {
			file = path // a dangling link: said when it is tried
		}
		if !seen[file] {
			seen[file] = true
			all = append(all, newCandidate(path))
		}
	}
	for _, folder := range folders() {
		entries, _ := os.ReadDir(folder) // a folder that is not there holds no plugin
		for _, e := range slices.Backward(entries) {
			if pluginName.MatchString(e.Name()) { // backward: of versions, the newest first
				add(filepath.Join(folder, e.Name()))
			}
		}
	}
	for _, site := range sitePackages() {
		for _, pattern := range []string{
			"jax_plugins/xla_cuda*/xla_cuda_plugin.so", // wheels jax-cuda12-pjrt, jax-cuda13-pjrt
			"libtpu/libtpu.so",                         // wheel libtpu
			wheelPackage + "/libpjrt_cpu.so",
		} {
			paths, _ := filepath.Glob(filepath.Join(site, pattern)) // fails only for a malformed pattern
			for _, path := range slices.Backward(paths) {
				add(path)
			}
		}
	}
	return all
}

// folders lists where plugins lie by themselves: the user's, go-xla's and the project's.
func folders() []string {
	all := filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))
	if home, err := os.UserHomeDir(); err == nil {
		library := filepath.Join(home, ".local", "lib")
		if runtime.GOOS == "darwin" {
			library = filepath.Join(home, "Library", "Application Support")
		}
		all = append(all, filepath.Join(library, "go-xla"), filepath.Join(library, "go-xla", "nvidia"),
			filepath.Join(library, "gomlx", "pjrt"))
	}
	all = append(all, "/usr/local/lib/go-xla", "/usr/local/lib/go-xla/nvidia", "/usr/local/lib/gomlx/pjrt")
	all = append(all, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	if dir, err := cacheDir(); err == nil {
		all = append(all, dir)
	}
	return slices.DeleteFunc(all, func(dir string) bool { return dir == "" })
}

// cacheDir is the project's own folder of plugins.
func cacheDir() (string, error) {
	if home := os.Getenv("SSLKIT_HOME"); home != "" {
		home, err := filepath.Abs(home)
		return filepath.Join(home, "pjrt"), err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for plugins (set SSLKIT_HOME): %w", err)
	}
	return filepath.Join(cache, "sslkit", "pjrt"), nil
}

// sitePackages lists Python's package folders, of the virtual environments first. Python itself is not asked: it takes
// longer to start than all the rest of Open.
func sitePackages() []string {
	var all []string
	for _, prefix := range pythonPrefixes() {
		for _, pattern := range []string{"lib*/python3*/site-packages", "lib/python3*/dist-packages", "local/lib/python3*/dist-packages"} {
			dirs, _ := filepath.Glob(filepath.Join(prefix, pattern))
			slices.Reverse(dirs)
			all = append(all, dirs...)
		}
	}
	return all
}

func pythonPrefixes() []string {
	var all []string
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		all = append(all, venv)
	}
	if home := os.Getenv("SSLKIT_HOME"); home != "" {
		all = append(all, filepath.Join(home, "venv"))
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return all
	}
	// The folder above bin, as called (a virtual environment's python3 is a link) and as it really is.
	all = append(all, filepath.Dir(filepath.Dir(python)))
	if real, err := filepath.EvalSymlinks(python); err == nil {
		all = append(all, filepath.Dir(filepath.Dir(real)))
	}
	if shims := filepath.Dir(python); filepath.Base(shims) == "shims" { // pyenv: a script that picks a version
		root := filepath.Dir(shims)
		version := os.Getenv("PYENV_VERSION")
		if version == "" {
			global, _ := os.ReadFile(filepath.Join(root, "version")) // none: pyenv takes the system's
			version = string(global)
		}
		for _, v := range strings.FieldsFunc(version, func(r rune) bool { return r == ':' || r == '\n' }) {
			all = append(all, filepath.Join(root, "versions", strings.TrimSpace(v)))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, filepath.Join(home, ".local")) // pip install --user
	}
	return append(all, "/usr/local", "/usr")
}

// absent says whether the hardware of a kind is missing for certain. Loading a plugin without its hardware fails too, but
// only after seconds: libtpu asks the network where it is.
func absent(kind string) error {
	var devices []string
	switch kind {
	case "cuda":
		devices = []string{"/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/dxg"} // dxg: Windows' Linux
	case "tpu":
		devices = []string{"/dev/accel[0-9]*", "/dev/vfio/[0-9]*"}
	default:
		return nil
	}
	for _, pattern := range devices {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return nil
		}
	}
	return fmt.Errorf("no %s device on this machine (%s)", strings.ToUpper(kind), strings.Join(devices, ", "))
}

// absolute is the path with the user's home in place of ~, which no shell expands inside GOMLX_BACKEND=xla:~/...
func absolute(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		return filepath.Join(home, rest), err
	}
	return filepath.Abs(path)
}
