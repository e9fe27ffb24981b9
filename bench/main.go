// Bench takes the same training steps in this library, JAX and PyTorch, one process each, in turns, and prints what they cost:
//
//	make bench
//	go run ./bench -steps simclr -rounds 9 -with go,jax
//	go run ./bench -steps epoch,knn,probe,kmeans,grow-batch
//	go run ./bench -steps mae,moco,simclr,swav -parts
//
// Besides steps there are: a whole epoch over a folder, as users train, beside lightly; evaluations of features beside
// scikit-learn and faiss; steps of which one size grows; and, with -steps gpu, those of `make bench-gpu`. See bench/README.md.
//
// A step is all that training repeats: from a batch of uint8 images over the random views, the encoder, the loss and its
// gradients to the update. Shapes, parameters, views and float32 are the same everywhere. Ratios are those of rounds, in
// which the workers follow one another directly, so that a machine that slows down for a while slows all of them.
//
// It reads /proc, so it needs Linux.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
)

// facts are what a worker says when it is warm.
type facts struct {
	Parameters int     `json:"parameters"` // trained
	Loss       float64 `json:"loss"`
	Peak       float64 `json:"peak"` // resident bytes since the start, with compiling
}

// sample is what a worker says of some steps.
type sample struct {
	Wall float64 `json:"wall"` // seconds
	CPU  float64 `json:"cpu"`  // seconds, of all threads
	Peak float64 `json:"peak"` // resident bytes since the worker was warm
	Loss float64 `json:"loss"` // of the last step
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == workerArgument {
		exit(work(os.Args[2], os.Stdin, os.Stdout))
	}
	var o options
	flag.StringVar(&o.names, "steps", "mae,moco,simclr,swav", "what is compared, of "+strings.Join(rowNames(), ", ")+", and gpu for all of gpu-")
	flag.StringVar(&o.with, "with", "", "the workers, of "+workerNames+"; ratios are of the first to the others (default those that suit the step)")
	flag.StringVar(&o.device, "device", "", "of PyTorch: cuda or, empty, the CPU")
	flag.BoolVar(&o.tiny, "tiny", false, "the least work that is still that step, to see that it runs; its figures say nothing")
	flag.BoolVar(&o.inParts, "parts", false, "where the time of this library's steps goes, instead of a comparison")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds of measurement")
	flag.IntVar(&o.each, "each", 3, "steps a round")
	flag.StringVar(&o.python, "python", ".lab/bench-venv/bin/python", "with JAX and PyTorch; make bench installs it")
	flag.Parse()
	exit(o.run(os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

const workerNames = "go, go-xla (with XLA's own convolutions), jax, torch, torch-compiled, lightly, sklearn and faiss"

type options struct {
	names, with, python, device string
	rounds, each                int
	tiny, inParts               bool

	peak map[string]float64 // of products by precision, in operations a second, once they were measured
}

func (o options) run(out io.Writer) error {
	names, all, err := rowsOf(o.names)
	if err != nil {
		return err
	}
	o.peak = map[string]float64{}
	for _, name := range names {
		r := all[name]
		var grown [][]*worker
		for _, s := range r.steps {
			if o.inParts {
				if err := o.parts(s, out); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				continue
			}
			workers, err := o.compare(s, cmp.Or(o.with, r.with), out)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			grown = append(grown, workers)
		}
		if r.grows != "" && !o.inParts {
			reportGrowth(out, r, grown, o.each)
		}
	}
	return nil
}

// prepare writes what the step works on, and returns what removes it.
func (s *step) prepare() (remove func(), err error) {
	perPhoto := cmp.Or(s.PerPhoto, 27) // 4,000 images
	switch s.Method {
	case "matmul":
		return func() {}, nil
	case "epoch":
		s.File, err = writeFolder(s.Size, perPhoto)
	case "knn", "probe", "kmeans":
		s.File, err = s.Evaluation.writeFeatures()
	default:
		s.File, err = writeImages(s.Size, perPhoto)
	}
	return func() { os.RemoveAll(s.File) }, err
}

// compare starts the workers and lets them step in turns.
func (o options) compare(s step, with string, out io.Writer) ([]*worker, error) {
	s.Device = o.device
	if o.tiny {
		s = s.tiny()
	}
	remove, err := s.prepare()
	if err != nil {
		return nil, err
	}
	defer remove()
	var workers []*worker
	defer func() {
		for _, w := range workers {
			w.stop()
		}
	}()
	fmt.Fprintf(out, "%s: %s\n", s.Method, s.about())
	for _, name := range strings.Split(with, ",") {
		w, err := o.start(name, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		workers = append(workers, w)
		if w.Parameters != workers[0].Parameters {
			return nil, fmt.Errorf("%d parameters with %s, %d with %s: these are not the same steps",
				workers[0].Parameters, workers[0].name, w.Parameters, name)
		}
	}
	for round := range o.rounds {
		for i := range workers { // each of them is first, second, ... equally often
			w := workers[(i+round)%len(workers)]
			if err := w.take(o.each); err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	report(out, workers, o.each)
	o.reportRate(out, s, workers)
	return workers, nil
}

// worker is a process that has taken its first steps.
type worker struct {
	facts
	name    string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	samples []sample
}

func (o options) start(name string, s step) (*worker, error) {
	s.Compile, s.Library = name == "torch-compiled", name
	config, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	w := &worker{name: name}
	switch name {
	case "go", "go-xla":
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		w.command = exec.Command(self, workerArgument, string(config))
	case "jax", "torch", "torch-compiled":
		script, _, _ := strings.Cut(name, "-")
		w.command = exec.Command(o.python, "bench/"+script+"_steps.py", string(config))
	case "lightly":
		w.command = exec.Command(o.python, "bench/lightly_epoch.py", string(config))
	case "sklearn", "faiss":
		w.command = exec.Command(o.python, "bench/evaluate.py", string(config))
	default:
		return nil, errors.New("no such worker; there are " + workerNames)
	}
	// As env/lab sets it, for all.
	w.command.Env = append(os.Environ(), "GLIBC_TUNABLES="+cmp.Or(os.Getenv("GLIBC_TUNABLES"), "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"))
	if name == "go-xla" {
		w.command.Env = append(w.command.Env, "SSLKIT_CONV=xla")
	}
	w.command.Stderr = os.Stderr
	if w.in, err = w.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.command.Start(); err != nil {
		return nil, err
	}
	w.out = bufio.NewScanner(stdout)
	if err := w.read(&w.facts); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *worker) take(steps int) error {
	if _, err := fmt.Fprintln(w.in, steps); err != nil {
		return err
	}
	var s sample
	if err := w.read(&s); err != nil {
		return err
	}
	w.samples = append(w.samples, s)
	return nil
}

func (w *worker) read(line any) error {
	if !w.out.Scan() {
		return cmp.Or(w.out.Err(), errors.New("the worker stopped"))
	}
	return json.Unmarshal(w.out.Bytes(), line)
}

func (w *worker) stop() {
	w.in.Close()
	_ = w.command.Wait() // it ends with its input; an error of it has been shown
}

func report(out io.Writer, workers []*worker, each int) {
	wall := func(s sample) float64 { return s.Wall / float64(each) }
	cpu := func(s sample) float64 { return s.CPU / float64(each) }
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\twall s a step\tlowest\tCPU s a step\tlowest\tpeak MB stepping\twith compiling\tloss\t")
	for _, w := range workers {
		walls, cpus, last := of(w.samples, wall), of(w.samples, cpu), w.samples[len(w.samples)-1]
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.0f\t%.0f\t%.2f -> %.2f\t\n", w.name, median(walls), slices.Min(walls),
			median(cpus), slices.Min(cpus), last.Peak/1e6, max(last.Peak, w.Peak)/1e6, w.Loss, last.Loss)
	}
	t.Flush()
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	first := workers[0]
	for _, w := range workers[1:] {
		ratios := func(of func(sample) float64) string {
			r := make([]float64, len(w.samples))
			for i, s := range w.samples {
				r[i] = of(first.samples[i]) / of(s)
			}
			return fmt.Sprintf("%.2f (%.2f to %.2f)", median(r), slices.Min(r), slices.Max(r))
		}
		peak := first.samples[len(first.samples)-1].Peak / w.samples[len(w.samples)-1].Peak
		fmt.Fprintf(t, "%s / %s\twall %s\tCPU %s\tpeak %.2f\t\n", first.name, w.name, ratios(wall), ratios(cpu), peak)
	}
	t.Flush()
	fmt.Fprintln(out)
}

func of(samples []sample, f func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// reportRate says, of steps with images and of products, how many a second, and what share of the measured peak that is.
func (o options) reportRate(out io.Writer, s step, workers []*worker) {
	operations := s.operations()
	if operations == 0 || !strings.HasPrefix(s.Arch, "resnet18") && s.Method != "matmul" && s.Width < 192 {
		return // where the peak of products is not what bounds it
	}
	precision := cmp.Or(s.Precision, "float32")
	for _, w := range workers {
		seconds := median(of(w.samples, func(x sample) float64 { return x.Wall / float64(o.each) }))
		if s.Method == "matmul" {
			o.peak[precision] = max(o.peak[precision], operations/seconds)
			fmt.Fprintf(out, "%s: %.3g operations a second\n", w.name, operations/seconds)
			continue
		}
		fmt.Fprintf(out, "%s: %.0f images a second", w.name, float64(s.Images)/seconds)
		if peak := o.peak[precision]; peak > 0 {
			fmt.Fprintf(out, ", %.1f %% of the measured peak of products in %s", 100*operations/seconds/peak, precision)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}

// reportGrowth is a table of medians and peaks by what grows.
func reportGrowth(out io.Writer, r row, grown [][]*worker, each int) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\t", r.grows)
	for _, w := range grown[0] {
		fmt.Fprintf(t, "%s: wall s a step\tpeak MB\t", w.name)
	}
	fmt.Fprintln(t)
	for i, workers := range grown {
		fmt.Fprintf(t, "%d\t", r.at[i])
		for _, w := range workers {
			walls := of(w.samples, func(s sample) float64 { return s.Wall / float64(each) })
			fmt.Fprintf(t, "%.3f\t%.0f\t", median(walls), w.samples[len(w.samples)-1].Peak/1e6)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	fmt.Fprintln(out)
}
