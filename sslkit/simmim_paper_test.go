package sslkit

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

func tinySimMIM() *SimMIM {
	return &SimMIM{Backbone: nn.ViT(2, 32, maePatch), Mask: 0.6, Unit: 1}
}

func TestSimMIMValidate(t *testing.T) {
	for _, m := range []*SimMIM{tinySimMIM(), SmallSimMIM(nn.ViT(4, 96, 4)), PaperSimMIM(nn.ViT(12, 768, 16))} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, tinySimMIM, map[string]func(*SimMIM){
		`only the backbone "vit" has, not "nin"`: func(m *SimMIM) { m.Backbone = nn.NIN(3, 24) },
		"mask 1: the share":                      func(m *SimMIM) { m.Mask = 1 },
		"mask 0: the share":                      func(m *SimMIM) { m.Mask = 0 },
		"mask NaN: the share":                    func(m *SimMIM) { m.Mask = math.NaN() },
		"unit 0":                                 func(m *SimMIM) { m.Unit = 0 },
		"pad -1":                                 func(m *SimMIM) { m.Pad = -1 },
		"min_scale 1.5":                          func(m *SimMIM) { m.MinScale = 1.5 },
		"min_scale 0.5 and pad 2":                func(m *SimMIM) { m.MinScale, m.Pad = 0.5, 2 },
		"a vit's width":                          func(m *SimMIM) { m.Backbone.Width = 33 },
	})
}

// Units of the image are masked at random, of a size that is a multiple of the patch: so many for each, whole (a paraphrase).
// Reference: Xie et al. 2022, Sec. 3.2, "Patch-aligned random masking"; MaskGenerator in data_simmim.py.
func TestSimMIMMasksUnits(t *testing.T) {
	for _, c := range []struct {
		side, unit int
		mask       float64
		want       int // patches, -1 where it varies
	}{{16, 1, 0.6, 10}, {16, 2, 0.6, 12}, {16, 2, 0.5, 8}, {12, 2, 0.5, -1}} {
		m := tinySimMIM()
		m.Unit, m.Mask = c.unit, c.mask
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		images := tensors.FromFlatDataAndDimensions(make([]float32, 40*c.side*c.side), 40, c.side, c.side, 1)
		rows, _ := training(t, store, func(scope *model.Scope, x []*Node) []*Node {
			return []*Node{m.mask(scope, view.Patchify(x[0], maePatch))}
		}, images)
		grid, differ := c.side/maePatch, 0
		for n, mask := range rows[0] {
			count := 0.0
			for i, v := range mask {
				count += v
				if unit := i/grid/c.unit*c.unit*grid + i%grid/c.unit*c.unit; v != mask[unit] {
					t.Errorf("%+v: patch %d of image %d is not masked as its unit is", c, i, n)
				}
			}
			if c.want >= 0 && int(count) != c.want {
				t.Errorf("%+v: %g patches masked", c, count)
			}
			if !slices.Equal(mask, rows[0][0]) {
				differ++
			}
		}
		if differ < 10 {
			t.Errorf("%+v: %d of 40 images have another mask than the first", c, differ)
		}
	}
	m := tinySimMIM()
	m.Unit = 4
	r := &Run{Method: m, Backend: goBackend(t), Train: toyData{n: 4, s: maeSide, batch: 2}, Epochs: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.1)}}
	if _, err := r.Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), "leaves nothing to see") {
		t.Errorf("error %v with one unit", err)
	}
}

// An l1 loss is computed on the masked pixels, over their number (a paraphrase).
// Reference: Xie et al. 2022, Sec. 3.4, Eq. 1.
func TestSimMIMLossIsOnMaskedPixels(t *testing.T) {
	m := tinySimMIM()
	before, got, _, images := paperRun(t, m, 3)
	parts, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		patches := view.Patchify(nn.Centre(view.RandomCrop(0)(scope, x[0])), maePatch)
		mask := m.mask(scope, patches)
		return []*Node{patches, mask, m.predict(scope, patches, mask)}
	}, images)
	patches, mask, pred := parts[0], parts[1], parts[2]
	naive := func(hidden, power float64) float64 {
		var sum, count float64
		for n := range mask {
			for l, v := range mask[n] {
				for p, x := range patches[n*len(mask[n])+l] {
					if v == hidden {
						sum += math.Pow(math.Abs(x-pred[n*len(mask[n])+l][p]), power)
						count++
					}
				}
			}
		}
		return sum / count
	}
	const tolerance = 1e-5 // float32 sums of some 1,000 terms of about 1
	if want := naive(1, 1); math.Abs(got-want) > tolerance {
		t.Errorf("loss %v, want %v", got, want)
	}
	for mistake, wrong := range map[string]float64{"on visible patches": naive(0, 1), "squared": naive(1, 2)} {
		if math.Abs(got-wrong) < 10*tolerance {
			t.Errorf("%s the loss is %v: this test would not tell", mistake, wrong)
		}
	}
}

// The encoder sees a token in the place of each masked patch, and nothing of it; it learns what is visible.
// Reference: Xie et al. 2022, Sec. 3.2 (a paraphrase).
func TestSimMIMKnowsNothingOfMaskedPatches(t *testing.T) {
	m := tinySimMIM()
	store, _, _, _ := paperRun(t, m, 2)
	mask := make([][]float32, maeImages)
	for n, order := range shuffled() {
		mask[n] = make([]float32, maePatches)
		for _, patch := range order[6:] {
			mask[n][patch] = 1
		}
	}
	pred := func(pixels []float32) [][]float64 {
		out, _ := training(t, store, func(scope *model.Scope, x []*Node) []*Node {
			return []*Node{m.predict(scope, view.Patchify(nn.Centre(x[0]), maePatch), x[1])}
		}, maeTensor(pixels), mask)
		return out[0]
	}
	was := pred(maePixels())
	if d := apart(was, pred(repaint(maePixels(), 6, maePatches))); d != 0 {
		t.Errorf("masked patches change what is painted by %g", d)
	}
	if d := apart(was, pred(repaint(maePixels(), 0, 6))); d < 1e-3 {
		t.Errorf("visible patches change what is painted by %g", d)
	}
}

// seen makes a mistake: its loss is on the visible patches.
type seen struct{ *SimMIM }

func (m seen) Loss(scope *model.Scope, b Batch) *Node {
	patches := view.Patchify(nn.Centre(b.Image), m.Backbone.Patch)
	mask := m.mask(scope, patches)
	pred := m.predict(scope, patches, mask)
	blind := BroadcastToShape(ReduceAllMean(patches), patches.Shape())
	Report("explained", OneMinus(Div(maskedL1(pred, patches, mask), maskedL1(blind, patches, mask))))
	return maskedL1(pred, patches, OneMinus(mask))
}

// The bar is at the same place in each image, so that positions are all it takes to paint it.
func TestSimMIMLearns(t *testing.T) {
	const epochs = 4
	explained := func(m Method) float64 {
		ds := toyData{n: 256, s: maeSide, batch: 32}
		r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1,
			Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-3, 8, epochs*ds.Steps()), WeightDecay: 0.05}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("loss %.3f, explained %.3f", h.Loss, h.Reports["explained"])
		return h.Reports["explained"][epochs-1]
	}
	if got := explained(tinySimMIM()); got < 0.05 { // 0 for the mean colour; half of the deviation is noise
		t.Errorf("%.2f of the deviation explained, want some", got)
	}
	if got := explained(seen{tinySimMIM()}); got > 0 {
		t.Errorf("%.2f of the deviation explained with a loss on visible patches: this test would not tell", got)
	}
}
