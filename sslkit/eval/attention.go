package eval

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
)

// AttentionMap sums |activation|^power over the channels of m [N, h, w, C], float32 or float64, and scales each image's
// map [N, h, w] so that its smallest value is 0 and its largest 1 (Zagoruyko & Komodakis, "Paying More Attention to
// Attention", ICLR 2017, Sec. 3.1, F^p_sum; Gidaris et al. 2018, Fig. 3). A map that is the same everywhere becomes 0.
// The higher the power, the more the strongest activations count. It panics with an error on other ranks and on a power
// that is not above 0.
func AttentionMap(m *Node, power float64) *Node {
	if m.Rank() != 4 || !m.DType().IsFloat() {
		exceptions.Panicf("eval.AttentionMap: need a float feature map [N, h, w, C], got %s", m.Shape())
	}
	if !(power > 0) {
		exceptions.Panicf("eval.AttentionMap: the power is %g; it must be above 0", power)
	}
	// The result doesn't depend on the scale of m; at scale 1 no power overflows.
	a := Abs(StopGradient(m))
	a = Div(a, orOne(ReduceAndKeep(a, ReduceMax, 1, 2, 3)))
	a = ReduceSum(PowScalar(a, power), -1) // Nxhxw
	a = Sub(a, ReduceAndKeep(a, ReduceMin, 1, 2))
	return Div(a, orOne(ReduceAndKeep(a, ReduceMax, 1, 2)))
}

// orOne replaces zeros by ones.
func orOne(x *Node) *Node { return Where(Equal(x, ZerosLike(x)), OnesLike(x), x) }

// Attention is one stage's attention maps.
type Attention struct {
	Height, Width int
	Maps          [][]float32 // an image each, row by row, in [0, 1]
}

// AttentionMaps returns the maps of every image of ds for each stage of the encoder, shallow to deep. Stage i has powers[i],
// the stages beyond the last of powers; without powers they are 1, 2, 4, 4, ..., as in Fig. 3 of Gidaris et al. 2018.
func AttentionMaps(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method, ds train.Dataset, powers ...float64) ([]Attention, error) {
	if len(powers) == 0 {
		powers = []float64{1, 2, 4}
	}
	var out []Attention
	maps, err := sslkit.Features(ctx, backend, store, m, ds, func(maps []*Node) []*Node {
		out = make([]Attention, len(maps))
		flat := make([]*Node, len(maps))
		for i, m := range maps {
			a := AttentionMap(m, powers[min(i, len(powers)-1)])
			out[i].Height, out[i].Width = a.Shape().Dim(1), a.Shape().Dim(2)
			flat[i] = Reshape(a, a.Shape().Dim(0), -1)
		}
		return flat
	})
	if err != nil {
		return nil, fmt.Errorf("eval: attention maps: %w", err)
	}
	for i := range maps {
		out[i].Maps = maps[i]
	}
	return out, nil
}
