package sslkit

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// The tests' images have 4x4 patches of 4x4 pixels.
const maeImages, maeSide, maePatch, maeGrid, maePatches = 3, 16, 4, 4, 16

func tinyMAE() *MAE {
	return &MAE{Backbone: nn.ViT(2, 32, maePatch), Mask: 0.75, DecoderDepth: 1, DecoderWidth: 64, Normalize: true}
}

func TestMAEValidate(t *testing.T) {
	for _, m := range []*MAE{tinyMAE(), SmallMAE(nn.ViT(4, 96, 4)), PaperMAE(nn.ViT(12, 768, 16))} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, tinyMAE, map[string]func(*MAE){
		`only the backbone "vit" can, not "nin"`: func(m *MAE) { m.Backbone = nn.NIN(3, 24) },
		"mask 1: the share":                      func(m *MAE) { m.Mask = 1 },
		"mask -0.1: the share":                   func(m *MAE) { m.Mask = -0.1 },
		"mask NaN: the share":                    func(m *MAE) { m.Mask = math.NaN() },
		"at least 1 block, not 0":                func(m *MAE) { m.DecoderDepth = 0 },
		"multiple of 32, not 48":                 func(m *MAE) { m.DecoderWidth = 48 },
		"pad -1":                                 func(m *MAE) { m.Pad = -1 },
		"min_scale 1.5":                          func(m *MAE) { m.MinScale = 1.5 },
		"set one of them to 0":                   func(m *MAE) { m.Pad, m.MinScale = 2, 0.2 },
		"a vit's width":                          func(m *MAE) { m.Backbone.Width = 33 },
	})
}

// What depends on the images' side is said when the step is built.
func TestMAERejectsImages(t *testing.T) {
	for want, c := range map[string]struct {
		patch int
		mask  float64
	}{
		"their side must be a multiple":     {5, 0.75},
		"hiding 4 of 4 patches leaves none": {8, 0.9},
	} {
		m := tinyMAE()
		m.Backbone.Patch, m.Mask = c.patch, c.mask
		r := &Run{Method: m, Backend: goBackend(t), Train: toyData{n: 4, s: maeSide, batch: 2}, Epochs: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.1)}}
		if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func maePixels() []float32 {
	rnd := rand.New(rand.NewPCG(9, 9))
	x := make([]float32, maeImages*maeSide*maeSide)
	for i := range x {
		x[i] = rnd.Float32()
	}
	return x
}

func maeTensor(pixels []float32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Clone(pixels), maeImages, maeSide, maeSide, 1)
}

// shuffled is an order of the patches for each image.
func shuffled() [][]int32 {
	rnd := rand.New(rand.NewPCG(5, 5))
	order := make([][]int32, maeImages)
	for i := range order {
		for _, patch := range rnd.Perm(maePatches) {
			order[i] = append(order[i], int32(patch))
		}
	}
	return order
}

