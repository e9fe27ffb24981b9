package sslkit

import (
	"cmp"
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

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// tiny is small enough for the pure Go backend.
func tiny() *Colorization {
	m := Colorful(nn.ResNet(8, 4))
	m.Stride, m.Hidden, m.Flip = 2, 16, false
	return m
}

func TestColorizationValidate(t *testing.T) {
	if err := tiny().Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, tiny, map[string]func(*Colorization){
		"both must be at least 1": func(m *Colorization) { m.Stride = 0 },
		"0 neighbours":            func(m *Colorization) { m.Neighbours = 0 },
		"sigma NaN":               func(m *Colorization) { m.Sigma = math.NaN() },
		"lambda 0 is not":         func(m *Colorization) { m.Lambda = 0 },
		"temperature -1":          func(m *Colorization) { m.Temperature = -1 },
		"6n+2":                    func(m *Colorization) { m.Backbone.Depth = 9 },
	})
}

// fruits yields squares on grey, red in a share of the images and else green, of one lightness: nothing in it tells the colour.
type fruits struct {
	n, batch int
	red      float64
}

// Their L, a and b are 50.914, 43.7, 18.5 and 50.914, -44.4, 18.5.
var redFruit, greenFruit = []uint8{195, 87, 92}, []uint8{4, 139, 88}

func (d fruits) Name() string                        { return "fruits" }
func (d fruits) Steps() int                          { return d.n / d.batch }
func (d fruits) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d fruits) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for step := skip; step < d.Steps(); step++ {
			rnd := rand.New(rand.NewPCG(uint64(epoch), uint64(step)))
			if !yield(train.Batch{Inputs: []*tensors.Tensor{d.images(rnd)}}, nil) {
				return
			}
		}
	}
}

func (d fruits) images(rnd *rand.Rand) *tensors.Tensor {
	var pixels []uint8
	for range d.batch {
		colour := greenFruit
		if rnd.Float64() < d.red {
			colour = redFruit
		}
		for i := range 8 * 8 {
			if y, x := i/8, i%8; y < 2 || y >= 6 || x < 2 || x >= 6 {
				pixels = append(pixels, 160, 160, 160)
			} else {
				pixels = append(pixels, colour...)
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(pixels, d.batch, 8, 8, 3)
}

func bin(a, b float64) int {
	return slices.Index(view.BinCenters(), [2]float64{a, b})
}

// ripe trains m and returns what it predicts in the middle of a fruit: its a, at the temperature, and its logits.
func ripe(t *testing.T, m *Colorization, red, temperature float64) (a float64, logits []float32) {
	t.Helper()
	const epochs = 4
	ds := fruits{n: 256, batch: 16, red: red}
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(0.02, 5, epochs*ds.Steps()), Beta2: 0.99}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("loss %.2f, accuracy %.2f", h.Loss, h.Reports["accuracy"])
	out, err := model.CallOnceN(goBackend(t), r.Store, func(scope *model.Scope, x *Node) []*Node {
		x = floatImage(x)
		pred := m.Predict(scope, x)
		return []*Node{view.RGBToLab(m.Paint(x, pred, temperature)), pred}
	}, fruits{batch: 1}.images(rand.New(rand.NewPCG(1, 2))))
	if err != nil {
		t.Fatal(err)
	}
	return float64(out[0].Value().([][][][]float32)[0][4][4][1]), out[1].Value().([][][][]float32)[0][2][2]
}

// "If an object can take on a set of distinct ab values, the optimal solution to the Euclidean loss will be the mean of the set. In
// color prediction, this averaging effect favors grayish, desaturated results." A distribution keeps both; its mode has the colour of
// one; and rebalancing gives the rarer one its chance.
// Reference: Zhang et al. 2016, Sec. 2.1, Eq. 1 and 2, and Sec. 2.2.
func TestColorizationOfAmbiguousImages(t *testing.T) {
	const red = 0.25
	m := tiny()
	m.Regression = true
	// The mean a is 0.25*43.7 - 0.75*44.4 = -22; 64 batches of 16 leave it uncertain by 44*sqrt(3/1024) = 2, the last ones by more.
	if a, _ := ripe(t, m, red, 0); !(a > -35 && a < -9) {
		t.Errorf("regression has an a of %.1f, want about -22", a)
	}
	share := func(logits []float32) float64 { // of the odds for red
		r, g := float64(logits[bin(40, 20)]), float64(logits[bin(-40, 20)])
		return 1 / (1 + math.Exp(g-r))
	}
	m = tiny()
	m.Lambda = 1
	a, logits := ripe(t, m, red, 0)
	plain := share(logits)
	if !(a < -35) || !(plain > 0.12 && plain < 0.42) {
		t.Errorf("classification has the mode a = %.1f, want about -40, and red at %.2f, want about 0.25", a, plain)
	}
	m = tiny()
	_, logits = ripe(t, m, red, 0)
	// Red covers a sixteenth of all places and green three, so that their weights are as about 3 to 1 and the odds even.
	if got := share(logits); !(got > plain+0.1 && got < 0.75) {
		t.Errorf("rebalanced, red is at %.2f, want about 0.5, and %.2f without", got, plain)
	}
}

// "Each pixel is weighed by factor w, based on its closest ab bin": the loss is the mean over places of
// -v(Z) sum_q Z_q log Zhat_q, with v = w at the argmax of Z and w in inverse proportion to the prior, mixed with a uniform one, of
// mean 1.
// Reference: Zhang et al. 2016, Sec. 2.1, Eq. 2, and Sec. 2.2, Eq. 3 and 4.
func TestColorizationLossIsEquation2(t *testing.T) {
	m := tiny()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	prior := make([]float32, view.Bins)
	for q := range prior {
		prior[q] = float32(q) / (view.Bins * (view.Bins - 1) / 2)
	}
	if err := set(store, "/bins/prior", prior, view.Bins); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	pixels := make([]float32, 2*8*8*3)
	for i := range pixels {
		pixels[i] = rnd.Float32()
	}
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, x *Node) []*Node {
		l := m.Loss(scope, Batch{Image: x})
		return []*Node{l, m.Predict(scope.Store().RootScope(), x), view.RGBToLab(x)}
	}, tensors.FromFlatDataAndDimensions(pixels, 2, 8, 8, 3))
	if err != nil {
		t.Fatal(err)
	}
	logits, lab := out[1].Value().([][][][]float32), out[2].Value().([][][][]float32)
	var scale float64
	w := make([]float64, view.Bins)
	for q, p := range prior {
		w[q] = 1 / (0.5*float64(p) + 0.5/view.Bins)
		scale += float64(p) * w[q]
	}
	naive := func(weightAt func(order []int) int) float64 {
		var total float64
		for n := range 2 {
			for i := range 4 {
				for j := range 4 {
					var ab [2]float64
					for k := range 4 {
						for c := range ab {
							ab[c] += float64(lab[n][2*i+k/2][2*j+k%2][1+c]) / 4
						}
					}
					total += naivePlace(logits[n][i][j], ab, w, scale, weightAt)
				}
			}
		}
		return total / 32
	}
	got, want := float64(out[0].Value().(float32)), naive(func(order []int) int { return order[0] })
	if math.Abs(got-want) > 2e-5 { // float32 sums of 32 terms of about 6
		t.Errorf("loss %g, want %g", got, want)
	}
	if wrong := naive(func(order []int) int { return order[1] }); math.Abs(wrong-want) < 1e-3 {
		t.Errorf("with the weights of the second nearest bin it is %g: this test would not notice", wrong)
	}
}

