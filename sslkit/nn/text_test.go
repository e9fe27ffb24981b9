package nn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func TestTextValidate(t *testing.T) {
	for want, b := range map[string]Backbone{
		"multiple of 32":        Text(2, 48, 100, 8),
		"at least 1 block":      Text(0, 32, 100, 8),
		"vocabulary above 4":    Text(1, 32, 4, 8),
		"at least 3 tokens":     Text(1, 32, 100, 2),
		"only a text is causal": {Arch: "words", Depth: 1, Width: 8, Words: 9, Length: 8, Causal: true},
		"9 words in texts of 0": {Arch: "vit", Depth: 3, Width: 32, Patch: 4, Words: 9},
	} {
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that says %q", b, err, want)
		}
	}
	if b := Text(3, 64, 100, 8); b.Validate() != nil || b.Input() != Texts {
		t.Errorf("%+v reads %v, %v", b, b.Input(), b.Validate())
	}
}

func tokens(texts ...[]int32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Concat(texts...), len(texts), len(texts[0]))
}

// Of a text the stages are those of its words' vectors and of its blocks, and their parts hold what each depends on first.
func TestTextStages(t *testing.T) {
	for _, depth := range []int{1, 3, 6} {
		b := Text(depth, 32, 9, 5)
		store, text := newStore(t, 1), tokens([]int32{2, 4, 5, 3, 0}, []int32{2, 8, 1, 6, 3})
		stages := func() (all [][]float64) {
			out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, x *Node) []*Node { return b.Stages(scope.In("net"), x) }, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range out {
				if s := x.Shape(); !s.Equal(shapes.Make(dtypes.Float32, 2, 1, 1, 32)) {
					t.Errorf("a stage is %s", s)
				}
				all = append(all, flat(t, x))
			}
			return all
		}
		before, parts := stages(), b.Parts()
		if len(before) != len(parts) || len(parts) != 1+min(depth, 4) {
			t.Fatalf("%d stages, %d parts of %d blocks", len(before), len(parts), depth)
		}
		for v := range store.Scope("/net").IterVariables() {
			part := slices.IndexFunc(parts, func(scopes []string) bool {
				return slices.ContainsFunc(scopes, func(s string) bool { return strings.HasPrefix(v.Path()+"/", "/net/"+s+"/") })
			})
			if part < 0 || v.Shape().DType != dtypes.Float32 {
				t.Errorf("%s, %s, is of part %d", v.Path(), v.Shape(), part)
			}
			if strings.HasSuffix(v.Path(), "/biases_k") { // what softmax ignores
				continue
			}
			values := flat(t, v.MustValue())
			moved := slices.Clone(values)
			for i := range moved {
				moved[i] += 0.3 * float64(i%5+1)
			}
			set(t, store, v.Path(), moved)
			for i, now := range stages() {
				if changed := !slices.Equal(now, before[i]); i < part && changed || i == part && !changed {
					t.Errorf("%d blocks: %s, of part %d, changes stage %d: %t", depth, v.Path(), part+1, i+1, changed)
				}
			}
			set(t, store, v.Path(), values)
		}
	}
	wantPanic(t, "[N, 5] int32", shapes.Make(dtypes.Int32, 2, 4), func(scope *model.Scope, x *Node) *Node { return Last(Text(1, 32, 9, 5).Stages(scope, x)) })
	wantPanic(t, `backbone "text"`, shapes.Make(dtypes.Float32, 2, 5, 32), func(scope *model.Scope, x *Node) *Node {
		return Last(Words(9, 5, 32).Contexts(scope, x, nil, 0))
	})
	wantPanic(t, "bool [N, L]", shapes.Make(dtypes.Float32, 2, 5, 32), func(scope *model.Scope, x *Node) *Node {
		return TransformerOver(scope, x, x, 1, 1, false, 0)
	})
}

// What is not there is not seen: whatever stands in its place, the states of what is there are those without it; and where a text
// is causal, of what comes later neither, bit for bit. On all backends, and with products in bfloat16.
func TestTransformerOver(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, precision := range []string{"float32", "bf16"} {
			for _, causal := range []bool{false, true} {
				store := newStore(t, 1)
				exec := model.MustNewExec(backend, store, func(scope *model.Scope, x *Node) *Node {
					if precision == "bf16" {
						MixedPrecision(scope, x.Graph())
					}
					there := LessThan(Iota(x.Graph(), shapes.Make(dtypes.Int32, 1, 4), 1), Scalar(x.Graph(), dtypes.Int32, 3))
					return TransformerOver(scope, x, BroadcastToDims(there, 2, 4), 2, 2, causal, 0)
				})
				defer exec.Finalize()
				states := func(x *tensors.Tensor) []float64 { return flat(t, exec.MustCall1(x)) }
				x := random[float32](2, 4, 8)
				value := tensors.MustCopyFlatData[float32](x)
				before := states(x)
				for place := range 4 { // of the first text
					moved := slices.Clone(value)
					for i := range 8 {
						moved[place*8+i] += float32(i + 1)
					}
					after := states(tensors.FromFlatDataAndDimensions(moved, 2, 4, 8))
					for other := range 8 {
						changed := !slices.Equal(before[other*8:other*8+8], after[other*8:other*8+8])
						want := other < 4 && (other == place || place < 3 && (!causal || other > place))
						if changed != want {
							t.Errorf("%s, causal %t: place %d changes the state of %d: %t", precision, causal, place, other, changed)
						}
					}
				}
			}
		}
	})
}

// So much is dropped, and the mean stays; out of training nothing is.
func TestDropout(t *testing.T) {
	store := newStore(t, 1)
	drop := func(training bool, rate float64) []float64 {
		return flat(t, run(t, goBackend(t), store, training, func(scope *model.Scope, x *Node) *Node { return Dropout(scope, OnesLike(x), rate) }, random[float32](100, 100)))
	}
	const rate = 0.2
	first, second := drop(true, rate), drop(true, rate)
	if slices.Equal(first, second) {
		t.Error("the same is dropped twice")
	}
	var kept float64
	for _, v := range first {
		if v != 0 {
			if math.Abs(v-1.25) > 1e-6 {
				t.Fatalf("what is kept is %v, want 1.25", v)
			}
			kept++
		}
	}
	if math.Abs(kept/10000-0.8) > 0.016 { // four deviations
		t.Errorf("%v of 10000 are kept", kept)
	}
	for _, whole := range [][]float64{drop(false, rate), drop(true, 0)} {
		if slices.Contains(whole, 0) {
			t.Error("dropped out of training, or with a rate of 0")
		}
	}
	wantPanic(t, "not in [0, 1)", shapes.Make(dtypes.Float32, 2, 4), func(scope *model.Scope, x *Node) *Node { return Dropout(scope, x, 1) })
}
