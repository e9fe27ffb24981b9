package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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

	Threads   int    `json:"threads"`
	Compile   bool   `json:"compile"`             // for PyTorch: with torch.compile
	Device    string `json:"device,omitempty"`    // for PyTorch: "cuda" or, empty, the CPU; this library and JAX choose for themselves
	Precision string `json:"precision,omitempty"` // of products: "bf16" or, empty, float32
	Arch      string `json:"arch,omitempty"`      // "resnet18"; empty: ResNet(Depth, Width) or, of the masked autoencoder, a ViT
	PerPhoto  int    `json:"per_photo,omitempty"` // images made of each of the 148 photos; 0: 27
	File      string `json:"file"`                // of images, uint8 [N, Size, Size, 3]; a folder of them for an epoch; features for an evaluation

	// Of DINO.
	Student float64 `json:"student,omitempty"`
	Teacher float64 `json:"teacher,omitempty"`
	Center  float64 `json:"center,omitempty"`

	Evaluation *evaluation `json:"evaluation,omitempty"`
	Library    string      `json:"library,omitempty"` // for an evaluation in Python: the worker's name
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

func (s step) about() string {
	switch s.Method {
	case "epoch":
		return fmt.Sprintf("an epoch of SimCLR over a folder of PNG files of %dx%dx3, batches of %d, ResNet(%d, %d), %d threads or loader processes (whose memory is not counted)",
			s.Size, s.Size, s.Images, s.Depth, s.Width, s.Threads)
	case "knn", "probe", "kmeans":
		return s.Evaluation.about(s.Method)
	case "matmul":
		return fmt.Sprintf("%d products of matrices of %dx%d in a row, %s", products, s.Size, s.Size, cmp.Or(s.Precision, "float32"))
	case "mae":
		return fmt.Sprintf("%d images of %dx%dx3, ViT(%d, %d, %d), %g of the patches hidden, %d threads",
			s.Images, s.Size, s.Size, s.Depth, s.Width, s.Patch, s.Mask, s.Threads) + s.inPrecision()
	}
	network := fmt.Sprintf("ResNet(%d, %d)", s.Depth, s.Width)
	if s.Arch == "resnet18" {
		network = fmt.Sprintf("ResNet-18 of width %d", s.Width)
	}
	about := fmt.Sprintf("%d views of %dx%dx3, %s, %d threads", 2*s.Images, s.Size, s.Size, network, s.Threads)
	if s.SmallCrops > 0 {
		about += fmt.Sprintf(", %d of %dx%d", s.SmallCrops*s.Images, s.SmallSize, s.SmallSize)
	}
	if s.Queue > 0 {
		about += fmt.Sprintf(", a queue of %d keys", s.Queue)
	}
	return about + s.inPrecision()
}

func (s step) inPrecision() string {
	if s.Precision == "" {
		return ""
	}
	return ", products in " + s.Precision
}

// method is the step in this library.
func (s step) method() (sslkit.Method, error) {
	backbone := nn.ResNet(s.Depth, s.Width)
	if s.Arch == "resnet18" {
		backbone = nn.ResNet18(s.Width)
	}
	switch s.Method {
	case "dino":
		m := sslkit.SmallDINO(backbone)
		m.View, m.SmallCrops, m.Hidden, m.Bottleneck, m.Dim = s.Recipe, 0, s.Head.Dims[0], s.Head.Dims[1], s.Prototypes
		m.Student, m.Teacher, m.WarmTeacher, m.Momentum, m.Center, m.Freeze = s.Student, s.Teacher, s.Teacher, s.EMA, s.Center, 0
		return m, nil
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

// work is this library's worker: it pretrains as users do, or evaluates, and between steps waits for its orders. See worker.py.
func work(config string, orders io.Reader, out io.Writer) error {
	var s step
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	backend, _, err := pjrt.Open()
	if err != nil {
		return err
	}
	t := &turns{warm: warm, lines: bufio.NewScanner(orders), answers: json.NewEncoder(out)}
	switch s.Method {
	case "epoch":
		return s.epochs(t)
	case "knn", "probe", "kmeans":
		return s.Evaluation.repeat(s, backend, t)
	case "matmul":
		return s.multiply(backend, t)
	}
	method, err := s.method()
	if err != nil {
		return err
	}
	loader, err := s.loader()
	if err != nil {
		return err
	}
	r := &sslkit.Run{Method: method, Backend: backend, Train: loader, Optimizer: s.optimizer(), Epochs: 1 << 20, Seed: 1, Precision: s.Precision}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	t.parameters = func() int { return parameters(r) }
	r.Progress = func(p sslkit.Progress) {
		if ctx.Err() == nil && !t.taken(p.Loss) {
			stop()
		}
	}
	if _, pretrain := r.Pretrain(ctx); !errors.Is(pretrain, sslkit.ErrInterrupted) {
		return pretrain
	}
	return t.err
}

// loader has the batches of a step.
func (s step) loader() (*data.Loader, error) {
	source, err := readImages(s.File, s.Size)
	if err != nil {
		return nil, err
	}
	return data.Batches(source, data.Options{Batch: s.Images, Shuffle: true, Seed: 1})
}

// turns are what a worker is told to do and what it answers.
type turns struct {
	warm        int // units of work before the first answer
	parameters  func() int
	lines       *bufio.Scanner
	answers     *json.Encoder
	count, left int
	wall, spent float64
	err         error
}

// taken follows each unit of work, of this loss or other outcome, and reports whether there is to be another.
func (t *turns) taken(loss float64) bool {
	t.count++
	switch {
	case t.count < t.warm:
		return true
	case t.count == t.warm:
		f := facts{Loss: loss, Peak: peak()}
		if t.parameters != nil {
			f.Parameters = t.parameters()
		}
		t.err = errors.Join(t.answers.Encode(f), os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
	default:
		if t.left--; t.left > 0 {
			return true
		}
		t.err = t.answers.Encode(sample{Wall: now() - t.wall, CPU: cpu() - t.spent, Peak: peak(), Loss: loss})
	}
	if t.err != nil || !t.lines.Scan() {
		return false
	}
	t.left, t.err = strconv.Atoi(t.lines.Text())
	t.wall, t.spent = now(), cpu()
	return t.err == nil
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