// maeStore has the variables of m, moved from where they start: biases of 0 hide mistakes.
func maeStore(t *testing.T, m *MAE) *model.Store {
	t.Helper()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{m.Loss(scope, Batch{Image: in[0]})}
	}, maeTensor(maePixels()))
	for v := range store.IterVariables() {
		if v.DType() != dtypes.Float32 {
			continue
		}
		value := tensors.MustCopyFlatData[float32](v.MustValue())
		for i := range value {
			value[i] += 0.1 * float32(math.Sin(float64(5*i+len(v.Path()))))
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(value, v.Shape().Dimensions...)); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// maeBackend is one for all, since variables stay with the backend that saw them first.
var maeBackend = sync.OnceValues(func() (compute.Backend, error) { return compute.NewWithConfig("go:ops_sequential") })

func callMAE(t *testing.T, store *model.Store, fn func(scope *model.Scope, in []*Node) []*Node, in ...any) []*tensors.Tensor {
	t.Helper()
	backend, err := maeBackend()
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnceN(backend, store, fn, in...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// predicted is what m paints of each patch, in the order of the grid.
func predicted(t *testing.T, m *MAE, store *model.Store, pixels []float32) []float32 {
	t.Helper()
	out := callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
		patches := view.Patchify(nn.Centre(in[0]), maePatch)
		return []*Node{view.Pick(m.predict(scope, patches, in[1], view.Hidden(maePatches, m.Mask)), view.Ranks(in[1]))}
	}, maeTensor(pixels), shuffled())
	return tensors.MustCopyFlatData[float32](out[0])
}

// "We compute the loss only on masked patches", and with normalised targets on "the mean and standard deviation of all
// pixels in a patch", the unbiased one in the authors' code.
// Reference: He et al. 2022, Sec. 3, "Reconstruction target".
func TestMAELossIsOnHiddenPatches(t *testing.T) {
	for _, normalize := range []bool{false, true} {
		m := tinyMAE()
		m.Normalize = normalize
		store := maeStore(t, m)
		seed := func() {
			if err := store.SetRNGStateFromSeed(3); err != nil {
				t.Fatal(err)
			}
		}
		seed()
		got := callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
			return []*Node{m.Loss(scope, Batch{Image: in[0]})}
		}, maeTensor(maePixels()))[0].Value().(float32)
		seed() // so that the same is drawn again
		parts := callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
			patches := view.Patchify(nn.Centre(in[0]), maePatch)
			order := view.RandomMask(scope, patches)
			return []*Node{patches, order, m.predict(scope, patches, order, 12)}
		}, maeTensor(maePixels()))
		patches, order, pred := parts[0].Value().([][][]float32), parts[1].Value().([][]int32), parts[2].Value().([][][]float32)
		naive := func(from int, unbiased float64) float64 {
			var sum, count float64
			for n := range order {
				for k := from; k < maePatches; k++ {
					for i, target := range targets(patches[n][order[n][k]], normalize, unbiased) {
						sum += math.Pow(float64(pred[n][k][i])-target, 2)
						count++
					}
				}
			}
			return sum / count
		}
		const tolerance = 1e-4 // float32 sums of 576 terms of about 2
		if want := naive(4, 1); math.Abs(float64(got)-want) > tolerance {
			t.Errorf("normalised: %v, loss %v, want %v", normalize, got, want)
		}
		if wrong := naive(0, 1); math.Abs(float64(got)-wrong) < 10*tolerance {
			t.Errorf("the loss on all patches is %v: this test would not tell", wrong)
		}
		if wrong := naive(4, 0); normalize && math.Abs(float64(got)-wrong) < 10*tolerance {
			t.Errorf("with a biased variance the loss is %v: this test would not tell", wrong)
		}
	}
}

// targets are a patch's values, normalised with a variance over P-unbiased.
func targets(patch []float32, normalize bool, unbiased float64) []float64 {
	p := float64(len(patch))
	var mean, variance float64
	for _, v := range patch {
		mean += float64(v) / p
	}
	for _, v := range patch {
		variance += math.Pow(float64(v)-mean, 2) / (p - unbiased)
	}
	out := make([]float64, len(patch))
	for i, v := range patch {
		out[i] = float64(v)
		if normalize {
			out[i] = (float64(v) - mean) / math.Sqrt(variance+1e-6)
		}
	}
	return out
}

// paperMAE is the authors' forward pass (models_mae.py): positions, masking, encoder; mask tokens, unshuffling, positions,
// decoder. late makes a mistake: it adds the encoder's positions after masking.
func paperMAE(m *MAE, late bool) func(scope *model.Scope, in []*Node) []*Node {
	return func(scope *model.Scope, in []*Node) []*Node {
		patches, order := view.Patchify(nn.Centre(in[0]), maePatch), in[1]
		hidden := view.Hidden(maePatches, m.Mask)
		keep := Slice(order, AxisRange(), AxisRange(0, maePatches-hidden))
		encoder, decoder := scope.In("encoder"), scope.In("decoder")
		x := m.Backbone.Embed(encoder, patches)
		position := nn.Positions(x, maeGrid)
		if late {
			x = Add(view.Pick(x, keep), Slice(position, AxisRange(), AxisRange(0, maePatches-hidden)))
		} else {
			x = view.Pick(Add(x, position), keep)
		}
		x = nn.Last(m.Backbone.Transform(encoder, x))
		x = layers.Dense(decoder.In("embed"), x, true, m.DecoderWidth)
		token := scope.VariableWithShape("mask_token", shapes.Make(x.DType(), 1, 1, m.DecoderWidth)).NodeValue(x.Graph())
		x = Concatenate([]*Node{x, BroadcastToDims(token, maeImages, hidden, m.DecoderWidth)}, 1)
		x = Add(view.Pick(x, view.Ranks(order)), nn.Positions(x, maeGrid))
		x = nn.LayerNorm(decoder.In("norm"), nn.Transformer(decoder, x, m.DecoderDepth, m.DecoderWidth/32, false))
		return []*Node{layers.Dense(decoder.In("pixels"), x, true, maePatch*maePatch)}
	}
}

