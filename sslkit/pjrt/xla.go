//go:build !noxla && cgo

package pjrt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	goxla "github.com/gomlx/go-xla/installer"
	"github.com/gomlx/go-xla/pjrt"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

var errNoXLA error // this build has it

const (
	xlaFlags = "XLA_FLAGS"
	// A CPU's client is there in a fifth of a second, after the file has been read; an accelerator's may take half a minute.
	cpuTimeout, acceleratorTimeout = 20 * time.Second, time.Minute
)

// load verifies a plugin and opens it with the options, ",noshared_buffers" say.
func load(c candidate, options string) (loaded, error) {
	if err := checkFile(c.path); err != nil {
		return loaded{}, err
	}
	v, err := recall(c.path)
	if err != nil {
		return loaded{}, err
	}
	isPinned, err := v.is(pinned)
	if err != nil {
		return loaded{}, err
	}
	if dir, err := cacheDir(); err == nil && c.path == filepath.Join(dir, pinned.file) && !isPinned {
		return loaded{}, fmt.Errorf("its checksum is not that of %s %s: remove it", pinned.project, pinned.version)
	}
	config, cleanUp, err := pluginConfig(c, options)
	if err != nil {
		return loaded{}, err
	}
	defer cleanUp()

	// Flags of the user's may abort the process too, so only the pinned plugin without them goes untried.
	before, wasSet := os.LookupEnv(xlaFlags)
	flags, wantFlag := before, false
	if c.kind == "cpu" {
		flags, wantFlag = withFusionFlag(before)
	}
	platform, note := "cpu", "its checksum is the pinned one"
	if !isPinned || strings.TrimSpace(before) != "" {
		note = "it worked in a child process"
		platform, err = v.try(config, options, flags)
		if err != nil && wantFlag && strings.Contains(err.Error(), strings.TrimSuffix(fusionFlag, "=")) { // not known to it
			flags, wantFlag = before, false
			platform, err = v.try(config, options, flags)
		}
		if err != nil && strings.Contains(err.Error(), "Unknown flag") {
			err = fmt.Errorf("%w: %w", errFlags, err)
		}
		if err != nil {
			return loaded{}, err
		}
	}
	if wantFlag {
		// The plugin reads the variable once, while it makes its client. After that other programs that this one starts
		// shall not find it: they may be JAX of another age.
		if err := os.Setenv(xlaFlags, flags); err != nil {
			return loaded{}, err
		}
		defer func() {
			if wasSet {
				os.Setenv(xlaFlags, before)
			} else {
				os.Unsetenv(xlaFlags)
			}
		}()
		note += "; with XLA's own convolutions (" + fusionFlag + ")"
	}
	got := loaded{kind: "xla:" + platform, note: note}
	if platform == "cpu" {
		got.loadConv(config, isPinned || v.conv)
	}
	if got.backend, err = xla.New(config); err != nil {
		return loaded{}, err
	}
	return got, nil
}

// installers are the ways to a CPU plugin, in order.
func installers(force bool) []installer {
	dir, err := cacheDir()
	if err != nil {
		return []installer{{"installation", func(context.Context) (string, error) { return "", err }}}
	}
	s := setup{dir: dir, want: pinned, download: pipDownload, now: time.Now, force: force}
	return []installer{{"pip (" + pinned.project + ")", s.pip}, {"go-xla's installer", s.goxla}}
}

// goxla runs go-xla's installer, in a child process since it cannot be interrupted. It verifies no checksum: what it
// brings is tried in a child process like any other plugin.
func (s setup) goxla(ctx context.Context) (path string, err error) {
	if !online() {
		return "", errors.New("there is no network")
	}
	name := "pjrt_c_api_cpu_" + pjrt.DefaultCPUVersion + "_plugin.so" // of that name on macOS too
	if runtime.GOOS == "windows" {
		name = strings.TrimSuffix(name, ".so") + ".dll"
	}
	path = filepath.Join(s.dir, name)
	err = s.once(ctx, "goxla", func(ctx context.Context) error {
		if !s.force && checkFile(path) == nil {
			return nil // another process was faster
		}
		work, err := os.MkdirTemp(s.dir, workPattern)
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		ctx, cancel := context.WithTimeout(ctx, goxlaTimeout)
		defer cancel()
		progress("fetching XLA's CPU compiler with go-xla's installer, for %v at most", goxlaTimeout)
		if _, err := runChild(ctx, "install:"+work, "TMPDIR="+work); err != nil {
			return err
		}
		return os.Rename(filepath.Join(work, name), path)
	})
	return path, err
}

