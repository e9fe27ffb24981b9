package nn

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// everywhere is that all of x [N, T, D] is valid.
func everywhere(x *Node) *Node {
	t := Iota(x.Graph(), shapes.Make(dtypes.Int32, x.Shape().Dim(0), x.Shape().Dim(1)), 1)
	return GreaterOrEqual(t, ZerosLike(t))
}

// The states are those of torch.nn.GRU (PyTorch 2.15, float64) of two sequences of three, with the parameters below.
func TestGRUIsPyTorchs(t *testing.T) {
	want := []float64{
		0.350198126905, -0.351895492507, 0.164745545554, -0.404617187114, -0.097514377644, -0.384722057656,
		0.307968024817, -0.3313348966, 0.518888829843, -0.499423301021, -0.052116478038, -0.473407238689,
	}
	x := make([]float64, 12)
	for i := range x {
		x[i] = math.Cos(0.9 * float64(i))
	}
	in := tensors.FromFlatDataAndDimensions(x, 2, 3, 2)
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store := newStore(t, 1)
		gru := func(scope *model.Scope, x *Node) *Node { return GRU(scope, x, everywhere(x), 2) }
		run(t, backend, store, false, gru, in)
		for k, p := range []struct {
			name string
			rows int
		}{{"input", 6}, {"state", 6}, {"input_biases", 0}, {"state_biases", 0}} {
			value := func(i int) float64 { return 0.8 * math.Sin(1.7*float64(i)+float64(k)) }
			values := make([]float64, max(6, 2*p.rows))
			for i := range values {
				values[i] = value(i)
				if p.rows > 0 { // PyTorch's are [3 width, D]
					values[i] = value(i%6*2 + i/6)
				}
			}
			set(t, store, "/"+p.name, values)
		}
		near(t, "states", flat(t, run(t, backend, store, false, gru, in)), want, 1e-11) // the printed digits
	})
}

// No state moves by a bit when later frames change, and one beyond the end is the last one there was.
func TestGRUIsCausal(t *testing.T) {
	store := newStore(t, 1)
	x := random[float32](2, 5, 3)
	changed := tensors.MustCopyFlatData[float32](x)
	for n := range 2 {
		for i := 3 * 3; i < 5*3; i++ { // times 3 and 4
			changed[n*15+i] += 7
		}
	}
	states := func(x *tensors.Tensor, length int) []float64 {
		return flat(t, run(t, goBackend(t), store, false, func(scope *model.Scope, x *Node) *Node {
			at := Iota(x.Graph(), shapes.Make(dtypes.Int32, 2, 5), 1)
			return GRU(scope, x, LessThan(at, Scalar(x.Graph(), dtypes.Int32, length)), 4)
		}, x))
	}
	a, b := states(x, 5), states(tensors.FromFlatDataAndDimensions(changed, 2, 5, 3), 5)
	short := states(x, 3)
	for n := range 2 {
		for time := range 5 {
			for u := range 4 {
				i := n*20 + time*4 + u
				switch {
				case time < 3 && (a[i] != b[i] || a[i] != short[i]):
					t.Errorf("state %d of %d sees what comes later", u, time)
				case time >= 3 && a[i] == b[i]:
					t.Errorf("state %d of %d does not see its own frame", u, time)
				case time >= 3 && short[i] != short[n*20+2*4+u]:
					t.Errorf("state %d of %d moved after the end", u, time)
				}
			}
		}
	}
	wantPanic(t, "[N, L, D]", shapes.Make(dtypes.Float32, 2, 3), func(scope *model.Scope, x *Node) *Node { return GRU(scope, x, x, 4) })
	wantPanic(t, "width 0", shapes.Make(dtypes.Float32, 2, 3, 4), func(scope *model.Scope, x *Node) *Node { return GRU(scope, x, everywhere(x), 0) })
}

func TestGRUGradient(t *testing.T) {
	store := newStore(t, 1)
	checkGradient(t, goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
		at := Iota(x.Graph(), shapes.Make(dtypes.Int32, 2, 4), 1)
		return GRU(scope, x, LessThan(at, Scalar(x.Graph(), dtypes.Int32, 3)), 2)
	}, random[float64](2, 4, 3))
}
