package view

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/sslkit/lab/sslkit/pjrt"
)

func open(t testing.TB) compute.Backend {
	t.Helper()
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// images are pixels [n, h, w, c] in one row, as tensors hold them.
type images[T any] struct {
	n, h, w, c int
	pixel      []T
}

func (x images[T]) at(n, i, j, c int) *T { return &x.pixel[((n*x.h+i)*x.w+j)*x.c+c] }

func blank[T any](n, h, w, c int) images[T] { return images[T]{n, h, w, c, make([]T, n*h*w*c)} }

// random are pixels in [0, 1).
func random[T float32 | float64](n, h, w, c int) images[T] {
	x, r := blank[T](n, h, w, c), rand.New(rand.NewPCG(uint64(n*h), uint64(w*c)))
	for i := range x.pixel {
		x.pixel[i] = T(r.Float32())
	}
	return x
}

// numbered has the pixels 1, 2, ...
func numbered[T float32 | uint8](n, h, w, c int) images[T] {
	x := blank[T](n, h, w, c)
	for i := range x.pixel {
		x.pixel[i] = T(i + 1)
	}
	return x
}

func tensor[T float32 | float64 | uint8](x images[T]) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(x.pixel, x.n, x.h, x.w, x.c)
}

func read[T float32 | float64 | uint8](t *testing.T, x *tensors.Tensor) images[T] {
	t.Helper()
	d := x.Shape().Dimensions
	y := images[T]{n: d[0], h: d[1], w: d[2], c: d[3]}
	tensors.MustConstFlatData(x, func(flat []T) { y.pixel = append(y.pixel, flat...) })
	return y
}

// apply runs fn, which needs no random numbers, on x.
func apply[T float32 | float64 | uint8](t *testing.T, x images[T], fn func(x *Node) *Node) images[T] {
	t.Helper()
	out, err := CallOnce(open(t), fn, tensor(x))
	if err != nil {
		t.Fatal(err)
	}
	return read[T](t, out)
}

// draw applies a transform calls times to x, with a store seeded by seed.
func draw(t *testing.T, seed int64, transform Transform, x images[float32], calls int) []images[float32] {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		t.Fatal(err)
	}
	exec := model.MustNewExec(open(t), store, func(scope *model.Scope, x *Node) *Node { return transform(scope, x) })
	defer exec.Finalize()
	var out []images[float32]
	for range calls {
		y, err := exec.Call1(tensor(x))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, read[float32](t, y))
	}
	return out
}

