package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// step is a training step, told to all workers alike.
type step struct {
	Method      string  `json:"method"`
	Images      int     `json:"images"` // a batch; both contrastive methods take two views of each
	Size        int     `json:"size"`   // of the images, in pixels
	Depth       int     `json:"depth"`  // of the ResNet
	Width       int     `json:"width"`
	Head        head    `json:"head"`
	Recipe      recipe  `json:"recipe"`
	Temperature float64 `json:"temperature"`
	Queue       int     `json:"queue,omitempty"`
	EMA         float64 `json:"ema,omitempty"`
	Rate        float64 `json:"rate"`
	Momentum    float64 `json:"momentum"`
	Decay       float64 `json:"decay"` // of weights; not of biases and norms
	Threads     int     `json:"threads"`
	Compile     bool    `json:"compile"` // for PyTorch: with torch.compile
	File        string  `json:"file"`    // of images, uint8 [N, Size, Size, 3]
}

type head struct {
	Dims []int `json:"dims"`
	Norm bool  `json:"norm"` // as nn.NormMLP, else as nn.MLP
}

// recipe is random resized crop, flip, colour jitter in random order and grayscale, drawn for each image.
type recipe struct {
	Scale    float64    `json:"scale"`    // least share of the image's area
	Jitter   float64    `json:"jitter"`   // probability
	Strength [4]float64 `json:"strength"` // of brightness, contrast, saturation and hue
	Gray     float64    `json:"gray"`     // probability
}

// cifar is view.SimCLRCIFAR.
var cifar = recipe{Scale: 0.08, Jitter: 0.8, Strength: [4]float64{0.4, 0.4, 0.4, 0.1}, Gray: 0.2}

const threads = 2

var steps = map[string]step{
	"simclr": {
		Method: "simclr", Images: 128, Size: 32, Depth: 14, Width: 16, Head: head{[]int{64, 128}, true}, Recipe: cifar,
		Temperature: 0.5, Rate: 0.05, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"moco": {
		Method: "moco", Images: 256, Size: 32, Depth: 14, Width: 16, Head: head{[]int{64, 128}, false}, Recipe: cifar,
		Temperature: 0.2, Queue: 65536, EMA: 0.999, Rate: 0.03, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
}

func stepNames() []string { return slices.Sorted(maps.Keys(steps)) }

func (s step) about() string {
	about := fmt.Sprintf("%d views of %dx%dx3, ResNet(%d, %d)", 2*s.Images, s.Size, s.Size, s.Depth, s.Width)
	if s.Queue > 0 {
		about += fmt.Sprintf(", a queue of %d keys", s.Queue)
	}
	return fmt.Sprintf("%s, %d threads", about, s.Threads)
}

// method is the step in this library.
func (s step) method() (sslkit.Method, error) {
	backbone := nn.ResNet(s.Depth, s.Width)
	dim := s.Head.Dims[1]
	switch s.Method {
	case "simclr":
		m := sslkit.SimCLRCIFAR(backbone)
		m.Dim, m.Temperature = dim, s.Temperature
		return m, nil
	case "moco":
		m := sslkit.MoCoV2(backbone)
		m.View = sslkit.SimCLRCIFAR(backbone).View
		m.Dim, m.Queue, m.Momentum, m.Temperature, m.Split = dim, s.Queue, s.EMA, s.Temperature, 1
		return m, nil
	}
	return nil, fmt.Errorf("no method for the step %q", s.Method)
}

const workerArgument = "worker"

// work is this library's worker: it pretrains as users do, and between steps waits for its orders. See worker.py.
func work(config string, orders io.Reader, out io.Writer) error {
	var s step
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	method, err := s.method()
	if err != nil {
		return err
	}
	backend, _, err := pjrt.Open()
	if err != nil {
		return err
	}
	source, err := readImages(s.File, s.Size)
	if err != nil {
		return err
	}
	loader, err := data.Batches(source, data.Options{Batch: s.Images, Shuffle: true, Seed: 1})
	if err != nil {
		return err
	}
	r := &sslkit.Run{
		Method: method, Backend: backend, Train: loader, Epochs: 1 << 20, Seed: 1,
		Optimizer: optim.SGD{Rate: optim.Constant(s.Rate), Momentum: s.Momentum, WeightDecay: s.Decay},
	}
	ctx, stop := context.WithCancel(context.Background())
	lines, answers := bufio.NewScanner(orders), json.NewEncoder(out)
	var left, taken int
	var wall, spent float64
	r.Progress = func(p sslkit.Progress) {
		taken++
		switch {
		case taken < warm || ctx.Err() != nil:
			return
		case taken == warm:
			err = answers.Encode(facts{Parameters: parameters(r), Loss: p.Loss, Peak: peak()})
			err = errors.Join(err, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
		default:
			if left--; left > 0 {
				return
			}
			err = answers.Encode(sample{Wall: now() - wall, CPU: cpu() - spent, Peak: peak(), Loss: p.Loss})
		}
		if err == nil && lines.Scan() {
			left, err = strconv.Atoi(lines.Text())
			wall, spent = now(), cpu()
		} else {
			stop()
		}
	}
	if _, pretrain := r.Pretrain(ctx); !errors.Is(pretrain, sslkit.ErrInterrupted) {
		return pretrain
	}
	return err
}

const warm = 2 // steps to compile and warm up

func parameters(r *sslkit.Run) int {
	n := 0
	for v := range r.Store.IterVariables() {
		if v.Trainable {
			n += v.Shape().Size()
		}
	}
	return n
}

var began = time.Now()

func now() float64 { return time.Since(began).Seconds() }

func cpu() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}

// peak is the peak of resident memory in bytes since the start, or since clear_refs was written.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, high, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(high)
	if len(fields) == 0 {
		return 0
	}
	kB, _ := strconv.ParseFloat(fields[0], 64)
	return kB * 1024
}
