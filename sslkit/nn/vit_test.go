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
	"github.com/gomlx/gomlx/ml/model"
)

// By hand, after get_2d_sincos_pos_embed of the repository facebookresearch/mae.
func TestSinCos2D(t *testing.T) {
	got := SinCos2D(3, 8)
	if len(got) != 9 {
		t.Fatalf("%d rows, want 9", len(got))
	}
	for i, row := range got {
		x, y := float64(i%3), float64(i/3)
		want := []float64{ // frequencies 1 and 1/100
			math.Sin(x), math.Sin(x / 100), math.Cos(x), math.Cos(x / 100),
			math.Sin(y), math.Sin(y / 100), math.Cos(y), math.Cos(y / 100),
		}
		if len(row) != len(want) {
			t.Fatalf("row %d has %d values, want %d", i, len(row), len(want))
		}
		for k, v := range row {
			if math.Abs(float64(v)-want[k]) > 1e-7 { // float32
				t.Errorf("row %d: %v, want %v", i, row, want)
				break
			}
		}
	}
	tokens := shapes.Make(dtypes.Float32, 1, 9, 6)
	wantPanic(t, "multiple of 4", tokens, func(_ *model.Scope, x *Node) *Node { return Positions(x, 3) })
}

func TestViTMaps(t *testing.T) {
	image := shapes.Make(dtypes.Float32, 2, 12, 12, 3)
	for blocks, maps := range map[int]int{1: 1, 3: 3, 4: 4, 6: 4} {
		store := newStore(t, 1)
		dims := outline(t, goBackend(t), store, image, ViT(blocks, 32, 4).Stages)
		if len(dims) != maps {
			t.Errorf("%d blocks: %d maps, want %d", blocks, len(dims), maps)
		}
		for _, d := range dims {
			if !slices.Equal(d, []int{2, 3, 3, 32}) {
				t.Errorf("%d blocks: a map is %v", blocks, d)
			}
		}
		found := 0
		for v := range store.IterVariables() {
			if strings.HasSuffix(v.Path(), "weights_qkv") {
				found++
			}
		}
		if found != blocks {
			t.Errorf("%d blocks were built, want %d", found, blocks)
		}
	}
}

func TestViTHeads(t *testing.T) {
	// Scores [N, heads, L, L] are the only nodes of their shape.
	for width, heads := range map[int]int{32: 1, 96: 3, 160: 5, 192: 3, 224: 7, 768: 12} {
		g := NewGraph(goBackend(t), "heads")
		ViT(1, width, 2).Stages(newStore(t, 1).RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, 2, 10, 10, 1)))
		if !slices.ContainsFunc(g.Nodes(), func(n *Node) bool {
			return n.NumOutputs() == 1 && slices.Equal(n.Shape().Dimensions, []int{2, heads, 25, 25})
		}) {
			t.Errorf("width %d has not %d heads", width, heads)
		}
		g.Finalize()
	}
}

