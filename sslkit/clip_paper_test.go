package sslkit

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

func tinyCLIP() *CLIP {
	return &CLIP{Backbone: nn.ResNet(8, 2), Crop: 1, Vocabulary: 12, Length: 6, Width: 8, Depth: 2, Heads: 2, Dim: 5}
}

func TestCLIPValidate(t *testing.T) {
	if err := SmallCLIP(nn.ResNet(8, 16)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, tinyCLIP, map[string]func(*CLIP){
		"crop 0":            func(m *CLIP) { m.Crop = 0 },
		"crop 1.5":          func(m *CLIP) { m.Crop = 1.5 },
		"a vocabulary of 4": func(m *CLIP) { m.Vocabulary = 4 },
		"of 2 tokens":       func(m *CLIP) { m.Length = 2 },
		"width 0":           func(m *CLIP) { m.Width = 0 },
		"depth 0":           func(m *CLIP) { m.Depth = 0 },
		"3 heads":           func(m *CLIP) { m.Heads = 3 },
		"dim 0":             func(m *CLIP) { m.Dim = 0 },
		"6n+2":              func(m *CLIP) { m.Backbone.Depth = 9 },
	})
}

// toyPairs are bright squares, of which the text tells the quarter: 4 + 2*bottom + right.
type toyPairs struct{ n, batch int }

func (d toyPairs) Name() string                        { return "pairs" }
func (d toyPairs) Steps() int                          { return d.n / d.batch }
func (d toyPairs) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d toyPairs) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for step := skip; step < d.Steps(); step++ {
			pixels, index, tokens := d.at(epoch, step)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{pixels, index, tokens}}, nil) {
				return
			}
		}
	}
}

func (d toyPairs) at(epoch, step int) (images, index, text *tensors.Tensor) {
	rnd := rand.New(rand.NewPCG(uint64(epoch), uint64(step)))
	const s = 8
	pixels, order, tokens := make([]uint8, d.batch*s*s), make([]int32, d.batch), []int32{}
	for i := range d.batch {
		quarter := (i + step) % 4
		for y := range s {
			for x := range s {
				pixels[(i*s+y)*s+x] = uint8(rnd.IntN(60))
				if y/4 == quarter/2 && x/4 == quarter%2 {
					pixels[(i*s+y)*s+x] += 150
				}
			}
		}
		order[i] = int32(step*d.batch + i)
		tokens = append(tokens, [][]int32{{2, 4, 3, 0, 0, 0}, {2, 5, 4, 3, 0, 0}, {2, 4, 6, 7, 3, 0}, {2, 8, 1, 4, 5, 3}}[quarter]...)
	}
	return tensors.FromFlatDataAndDimensions(pixels, d.batch, s, s, 1), tensors.FromFlatDataAndDimensions(order, d.batch),
		tensors.FromFlatDataAndDimensions(tokens, d.batch, 6)
}

// "The learnable temperature parameter was initialized to the equivalent of 0.07", and the loss is the mean of the
// cross entropies over the rows and over the columns of the scaled cosines.
// Reference: Radford et al. 2021, Sec. 2.5 and Fig. 3.
func TestCLIPLossIsFigure3(t *testing.T) {
	m, backend := tinyCLIP(), goBackend(t)
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	ds := toyPairs{n: 4, batch: 4}
	images, _, text := ds.at(0, 0)
	out, err := model.CallOnceN(backend, store, func(scope *model.Scope, image, text *Node) []*Node {
		return []*Node{m.Loss(scope, Batch{Image: floatImage(image), Text: text})}
	}, images, text)
	if err != nil {
		t.Fatal(err)
	}
	image, err := ImageFeatures(context.Background(), m, backend, store, ds)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]int32
	for tokens := range slices.Chunk(tensors.MustCopyFlatData[int32](text), 6) {
		rows = append(rows, tokens)
	}
	texts, err := TextFeatures(m, backend, store, rows)
	if err != nil {
		t.Fatal(err)
	}
	logit := func(i, j int) float64 { // rows have length 1
		var s, a, b float64
		for k := range m.Dim {
			x, y := float64(image[i][k]), float64(texts[j][k])
			s, a, b = s+x*y, a+x*x, b+y*y
		}
		if math.Abs(a-1) > 1e-5 || math.Abs(b-1) > 1e-5 {
			t.Errorf("rows have length^2 %g and %g", a, b)
		}
		return s / 0.07
	}
	var want float64
	for i := range 4 {
		var row, column float64
		for j := range 4 {
			row, column = row+math.Exp(logit(i, j)), column+math.Exp(logit(j, i))
		}
		want += (math.Log(row) + math.Log(column) - 2*logit(i, i)) / 8
	}
	// float32 cosines of about 1e-7, times 14.
	if got := float64(out[0].Value().(float32)); math.Abs(got-want) > 1e-5 {
		t.Errorf("loss %g, want %g", got, want)
	}
}