// naivePlace is the loss of one place; weightAt picks the bin whose weight counts from those sorted by their distance.
func naivePlace(logits []float32, ab [2]float64, w []float64, scale float64, weightAt func(order []int) int) float64 {
	centers, order := view.BinCenters(), make([]int, view.Bins)
	for q := range order {
		order[q] = q
	}
	d := func(q int) float64 { return math.Hypot(ab[0]-centers[q][0], ab[1]-centers[q][1]) }
	slices.SortFunc(order, func(p, q int) int { return cmp.Compare(d(p), d(q)) })
	var sum, z, l float64
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	for _, q := range order[:5] {
		k := math.Exp(-d(q) * d(q) / (2 * 5 * 5))
		z += k
		l -= k * (float64(logits[q]) - math.Log(sum))
	}
	return w[weightAt(order)] / scale * l / z
}

// "Estimate the empirical probability of colors in the quantized ab space from the full training set and smooth the distribution with a
// Gaussian kernel", of which the mean weight is 1.
// Reference: Zhang et al. 2016, Sec. 2.2, Eq. 4.
func TestColorizationPriorIsThatOfTheTrainingImages(t *testing.T) {
	m, ds := tiny(), fruits{n: 48, batch: 16, red: 1}
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: 1, Seed: 1, Dir: t.TempDir(), Optimizer: optim.SGD{Rate: optim.Constant(0.1)}}
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // as it was trained, and as it comes back from the checkpoint
		v := r.Store.GetVariable("/bins/prior")
		got := tensors.MustCopyFlatData[float32](v.MustValue())
		// A quarter of each image is red, nearest to (40, 20), and the rest grey; of either a kernel of 5 keeps the share
		// 1/(1 + 4 e^-2 + 4 e^-4 + ...), where all neighbours are bins.
		kernel := 0.0
		for i := -9.; i <= 9; i++ {
			for j := -9.; j <= 9; j++ {
				kernel += math.Exp(-2 * (i*i + j*j))
			}
		}
		var sum float64
		for _, p := range got {
			sum += float64(p)
		}
		for q, want := range map[int]float64{bin(0, 0): 0.75 / kernel, bin(40, 20): 0.25 / kernel, bin(40, 30): 0.25 * math.Exp(-2) / kernel} {
			if math.Abs(float64(got[q])-want) > 1e-6 {
				t.Errorf("bin %v has %g, want %g", view.BinCenters()[q], got[q], want)
			}
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("the prior adds up to %g", sum)
		}
		w, err := CallOnce(goBackend(t), func(p *Node) *Node { return ReduceAllSum(Mul(p, loss.Rebalance(p, m.Lambda))) }, got)
		if err != nil || math.Abs(float64(w.Value().(float32))-1) > 1e-5 {
			t.Errorf("the mean weight is %v, %v", w, err)
		}
		if r.Store, _, err = LoadStore(r.Dir); err != nil {
			t.Fatal(err)
		}
	}
}

