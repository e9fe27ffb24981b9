package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit/view"
)

// row is what is compared under a name: one step, or one that grows.
type row struct {
	with  string // the workers, where none are named
	steps []step
	grows string // what grows, and
	at    []int  // how large it is in each step
}

// rows are all that -steps names.
func rows() map[string]row {
	all := map[string]row{}
	for name, s := range steps {
		all[name] = row{with: "go,jax,torch", steps: []step{s}}
	}
	for name, s := range gpuSteps {
		all[name] = row{with: "go,jax,torch-compiled", steps: []step{s}}
		s.Precision = "bf16"
		all[name+"-bf16"] = row{with: "go,jax,torch-compiled", steps: []step{s}}
	}
	all["epoch"] = row{with: "go,lightly", steps: []step{epochStep}}
	all["knn"] = row{with: "go,sklearn,faiss", steps: []step{{Method: "knn", Threads: threads, Evaluation: &evaluation{Train: 10000, Test: 2000, Dims: 64, Classes: 10, K: 20, Temperature: 0.07}}}}
	all["probe"] = row{with: "go,sklearn", steps: []step{{Method: "probe", Threads: threads, Evaluation: &evaluation{Train: 10000, Test: 2000, Dims: 64, Classes: 10, L2: 1e-3, Iterations: 200}}}}
	all["kmeans"] = row{with: "go,sklearn,faiss", steps: []step{{Method: "kmeans", Threads: threads, Evaluation: &evaluation{Train: 20000, Dims: 64, Classes: 100, K: 250, Iterations: 20}}}}
	grow := func(name, of, what string, set func(s *step, n int), at ...int) {
		r := row{with: "go,torch", grows: what, at: at}
		for _, n := range at {
			s := steps[of]
			set(&s, n)
			r.steps = append(r.steps, s)
		}
		all[name] = r
	}
	grow("grow-batch", "simclr", "images a step", func(s *step, n int) { s.Images = n }, 32, 64, 128, 256, 512)
	grow("grow-images", "simclr", "images of each photo", func(s *step, n int) { s.PerPhoto = n }, 7, 27, 108, 432)
	grow("grow-queue", "moco", "keys", func(s *step, n int) { s.Queue = n }, 1024, 4096, 16384, 65536)
	grow("grow-width", "simclr", "channels", func(s *step, n int) { s.Width = n }, 8, 16, 32, 64)
	return all
}

func rowNames() []string { return slices.Sorted(maps.Keys(rows())) }

// rowsOf are the rows of a list of names, "gpu" for all those of an accelerator, with the peaks before what is held against them.
func rowsOf(names string) (picked []string, all map[string]row, err error) {
	all = rows()
	for _, name := range strings.Split(names, ",") {
		if name == "gpu" {
			for _, peaks := range []bool{true, false} {
				for _, n := range rowNames() {
					if strings.HasPrefix(n, "gpu-") && strings.HasPrefix(n, "gpu-matmul") == peaks {
						picked = append(picked, n)
					}
				}
			}
			continue
		}
		if _, known := all[name]; !known {
			return nil, nil, fmt.Errorf("there is no step %q, only %s", name, strings.Join(rowNames(), ", "))
		}
		picked = append(picked, name)
	}
	return picked, all, nil
}

// epochStep is SimCLR as users of it and of lightly train it: files in a folder, decoded and changed by each one's own means.
var epochStep = step{
	Method: "epoch", Images: 128, Size: 32, Depth: 14, Width: 16, Head: head{[]int{64, 128}, "all"}, Recipe: view.SimCLRCIFAR(),
	Temperature: 0.5, Optimizer: "sgd", Rate: 0.05, Momentum: 0.9, Decay: 1e-4, Threads: threads,
}

