package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
)

// Environment of the processes that tests start, which are this program again.
const (
	roleEnv    = "SSLKIT_TEST_ROLE"
	dirEnv     = "SSLKIT_TEST_DIR"
	configEnv  = "SSLKIT_TEST_CONFIG"
	backendEnv = "SSLKIT_TEST_BACKEND" // what GOMLX_BACKEND was for the first process
)

const onBest = "best" // role: run tests on the backend that users get

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "pretrain":
		childPretrain()
	case "evaluate":
		childEvaluate()
	case "write":
		childWrite()
	case onBest:
		os.Exit(m.Run())
	default:
		os.Exit(runTests(m))
	}
}

// runTests takes the pure-Go backend, which compiles at once: what most tests are about depends on no backend.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sweep-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	images = dir
	os.Setenv(backendEnv, os.Getenv("GOMLX_BACKEND"))
	os.Setenv("GOMLX_BACKEND", "go")
	os.Unsetenv("SSLKIT_PRESET")
	supervisedEpochs = 2
	return m.Run()
}

var images string // folder of the tests' images, made by folder

// folder has 80 training and 40 test images of 12x12 pixels, in four classes or in none. Each class is a bar at another
// place, on noise, brighter at its upper edge.
func folder(t testing.TB, labelled bool) string {
	t.Helper()
	draw.Do(func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, split := range []string{"train", "test"} {
			for i := range map[string]int{"train": 80, "test": 40}[split] {
				class := i % 4
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
				var b bytes.Buffer
				if drawErr = png.Encode(&b, img); drawErr != nil {
					return
				}
				for _, path := range []string{
					filepath.Join(images, "labelled", split, fmt.Sprint("bar", class), fmt.Sprintf("%03d.png", i)),
					filepath.Join(images, "unlabelled", fmt.Sprintf("%s%03d.png", split, i)),
				} {
					if drawErr = os.MkdirAll(filepath.Dir(path), 0o755); drawErr != nil {
						return
					}
					if drawErr = os.WriteFile(path, b.Bytes(), 0o644); drawErr != nil {
						return
					}
				}
			}
		}
	})
	if drawErr != nil {
		t.Fatal(drawErr)
	}
	if labelled {
		return "folder:" + filepath.Join(images, "labelled")
	}
	return "folder:" + filepath.Join(images, "unlabelled")
}

var (
	draw    sync.Once
	drawErr error
)

// tiny is 2 epochs of 5 steps.
func tiny(t testing.TB) Config {
	m := sslkit.RotNet(nn.NIN(3, 6))
	m.Pad = 1
	return Config{
		Method:    Method{Rotation: m},
		Data:      Data{Name: folder(t, true), Size: 12},
		Epochs:    2,
		Batch:     16,
		Optimizer: Optimizer{Kind: "sgd", Rate: 0.05, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4},
		Seed:      1,
	}
}

// quick is the least that measures everything.
func quick() eval.Options {
	return eval.Options{
		K: 5, Temperature: 0.07, Linear: eval.Linear{Side: 1, L2: 1e-2, Iterations: 5},
		NonLinear: &eval.NonLinear{Stage: ProbedBlock, Side: 2, Hidden: 8, Epochs: 1, Batch: 20, LearningRate: 0.1},
	}
}

// newStore is an empty one whose news are kept in notes.
func newStore(t testing.TB) (s *Store, notes *news) {
	notes = new(news)
	return &Store{Dir: t.TempDir(), Report: notes.add}, notes
}

// news collects progress.
type news struct {
	mu    sync.Mutex
	notes []string
	steps int
}

func (n *news) add(p Progress) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.Step.Steps > 0 {
		n.steps++
	} else {
		n.notes = append(n.notes, p.Now+p.Note)
	}
}

func (n *news) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.notes, "\n")
}

// pretrain is Store.Pretrain where nothing is to fail.
func pretrain(t testing.TB, s *Store, c Config) *Record {
	t.Helper()
	r, err := s.Pretrain(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantError checks that err says all of parts.
func wantError(t testing.TB, what string, err error, parts ...string) {
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

// child is this program in another role.
func child(role, dir string, c Config) *exec.Cmd {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir, configEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// childPretrain runs the configuration, saving at each step, and prints "step N" after each, other news, and "done". From
// the step on that the file "hold" beside the runs names it waits as long as there is that file.
func childPretrain() {
	saveEvery = 0
	dir := os.Getenv(dirEnv)
	s := &Store{Dir: dir, Report: func(p Progress) {
		if p.Step.Steps == 0 {
			fmt.Println(p.Now + p.Note)
			return
		}
		fmt.Println("step", p.Step.Step)
		for {
			text, err := os.ReadFile(filepath.Join(dir, "hold"))
			if from, _ := strconv.Atoi(string(text)); err != nil || p.Step.Step < from {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}}
	c, err := ReadConfig(strings.NewReader(os.Getenv(configEnv)))
	if err == nil {
		_, err = s.Pretrain(context.Background(), c)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// childWrite writes one record over and over, with another history each time.
func childWrite() {
	s := &Store{Dir: os.Getenv(dirEnv)}
	r := &Record{Key: keyA, Config: configs[keyA], Revision: 1}
	for i := 0; ; i++ {
		r.History.Loss = append(r.History.Loss[:0], make([]float64, 100+i%2000)...)
		if err := s.write(r); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("written")
	}
}