// "the activations of the highest layer of the transformer at the [EOS] token are treated as the feature representation of
// the text which is layer normalized and then linearly projected".
// Reference: Radford et al. 2021, Sec. 2.4.
func TestCLIPReadsTheEnd(t *testing.T) {
	m, backend := tinyCLIP(), goBackend(t)
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	tokens := [][]int32{{2, 4, 3, 0, 0, 0}, {2, 8, 1, 4, 5, 3}, {2, 3, 0, 0, 0, 0}}
	got, err := TextFeatures(m, backend, store, tokens)
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnceN(backend, store, func(scope *model.Scope, text *Node) []*Node {
		g, scope := text.Graph(), scope.In("text")
		value := func(path string) *Node { return scope.Store().GetVariable(path).NodeValue(g) }
		x := Add(Gather(value("/text/words"), InsertAxes(text, -1)), InsertAxes(value("/text/positions"), 0))
		x = nn.LayerNorm(scope.In("norm"), nn.Transformer(scope, x, m.Depth, m.Heads, true))
		return []*Node{Einsum("nlw,wd->nld", x, value("/text/projection/dense/weights"))}
	}, tokens)
	if err != nil {
		t.Fatal(err)
	}
	all := out[0].Value().([][][]float32)
	for i, end := range []int{2, 5, 1} {
		var length float64
		for _, v := range all[i][end] {
			length += float64(v) * float64(v)
		}
		for k, v := range all[i][end] {
			// The same operations in another order, in float32.
			if want := float64(v) / math.Sqrt(length); math.Abs(float64(got[i][k])-want) > 1e-5 {
				t.Errorf("text %d: feature %d is %g, at its end it is %g", i, k, got[i][k], want)
			}
		}
	}
}

// "A random square crop from resized images is the only data augmentation used during training."
// Reference: Radford et al. 2021, Sec. 2.3.
func TestCLIPCrops(t *testing.T) {
	const n, size = 64, 10
	ramp := make([]float32, n*size*size*2) // each pixel's row and column
	for i := range ramp {
		ramp[i] = float32([]int{i / 2 / size % size, i / 2 % size}[i%2])
	}
	m := tinyCLIP()
	m.Crop = 0.6
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnce(goBackend(t), store, m.crop, tensors.FromFlatDataAndDimensions(ramp, n, size, size, 2))
	if err != nil {
		t.Fatal(err)
	}
	least, most, corners := 1., 0., [4]float64{1, 1, 1, 1}
	for _, x := range out.Value().([][][][]float32) {
		first, last := x[1][1], x[size-2][size-2] // the outermost may repeat the edge
		height, width := float64(last[0]-first[0])/(size-3), float64(last[1]-first[1])/(size-3)
		if math.Abs(height-width) > 1e-5 {
			t.Errorf("a crop of %g by %g", height, width)
		}
		least, most = min(least, height), max(most, height)
		// Pixel 1 of the crop is centred 1.5 crop pixels from its corner.
		top, left := float64(first[0])+0.5-1.5*height, float64(first[1])+0.5-1.5*width
		for i, free := range []float64{top / size, left / size, 1 - top/size - height, 1 - left/size - width} {
			corners[i] = min(corners[i], free)
		}
	}
	// 64 uniform draws reach each end to a tenth but once in 800 times.
	if least < 0.6 || least > 0.64 || most > 1 || most < 0.96 {
		t.Errorf("sides are %.2f to %.2f of the image's, want 0.6 to 1", least, most)
	}
	for i, free := range corners {
		if free < -1e-6 || free > 0.02 {
			t.Errorf("crops come as near as %g to side %d of the image", free, i)
		}
	}
}