// "After encoding, we append a list of mask tokens to the list of encoded patches, and unshuffle this full list": here the
// list stays shuffled, which must come to the same.
// Reference: He et al. 2022, Sec. 3, "Simple implementation".
func TestMAEIsThePapersForwardPass(t *testing.T) {
	m := tinyMAE()
	store := maeStore(t, m)
	got := predicted(t, m, store, maePixels())
	for _, late := range []bool{false, true} {
		want := tensors.MustCopyFlatData[float32](callMAE(t, store, paperMAE(m, late), maeTensor(maePixels()), shuffled())[0])
		largest := 0.0
		for i := range want {
			largest = max(largest, math.Abs(float64(want[i]-got[i])))
		}
		// float32 through three blocks, summed in another order.
		if !late && largest > 1e-4 || late && largest < 1e-2 {
			t.Errorf("positions after masking: %v: predictions differ by %g", late, largest)
		}
	}
}

// Where a patch lies in the image: the pixels of patch i.
func inPatch(i int32, pixel func(at int)) {
	for p := range maePatch {
		for q := range maePatch {
			pixel((int(i)/maeGrid*maePatch+p)*maeSide + int(i)%maeGrid*maePatch + q)
		}
	}
}

// repaint changes the pixels of the patches order[from:to] of each image.
func repaint(pixels []float32, from, to int) []float32 {
	pixels = slices.Clone(pixels)
	for n, order := range shuffled() {
		for _, patch := range order[from:to] {
			inPatch(patch, func(at int) { pixels[n*maeSide*maeSide+at] = float32(at%7) / 7 })
		}
	}
	return pixels
}

// The encoder is a ViT on visible, unmasked patches only (a paraphrase): nothing is known of the others.
// Reference: He et al. 2022, Sec. 3, "MAE encoder".
func TestMAEKnowsNothingOfHiddenPatches(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		m := tinyMAE()
		m.MaskTokens = tokens
		store, pixels := maeStore(t, m), maePixels()
		before := predicted(t, m, store, pixels)
		if !slices.Equal(before, predicted(t, m, store, repaint(pixels, 4, maePatches))) {
			t.Errorf("mask tokens in the encoder: %v: the prediction follows pixels that are hidden", tokens)
		}
		if slices.Equal(before, predicted(t, m, store, repaint(pixels, 3, 4))) {
			t.Errorf("mask tokens in the encoder: %v: the prediction does not follow a visible patch", tokens)
		}
	}
}

// "Masked patches are removed; no mask tokens are used": the encoder's work falls with the share that is hidden.
// Reference: He et al. 2022, Sec. 3, "MAE encoder".
func TestMAEEncoderSeesVisiblePatchesOnly(t *testing.T) {
	for _, c := range []struct {
		mask   float64
		tokens bool
		want   int
	}{{0, false, 16}, {0.5, false, 8}, {0.75, false, 4}, {0.9, false, 2}, {0.75, true, 16}} {
		m := tinyMAE()
		m.Mask, m.MaskTokens = c.mask, c.tokens
		g := NewGraph(goBackend(t), "mae")
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		m.Loss(store.RootScope(), Batch{Image: Parameter(g, "x", shapes.Make(dtypes.Float32, maeImages, maeSide, maeSide, 1))})
		seen := map[int]bool{} // tokens in the hidden layers of the encoder's MLPs, which nothing else is as wide as
		for _, node := range g.Nodes() {
			if node.NumOutputs() == 1 && node.Rank() == 3 && node.Shape().Dim(2) == 4*32 {
				seen[node.Shape().Dim(1)] = true
			}
		}
		delete(seen, 1) // biases
		if len(seen) != 1 || !seen[c.want] {
			t.Errorf("mask %g, mask tokens in the encoder: %v: it runs on %v tokens, want %d", c.mask, c.tokens, seen, c.want)
		}
		g.Finalize()
	}
}