// leaky makes a mistake: its encoder sees the colours.
type leaky struct{ *Colorization }

func (m leaky) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// The network maps "a grayscale input" to colours: what is kept must not have seen them.
// Reference: Zhang et al. 2016, Sec. 2.1.
func TestColorizationSeesTheLightnessOnly(t *testing.T) {
	var pixels []float32 // the same fruit, ripe and not
	for _, p := range []fruits{{batch: 1, red: 1}, {batch: 1}} {
		for _, v := range tensors.MustCopyFlatData[uint8](p.images(rand.New(rand.NewPCG(1, 2)))) {
			pixels = append(pixels, float32(v)/255)
		}
	}
	differ := func(m Method) (largest float64) {
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
			y := nn.Last(m.Encode(scope, x))
			return Abs(Sub(SliceAxis(y, 0, AxisElem(0)), SliceAxis(y, 0, AxisElem(1))))
		}, tensors.FromFlatDataAndDimensions(pixels, 2, 8, 8, 3))
		if err != nil {
			t.Fatal(err)
		}
		return float64(slices.Max(tensors.MustCopyFlatData[float32](out)))
	}
	// Their lightnesses differ by 7e-7 of white.
	if d := differ(tiny()); d > 1e-3 {
		t.Errorf("features of a red and a green fruit differ by %g", d)
	}
	if d := differ(leaky{tiny()}); d < 0.1 {
		t.Errorf("those of an encoder that sees colours differ by %g: this test would not notice", d)
	}
}

// Evaluation hands over grey images as well; what has no colours cannot be learnt from.
func TestColorizationOfGreyImages(t *testing.T) {
	grey := tensors.FromFlatDataAndDimensions(make([]float32, 2*8*8), 2, 8, 8, 1)
	for name, build := range map[string]func(m *Colorization, scope *model.Scope, x *Node) *Node{
		"":                     func(m *Colorization, scope *model.Scope, x *Node) *Node { return m.Colorize(scope, x, 0.38) },
		"images with colours":  func(m *Colorization, scope *model.Scope, x *Node) *Node { return m.Loss(scope, Batch{Image: x}) },
		"choose another strid": func(m *Colorization, scope *model.Scope, x *Node) *Node { m.Stride = 3; return m.Predict(scope, x) },
	} {
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node { return build(tiny(), scope, x) }, grey)
		if name == "" && (err != nil || out.Shape().Dim(3) != 3) {
			t.Errorf("painting: %v, %v", out, err)
		}
		if name != "" && (err == nil || !strings.Contains(err.Error(), name)) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

// Where all images are grey in three channels there is nothing to colour, which NeedsColor says to who looks at the data first. Who
// does not gets finite numbers and an error in ab of next to nothing, not a run that diverges.
func TestColorizationOfColourlessImages(t *testing.T) {
	ds := fresh{4, 8, 8, 3, func(rnd *rand.Rand, s int) []uint8 {
		var out []uint8
		for _, v := range grain(rnd, s) {
			out = append(out, v, v, v)
		}
		return out
	}}
	for _, regression := range []bool{false, true} {
		m := tiny()
		m.Regression = regression
		r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: 4, Seed: 1,
			Optimizer: optim.AdamW{Rate: optim.CosineWarmup(0.02, 2, 16), Beta2: 0.99}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for name, figures := range h.Reports {
			for _, v := range figures {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("regression: %v: %s is %v", regression, name, figures)
				}
			}
		}
		if first, last := h.Loss[0], h.Loss[3]; !(last < first) {
			t.Errorf("regression: %v: loss %v", regression, h.Loss)
		}
	}
}

// A line keeps its slope, enlarged or shrunk by a whole number, and what is constant stays so up to the edge.
func TestResampled(t *testing.T) {
	line := func(size int) (x []float64) {
		for i := range size {
			x = append(x, (float64(i)+0.5)/float64(size))
		}
		return x
	}
	for _, c := range [][2]int{{4, 12}, {12, 4}, {6, 9}} {
		x := tensors.FromFlatDataAndDimensions(line(c[0]), 1, c[0], 1, 1)
		out, err := CallOnce(goBackend(t), func(x *Node) *Node { return resampled(x, c[1], 1) }, x)
		if err != nil {
			t.Fatal(err)
		}
		margin := (c[1] + c[0] - 1) / c[0] // where the edge flattens the line
		want := line(c[1])
		for i, v := range tensors.MustCopyFlatData[float64](out) {
			if i >= margin && i < c[1]-margin && math.Abs(v-want[i]) > 1e-12 {
				t.Errorf("%d to %d: sample %d is %g, want %g", c[0], c[1], i, v, want[i])
			}
		}
		for _, row := range tents(c[0], c[1]) {
			var sum float64
			for _, w := range row {
				sum += w
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("%d to %d: weights %v add up to %g", c[0], c[1], row, sum)
			}
		}
	}
}
