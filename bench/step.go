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

	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/view"
)

// step is a training step, told to all workers alike.
type step struct {
	Method      string      `json:"method"`
	Images      int         `json:"images"` // a batch; of each image there are two views, but for the masked autoencoder
	Size        int         `json:"size"`   // of the images, in pixels
	Depth       int         `json:"depth"`  // of the ResNet or ViT
	Width       int         `json:"width"`
	Head        head        `json:"head"`
	Recipe      view.Recipe `json:"recipe"`
	Temperature float64     `json:"temperature"`
	Queue       int         `json:"queue,omitempty"`
	EMA         float64     `json:"ema,omitempty"`

	// Of SwAV.
	Prototypes int        `json:"prototypes,omitempty"`
	Epsilon    float64    `json:"epsilon,omitempty"`
	SmallCrops int        `json:"small_crops,omitempty"`
	SmallSize  int        `json:"small_size,omitempty"`
	SmallScale [2]float64 `json:"small_scale"`

	// Of the masked autoencoder.
	Patch        int     `json:"patch,omitempty"`
	Mask         float64 `json:"mask,omitempty"`
	DecoderDepth int     `json:"decoder_depth,omitempty"`
	DecoderWidth int     `json:"decoder_width,omitempty"`
	Pad          int     `json:"pad,omitempty"` // it shifts and flips

	Optimizer string  `json:"optimizer"` // "sgd" or "adamw"
	Rate      float64 `json:"rate"`
	Momentum  float64 `json:"momentum"` // AdamW's first beta
	Beta2     float64 `json:"beta2,omitempty"`
	Decay     float64 `json:"decay"` // of weights; not of biases and norms

	Threads int    `json:"threads"`
	Compile bool   `json:"compile"` // for PyTorch: with torch.compile
	File    string `json:"file"`    // of images, uint8 [N, Size, Size, 3]
}

type head struct {
	Dims []int  `json:"dims"`
	Norm string `json:"norm"` // after which layers there is a batch norm: "all", of nn.NormMLP, "hidden" or "none"
}

const threads = 2

var steps = map[string]step{
	"simclr": {
		Method: "simclr", Images: 128, Size: 32, Depth: 14, Width: 16, Head: head{[]int{64, 128}, "all"}, Recipe: view.SimCLRCIFAR(),
		Temperature: 0.5, Optimizer: "sgd", Rate: 0.05, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"moco": {
		Method: "moco", Images: 256, Size: 32, Depth: 14, Width: 16, Head: head{[]int{64, 128}, "none"}, Recipe: view.SimCLRCIFAR(),
		Temperature: 0.2, Queue: 65536, EMA: 0.999, Optimizer: "sgd", Rate: 0.03, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"swav": {
		Method: "swav", Images: 128, Size: 32, Depth: 14, Width: 16, Head: head{[]int{512, 128}, "hidden"}, Recipe: view.SimCLRCIFAR(),
		Temperature: 0.1, Prototypes: 500, Epsilon: 0.05, SmallCrops: 6, SmallSize: 13, SmallScale: [2]float64{0.05, 0.14},
		Optimizer: "sgd", Rate: 0.03, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"mae": {
		Method: "mae", Images: 256, Size: 32, Depth: 4, Width: 96, Patch: 4, Mask: 0.75, DecoderDepth: 2, DecoderWidth: 64, Pad: 2,
		Optimizer: "adamw", Rate: 5e-4, Momentum: 0.9, Beta2: 0.95, Decay: 0.05, Threads: threads,
	},
}

func stepNames() []string { return slices.Sorted(maps.Keys(steps)) }

func (s step) about() string {
	if s.Method == "mae" {
		return fmt.Sprintf("%d images of %dx%dx3, ViT(%d, %d, %d), %g of the patches hidden, %d threads",
			s.Images, s.Size, s.Size, s.Depth, s.Width, s.Patch, s.Mask, s.Threads)
	}
	about := fmt.Sprintf("%d views of %dx%dx3, ResNet(%d, %d), %d threads", 2*s.Images, s.Size, s.Size, s.Depth, s.Width, s.Threads)
	if s.SmallCrops > 0 {
		about += fmt.Sprintf(", %d of %dx%d", s.SmallCrops*s.Images, s.SmallSize, s.SmallSize)
	}
	if s.Queue > 0 {
		about += fmt.Sprintf(", a queue of %d keys", s.Queue)
	}
	return about
}

// method is the step in this library.
func (s step) method() (sslkit.Method, error) {
	backbone := nn.ResNet(s.Depth, s.Width)
	switch s.Method {
	case "simclr":
		m := sslkit.SimCLRCIFAR(backbone)
		m.View, m.Dim, m.Temperature = s.Recipe, s.Head.Dims[1], s.Temperature
		return m, nil
	case "moco":
		m := sslkit.MoCoV2(backbone)
		m.View, m.Dim, m.Queue, m.Momentum, m.Temperature, m.Split = s.Recipe, s.Head.Dims[1], s.Queue, s.EMA, s.Temperature, 1
		return m, nil
	case "swav":
		m := sslkit.SwAVMultiCrop(backbone, s.Size)
		m.View, m.FreezeEpochs = s.Recipe, 0
		m.Hidden, m.Dim, m.Prototypes, m.Temperature, m.Epsilon = s.Head.Dims[0], s.Head.Dims[1], s.Prototypes, s.Temperature, s.Epsilon
		m.SmallCrops, m.SmallSize, m.SmallMin, m.SmallMax = s.SmallCrops, s.SmallSize, s.SmallScale[0], s.SmallScale[1]
		return m, nil
	case "mae":
		m := sslkit.SmallMAE(nn.ViT(s.Depth, s.Width, s.Patch))
		m.Mask, m.DecoderDepth, m.DecoderWidth, m.Pad = s.Mask, s.DecoderDepth, s.DecoderWidth, s.Pad
		return m, nil
	}
	return nil, fmt.Errorf("no method for the step %q", s.Method)
}

func (s step) optimizer() optimizer.Interface {
	rate := optim.Constant(s.Rate)
	if s.Optimizer == "adamw" {
		return optim.AdamW{Rate: rate, Beta1: s.Momentum, Beta2: s.Beta2, WeightDecay: s.Decay}
	}
	return optim.SGD{Rate: rate, Momentum: s.Momentum, WeightDecay: s.Decay}
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
	r := &sslkit.Run{Method: method, Backend: backend, Train: loader, Optimizer: s.optimizer(), Epochs: 1 << 20, Seed: 1}
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
