package nn

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func queueOf(size int) layer {
	return func(scope *model.Scope, x *Node) *Node { return Identity(Queue(scope.In("queue"), x, size)) }
}

// batch is n keys [n, 2] that say when and where they were pushed.
func batch(step, n int) *tensors.Tensor {
	var x []float32
	for i := range n {
		x = append(x, float32(step), float32(i))
	}
	return tensors.FromFlatDataAndDimensions(x, n, 2)
}

func TestQueue(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, size := range []int{2, 6} {
			store := newStore(t, 1)
			held := flat(t, run(t, backend, store, false, queueOf(size), batch(0, 2)))
			for i := range size {
				if l := math.Hypot(held[2*i], held[2*i+1]); math.Abs(l-1) > 1e-6 {
					t.Errorf("first key %d has length %g", i, l)
				}
				if i > 0 && held[2*i] == held[0] {
					t.Errorf("keys %d and 0 are equal at first: %v", i, held)
				}
			}
			for step := range 5 {
				// What is pushed in a step is not yet there in that step.
				got := flat(t, run(t, backend, store, true, queueOf(size), batch(step, 2)))
				if !slices.Equal(got, held) {
					t.Fatalf("size %d, step %d: the queue is %v, want %v", size, step, got, held)
				}
				held = append(flat(t, batch(step, 2)), held[:2*(size-2)]...)
			}
			if got := flat(t, run(t, backend, store, false, queueOf(size), batch(9, 2))); !slices.Equal(got, held) {
				t.Errorf("size %d: the queue is %v, want %v", size, got, held)
			}
			if got := flat(t, run(t, backend, store, false, queueOf(size), batch(9, 2))); !slices.Equal(got, held) {
				t.Error("evaluation pushed a key")
			}
		}
	})
}

func TestQueueIsNotTrained(t *testing.T) {
	store := newStore(t, 1)
	run(t, goBackend(t), store, true, queueOf(4), batch(0, 2))
	v := store.GetVariable("/queue/keys").SetTrainable(true) // as a checkpoint leaves it
	run(t, goBackend(t), store, true, queueOf(4), batch(1, 2))
	if v.Trainable {
		t.Error("the queue is to be trained")
	}
	gradient := run(t, goBackend(t), store, true, func(scope *model.Scope, x *Node) *Node {
		return Gradient(ReduceAllSum(Add(Queue(scope.In("other"), x, 2), MulScalar(x, 0))), x)[0]
	}, batch(0, 2))
	near(t, "gradient", flat(t, gradient), make([]float64, 4), 0)
}

func TestQueuePanics(t *testing.T) {
	wantPanic(t, "queue of 10 keys is no multiple of the batch of 4", shapes.Make(dtypes.Float32, 4, 2), queueOf(10))
	wantPanic(t, "queue of 0 keys", shapes.Make(dtypes.Float32, 4, 2), queueOf(0))
	wantPanic(t, "[N, D]", shapes.Make(dtypes.Float32, 4, 2, 2), queueOf(4))
}

func ExampleQueue() {
	store := model.NewStore()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	push := model.MustNewExec(backend, store, func(scope *model.Scope, keys *Node) *Node {
		store.SetTraining(keys.Graph(), true)
		return Identity(Queue(scope.In("queue"), keys, 3))
	})
	for _, key := range [][]float32{{1, 0}, {0, 1}, {-1, 0}} {
		push.MustCall1([][]float32{key})
	}
	fmt.Println(push.MustCall1([][]float32{{0, -1}}).Value())
	// Output: [[-1 0] [0 1] [1 0]]
}