// The image, cut by rows; each patch times the weights, plus its position; before them the class token, with a position of its own
// only where there are no registers, and these; blocks; a norm after the last. What is kept is the patches, or the class token.
func TestViTIsItsParts(t *testing.T) {
	const size, patch, width = 8, 4, 32
	with := func(change func(b *Backbone)) Backbone {
		b := ViT(2, width, patch)
		b.Class, b.Learnt = true, true
		change(&b)
		return b
	}
	for _, b := range []Backbone{
		ViT(2, width, patch),
		with(func(b *Backbone) { b.Registers, b.LayerScale = 3, 0.5 }),
		with(func(b *Backbone) { b.Pool = "class" }),
		with(func(b *Backbone) { b.Registers, b.Class, b.Learnt = 1, false, false }),
	} {
		onBackends(t, func(t *testing.T, backend compute.Backend) {
			store := newStore(t, 1)
			x := random[float64](1, size, size, 1)
			both := func(scope *model.Scope, x *Node) *Node {
				maps := b.Stages(scope.In("vit"), x)
				return Concatenate([]*Node{Reshape(maps[0], -1), Reshape(maps[1], -1)}, 0)
			}
			run(t, backend, store, false, both, x)
			shake(t, store)
			v, pixels := snapshot(t, store), flat(t, x)
			var first, last []float64
			row := func(path string, i int) []float64 { return slices.Clone(v["/vit/"+path+"/tokens"][i*width:][:width]) }
			var tokens [][]float64
			places := 0 // of the class token
			if b.Class {
				tokens = append(tokens, row("class", 0))
				if b.Registers == 0 {
					for k, a := range row("positions", 0) {
						tokens[0][k] += a
					}
					places = 1
				}
			}
			for i := range b.Registers {
				tokens = append(tokens, row("registers", i))
			}
			before := len(tokens)
			for l, position := range SinCos2D(size/patch, width) {
				token := append([]float64(nil), v["/vit/patch/dense/biases"]...)
				for k := range token {
					if b.Learnt {
						token[k] += row("positions", places+l)[k]
					} else {
						token[k] += float64(position[k])
					}
					for p := range patch {
						for q := range patch {
							pixel := pixels[(l/2*patch+p)*size+l%2*patch+q]
							token[k] += (pixel - 0.5) / 0.25 * v["/vit/patch/dense/weights"][(p*patch+q)*width+k]
						}
					}
				}
				tokens = append(tokens, token)
			}
			kept := func(tokens [][]float64) [][]float64 {
				if b.Pool == "class" {
					return tokens[:1]
				}
				return tokens[before:]
			}
			tokens = naiveBlock(v, "/vit/stage_1/block_1/", tokens, 1, false)
			for _, token := range kept(tokens) {
				first = append(first, token...)
			}
			for _, token := range kept(naiveBlock(v, "/vit/stage_2/block_1/", tokens, 1, false)) {
				last = append(last, naiveNorm(v, "/vit/norm", token)...)
			}
			// Both in float64; backends approximate erf and exp to about 1e-9.
			near(t, "maps", flat(t, run(t, backend, store, false, both, x)), append(first, last...), 1e-6)
		})
	}
}

// A gain begins as told, for each channel of each of the two sums of a block. Reference: Touvron et al. 2021, "Going Deeper with Image
// Transformers", Sec. 2.
func TestPaperLayerScale(t *testing.T) {
	b := ViT(2, 32, 4)
	b.LayerScale = 1e-5
	store := newStore(t, 1)
	run(t, goBackend(t), store, false, func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) }, random[float32](1, 8, 8, 3))
	n := 0
	for v := range store.IterVariables() {
		if !strings.Contains(v.Path(), "/scale_") {
			continue
		}
		n++
		if values := flat(t, v.MustValue()); !v.Trainable || len(values) != 32 || values[0] != float64(float32(1e-5)) || values[31] != values[0] {
			t.Errorf("%s is %v, trainable: %t", v.Path(), values, v.Trainable)
		}
	}
	if n != 4 {
		t.Errorf("%d gains in two blocks, want 4", n)
	}
}

func naiveNorm(v map[string][]float64, path string, x []float64) []float64 {
	var mean, variance float64
	for _, a := range x {
		mean += a / float64(len(x))
	}
	for _, a := range x {
		variance += (a - mean) * (a - mean) / float64(len(x))
	}
	out := make([]float64, len(x))
	for i, a := range x {
		out[i] = (a-mean)/math.Sqrt(variance+1e-6)*v[path+"/layer_normalization/gain"][i] + v[path+"/layer_normalization/offset"][i]
	}
	return out
}

func TestViTPanics(t *testing.T) {
	stages := func(scope *model.Scope, x *Node) *Node { return Last(ViT(1, 32, 4).Stages(scope, x)) }
	wantPanic(t, "square images whose side is a multiple", shapes.Make(dtypes.Float32, 2, 30, 30, 1), stages)
	wantPanic(t, "square images whose side is a multiple", shapes.Make(dtypes.Float32, 2, 28, 32, 1), stages)
	wantPanic(t, "nn.Backbone.Embed", shapes.Make(dtypes.Float32, 2, 6), func(scope *model.Scope, x *Node) *Node {
		return ViT(1, 32, 4).Embed(scope, x)
	})
	wantPanic(t, "nn.Backbone.Transform", shapes.Make(dtypes.Float32, 2, 6), func(scope *model.Scope, x *Node) *Node {
		return Last(ViT(1, 32, 4).Transform(scope, x))
	})
}