// "After pre-training, the decoder is discarded and the encoder is applied to uncorrupted images (full sets of patches)".
// Reference: He et al. 2022, Fig. 1.
func TestMAEEvaluation(t *testing.T) {
	m := tinyMAE()
	store := maeStore(t, m)
	var used []string
	encode := func(training bool, pixels []float32) []float32 {
		out := callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
			g := in[0].Graph()
			store.SetTraining(g, training)
			maps := m.Encode(scope, in[0])
			used = nil
			for v := range store.IterVariables() {
				if v.InUseByGraph(g) {
					used = append(used, v.Path())
				}
			}
			return maps[len(maps)-1:]
		}, maeTensor(pixels))
		if want := []int{maeImages, maeGrid, maeGrid, 32}; !slices.Equal(out[0].Shape().Dimensions, want) {
			t.Fatalf("the last map is %s, want %v", out[0].Shape(), want)
		}
		return tensors.MustCopyFlatData[float32](out[0])
	}
	before := variables(t, store)
	features := encode(false, maePixels())
	if !slices.Equal(features, encode(false, maePixels())) || !slices.Equal(features, encode(true, maePixels())) {
		t.Error("evaluation is random")
	}
	if !reflect.DeepEqual(before, variables(t, store)) {
		t.Error("evaluation changed a variable")
	}
	for _, path := range used {
		if !strings.HasPrefix(path, "/encoder/") {
			t.Errorf("evaluation uses %s", path)
		}
	}
	if len(used) == 0 || store.GetVariable("/decoder/pixels/dense/weights") == nil || store.GetVariable("/mask_token") == nil {
		t.Errorf("evaluation uses %d variables, or the decoder is not kept", len(used))
	}
	for k := range maePatches {
		if slices.Equal(features, encode(false, repaint(maePixels(), k, k+1))) {
			t.Errorf("evaluation does not see patch %d of the order", k)
		}
	}
}

// Visible patches are shown as they are; what is painted shows nothing of the hidden patches, not even their moments.
func TestMAEReconstruct(t *testing.T) {
	for _, normalize := range []bool{false, true} {
		m := tinyMAE()
		m.Normalize = normalize
		store, pixels := maeStore(t, m), maePixels()
		reconstruct := func(pixels []float32, mask float64) (masked, painted []float32) {
			out := callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
				masked, painted := m.Reconstruct(scope, in[0], in[1], mask)
				return []*Node{masked, painted}
			}, maeTensor(pixels), shuffled())
			return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
		}
		const mask, seen, tolerance = 0.5, maePatches / 2, 1e-6 // float32 to [-2, 2] and back
		masked, painted := reconstruct(pixels, mask)
		m.Mask = mask
		pred := callMAE(t, store, paperMAE(m, false), maeTensor(pixels), shuffled())[0].Value().([][][]float32)
		for n, order := range shuffled() {
			for k, patch := range order {
				i := -1
				inPatch(patch, func(at int) {
					at += n * maeSide * maeSide
					i++
					hidden := float32(0.5)
					if k < seen {
						hidden = pixels[at]
						if math.Abs(float64(painted[at]-pixels[at])) > tolerance {
							t.Fatalf("pixel %d is visible: painted %g, want %g", at, painted[at], pixels[at])
						}
					} else if want := min(max(float64(pred[n][patch][i])/4+0.5, 0), 1); !normalize && math.Abs(float64(painted[at])-want) > 1e-4 {
						t.Fatalf("pixel %d is hidden: painted %g, predicted %g", at, painted[at], want)
					}
					if math.Abs(float64(masked[at]-hidden)) > tolerance {
						t.Fatalf("pixel %d: masked %g, want %g", at, masked[at], hidden)
					}
				})
			}
		}
		if slices.Equal(masked, painted) {
			t.Error("nothing is painted")
		}
		if other, again := reconstruct(repaint(pixels, seen, maePatches), mask); !slices.Equal(other, masked) || !slices.Equal(again, painted) {
			t.Errorf("normalised: %v: the picture follows pixels that are hidden", normalize)
		}
		if _, all := reconstruct(pixels, 0); math.Abs(float64(all[7]-pixels[7])) > tolerance {
			t.Errorf("with nothing hidden a pixel is %g, want %g", all[7], pixels[7])
		}
	}
}

// guess is the mean over the patches that are seen, the near ones most.
func TestMAEGuess(t *testing.T) {
	x := [][][]float32{{{1}, {100}, {3}, {100}, {100}, {100}, {100}, {100}, {5}}} // 3x3
	seen := [][]float32{{1, 0, 1, 0, 0, 0, 0, 0, 1}}
	out, err := CallOnce(goBackend(t), guess, x, seen)
	if err != nil {
		t.Fatal(err)
	}
	// Patch 1 is at the squared distances 1, 1 and 5 of the three that are seen; the middle is as far from all.
	got := out.Value().([][][]float32)[0]
	for i, want := range map[int]float64{1: (1 + 3 + 5./25) / (1 + 1 + 1./25), 4: 3} {
		if math.Abs(float64(got[i][0])-want) > 1e-5 {
			t.Errorf("patch %d is guessed %g, want %g", i, got[i][0], want)
		}
	}
}

