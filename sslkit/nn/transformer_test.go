package nn

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/model"
)

func transformer(depth, heads int, causal bool) layer {
	return func(scope *model.Scope, x *Node) *Node { return Transformer(scope, x, depth, heads, causal) }
}

// shake moves all variables from where they start, since biases of 0 and gains of 1 hide mistakes.
func shake(t testing.TB, store *model.Store) {
	t.Helper()
	for path, values := range snapshot(t, store) {
		for i := range values {
			values[i] += 0.3 * math.Sin(float64(7*i+3*len(path)))
		}
		set(t, store, path, values)
	}
}

// naiveBlock is one block on one example [L][D], by the equations.
// Where there is a LayerScale, it is heeded.
func naiveBlock(v map[string][]float64, block string, x [][]float64, heads int, causal bool) [][]float64 {
	d := len(x[0])
	linear := func(w, b []float64, in []float64) []float64 {
		out := append([]float64(nil), b...)
		for i, a := range in {
			for j := range out {
				out[j] += a * w[i*len(out)+j]
			}
		}
		return out
	}
	normed := func(name string, in []float64) []float64 {
		gain, offset := v[block+name+"/layer_normalization/gain"], v[block+name+"/layer_normalization/offset"]
		var mean, variance float64
		for _, a := range in {
			mean += a / float64(d)
		}
		for _, a := range in {
			variance += (a - mean) * (a - mean) / float64(d)
		}
		out := make([]float64, d)
		for i, a := range in {
			out[i] = (a-mean)/math.Sqrt(variance+1e-6)*gain[i] + offset[i]
		}
		return out
	}
	qkv := block + "attention/MultiHeadAttention/qkv/"
	biases := append(append(append([]float64(nil), v[qkv+"biases_q"]...), v[qkv+"biases_k"]...), v[qkv+"biases_v"]...)
	var all [][]float64
	for _, row := range x {
		all = append(all, linear(v[qkv+"weights_qkv"], biases, normed("norm_1", row)))
	}
	out := make([][]float64, len(x))
	size := d / heads
	for i := range x {
		mixed := make([]float64, d)
		for h := range heads {
			var sum float64
			weight := make([]float64, len(x))
			for j := range x {
				if causal && j > i {
					continue
				}
				var score float64
				for k := h * size; k < (h+1)*size; k++ {
					score += all[i][k] * all[j][d+k]
				}
				weight[j] = math.Exp(score / math.Sqrt(float64(size)))
				sum += weight[j]
			}
			for j := range x {
				for k := h * size; k < (h+1)*size; k++ {
					mixed[k] += weight[j] / sum * all[j][2*d+k]
				}
			}
		}
		dense := func(name string, in []float64) []float64 {
			return linear(v[block+name+"/dense/weights"], v[block+name+"/dense/biases"], in)
		}
		y := append([]float64(nil), x[i]...)
		scaled := func(name string, in []float64) []float64 {
			for k, gain := range v[block+name+"/gain"] {
				in[k] *= gain
			}
			return in
		}
		for k, a := range scaled("scale_1", dense("attention/MultiHeadAttention/output", mixed)) {
			y[k] += a
		}
		hidden := dense("mlp_1", normed("norm_2", y))
		for k, a := range hidden {
			hidden[k] = a * (1 + math.Erf(a/math.Sqrt2)) / 2
		}
		for k, a := range scaled("scale_2", dense("mlp_2", hidden)) {
			y[k] += a
		}
		out[i] = y
	}
	return out
}

func TestTransformerIsItsEquations(t *testing.T) {
	const n, l, d, heads, depth = 2, 5, 6, 3, 2
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, causal := range []bool{false, true} {
			store := newStore(t, 1)
			x := random[float64](n, l, d)
			run(t, backend, store, true, transformer(depth, heads, causal), x)
			shake(t, store)
			got := flat(t, run(t, backend, store, true, transformer(depth, heads, causal), x))
			v := snapshot(t, store)
			var want []float64
			for i := range n {
				rows := make([][]float64, l)
				for j := range rows {
					rows[j] = flat(t, x)[(i*l+j)*d:][:d]
				}
				for _, block := range []string{"/block_1/", "/block_2/"} {
					rows = naiveBlock(v, block, rows, heads, causal)
				}
				for _, row := range rows {
					want = append(want, row...)
				}
			}
			// Both in float64; backends approximate erf and exp to about 1e-9.
			near(t, "tokens", got, want, 1e-7)
		}
	})
}

