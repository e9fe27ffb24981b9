package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
)

func TestAttentionMapMatchesNaive(t *testing.T) {
	const n, h, w, c = 3, 4, 5, 6
	rnd := rand.New(rand.NewPCG(1, 1))
	flat := make([]float64, n*h*w*c)
	for i := range flat {
		flat[i] = rnd.NormFloat64()
	}
	clear(flat[2*h*w*c:]) // the last image's activations are the same everywhere
	x := tensors.FromFlatDataAndDimensions(flat, n, h, w, c)
	for _, power := range []float64{1, 2, 4, 0.5} {
		for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32} {
			out := MustNewExec(testBackend(t), func(x *Node) *Node {
				return ConvertDType(AttentionMap(ConvertDType(x, dtype), power), dtypes.Float64)
			}).MustCall(x)[0]
			got := out.Value().([][][]float64)
			for i := range n {
				want, low, high := make([]float64, h*w), math.Inf(1), math.Inf(-1)
				for p := range want {
					for k := range c {
						want[p] += math.Pow(math.Abs(flat[(i*h*w+p)*c+k]), power)
					}
					low, high = min(low, want[p]), max(high, want[p])
				}
				for p, v := range want {
					v -= low
					if high > low {
						v /= high - low
					}
					if g := got[i][p/w][p%w]; math.Abs(g-v) > 1e-5 { // float32's rounding, of a handful of terms
						t.Errorf("power %g, %s, image %d at %d: %g, want %g", power, dtype, i, p, g, v)
					}
				}
			}
		}
	}
}

func TestAttentionMapSurvivesLargeActivations(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{1e30, 2e30, 0, -2e30}, 1, 2, 2, 1)
	got := MustNewExec(testBackend(t), func(x *Node) *Node { return AttentionMap(x, 4) }).MustCall(x)[0].Value().([][][]float32)[0]
	for i, want := range []float32{1.0 / 16, 1, 0, 1} {
		if g := got[i/2][i%2]; math.Abs(float64(g-want)) > 1e-6 {
			t.Errorf("at %d: %g, want %g", i, g, want)
		}
	}
}

func TestAttentionMapRefuses(t *testing.T) {
	build := func(power float64, dims ...int) error {
		return exceptions.TryCatch[error](func() {
			x := tensors.FromFlatDataAndDimensions(make([]float32, 8), dims...)
			MustNewExec(quickBackend(t), func(x *Node) *Node { return AttentionMap(x, power) }).MustCall(x)
		})
	}
	wantError(t, "rank 3", build(1, 2, 2, 2), "[N, h, w, C]")
	wantError(t, "power 0", build(0, 1, 2, 2, 2), "above 0")
}

func TestAttentionMaps(t *testing.T) {
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	d := bars{n: 6, classes: 2, batch: 4}
	maps, err := AttentionMaps(context.Background(), testBackend(t), store, pixels{}, d)
	if err != nil {
		t.Fatal(err)
	}
	for i, side := range []int{8, 4} {
		m := maps[i]
		if m.Height != side || m.Width != side || len(m.Maps) != 6 || len(m.Maps[0]) != side*side {
			t.Errorf("stage %d: %dx%d, %d maps of %d values", i+1, m.Height, m.Width, len(m.Maps), len(m.Maps[0]))
			continue
		}
		// The bar of classes 0 and 1 is in the upper and lower half.
		for j, v := range m.Maps {
			upper, lower := 0.0, 0.0
			for p, a := range v {
				if p < len(v)/2 {
					upper += float64(a)
				} else {
					lower += float64(a)
				}
			}
			if (upper > lower) != (j%2 == 0) {
				t.Errorf("stage %d, image %d: attention %g above and %g below", i+1, j, upper, lower)
			}
		}
	}
}