// pluginConfig is the backend's configuration for a plugin. go-xla takes a plugin for CUDA's or for the CPU's by the words
// in its whole path and cuts the path at a comma, so that a CPU plugin below a folder /home/nvidia gets CUDA's options.
// Such a plugin is loaded through a link elsewhere, for which cleanUp is. An accelerator's is not, since it finds its
// libraries beside its path.
func pluginConfig(c candidate, options string) (config string, cleanUp func(), err error) {
	cleanUp = func() {}
	config = c.path
	folder := filepath.Dir(c.path)
	switch {
	case c.kind == "cpu" && (pjrt.IsCUDAName(folder) || strings.Contains(folder, ",")):
		dir, err := os.MkdirTemp("", "pjrt-")
		if err != nil {
			return "", cleanUp, err
		}
		cleanUp = func() { os.RemoveAll(dir) }
		config = filepath.Join(dir, "cpu.so")
		if err := os.Symlink(c.path, config); err != nil {
			cleanUp()
			return "", func() {}, err
		}
	case c.kind != "cpu" && strings.Contains(strings.ToUpper(c.path), "CPU") && !strings.Contains(options, "shared_buffers"):
		options += ",noshared_buffers"
	}
	return config + options, cleanUp, nil
}

// try opens the plugin in a child process, unless that is known from before in the same circumstances, and returns the
// platform that it computes on.
func (v *verdict) try(config, options, flags string) (platform string, err error) {
	key := strings.Join([]string{options, flags, os.Getenv("CUDA_VISIBLE_DEVICES"), os.Getenv("LD_LIBRARY_PATH"), conv.Version}, "|")
	start := time.Now()
	known := v.Trials[key]
	if known.Platform != "" {
		v.conv = known.Conv == conv.Version
		return known.Platform, nil
	}
	if known.Failed.holds(start) {
		file, _ := verdictFile(v.Path) // where it was read from
		return "", known.Failed.again(file)
	}
	timeout := acceleratorTimeout
	if kindOf(v.Path) == "cpu" {
		timeout = cpuTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	t := trial{}
	a, err := tryInChild(ctx, config, flags)
	t.Platform, t.Conv = a.Platform, a.Conv
	v.conv = a.Conv == conv.Version
	if err != nil {
		t.Failed = failure{start, oneLine(err)}
	}
	if err == nil || time.Since(start) > slow {
		if v.Trials == nil {
			v.Trials = map[string]trial{}
		}
		v.Trials[key] = t
		v.remember()
	}
	return t.Platform, err
}

// childEnv tells this program, started by itself, what to do in place of its own work: "try:CONFIG" or "install:FOLDER".
const childEnv = "SSLKIT_PJRT_CHILD"

// childAnswer starts the line of standard output that holds the child's answer.
const childAnswer = "sslkit-pjrt-child: "

type answer struct {
	Platform string `json:"platform,omitempty"`
	Conv     string `json:"conv,omitempty"` // conv.Version, where its kernels work in the plugin
	Err      string `json:"error,omitempty"`
}

// init is where the child process does its work and ends, before the main function of whatever program this is: a
// command, a notebook's cell, a test.
func init() {
	task := os.Getenv(childEnv)
	if task == "" {
		return
	}
	os.Unsetenv(childEnv)
	time.AfterFunc(installTimeout+acceleratorTimeout, func() { os.Exit(1) }) // should the parent be gone
	var a answer
	var err error
	if config, ok := strings.CutPrefix(task, "try:"); ok {
		if a.Platform, err = tryHere(config); a.Platform == "cpu" {
			a.say() // should the process not outlive what comes now
			a.Conv = tryConvHere(config)
		}
	} else if folder, ok := strings.CutPrefix(task, "install:"); ok {
		err = goxla.CPUAutoInstall(folder, false, goxla.Quiet)
	} else {
		err = fmt.Errorf("%s=%q: unknown task", childEnv, task)
	}
	if err != nil {
		a.Err = oneLine(err)
	}
	a.say()
	os.Exit(0)
}

// say writes an answer for the parent, which takes the last.
func (a answer) say() {
	data, _ := json.Marshal(a) // strings: cannot fail
	fmt.Printf("\n%s%s\n", childAnswer, data)
}

// tryHere opens a plugin in this process and computes with it.
func tryHere(config string) (platform string, err error) {
	b, err := xla.New(config)
	if err != nil {
		return "", err
	}
	sum, err := add(b, 1, 2)
	if err != nil {
		return "", err
	}
	if sum != 3 {
		return "", fmt.Errorf("it computes 1+2 = %v", sum)
	}
	path, _, _ := strings.Cut(config, ",")
	if kind := kindOf(path); kind == "cpu" || kind == "cuda" || kind == "tpu" {
		return kind, nil
	}
	plugin, err := pjrt.GetPlugin(path) // loaded already: only looked up
	if err != nil {
		return "", err
	}
	client, err := plugin.NewClient(nil)
	if err != nil {
		return "", err
	}
	return strings.ToLower(client.Platform()), nil
}

// add computes x+y on the backend.
func add(b compute.Backend, x, y float32) (float32, error) {
	builder := b.Builder("add")
	main := builder.Main()
	scalar := shapes.Make(dtypes.Float32)
	var operands [2]compute.Value
	var inputs [2]compute.Buffer
	for i, v := range []float32{x, y} {
		var err error
		if operands[i], err = main.Parameter(string("xy"[i]), scalar, nil); err != nil {
			return 0, err
		}
		if inputs[i], err = b.BufferFromFlatData(0, []float32{v}, scalar); err != nil {
			return 0, err
		}
	}
	z, err := main.Add(operands[0], operands[1])
	if err != nil {
		return 0, err
	}
	if err := main.Return([]compute.Value{z}, nil); err != nil {
		return 0, err
	}
	program, err := builder.Compile()
	if err != nil {
		return 0, err
	}
	defer program.Finalize()
	outputs, err := program.Execute(inputs[:], nil, 0)
	if err != nil {
		return 0, err
	}
	sum := make([]float32, 1)
	err = outputs[0].ToFlatData(sum)
	return sum[0], err
}

// tryInChild opens the plugin in a child process with the given XLA_FLAGS.
func tryInChild(ctx context.Context, config, flags string) (answer, error) {
	return runChild(ctx, "try:"+config, xlaFlags+"="+flags)
}

// runChild starts this program again for a task and returns its answer, or an error that says how it ended.
func runChild(ctx context.Context, task string, env ...string) (answer, error) {
	self, err := os.Executable()
	if runtime.GOOS == "linux" {
		self, err = "/proc/self/exe", nil // works also where the file was replaced or removed since
	}
	if err != nil {
		return answer{}, err
	}
	cmd := exec.CommandContext(ctx, self)
	// No traceback: what the plugin said before it died is what matters.
	cmd.Env = append(os.Environ(), slices.Concat(env, []string{childEnv + "=" + task, "GOTRACEBACK=none"})...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // for grandchildren that hold the pipes
	runErr := cmd.Run()
	for _, line := range slices.Backward(slices.Collect(strings.Lines(stdout.String()))) {
		if data, ok := strings.CutPrefix(line, childAnswer); ok {
			var a answer
			if err := json.Unmarshal([]byte(data), &a); err != nil {
				return answer{}, fmt.Errorf("in a child process: %w", err)
			}
			if a.Err != "" {
				return a, errors.New("in a child process: " + a.Err)
			}
			return a, nil
		}
	}
	if ctx.Err() != nil {
		return answer{}, fmt.Errorf("in a child process: no answer in time: %w", ctx.Err())
	}
	return answer{}, fmt.Errorf("in a child process: it died (%v; it wrote %q)", runErr, lastWords(stderr.String())) //nolint:errorlint // nil where it exits with 0 and no answer
}

// lastWords picks from what a dead process wrote the line that says most: a fatal message of XLA's logger ("F0000 ...") or
// its complaint about a flag, else the first line.
func lastWords(stderr string) string {
	first := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if len(line) > 1 && line[0] == 'F' && line[1] >= '0' && line[1] <= '9' || strings.Contains(line, "Unknown flag") {
			return line
		}
		if first == "" && line != "" && !strings.HasPrefix(line, "WARNING: All log messages") {
			first = line
		}
	}
	return first
}