// Checkpoints with GoMLX's attention must load: the variables are the same, as they start and in what they do.
func TestAttendIsGoMLXs(t *testing.T) {
	const d, heads = 6, 3
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, causal := range []bool{false, true} {
			theirs := func(scope *model.Scope, x *Node) *Node {
				return attention.SelfAttention(scope, x, heads, d/heads).UseQKVProjection().WithCausalMask(causal).Done()
			}
			ours := func(scope *model.Scope, x *Node) *Node {
				y, _ := attend(scope, x, heads, seeing{causal: causal})
				return y
			}
			store, fresh, x := newStore(t, 1), newStore(t, 1), random[float64](2, 5, d)
			run(t, backend, store, true, theirs, x)
			run(t, backend, fresh, true, ours, x)
			if started := snapshot(t, fresh); !reflect.DeepEqual(started, snapshot(t, store)) {
				t.Errorf("causal %t: variables start as %v, want %v", causal, started, snapshot(t, store))
			}
			shake(t, store)
			before := snapshot(t, store)
			want := flat(t, run(t, backend, store, true, theirs, x))
			near(t, "tokens", flat(t, run(t, backend, store, true, ours, x)), want, 1e-12)
			if !reflect.DeepEqual(before, snapshot(t, store)) {
				t.Errorf("causal %t: other variables than GoMLX's", causal)
			}
		}
	})
}

func TestTransformerGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, causal := range []bool{false, true} {
			store := newStore(t, 1)
			x := random[float64](2, 3, 4)
			run(t, backend, store, true, transformer(1, 2, causal), x)
			shake(t, store)
			checkGradient(t, backend, store, transformer(1, 2, causal), x)
		}
	})
}

// What comes later must not move what a causal transformer says of the present.
func TestTransformerCausal(t *testing.T) {
	const l, d = 4, 4
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, causal := range []bool{false, true} {
			store := newStore(t, 1)
			x := random[float32](1, l, d)
			first := flat(t, run(t, backend, store, false, transformer(2, 2, causal), x))
			changed := tensors.MustCopyFlatData[float32](x)
			for i := 2 * d; i < len(changed); i++ {
				changed[i] += float32(i)
			}
			second := flat(t, run(t, backend, store, false, transformer(2, 2, causal), tensors.FromFlatDataAndDimensions(changed, 1, l, d)))
			moved := 0.0
			for i := range 2 * d {
				moved = max(moved, math.Abs(first[i]-second[i]))
			}
			if causal && moved != 0 || !causal && moved < 1e-3 {
				t.Errorf("causal %t: earlier positions moved by %g", causal, moved)
			}
		}
	})
}

func TestTransformerStart(t *testing.T) {
	const d = 16
	store := newStore(t, 1)
	run(t, goBackend(t), store, false, transformer(1, 4, false), random[float32](1, 2, d))
	for path, values := range snapshot(t, store) {
		var bound, largest float64 // sqrt(6/(in+out))
		switch {
		case strings.HasSuffix(path, "qkv"):
			bound = math.Sqrt(6. / (d + 3*d))
		case strings.Contains(path, "mlp") && strings.HasSuffix(path, "weights"):
			bound = math.Sqrt(6. / (d + 4*d))
		case strings.HasSuffix(path, "weights"):
			bound = math.Sqrt(6. / (d + d))
		case strings.HasSuffix(path, "gain"):
			near(t, path, values, ones(d), 0)
			continue
		}
		for _, v := range values {
			largest = max(largest, math.Abs(v))
		}
		// Of 256 uniform values or more, the largest is below 0.95 of the bound once in 500,000 times.
		if largest > bound || largest < 0.95*bound {
			t.Errorf("%s starts within %g, want %g", path, largest, bound)
		}
	}
}

func ones(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// A checkpoint goes from one backend to the other.
func TestTransformerAcrossBackends(t *testing.T) {
	all := backends(t)
	if len(all) < 2 {
		t.Skip("no XLA here")
	}
	store := newStore(t, 1)
	x := random[float32](3, 6, 8)
	f := transformer(2, 2, true)
	want := flat(t, run(t, all[0], store, false, f, x))
	copied := newStore(t, 2)
	run(t, all[1], copied, false, f, x)
	for path, values := range snapshot(t, store) {
		set(t, copied, path, values)
	}
	// Rounding of float32 through two blocks.
	near(t, "tokens", flat(t, run(t, all[1], copied, false, f, x)), want, 1e-5)
}

func TestTransformerPanics(t *testing.T) {
	tokens := shapes.Make(dtypes.Float32, 2, 3, 6)
	wantPanic(t, "equal in size", tokens, transformer(1, 4, false))
	wantPanic(t, "depth 0", tokens, transformer(0, 2, false))
	wantPanic(t, "0 heads", tokens, transformer(1, 0, false))
	wantPanic(t, "[N, L, D]", shapes.Make(dtypes.Float32, 2, 6), transformer(1, 2, false))
	wantPanic(t, "[N, L, D]", shapes.Make(dtypes.Int32, 2, 3, 6), transformer(1, 2, false))
	wantPanic(t, "[N, ..., D]", shapes.Make(dtypes.Float32, 6), func(scope *model.Scope, x *Node) *Node { return LayerNorm(scope, x) })
}