// gpuSteps are those of `make bench-gpu`, in float32 and, with "-bf16" after their names, with products in bfloat16.
var gpuSteps = map[string]step{
	"gpu-matmul": {Method: "matmul", Size: 8192},
	"gpu-simclr": {
		Method: "simclr", Arch: "resnet18", Images: 512, Size: 32, Depth: 18, Width: 64, Head: head{[]int{512, 128}, "all"}, Recipe: view.SimCLRCIFAR(),
		Temperature: 0.5, Optimizer: "sgd", Rate: 0.05, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"gpu-moco": {
		Method: "moco", Arch: "resnet18", Images: 512, Size: 32, Depth: 18, Width: 64, Head: head{[]int{512, 128}, "none"}, Recipe: view.SimCLRCIFAR(),
		Temperature: 0.2, Queue: 65536, EMA: 0.999, Optimizer: "sgd", Rate: 0.03, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"gpu-dino": {
		Method: "dino", Arch: "resnet18", Images: 512, Size: 32, Depth: 18, Width: 64, Head: head{[]int{2048, 256}, "dino"}, Recipe: view.SimCLRCIFAR(),
		Prototypes: 4096, Student: 0.1, Teacher: 0.04, Center: 0.9, EMA: 0.996, Optimizer: "sgd", Rate: 0.03, Momentum: 0.9, Decay: 1e-4, Threads: threads,
	},
	"gpu-mae": { // ViT-S on images of 32 pixels
		Method: "mae", Images: 512, Size: 32, Depth: 12, Width: 384, Patch: 4, Mask: 0.75, DecoderDepth: 2, DecoderWidth: 192, Pad: 2,
		Optimizer: "adamw", Rate: 5e-4, Momentum: 0.9, Beta2: 0.95, Decay: 0.05, Threads: threads,
	},
}

// operations are the multiplications and additions of a step's products, forward and backward, each counted; what is not a
// product is left out, as in a processor's peak.
func (s step) operations() float64 {
	const both = 3 // a gradient costs as much as the forward pass, once for what goes in and once for the weights
	n := float64(s.Images)
	switch s.Method {
	case "matmul":
		return products * 2 * float64(s.Size) * float64(s.Size) * float64(s.Size)
	case "mae":
		grid := float64(s.Size / s.Patch * (s.Size / s.Patch))
		pixels := float64(s.Patch * s.Patch * 3)
		seen := grid - float64(int(s.Mask*grid+0.5))
		block := func(l, d float64) float64 { return 2 * l * (12*d*d + 2*l*d) } // qkv, out, two of the MLP; scores and their sum
		forward := 2*seen*pixels*float64(s.Width) + float64(s.Depth)*block(seen, float64(s.Width)) +
			2*seen*float64(s.Width*s.DecoderWidth) + float64(s.DecoderDepth)*block(grid, float64(s.DecoderWidth)) + 2*grid*float64(s.DecoderWidth)*pixels
		return both * n * forward
	}
	forward := s.convolutions() + s.headProducts()
	switch s.Method {
	case "simclr":
		return both * 2 * n * forward
	case "moco": // the keys are not trained; each query meets the queue
		return n * (both*forward + forward + both*2*float64(s.Head.Dims[len(s.Head.Dims)-1]*s.Queue))
	case "dino":
		return 2 * n * (both + 1) * forward
	}
	return 0
}

// convolutions counts those of an image's forward pass.
func (s step) convolutions() (sum float64) {
	blocks, stages := (s.Depth-2)/6, 3
	if s.Arch == "resnet18" {
		blocks, stages = 2, 4
	}
	side, in := float64(s.Size), float64(s.Width)
	conv := func(kernel, in, out float64) { sum += 2 * kernel * kernel * in * out * side * side }
	conv(3, 3, in)
	for i := range stages {
		out := float64(s.Width << i)
		for j := range blocks {
			if i > 0 && j == 0 {
				side /= 2
				if s.Arch == "resnet18" {
					conv(1, in, out)
				}
			}
			conv(3, in, out)
			conv(3, out, out)
			in = out
		}
	}
	return sum
}

func (s step) headProducts() (sum float64) {
	in := s.Width << 2
	if s.Arch == "resnet18" {
		in = s.Width << 3
	}
	dims := s.Head.Dims
	if s.Head.Norm == "dino" {
		dims = []int{s.Head.Dims[0], s.Head.Dims[0], s.Head.Dims[1], s.Prototypes}
	}
	for _, d := range dims {
		sum += 2 * float64(in*d)
		in = d
	}
	return sum
}

// tiny is s with the least work that is still that step.
func (s step) tiny() step {
	s.PerPhoto = 1
	if s.Method == "matmul" {
		s.Size = 16
		return s
	}
	if s.Evaluation != nil {
		e := *s.Evaluation
		e.Train, e.Test, e.Classes, e.K = 40*min(e.Classes, 2), min(e.Test, 20), min(e.Classes, 2), min(e.K, 5)
		s.Evaluation = &e
		return s
	}
	s.Images, s.Size = 8, 8
	if s.Queue > 0 {
		s.Queue = 32
	}
	if s.SmallCrops > 0 {
		s.SmallSize, s.Prototypes, s.Head.Dims = 4, 16, []int{16, 8}
	}
	if s.Method == "dino" {
		s.Prototypes, s.Head.Dims = 16, []int{16, 8}
	}
	if s.Method == "epoch" { // of 18 steps
		s.Size = 16
	}
	features := 16
	switch {
	case s.Patch > 0:
		s.Depth, s.Width, s.DecoderDepth, s.DecoderWidth = 1, 32, 1, 32
	case s.Arch == "resnet18":
		s.Width, features = 4, 32
	default:
		s.Depth, s.Width = 8, 4
	}
	if s.Method == "simclr" || s.Method == "moco" || s.Method == "epoch" { // whose hidden layer is as wide as the features
		s.Head.Dims = []int{features, s.Head.Dims[1]}
	}
	return s
}
