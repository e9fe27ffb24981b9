package main

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"
)

// The pure-Go backend has not to compile.
func TestMain(m *testing.M) {
	if os.Getenv(compute.ConfigEnvVar) == "" {
		os.Setenv(compute.ConfigEnvVar, "go")
	}
	os.Exit(m.Run())
}

// Each step, tiny, is taken by this library's worker as in a comparison.
func TestWorker(t *testing.T) {
	for name, r := range rows() {
		s := r.steps[len(r.steps)-1]
		if r.grows != "" {
			continue // steps that are there already
		}
		t.Run(name, func(t *testing.T) {
			s = s.tiny()
			remove, err := s.prepare()
			if err != nil {
				t.Fatal(err)
			}
			defer remove()
			config, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			answers, out := io.Pipe()
			go func() { out.CloseWithError(work(string(config), strings.NewReader("1\n2\n"), out)) }()
			lines := bufio.NewScanner(answers)
			var warm facts
			read(t, lines, &warm)
			if isStep := s.Evaluation == nil && s.Method != "epoch" && s.Method != "matmul"; isStep != (warm.Parameters >= 1000) || warm.Peak < 1e6 || math.IsNaN(warm.Loss) {
				t.Errorf("%+v", warm)
			}
			for range 2 {
				var got sample
				read(t, lines, &got)
				if !(got.Wall > 0 && got.CPU > 0 && got.Peak > 1e6) || (got.Loss == warm.Loss) != (s.Evaluation != nil || s.Method == "matmul") {
					t.Errorf("%+v after %+v", got, warm)
				}
			}
			if lines.Scan() || lines.Err() != nil {
				t.Errorf("at the end of its input the worker said %q, %v", lines.Text(), lines.Err())
			}
		})
	}
}

func read(t *testing.T, lines *bufio.Scanner, line any) {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the worker stopped: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), line); err != nil {
		t.Fatal(err)
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	stepped := func(name string, walls ...float64) *worker {
		w := &worker{name: name, facts: facts{Peak: 9e6}}
		for _, s := range walls {
			w.samples = append(w.samples, sample{Wall: s, CPU: 2 * s, Peak: 4e6 * walls[0]})
		}
		return w
	}
	// Ratios are of rounds: 1/2, 3/4 and 8/4.
	report(&out, []*worker{stepped("go", 1, 3, 8), stepped("jax", 2, 4, 4)}, 1)
	for _, want := range []string{"go / jax", "wall 0.75 (0.50 to 2.00)", "CPU 0.75 (0.50 to 2.00)", "peak 0.50"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestRowsOf(t *testing.T) {
	names, _, err := rowsOf("knn,gpu")
	if err != nil || len(names) != 11 || names[0] != "knn" || names[1] != "gpu-matmul" || names[2] != "gpu-matmul-bf16" || names[3] != "gpu-dino" {
		t.Errorf("%q, %v", names, err)
	}
	if _, _, err := rowsOf("simclr,knm"); err == nil || !strings.Contains(err.Error(), `no step "knm"`) {
		t.Errorf("error %v", err)
	}
}

// ResNet-18 on 32x32 has 0.556 billion multiplications in its convolutions, as is often cited for CIFAR; of the rest one is
// counted by hand.
func TestOperations(t *testing.T) {
	if got := gpuSteps["gpu-simclr"].convolutions(); math.Abs(got/2-0.5554e9) > 0.5e6 {
		t.Errorf("%g multiplications, want 0.556e9", got/2)
	}
	if got := gpuSteps["gpu-matmul"].operations(); got != 10*2*8192.*8192*8192 {
		t.Errorf("%g operations of products", got)
	}
	// One block on 2 of 4 patches of 3 values and width 2, and one on all in the decoder: 24*l*d*d + 4*l*l*d each.
	s := step{Method: "mae", Images: 1, Size: 2, Patch: 1, Mask: 0.5, Depth: 1, Width: 2, DecoderDepth: 1, DecoderWidth: 2}
	want := 3. * (2*2*3*2 + (24*2*2*2 + 4*2*2*2) + 2*2*2*2 + (24*4*2*2 + 4*4*4*2) + 2*4*2*3)
	if got := s.operations(); got != want {
		t.Errorf("%g operations of a masked autoencoder, want %g", got, want)
	}
}

func TestReportGrowth(t *testing.T) {
	var out strings.Builder
	at := func(wall float64) []*worker {
		return []*worker{{name: "go", samples: []sample{{Wall: 2 * wall, Peak: 5e6 * wall}}}}
	}
	reportGrowth(&out, row{grows: "keys", at: []int{10, 20}}, [][]*worker{at(1), at(3)}, 2)
	for _, want := range []string{"keys", "go: wall s a step", "10", "1.000", "20", "3.000", "15"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// Parts of a step are measured, each of them.
func TestParts(t *testing.T) {
	for _, name := range []string{"mae", "swav"} {
		var out strings.Builder
		o := options{tiny: true, rounds: 1, each: 1}
		if err := o.parts(steps[name], &out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range []string{name + ": ", " views ", " forward ", " backward ", " update ", " all ", "a batch, loaded beside it"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, out.String())
			}
		}
	}
}
