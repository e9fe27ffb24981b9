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
	l, err := open(c.path)
	if err != nil {
		return loaded{}, err
	}
	defer l.Close()
	isPinned, err := l.is(pinned)
	if err != nil {
		return loaded{}, err
	}
	if dir, err := cacheDir(); err == nil && c.path == filepath.Join(dir, pinned.file) && !isPinned {
		return loaded{}, fmt.Errorf("its checksum is not that of %s %s: remove it", pinned.project, pinned.version)
	}
	config, byName, cleanUp, err := pluginConfig(c, l, options)
	if err != nil {
		return loaded{}, err
	}
	defer cleanUp()
	if l.foreign != nil && (byName || !isPinned) {
		return loaded{}, l.foreign
	}
	v := l.recall()

	// Flags of the user's may abort the process too, so only the pinned plugin without them goes untried.
	before, wasSet := os.LookupEnv(xlaFlags)
	flags, wantFlag := before, false
	if c.kind == "cpu" {
		flags, wantFlag = withFusionFlag(before)
	}
	platform, note := "cpu", "its checksum, taken now, is the pinned one"
	if !isPinned || strings.TrimSpace(before) != "" {
		note = "it worked in a child process"
		platform, err = v.try(config, options, flags)
		if err != nil && wantFlag && strings.Contains(err.Error(), strings.TrimSuffix(fusionFlag, "=")) { // not known to it
			flags, wantFlag = before, false
			platform, err = v.try(config, options, flags)
		}
		if err != nil && strings.Contains(err.Error(), flagParser) {
			err = flagsError(before, err)
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
	if err := l.unchanged(byName); err != nil { // the child process may have taken a minute
		return loaded{}, err
	}
	got := loaded{kind: "xla:" + platform, note: note}
	if platform == "cpu" {
		got.loadConv(config, isPinned || v.conv)
	}
	if got.backend, err = xla.New(config); err != nil {
		return loaded{}, err
	}
	if err := l.unchanged(byName); err != nil {
		got.backend.Finalize()
		return loaded{}, err
	}
	return got, nil
}

// cpuDevices opens another client of the plugin of first, with n devices.
func cpuDevices(first compute.Backend, n int) (compute.Backend, error) {
	b, ok := first.(*xla.Backend)
	if !ok {
		return nil, fmt.Errorf("%s is no plugin's backend", first.Name())
	}
	// The plugin is loaded already, and found by the name that it was loaded by.
	return xla.NewWithOptions(b.Config(), pjrt.NamedValuesMap{"cpu_device_count": int64(n)})
}

// installers are the ways to a CPU plugin, in order.
func installers(force bool) []installer {
	dir, err := cacheDir()
	if err != nil {
		return []installer{{"installation", func(context.Context) (string, error) { return "", err }}}
	}
	s := setup{dir: dir, want: pinned, download: pipDownload, now: time.Now, force: force, unverified: os.Getenv(allowUnverified) != ""}
	return []installer{{"pip (" + pinned.project + ")", s.pip}, {"go-xla's installer", s.goxla}}
}

// goxla runs go-xla's installer, in a child process since it cannot be interrupted. It verifies no checksum, therefore the
// user has to allow it; what it brings is tried in a child process like any other plugin.
func (s setup) goxla(ctx context.Context) (path string, err error) {
	if !s.unverified {
		return "", fmt.Errorf("not asked, since it verifies no checksum of what it downloads and runs: sslkit backend --install --allow-unverified asks it, as %s=1 does", allowUnverified)
	}
	if !online() {
		return "", errors.New("there is no network")
	}
	name := "pjrt_c_api_cpu_" + pjrt.DefaultCPUVersion + "_plugin.so" // of that name on macOS too
	if runtime.GOOS == "windows" {
		name = strings.TrimSuffix(name, ".so") + ".dll"
	}
	path = filepath.Join(s.dir, name)
	err = s.once(ctx, "goxla", func(ctx context.Context) error {
		if l, err := open(path); err == nil && !s.force {
			return l.Close() // another process was faster
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

// pluginConfig is the backend's configuration for a plugin. A CPU plugin is loaded through a link, for which cleanUp is, to
// what was opened, so that nothing can come between checking and loading; byName says that it could not be so. go-xla also
// takes a plugin for CUDA's or for the CPU's by the words in its whole path and cuts the path at a comma, so that a CPU
// plugin below a folder /home/nvidia would get CUDA's options. An accelerator's is loaded by its name, since it finds its
// libraries beside its path.
func pluginConfig(c candidate, l *library, options string) (config string, byName bool, cleanUp func(), err error) {
	cleanUp = func() {}
	if c.kind != "cpu" {
		if strings.Contains(strings.ToUpper(c.path), "CPU") && !strings.Contains(options, "shared_buffers") {
			options += ",noshared_buffers"
		}
		return c.path + options, true, cleanUp, nil
	}
	target := l.descriptor()
	if target == "" {
		if folder := filepath.Dir(c.path); !pjrt.IsCUDAName(folder) && !strings.Contains(folder, ",") {
			return c.path + options, true, cleanUp, nil
		}
		target, byName = c.path, true
	}
	dir, err := os.MkdirTemp("", "pjrt-")
	if err != nil {
		return "", false, cleanUp, err
	}
	cleanUp = func() { os.RemoveAll(dir) }
	config = filepath.Join(dir, "cpu.so")
	if err := os.Symlink(target, config); err != nil {
		cleanUp()
		return "", false, func() {}, err
	}
	return config + options, byName, cleanUp, nil
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

// flagParser is the part of XLA that reads XLA_FLAGS. It ends the process at a flag that it does not know and at a value that
// it cannot read.
const flagParser = "parse_flags_from_env"

// flagsError names the flags of XLA_FLAGS that a plugin refused, if it named them.
func flagsError(flags string, err error) error {
	what := "a flag or value that XLA does not take"
	if _, named, found := strings.Cut(err.Error(), "in XLA_FLAGS: "); found {
		var unknown []string
		for _, f := range strings.Fields(named) {
			if name, _, _ := strings.Cut(strings.TrimRight(f, `")`), "="); name+"=" != fusionFlag { // that is not the user's
				unknown = append(unknown, name)
			}
		}
		what = strings.Join(unknown, " and ") + ", which XLA does not know"
	}
	return fmt.Errorf("%w %s: correct XLA_FLAGS=%q or unset it (%w)", errFlags, what, flags, err)
}

// lastWords picks from what a dead process wrote the line that says most: a fatal message of XLA's logger ("F0000 ...") or
// its complaint about a flag, else the first line.
func lastWords(stderr string) string {
	first := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if len(line) > 1 && line[0] == 'F' && line[1] >= '0' && line[1] <= '9' || strings.Contains(line, flagParser) {
			return line
		}
		if first == "" && line != "" && !strings.HasPrefix(line, "WARNING: All log messages") {
			first = line
		}
	}
	return first
}