// Images of one colour have nothing to predict, of which "explained" says 0, and not how many times a variance of 0 the error is.
func TestMAEExplainsNothingOfConstantImages(t *testing.T) {
	for _, normalize := range []bool{false, true} {
		for _, grey := range []float32{0, 0.7, 1} {
			m := tinyMAE()
			m.Normalize = normalize
			store := maeStore(t, m)
			pixels := slices.Repeat([]float32{grey}, maeImages*maeSide*maeSide)
			explained := func(pixels []float32) float32 {
				return callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
					m.Loss(scope, Batch{Image: in[0]})
					v, _ := model.GetGraphParam(in[0].Graph(), reportKey("explained"))
					return []*Node{v.(*Node)}
				}, maeTensor(pixels))[0].Value().(float32)
			}
			if got := explained(pixels); got != 0 {
				t.Errorf("normalised: %v: %g of images of the grey %g explained, want 0", normalize, got, grey)
			}
			if got := explained(maePixels()); got == 0 {
				t.Error("nothing of noise is explained, not even less than nothing: this test would not notice a report of 0")
			}
		}
	}
}

// "random resized cropping", "(a crop of random size) with a scale range of [0.2, 1]" (a paraphrase): what is hidden and painted is
// a crop, enlarged. Reference: He et al. 2022, Table 1e and 8; main_pretrain.py, RandomResizedCrop(scale=(0.2, 1.0), interpolation=3).
func TestPaperMAECrops(t *testing.T) {
	if m := PaperMAE(nn.ViT(12, 768, 16)); m.MinScale != 0.2 || m.Pad != 0 || !m.Flip {
		t.Errorf("crops from %g, pad %d, flip %v", m.MinScale, m.Pad, m.Flip)
	}
	// The loss of images with one bright pixel depends on the crop, and on nothing else: the crop leaves it out, or not.
	pixels := make([]float32, maeImages*maeSide*maeSide)
	for n := range maeImages {
		pixels[n*maeSide*maeSide] = 1
	}
	m := tinyMAE()
	m.Mask, m.Normalize = 0, false // all patches count
	store := maeStore(t, m)
	differ := map[float32]bool{}
	loss := func() float32 {
		return callMAE(t, store, func(scope *model.Scope, in []*Node) []*Node {
			return []*Node{m.Loss(scope, Batch{Image: in[0]})}
		}, maeTensor(pixels))[0].Value().(float32)
	}
	for range 4 {
		differ[float32(math.Round(1e3*float64(loss())))] = true // to what the order of sums leaves of it
	}
	if len(differ) != 1 {
		t.Fatalf("without crops the loss varies: %v", differ)
	}
	m.MinScale = 0.2
	for range 8 {
		differ[float32(math.Round(1e3*float64(loss())))] = true
	}
	if len(differ) < 3 {
		t.Errorf("the loss does not depend on the crop: %v", differ)
	}
}

// shifted makes a mistake: its targets are of other patches than its positions.
type shifted struct{ *MAE }

func (m shifted) Loss(scope *model.Scope, b Batch) *Node {
	patches := view.Patchify(nn.Centre(b.Image), maePatch)
	order := view.RandomMask(scope, patches)
	moved := Concatenate([]*Node{Slice(order, AxisRange(), AxisRange(1)), Slice(order, AxisRange(), AxisRange(0, 1))}, 1)
	pred := m.predict(scope, patches, order, 12)
	each := Square(Sub(pred, view.Pick(patches, moved)))
	l := ReduceAllMean(Slice(each, AxisRange(), AxisRange(4)))
	Report("explained", OneMinus(Div(l, ReduceAllMean(Square(Sub(patches, ReduceAllMean(patches)))))))
	return l
}

// The bar is at the same place in each image, so that positions are all it takes to paint it.
func TestMAELearns(t *testing.T) {
	const epochs = 6
	ds := toyData{n: 256, s: maeSide, batch: 32}
	m := tinyMAE()
	m.Normalize = false
	explained := func(m Method) float64 {
		r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1,
			Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-3, 8, epochs*ds.Steps()), Beta2: 0.95, WeightDecay: 0.05}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("loss %.3f, explained %.3f", h.Loss, h.Reports["explained"])
		return h.Reports["explained"][epochs-1]
	}
	if got := explained(m); got < 0.5 {
		t.Errorf("%.2f of the variance explained, want most of it", got)
	}
	if got := explained(shifted{m}); got > 0.3 {
		t.Errorf("%.2f of the variance explained with targets of other patches: this test would not tell", got)
	}
}