// What the last block attends to is softmax(q k / sqrt(size)) of its normed tokens, by the equation; the stages are what they are
// without it, and nothing else is made.
func TestViTAttention(t *testing.T) {
	const size, patch, width, heads = 8, 4, 64, 2
	b := ViT(2, width, patch)
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		store, x := newStore(t, 1), random[float64](1, size, size, 1)
		look := func(scope *model.Scope, x *Node) *Node { return b.Attention(scope.In("vit"), x) }
		last := func(scope *model.Scope, x *Node) *Node { return b.Stages(scope.In("vit"), x)[0] } // what the last block reads
		run(t, backend, store, false, last, x)
		shake(t, store)
		v := snapshot(t, store)
		tokens, got := flat(t, run(t, backend, store, false, last, x)), flat(t, run(t, backend, store, false, look, x))
		if len(snapshot(t, store)) != len(v) {
			t.Error("it makes variables of its own")
		}
		const l, block = size / patch * size / patch, "/vit/stage_2/block_1/"
		qkv := block + "attention/MultiHeadAttention/qkv/"
		var all [][]float64 // queries and keys
		for i := range l {
			in := naiveNorm(v, block+"norm_1", tokens[i*width:][:width])
			row := append(append([]float64(nil), v[qkv+"biases_q"]...), v[qkv+"biases_k"]...)
			for k := range row {
				for j, a := range in {
					row[k] += a * v[qkv+"weights_qkv"][j*3*width+k]
				}
			}
			all = append(all, row)
		}
		var want []float64
		for h := range heads {
			for i := range l {
				var e []float64
				sum := 0.0
				for j := range l {
					score := 0.0
					for k := h * width / heads; k < (h+1)*width/heads; k++ {
						score += all[i][k] * all[j][width+k]
					}
					e = append(e, math.Exp(score/math.Sqrt(width/heads)))
					sum += e[j]
				}
				for _, a := range e {
					want = append(want, a/sum)
				}
			}
		}
		near(t, "weights", got, want, 1e-6) // as in TestViTIsItsParts
	})
	wantPanic(t, "a nin has none", shapes.Make(dtypes.Float32, 2, 8, 8, 1), NIN(3, 6).Attention)
	wantPanic(t, "square images", shapes.Make(dtypes.Float32, 2, 8, 9, 1), b.Attention)
}

// With a class token maps have the patches only, which see it; learnt positions are one parameter a token, and move.
func TestViTClassToken(t *testing.T) {
	b := ViT(2, 32, 4)
	b.Class, b.Learnt = true, true
	store := newStore(t, 1)
	x := random[float32](2, 8, 8, 3)
	last := func(scope *model.Scope, x *Node) *Node { return Last(b.Stages(scope, x)) }
	before := run(t, goBackend(t), store, false, last, x)
	if d := before.Shape().Dimensions; !slices.Equal(d, []int{2, 2, 2, 32}) {
		t.Fatalf("the map is %v", d)
	}
	if d := store.GetVariable("/positions/tokens").Shape().Dimensions; !slices.Equal(d, []int{1, 5, 32}) {
		t.Errorf("positions are %v, want those of 4 patches and the class token", d)
	}
	for _, path := range []string{"/class/tokens", "/positions/tokens"} {
		values := make([]float64, store.GetVariable(path).Shape().Size())
		for i := range values {
			values[i] = float64(i%7) / 7
		}
		set(t, store, path, values)
		after := run(t, goBackend(t), store, false, last, x)
		if slices.Equal(flat(t, before), flat(t, after)) {
			t.Errorf("%s changes nothing", path)
		}
		before = after
	}
	if err := b.Bare(); err == nil {
		t.Error("masked autoencoding would not see the class token")
	}
	parts := b.Parts()
	if !slices.Contains(parts[0], "class") || !slices.Contains(parts[0], "positions") {
		t.Errorf("fine-tuning from the second stage would train %v", parts[0])
	}
}
