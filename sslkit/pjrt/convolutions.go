//go:build !noxla && cgo

package pjrt

import (
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// convEnv says whose convolutions are wanted: "xla", the plugin's own, or nothing, the fastest.
const convEnv = "SSLKIT_CONV"

// loadConv loads the plugin that is configured so with the kernels for convolutions, if they work in it, and notes how
// that went. The plugin's own are what remains.
func (l *loaded) loadConv(config string, works bool) {
	switch value := os.Getenv(convEnv); value {
	case "":
		if !works {
			l.note += "; without fast convolutions, which do not work in it"
			return
		}
		path, _, _ := strings.Cut(config, ",")
		if err := conv.Load(path); err != nil {
			l.note += "; " + err.Error()
			return
		}
		l.conv = conv.Version
		l.note += "; most convolutions by kernels of this library's (" + conv.Version + ")"
	case "xla":
		l.note += "; " + convEnv + "=xla asks for its own"
	default:
		l.note += fmt.Sprintf("; %s=%q says nothing, only xla does: its own", convEnv, value)
	}
}

// tryConvHere loads the plugin with the kernels in this process, convolves, and returns their version if the result is
// right.
func tryConvHere(config string) string {
	path, _, _ := strings.Cut(config, ",")
	if conv.Load(path) != nil {
		return ""
	}
	b, err := xla.New(config)
	if err != nil || checkConv(b, 1) != nil || conv.Refused() != nil {
		return ""
	}
	return conv.Version
}

// checkConv convolves an image with a kernel and, as for the kernel's gradient, with another image, both with 1 row and 1
// column of zeros around them if top is 1.
func checkConv(b compute.Backend, top int) error {
	const size, channels, pixels = 5, 8, 5 * 5
	ints := func(n, step int) []float32 { // small ones: all sums are exact
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(i*step%7 - 3)
		}
		return v
	}
	x, k, g := ints(pixels*channels, 3), ints(9*channels*channels, 5), ints(pixels*channels, 2)
	y, dk := make([]float32, len(g)), make([]float32, len(k)) // what is right
	for p := range pixels {
		for t := range 9 {
			row, col := p/size+t/3-1, p%size+t%3-1
			if min(row, col) < 0 || max(row, col) >= size {
				continue
			}
			for c := range channels {
				in := x[(row*size+col)*channels+c]
				for o := range channels {
					y[p*channels+o] += in * k[(t*channels+c)*channels+o]
					dk[(t*channels+c)*channels+o] += in * g[p*channels+o]
				}
			}
		}
	}

	builder := b.Builder("convolutions")
	main := builder.Main()
	image, kernel := shapes.Make(dtypes.Float32, 1, size, size, channels), shapes.Make(dtypes.Float32, 3, 3, channels, channels)
	var operands [3]compute.Value
	var inputs [3]compute.Buffer
	for i, values := range [][]float32{x, k, g} {
		shape := []shapes.Shape{image, kernel, image}[i]
		var err error
		if operands[i], err = main.Parameter(string("xkg"[i]), shape, nil); err != nil {
			return err
		}
		if inputs[i], err = b.BufferFromFlatData(0, values, shape); err != nil {
			return err
		}
	}
	pads, spatial := [][2]int{{top, 2 - top}, {1, 1}}, []int{1, 2}
	forward, err := main.ConvGeneral(operands[0], operands[1], compute.ConvolveAxesConfig{
		InputBatch: 0, InputChannels: 3, InputSpatial: spatial,
		KernelInputChannels: 2, KernelOutputChannels: 3, KernelSpatial: []int{0, 1},
		OutputBatch: 0, OutputChannels: 3, OutputSpatial: spatial,
	}, nil, pads, nil, nil, 1, 1)
	if err != nil {
		return err
	}
	gradient, err := main.ConvGeneral(operands[0], operands[2], compute.ConvolveAxesConfig{
		InputBatch: 3, InputChannels: 0, InputSpatial: spatial,
		KernelInputChannels: 0, KernelOutputChannels: 3, KernelSpatial: spatial,
		OutputBatch: 2, OutputChannels: 3, OutputSpatial: []int{0, 1},
	}, nil, pads, nil, nil, 1, 1)
	if err != nil {
		return err
	}
	if err := main.Return([]compute.Value{forward, gradient}, nil); err != nil {
		return err
	}
	program, err := builder.Compile()
	if err != nil {
		return err
	}
	defer program.Finalize()
	outputs, err := program.Execute(inputs[:], nil, 0)
	if err != nil {
		return err
	}
	for i, want := range [][]float32{y, dk} {
		got := make([]float32, len(want))
		if err := outputs[i].ToFlatData(got); err != nil {
			return err
		}
		for j := range want {
			if math.Float32bits(got[j]+0) != math.Float32bits(want[j]+0) { // +0: of either sign
				return fmt.Errorf("it convolves wrongly: value %d of result %d is %v, not %v", j, i, got[j], want[j])
			}
		}
	}
	return nil
}