// push is an optimizer that moves the temperature alone.
type push float64

func (p push) UpdateGraph(scope *model.Scope, g *Graph, _ *Node) {
	v := scope.Store().GetVariable("/temperature/log_scale")
	v.SetNodeValue(AddScalar(v.NodeValue(g), float64(p)))
}
func (p push) Clear(*model.Scope) error { return nil }

// logScale is t after one step.
func logScale(t *testing.T, o optimizer.Interface) float64 {
	t.Helper()
	r := &Run{Method: tinyCLIP(), Backend: goBackend(t), Train: toyPairs{n: 8, batch: 8}, Epochs: 1, Seed: 1, Optimizer: o}
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	return float64(r.Store.GetVariable("/temperature/log_scale").MustValue().Value().(float32))
}

// "clipped to prevent scaling the logits by more than 100", and as in the authors' successors not below 1.
// Reference: Radford et al. 2021, Sec. 2.5.
func TestCLIPClipsTheScale(t *testing.T) {
	start := math.Log(1 / 0.07)
	for by, want := range map[float64]float64{0: start, 0.5: start + 0.5, 10: math.Log(100), -1: start - 1, -10: 0} {
		if got := logScale(t, push(by)); math.Abs(got-want) > 1e-6 { // float32
			t.Errorf("moved by %g the scale is exp(%g), want exp(%g)", by, got, want)
		}
	}
}

// Weight decay is "applied to all weights that are not gains or biases", and the temperature is none of the weights.
// Reference: Radford et al. 2021, Sec. 2.5.
func TestCLIPDoesNotDecayTheScale(t *testing.T) {
	for name, o := range map[string]func(decay float64) optimizer.Interface{
		"SGD":   func(d float64) optimizer.Interface { return optim.SGD{Rate: optim.Constant(0.1), WeightDecay: d} },
		"AdamW": func(d float64) optimizer.Interface { return optim.AdamW{Rate: optim.Constant(0.1), WeightDecay: d} },
	} {
		without, with := logScale(t, o(0)), logScale(t, o(2))
		if without == math.Log(1/0.07) || with != without {
			t.Errorf("%s: the scale is exp(%g) without weight decay and exp(%g) with it", name, without, with)
		}
	}
}

func TestCLIPNeedsCaptions(t *testing.T) {
	r := &Run{Method: tinyCLIP(), Backend: goBackend(t), Train: toyData{n: 8, s: 8, batch: 8}, Epochs: 1, Optimizer: push(0)}
	if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), "CLIP needs captions") {
		t.Errorf("error %v", err)
	}
	m := tinyCLIP()
	m.Length = 7
	r = &Run{Method: m, Backend: goBackend(t), Train: toyPairs{n: 8, batch: 8}, Epochs: 1, Optimizer: push(0)}
	if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), "text must be [N, 7] int32") {
		t.Errorf("error %v", err)
	}
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TextFeatures(m, goBackend(t), store, nil); err == nil || !strings.Contains(err.Error(), "no texts") {
		t.Errorf("error %v", err)
	}
	if _, err := TextFeatures(m, goBackend(t), store, [][]int32{{2, 3}}); err == nil || !strings.Contains(err.Error(), "[N, 7]") {
		t.Errorf("error %v", err)
	}
}

// Four captions a batch of 16: every image has three false negatives, so that the loss cannot fall below ln 4.
func TestCLIPLearns(t *testing.T) {
	const epochs = 12
	m := tinyCLIP()
	m.Crop = 0.9
	ds := toyPairs{n: 160, batch: 16}
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(0.01, 5, epochs*ds.Steps()), WeightDecay: 0.05}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("loss %.3f, accuracy %.3f", h.Loss, h.Reports["accuracy"])
	if first, last := h.Loss[0], h.Loss[epochs-1]; last > math.Log(4)+0.3 || last < math.Log(4)-1e-3 || first < last+0.5 {
		t.Errorf("the loss falls from %.3f to %.3f, want it to ln 4 = %.3f", first, last, math.Log(4))
	}
}
