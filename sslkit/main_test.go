package sslkit

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/pjrt"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SSLKIT_TEST_VICTIM"); dir != "" {
		runVictim(dir) // the process that TestResumeAfterKill kills
		return
	}
	if dir := os.Getenv("SSLKIT_TEST_FULL_DISK"); dir != "" {
		runOnFullDisk(dir)
		return
	}
	os.Exit(m.Run())
}

// bestBackend is the one that users get: XLA where there is a plugin.
func bestBackend(t testing.TB) compute.Backend {
	t.Helper()
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

var openGo = sync.OnceValues(func() (compute.Backend, error) { return compute.NewWithConfig("go:ops_sequential") })

// goBackend compiles at once, for what does not depend on the backend. On an accelerator nothing is taken for granted, see
// bench/gpu.
func goBackend(t testing.TB) compute.Backend {
	t.Helper()
	if os.Getenv("SSLKIT_TEST_ACCELERATOR") != "" {
		return bestBackend(t)
	}
	backend, err := openGo()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// toyData yields n images of side s; each shows a bright bar in its upper half, so it has an upright.
type toyData struct{ n, s, batch int }

func (d toyData) Name() string { return "toy" }
func (d toyData) Steps() int   { return d.n / d.batch }

func (d toyData) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d toyData) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		order := rand.New(rand.NewPCG(7, uint64(epoch))).Perm(d.n)
		for b := skip; b < d.Steps(); b++ {
			pixels := make([]uint8, 0, d.batch*d.s*d.s)
			index := make([]int32, 0, d.batch)
			for _, i := range order[b*d.batch : (b+1)*d.batch] {
				rnd := rand.New(rand.NewPCG(11, uint64(i)))
				for y := range d.s {
					for range d.s {
						v := rnd.IntN(80)
						if y >= d.s/8 && y < d.s/3 {
							v += 150
						}
						pixels = append(pixels, uint8(v))
					}
				}
				index = append(index, int32(i))
			}
			images := tensors.FromFlatDataAndDimensions(pixels, d.batch, d.s, d.s, 1)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{images, tensors.FromFlatDataAndDimensions(index, d.batch)}}, nil) {
				return
			}
		}
	}
}

// reconstruct is the smallest Method: a linear autoencoder under noise, with random draws, a frozen
// counter and a report, so that a resumed run has all of these to restore.
type reconstruct struct{ diverge bool }

func (m *reconstruct) Reports() []string { return []string{"noise"} }

func (m *reconstruct) Loss(scope *model.Scope, b Batch) *Node {
	g := b.Image.Graph()
	noise := scope.RandomNormal(g, b.Image.Shape())
	steps := scope.VariableWithValue("seen", float32(0)).SetTrainable(false)
	steps.SetNodeValue(AddScalar(steps.NodeValue(g), 1))
	code := Last1(m.Encode(scope, Add(b.Image, MulScalar(noise, 0.1))))
	n := b.Image.Shape().Dim(0)
	flat := Reshape(b.Image, n, b.Image.Shape().Size()/n)
	out := layers.Dense(scope.In("decoder"), code, true, flat.Shape().Dim(1))
	Report("noise", ReduceAllMean(noise))
	l := ReduceAllMean(Square(Sub(out, flat)))
	if m.diverge {
		l = Div(l, ConvertDType(LessThan(steps.NodeValue(g), Scalar(g, dtypes.Float32, 3)), dtypes.Float32))
	}
	return l
}

func (m *reconstruct) Encode(scope *model.Scope, image *Node) []*Node {
	n := image.Shape().Dim(0)
	return []*Node{layers.Dense(scope.In("encoder"), Reshape(image, n, image.Shape().Size()/n), true, 8)}
}

func Last1(maps []*Node) *Node { return maps[len(maps)-1] }

// variables copies all of a store but GoMLX's own moving averages of the metrics.
func variables(t testing.TB, store *model.Store) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for v := range store.IterVariables() {
		if v.Scope() == train.TrainerAbsoluteScope || strings.HasPrefix(v.Path(), "/metrics/") {
			continue
		}
		value, err := v.Value()
		if err != nil {
			t.Fatal(err)
		}
		if err := value.ConstBytes(func(data []byte) { out[v.Path()] = fmt.Sprintf("%v %x", v.Trainable, data) }); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// wantInvalid checks that a method which was changed is refused, in words that say what of it.
func wantInvalid[M interface{ Validate() error }](t *testing.T, fresh func() M, changes map[string]func(M)) {
	t.Helper()
	for want, change := range changes {
		m := fresh()
		change(m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
