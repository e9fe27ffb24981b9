package sslkit

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// quickly runs the test in a process of its own, in which XLA's compiler takes half of the time, and reports whether it did: the
// partitioner comes before what is left out there.
func quickly(t *testing.T) bool {
	const flag = "--xla_backend_optimization_level=0"
	if strings.Contains(os.Getenv("XLA_FLAGS"), flag) {
		return false
	}
	twoDevices(t)
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), "XLA_FLAGS="+strings.TrimSpace(os.Getenv("XLA_FLAGS")+" "+flag))
	if output, err := command.CombinedOutput(); err != nil || !strings.Contains(string(output), "PASS") {
		t.Fatalf("%v:\n%s", err, output)
	}
	return true
}

// twoDevices is a backend with two CPU devices.
func twoDevices(t testing.TB) compute.Backend {
	t.Helper()
	if _, choice, err := pjrt.Open(); err != nil || choice.Kind != "xla:cpu" {
		t.Skip("needs XLA's CPU plugin: ", choice.Kind, ", ", err)
	}
	backend, choice, err := pjrt.OpenDevices(2)
	if err != nil || choice.Devices != 2 || backend.NumDevices() < 2 {
		t.Fatal(choice, err)
	}
	return backend
}

// dividedRun takes 2 steps.
func dividedRun(m Method, backend compute.Backend, devices int) *Run {
	return &Run{Method: m, Backend: backend, Train: waves{32, 8, 16}, Optimizer: optim.SGD{Rate: optim.Constant(1e-3), Momentum: 0.9}, Epochs: 1, Seed: 1, Devices: devices}
}

// Two devices with half of each batch compute what one computes: "global" batch norms, negatives and random draws.
func TestDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles ten training steps")
	}
	if quickly(t) {
		return
	}
	backend := twoDevices(t)
	backbone := nn.ResNet(8, 4)
	colors := toyView
	moco := MoCoV2(backbone)
	moco.View, moco.Dim, moco.Queue, moco.Split = colors, 8, 32, 2
	swav := SwAVMultiCrop(backbone, 8)
	swav.View, swav.Hidden, swav.Dim, swav.Prototypes, swav.SmallCrops, swav.SmallSize = colors, 8, 8, 12, 0, 0
	byol := &BYOL{Backbone: backbone, View: colors, Hidden: 16, Dim: 8, Predictor: true, Momentum: 0.75}
	mae := SmallMAE(nn.ViT(1, 32, 2))
	mae.DecoderDepth, mae.DecoderWidth, mae.Pad, mae.Flip = 1, 32, 1, true
	for name, m := range map[string]Method{
		"simclr": paperSimCLR("mlp"), "moco": moco, "swav": swav, "byol": byol, "mae": mae,
	} {
		t.Run(name, func(t *testing.T) {
			var losses [2][]float64
			var stores [2]*model.Store
			for i := range losses {
				r := dividedRun(m, backend, i+1)
				r.Progress = func(p Progress) { losses[i] = append(losses[i], p.Loss) }
				if _, err := r.Pretrain(t.Context()); err != nil {
					t.Fatal(err)
				}
				stores[i] = r.Store
			}
			for i, want := range losses[0] {
				if got := losses[1][i]; !(math.Abs(got-want) <= roundingOf(i)*math.Abs(want)) {
					t.Errorf("losses %v on two devices, %v on one", losses[1], losses[0])
					break
				}
			}
			sameToRounding(t, stores[1], stores[0])
		})
	}
}

// roundingOf is how far apart, relatively, sums in float32 that were made in another order may be at a step: the first has
// thousands of them in a row, later ones start from what those before made of the parameters.
func roundingOf(step int) float64 { return []float64{1e-5, 1e-4}[step] }

// sameToRounding compares all variables after 2 steps, relative to each one's largest value, and integers exactly: the
// random state and counters. The second gradient is of parameters that differ by rounding, through batch norms of few values
// that are nearly alike, which makes it larger: up to 0.4 % of the largest with SimCLR's temperature of 0.1.
func sameToRounding(t *testing.T, got, want *model.Store) {
	t.Helper()
	integers := 0
	for v := range want.IterVariables() {
		if strings.HasPrefix(v.Path(), "/metrics/") {
			continue // whose names are drawn
		}
		w := got.GetVariable(v.Path())
		if w == nil {
			t.Fatalf("no variable %s on two devices", v.Path())
		}
		if v.DType() != dtypes.Float32 {
			integers++
			if !bytes.Equal(bytesOf(t, v), bytesOf(t, w)) {
				t.Errorf("%s differs", v.Path())
			}
			continue
		}
		a, b := tensors.MustCopyFlatData[float32](w.MustValue()), tensors.MustCopyFlatData[float32](v.MustValue())
		var largest, apart float64
		for i := range b {
			largest = max(largest, math.Abs(float64(b[i])))
			apart = max(apart, math.Abs(float64(a[i]-b[i])))
		}
		if !(apart <= 1e-2*largest+1e-6) {
			t.Errorf("%s: %g apart, of %g", v.Path(), apart, largest)
		}
	}
	if integers < 2 {
		t.Errorf("%d variables of integers: want the random state and the step", integers)
	}
}

func bytesOf(t *testing.T, v *model.Variable) (copied []byte) {
	t.Helper()
	if err := v.MustValue().ConstBytes(func(b []byte) { copied = bytes.Clone(b) }); err != nil {
		t.Fatal(err)
	}
	return copied
}

// A run on two devices that was interrupted goes on bit for bit.
func TestDevicesResume(t *testing.T) {
	backend := twoDevices(t)
	run := func(dir string) *Run {
		r := dividedRun(&reconstruct{}, backend, 2)
		r.Epochs, r.Dir = 2, dir
		return r
	}
	whole := run(t.TempDir())
	if _, err := whole.Pretrain(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := run(dir)
	if _, err := r.Pretrain(stopAfter(r, 2)); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	r = run(dir)
	if _, err := r.Pretrain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Parameters != whole.Parameters || r.Parameters == "" {
		t.Error("the last checkpoint is another file than that of the uninterrupted run")
	}
}

func TestDevicesRefused(t *testing.T) {
	m := &reconstruct{}
	for name, r := range map[string]*Run{
		"2 devices are asked for and the backend Go Backend has 1": dividedRun(m, goBackend(t), 2),
		"-1 devices": dividedRun(m, goBackend(t), -1),
	} {
		if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
	r := dividedRun(m, twoDevices(t), 2)
	r.Train = toyData{9, 8, 3}
	if _, err := r.Pretrain(t.Context()); err == nil || !strings.Contains(err.Error(), "dividing a batch among 2 devices") {
		t.Errorf("a batch of 3: error %v", err)
	}
}
