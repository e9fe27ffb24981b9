package eval

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/pjrt"
)

func testBackend(t testing.TB) compute.Backend {
	t.Helper()
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// quickBackend is pure Go, which compiles at once: for tests of behaviour that no backend changes.
func quickBackend(t testing.TB) compute.Backend {
	t.Helper()
	backend, err := openQuick() // once: tensors don't move between instances
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

var openQuick = sync.OnceValues(func() (compute.Backend, error) { return gobackend.New("ops_sequential") })

// wantError checks that err says all of parts.
func wantError(t *testing.T, what string, err error, parts ...string) {
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

// bars is n images of 8x8x1: noise, and a bright bar at one of classes heights. The class of image i is i%classes.
type bars struct {
	n, classes, batch int
	seed              uint64
	order             func(n int) []int // nil: 0, 1, 2, ...
}

func (d bars) Name() string                        { return "bars" }
func (d bars) Steps() int                          { return d.n / d.batch }
func (d bars) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }
func (d bars) labels() []int32 {
	out := make([]int32, d.n)
	for i := range out {
		out[i] = int32(i % d.classes)
	}
	return out
}

func (d bars) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		order := make([]int, d.n)
		for i := range order {
			order[i] = i
		}
		if d.order != nil {
			order = d.order(d.n)
		}
		for from := skip * d.batch; from < len(order); from += d.batch {
			part := order[from:min(from+d.batch, len(order))]
			pixels, index := make([]uint8, 0, len(part)*64), make([]int32, 0, len(part))
			for _, i := range part {
				rnd := rand.New(rand.NewPCG(d.seed, uint64(i)))
				at := i % d.classes * 8 / d.classes
				for y := range 8 {
					for range 8 {
						v := rnd.IntN(120)
						if y == at || y == at+1 {
							v += 100
						}
						pixels = append(pixels, uint8(v))
					}
				}
				index = append(index, int32(i))
			}
			images := tensors.FromFlatDataAndDimensions(pixels, len(part), 8, 8, 1)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{images, tensors.FromFlatDataAndDimensions(index, len(part))}}, nil) {
				return
			}
		}
	}
}

// pixels is a method without variables: its maps are the image, and the image doubled at half the size.
type pixels struct{ scale float64 }

func (m pixels) Loss(*model.Scope, sslkit.Batch) *Node { panic(fmt.Errorf("not to be trained")) }

func (m pixels) Encode(_ *model.Scope, image *Node) []*Node {
	if m.scale != 0 {
		image = MulScalar(image, m.scale)
	}
	return []*Node{image, MulScalar(poolAxis(poolAxis(image, 1, 4), 2, 4), 2)}
}

// blobs draws n rows around one centre a class, d dimensions, labels i%classes.
func blobs(n, d, classes int, noise float64, seed uint64) Set {
	centres := rand.New(rand.NewPCG(99, uint64(d)))
	c := make([][]float64, classes)
	for i := range c {
		c[i] = make([]float64, d)
		for j := range c[i] {
			c[i][j] = centres.NormFloat64()
		}
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := Set{Features: make([][]float32, n), Labels: make([]int32, n)}
	for i := range s.Features {
		l := i % classes
		s.Labels[i] = int32(l)
		s.Features[i] = make([]float32, d)
		for j := range s.Features[i] {
			s.Features[i][j] = float32(c[l][j] + noise*rnd.NormFloat64())
		}
	}
	return s
}

// contents copies every variable of a store, the random state included, bit by bit.
func contents(t testing.TB, store *model.Store) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for v := range store.IterVariables() {
		value, err := v.Value()
		if err != nil {
			t.Fatal(err)
		}
		if err := value.ConstBytes(func(data []byte) { out[v.Path()] = fmt.Sprintf("%v %s %x", v.Trainable, v.Shape(), data) }); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
