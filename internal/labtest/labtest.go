// Package labtest is what the tests of several packages are made of: images that are learnt in seconds, the smallest
// configuration, the least that measures everything, and news that are kept.
package labtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
)

// Images is the folder that [Folder] draws in; [InFolder] makes and removes it.
var Images string

// InFolder calls run, which is the tests, with a folder for their images and the settings that they are written for: the
// pure-Go backend, which compiles at once, and the usual preset.
func InFolder(run func() int) int {
	dir, err := os.MkdirTemp("", "sslkit-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	Images = dir
	for name, value := range map[string]string{BackendEnv: os.Getenv("GOMLX_BACKEND"), "GOMLX_BACKEND": "go", "SSLKIT_PRESET": "", "SSLKIT_RECORDS": ""} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return run()
}

// BackendEnv is what GOMLX_BACKEND was before [InFolder].
const BackendEnv = "SSLKIT_TEST_BACKEND"

// Folder names a dataset of 80 training and 40 test images of 12x12 pixels, in four classes or in none. Each class is a bar at
// another place, on noise, brighter at its upper edge.
func Folder(t testing.TB, labelled bool) string {
	t.Helper()
	if err := draw(); err != nil {
		t.Fatal(err)
	}
	if labelled {
		return "folder:" + filepath.Join(Images, "labelled")
	}
	return "folder:" + filepath.Join(Images, "unlabelled")
}

var draw = sync.OnceValue(func() error {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, split := range []string{"train", "test"} {
		for i := range map[string]int{"train": 80, "test": 40}[split] {
			var b bytes.Buffer
			if err := png.Encode(&b, bar(rnd, i%4)); err != nil {
				return err
			}
			for _, path := range []string{
				filepath.Join(Images, "labelled", split, fmt.Sprint("bar", i%4), fmt.Sprintf("%03d.png", i)),
				filepath.Join(Images, "unlabelled", fmt.Sprintf("%s%03d.png", split, i)),
			} {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
})

func bar(rnd *rand.Rand, class int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 12, 12))
	for y := range 12 {
		for x := range 12 {
			v := rnd.IntN(90)
			if x/3 == class && y >= 2 && y < 9 {
				v += 160 - 16*y
			}
			img.Set(x, y, color.RGBA{uint8(v), uint8(v), uint8(v / 2), 255})
		}
	}
	return img
}

// Tiny is 2 epochs of 5 steps of rotation on the images of [Folder].
func Tiny(t testing.TB) sslkit.Config {
	t.Helper()
	m := sslkit.RotNet(nn.NIN(3, 6))
	m.Pad = 1
	return sslkit.Config{
		Method:    m,
		Data:      sslkit.Data{Name: Folder(t, true), Size: 12},
		Epochs:    2,
		Batch:     16,
		Optimizer: sslkit.Optimizer{Kind: "sgd", Rate: 0.05, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4},
		Seed:      1,
	}
}

// Quick is the least that measures everything.
func Quick() eval.Options {
	return eval.Options{
		K: 5, Temperature: 0.07, Linear: eval.Linear{Side: 1, L2: 1e-2, Iterations: 5},
		NonLinear: &eval.NonLinear{Stage: 2, Side: 2, Hidden: 8, Epochs: 1, Batch: 20, LearningRate: 0.1},
	}
}

// News collects what long work has to tell.
type News struct {
	mu    sync.Mutex
	notes []string
	Steps int // of training
}

// Add a note, or a step.
func (n *News) Add(note string, step sslkit.Progress) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if step.Steps > 0 {
		n.Steps++
	} else {
		n.notes = append(n.notes, note)
	}
}

// Forget all that was told.
func (n *News) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes, n.Steps = nil, 0
}

func (n *News) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.notes, "\n")
}

// WantError checks that err says all of parts.
func WantError(t testing.TB, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: error %q does not say %q", what, err, p)
		}
	}
}

// Full is a configuration with a value in every field but the digest of its data. Nothing that it names has to be there.
func Full() sslkit.Config {
	return sslkit.Config{
		Method:    &sslkit.Rotation{Backbone: nn.NIN(4, 24), Angles: []int{0, 180}, Pad: 3, Flip: true},
		Data:      sslkit.Data{Name: "photos", Size: 24, PerPhoto: 8, Train: 1000, Test: 500},
		Epochs:    10,
		Batch:     32,
		Optimizer: sslkit.Optimizer{Kind: "sgd", Rate: 0.2, Momentum: 0.8, Nesterov: true, WeightDecay: 1e-4, Warmup: 1, Drops: []int{4, 8}, Factor: 0.3},
		Seed:      7,
		Backend:   "go",
	}
}

// Faults is how many damages or kills a campaign has: what SSLKIT_FAULTS says, as `make faults` does, or else a few.
func Faults(t testing.TB, few int) int {
	t.Helper()
	text := os.Getenv("SSLKIT_FAULTS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SSLKIT_FAULTS=%s: give a number", text)
	}
	return n
}

// CodeCells are the sources of a notebook's cells of code.
func CodeCells(t testing.TB, file string) (sources []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var notebook struct {
		Cells []struct {
			Type   string   `json:"cell_type"`
			Source []string `json:"source"`
		} `json:"cells"`
	}
	if err := json.Unmarshal(text, &notebook); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, c := range notebook.Cells {
		if c.Type == "code" {
			sources = append(sources, strings.Join(c.Source, ""))
		}
	}
	return sources
}
