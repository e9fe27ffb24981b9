package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/cluster"
	"github.com/sslkit/lab/sslkit/eval"
	_ "github.com/sslkit/lab/sslkit/recipe" // registers the methods
	"github.com/sslkit/lab/sslkit/runs"
)

// evaluation is one of features: k-NN, a linear probe or k-means.
type evaluation struct {
	Train       int     `json:"train"` // rows
	Test        int     `json:"test"`
	Dims        int     `json:"dims"`
	Classes     int     `json:"classes"`
	K           int     `json:"k,omitempty"` // neighbours, or clusters, which begin at the first rows
	Temperature float64 `json:"temperature,omitempty"`
	L2          float64 `json:"l2,omitempty"`
	Iterations  int     `json:"iterations,omitempty"`
}

func (e *evaluation) about(method string) string {
	switch method {
	case "knn":
		return fmt.Sprintf("%d nearest of %d x %d for each of %d, two threads; in place of a loss, the accuracy", e.K, e.Train, e.Dims, e.Test)
	case "probe":
		return fmt.Sprintf("a linear probe with penalty %g on %d x %d, tested on %d, two threads; in place of a loss, the accuracy", e.L2, e.Train, e.Dims, e.Test)
	}
	return fmt.Sprintf("%d clusters of %d x %d, %d iterations from the same centres, two threads; in place of a loss, the mean squared distance", e.K, e.Train, e.Dims, e.Iterations)
}

// writeFeatures writes float32 [Train+Test, Dims] to a new file: noise around a centre for each class, row i being of class
// i modulo Classes.
func (e *evaluation) writeFeatures() (file string, err error) {
	x := e.features()
	f, err := os.CreateTemp("", "bench-features-")
	if err != nil {
		return "", err
	}
	for _, row := range x {
		err = errors.Join(err, binary.Write(f, binary.LittleEndian, row))
	}
	return f.Name(), errors.Join(err, f.Close())
}

func (e *evaluation) features() [][]float32 {
	rnd := rand.New(rand.NewPCG(1, 1))
	rows := func(n int, around [][]float32) [][]float32 {
		out := make([][]float32, n)
		for i := range out {
			out[i] = make([]float32, e.Dims)
			for j := range out[i] {
				out[i][j] = float32(rnd.NormFloat64())
				if around != nil {
					out[i][j] = out[i][j]*4 + around[i%e.Classes][j]
				}
			}
		}
		return out
	}
	return rows(e.Train+e.Test, rows(e.Classes, nil))
}

func (e *evaluation) sets() (train, test eval.Set) {
	x := e.features()
	labels := make([]int32, len(x))
	for i := range labels {
		labels[i] = int32(i % e.Classes)
	}
	return eval.Set{Features: x[:e.Train], Labels: labels[:e.Train]}, eval.Set{Features: x[e.Train:], Labels: labels[e.Train:]}
}

// repeat evaluates until it is told to stop.
func (e *evaluation) repeat(s step, backend compute.Backend, t *turns) error {
	train, test := e.sets()
	for {
		var outcome float64
		switch s.Method {
		case "knn":
			right := 0
			for i, label := range eval.KNN(train.Features, train.Labels, test.Features, e.K, e.Classes, e.Temperature) {
				if label == test.Labels[i] {
					right++
				}
			}
			outcome = float64(right) / float64(e.Test)
		case "probe":
			fit, err := eval.Linear{Side: 1, L2: e.L2, Iterations: e.Iterations}.Fit(context.Background(), backend, train, test, e.Classes, 1)
			if err != nil {
				return err
			}
			outcome = fit.Test
		case "kmeans":
			_, _, inertia, err := cluster.KMeansOn(backend, train.Features, train.Features[:e.K], e.Iterations)
			if err != nil {
				return err
			}
			outcome = inertia / float64(e.Train)
		}
		if !t.taken(outcome) {
			return t.err
		}
	}
}

// products in a row are what a processor's peak is measured by.
const products = 10

// multiply takes products of matrices until it is told to stop.
func (s step) multiply(backend compute.Backend, t *turns) error {
	kind := dtypes.Float32
	if s.Precision == sslkit.BF16 {
		kind = dtypes.BFloat16
	}
	matrix := shapes.Make(kind, s.Size, s.Size)
	operands := MustNewExec(backend, func(g *Graph) *Node {
		return MulScalar(Sin(IotaFull(g, matrix)), 1/float64(s.Size)) // whose products stay finite
	})
	x, err := operands.Call()
	if err != nil {
		return err
	}
	exec := MustNewExec(backend, func(x *Node) *Node {
		y := x
		for range products {
			y = DotProduct(y, x)
		}
		return ConvertDType(ReduceAllMax(y), dtypes.Float32)
	})
	for {
		out, err := exec.Call(x[0])
		if err != nil {
			return err
		}
		if !t.taken(float64(tensors.ToScalar[float32](out[0]))) {
			return t.err
		}
	}
}

// writeFolder writes crops of the embedded photos as PNG files to a new folder.
func writeFolder(size, perPhoto int) (folder string, err error) {
	photos, _, err := data.Open("photos", data.OpenOptions{Size: size, PerPhoto: perPhoto})
	if err != nil {
		return "", err
	}
	if folder, err = os.MkdirTemp("", "bench-folder-"); err != nil {
		return "", err
	}
	pixels := make([]uint8, size*size*3)
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for i := range photos.Len() {
		if err := photos.Read(i, pixels); err != nil {
			return folder, err
		}
		for p := range size * size {
			copy(picture.Pix[4*p:4*p+3], pixels[3*p:])
			picture.Pix[4*p+3] = 255
		}
		f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%06d.png", i)))
		if err == nil {
			err = errors.Join(png.Encode(f, picture), f.Close())
		}
		if err != nil {
			return folder, err
		}
	}
	return folder, nil
}

// epochs trains as `sslkit pretrain` does, with a record and checkpoints, and takes an epoch for a step.
func (s step) epochs(t *turns) error {
	t.warm = 1
	dir, err := os.MkdirTemp("", "bench-runs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := runs.Open(dir)
	if err != nil {
		return err
	}
	s.Method = "simclr"
	m, err := s.method()
	if err != nil {
		return err
	}
	c := sslkit.Config{Method: m, Data: sslkit.Data{Name: "folder:" + s.File, Size: s.Size}, Epochs: 100_000, Batch: s.Images, Seed: 1, Precision: s.Precision,
		Optimizer: sslkit.Optimizer{Kind: "sgd", Rate: s.Rate, Momentum: s.Momentum, WeightDecay: s.Decay}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	epoch := 0
	store.Report = func(p runs.Progress) {
		if p.Step.Steps == 0 || ctx.Err() != nil {
			return
		}
		if each := p.Step.Steps / p.Step.Epochs; p.Step.Step%each == 0 && p.Step.Step/each > epoch {
			epoch = p.Step.Step / each
			if !t.taken(p.Step.Loss) {
				stop()
			}
		}
	}
	if _, err := store.Pretrain(ctx, c); !errors.Is(err, sslkit.ErrInterrupted) {
		return err
	}
	return t.err
}