// rejects wants a call that panics with an error (with anything else CallOnce hangs).
func rejects(t *testing.T, want string, fn func(x *Node) *Node, x any) {
	t.Helper()
	_, err := CallOnce(open(t), fn, x)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func single(x images[float32], n int) images[float32] {
	size := x.h * x.w * x.c
	return images[float32]{1, x.h, x.w, x.c, x.pixel[n*size : (n+1)*size]}
}

func mirrored(x images[float32]) images[float32] {
	y := blank[float32](x.n, x.h, x.w, x.c)
	for n := range x.n {
		for i := range x.h {
			for j := range x.w {
				for c := range x.c {
					*y.at(n, i, j, c) = *x.at(n, i, x.w-1-j, c)
				}
			}
		}
	}
	return y
}

func TestFlip(t *testing.T) {
	const n, calls = 100, 4
	x := numbered[float32](n, 3, 4, 2)
	drawn := draw(t, 1, Flip, x, calls)
	flips := 0
	for _, y := range drawn {
		for k := range n {
			in, out := single(x, k), single(y, k)
			switch {
			case reflect.DeepEqual(out, mirrored(in)):
				flips++
			case !reflect.DeepEqual(out, in):
				t.Fatalf("image %d is neither itself nor mirrored: %v", k, out.pixel)
			}
		}
	}
	// 400 fair coins: 200 +- 10; 50 away is 5 standard deviations.
	if flips < 150 || flips > 250 {
		t.Errorf("%d of %d images mirrored", flips, n*calls)
	}
	if reflect.DeepEqual(drawn[0], drawn[1]) {
		t.Error("two calls drew the same flips")
	}
	if again := draw(t, 1, Flip, x, calls); !reflect.DeepEqual(drawn, again) {
		t.Error("the same seed drew other flips")
	}
	if other := draw(t, 2, Flip, x, calls); reflect.DeepEqual(drawn, other) {
		t.Error("another seed drew the same flips")
	}
}

func TestRandomCrop(t *testing.T) {
	const n, h, w, c, pad = 90, 4, 5, 2, 1
	x := numbered[float32](n, h, w, c)
	shifts := map[[2]int]int{}
	for _, y := range draw(t, 3, RandomCrop(pad), x, 4) {
		for k := range n {
			found := 0
			for dy := -pad; dy <= pad; dy++ {
				for dx := -pad; dx <= pad; dx++ {
					want := blank[float32](1, h, w, c)
					for i := range h {
						for j := range w {
							for c := range c {
								if si, sj := i+dy, j+dx; si >= 0 && si < h && sj >= 0 && sj < w {
									*want.at(0, i, j, c) = *x.at(k, si, sj, c)
								}
							}
						}
					}
					if reflect.DeepEqual(single(y, k), want) {
						shifts[[2]int{dy, dx}]++
						found++
					}
				}
			}
			if found != 1 {
				t.Fatalf("image %d is no shifted copy: %v", k, single(y, k).pixel)
			}
		}
	}
	// 360 draws of 9 shifts: 40 +- 6 each.
	for dy := -pad; dy <= pad; dy++ {
		for dx := -pad; dx <= pad; dx++ {
			if got := shifts[[2]int{dy, dx}]; got < 10 || got > 70 {
				t.Errorf("shift (%d, %d) drawn %d times of 360", dy, dx, got)
			}
		}
	}
	if same := draw(t, 4, RandomCrop(0), x, 1)[0]; !reflect.DeepEqual(same, x) {
		t.Error("a pad of 0 changed the images")
	}
}

func TestChain(t *testing.T) {
	add := func(_ *model.Scope, x *Node) *Node { return AddScalar(x, 1) }
	double := func(_ *model.Scope, x *Node) *Node { return MulScalar(x, 2) }
	x := numbered[float32](1, 1, 1, 1)
	if got := draw(t, 1, Chain(add, double), x, 1)[0].pixel[0]; got != 4 {
		t.Errorf("(1+1)*2 = %v", got)
	}
	if got := draw(t, 1, Chain(), x, 1)[0].pixel[0]; got != 1 {
		t.Errorf("the empty chain made 1 into %v", got)
	}
}

// uint8 images move as they are; a gradient passes through views although nothing trains below them today.
func TestTransformsOfOtherKinds(t *testing.T) {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		t.Fatal(err)
	}
	both := Chain(RandomCrop(2), Flip)
	out, err := model.CallOnce(open(t), store, func(scope *model.Scope, x *Node) *Node { return both(scope, x) },
		tensor(numbered[uint8](2, 3, 4, 3)))
	if err != nil {
		t.Fatal(err)
	}
	read[uint8](t, out)
	for _, transform := range []Transform{Flip, RandomCrop(1)} {
		// The gradient of the sum of squares is twice the image where it stays in the frame.
		out, err := model.CallOnce(open(t), store, func(scope *model.Scope, x *Node) *Node {
			return Gradient(ReduceAllSum(Square(transform(scope, x))), x)[0]
		}, tensor(numbered[float32](3, 4, 4, 1)))
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range read[float32](t, out).pixel {
			if want := float32(2 * (i + 1)); d != want && d != 0 {
				t.Errorf("gradient at %d is %v, want %v or 0", i, d, want)
			}
		}
	}
}

func TestTransformsReject(t *testing.T) {
	flat := []float32{1, 2}
	random := func(transform Transform) func(x *Node) *Node {
		return func(x *Node) *Node { return transform(model.NewStore().RootScope(), x) }
	}
	rejects(t, "view.Flip: images must be [N, H, W, C]", random(Flip), flat)
	rejects(t, "view.RandomCrop: images must be [N, H, W, C]", random(RandomCrop(1)), flat)
	rejects(t, "pad is -1", random(RandomCrop(-1)), tensor(numbered[float32](1, 2, 2, 1)))
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }
