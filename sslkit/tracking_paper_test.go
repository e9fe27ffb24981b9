package sslkit

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
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

func TestVideoColorizationValidate(t *testing.T) {
	if err := PaperVideoColorization(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *VideoColorization { return PaperVideoColorization(nn.ResNet(8, 4)) }, map[string]func(*VideoColorization){
		"dimensions":   func(m *VideoColorization) { m.Dim = 0 },
		"reference":    func(m *VideoColorization) { m.References = 0 },
		"at least 2":   func(m *VideoColorization) { m.Colors = 1 },
		"temperature":  func(m *VideoColorization) { m.Temperature = math.NaN() },
		"depth is 6n+": func(m *VideoColorization) { m.Backbone.Depth = 9 },
	})
}

func tinyColorization() *VideoColorization {
	return &VideoColorization{Backbone: nn.ResNet(8, 4), Dim: 6, References: 2, Colors: 3, Temperature: 0.1}
}

// noise is clips [n, t, s, s, 3] whose every pixel is drawn by itself.
func noise(n, t, s int) *tensors.Tensor {
	rnd := rand.New(rand.NewPCG(5, 6))
	pixels := make([]float32, n*t*s*s*3)
	for i := range pixels {
		pixels[i] = rnd.Float32()
	}
	return tensors.FromFlatDataAndDimensions(pixels, n, t, s, s, 3)
}

var threeColors = []float32{20, 20, -20, 0, 10, -30} // centres, ab each

// "The model learns to predict the target colors for a gray-scale input frame by pointing to a colorful reference frame, and
// copying the color channels." Reference: Vondrick et al. 2018, Fig. 1; Sec. 3.1 and 3.2, Eq. 1, 2 and 3.
func TestVideoColorizationLossIsEquations1To3(t *testing.T) {
	const n, frames, s = 2, 4, 8
	for _, temperature := range []float64{0, 0.1} {
		m := tinyColorization()
		m.Temperature = temperature
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := set(store, "/colors/centers", threeColors, 3, 2); err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, x *Node) []*Node {
			l := m.Loss(scope, Batch{Image: x})
			each := Frames(x)
			f := m.Embed(scope.Store().RootScope(), each)
			f = Reshape(f, n, frames, -1, m.Dim)
			return []*Node{l, f, Reshape(Chroma(each, s/4, s/4), n, frames, -1, 2)}
		}, noise(n, frames, s))
		if err != nil {
			t.Fatal(err)
		}
		f, ab := out[1].Value().([][][][]float32), out[2].Value().([][][][]float32)
		color := func(i, t, p int) int {
			best, least := 0, math.Inf(1)
			for k := range 3 {
				d := math.Hypot(float64(ab[i][t][p][0]-threeColors[2*k]), float64(ab[i][t][p][1]-threeColors[2*k+1]))
				if d < least {
					best, least = k, d
				}
			}
			return best
		}
		var sum, count float64
		for i := range n {
			for t := m.References; t < frames; t++ {
				for p := range f[i][t] {
					var same, all float64
					for r := t - m.References; r < t; r++ {
						for q := range f[i][r] {
							var inner float64
							for d := range m.Dim {
								inner += float64(f[i][t][p][d]) * float64(f[i][r][q][d])
							}
							all += math.Exp(inner)
							if color(i, r, q) == color(i, t, p) {
								same += math.Exp(inner)
							}
						}
					}
					if same > 0 {
						sum -= math.Log(same / all)
						count++
					}
				}
			}
		}
		// float32, of exponents of up to some tens.
		if got, want := float64(out[0].Value().(float32)), sum/count; math.Abs(got-want) > 1e-4*max(1, want) || count < 8 {
			t.Errorf("temperature %g: loss %g, want %g, of %g places", temperature, got, want, count)
		}
	}
}

// Each target has just the frames before it as references, and never itself.
func TestVideoColorizationWindows(t *testing.T) {
	out, err := CallOnceN(goBackend(t), func(x *Node) []*Node {
		target, reference := windows(x, 2)
		return []*Node{target, reference}
	}, [][][][]int32{{{{0}, {1}}, {{10}, {11}}, {{20}, {21}}, {{30}, {31}}}, {{{100}, {101}}, {{110}, {111}}, {{120}, {121}}, {{130}, {131}}}})
	if err != nil {
		t.Fatal(err)
	}
	target, reference := tensors.MustCopyFlatData[int32](out[0]), tensors.MustCopyFlatData[int32](out[1])
	if want := []int32{20, 21, 120, 121, 30, 31, 130, 131}; !slices.Equal(target, want) {
		t.Errorf("targets %v, want %v", target, want)
	}
	if want := []int32{0, 1, 10, 11, 100, 101, 110, 111, 10, 11, 20, 21, 110, 111, 120, 121}; !slices.Equal(reference, want) {
		t.Errorf("references %v, want %v", reference, want)
	}
}

// leaking makes a mistake: its references include the target, whose colours it is to tell.
type leaking struct{ *VideoColorization }

func (m leaking) Loss(scope *model.Scope, b Batch) *Node {
	n, t := b.Image.Shape().Dim(0), b.Image.Shape().Dim(1)
	x := Frames(b.Image)
	f := Reshape(m.Embed(scope, x), n*t, -1, m.Dim)
	c := m.quantize(scope, x, x.Shape().Dim(1)/4, x.Shape().Dim(2)/4)
	l, accuracy := loss.CopiedColors(loss.Pointers(f, f, nil, 1), c, c, m.Colors)
	Report("accuracy", accuracy)
	Report("still", accuracy)
	return l
}

// colored makes a mistake: its encoder sees the colours that it is to tell.
type colored struct{ *VideoColorization }

func (m colored) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.At("encoder"), image)
}

// "Instead of trying to predict the color directly from the gray-scale frame, we constrain the colorization model to solve
// this task by learning to copy colors from a reference frame": where nothing of the target is in its references there is nothing
// to copy. Reference: Vondrick et al. 2018, Sec. 1.
func TestVideoColorizationHasNothingToCopyFromNoise(t *testing.T) {
	copied := func(m Method) float64 {
		t.Helper()
		r := &Run{Method: m, Backend: goBackend(t), Train: stillNoise{}, Epochs: 1, Seed: 1, Optimizer: optim.SGD{Rate: optim.CosineWarmup(1e-9, 0, 1)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return h.Reports["accuracy"][0]
	}
	m := tinyColorization()
	m.Temperature = 0.01
	// Three colours: 1/3 by chance, and what is most frequent is a little more so.
	if got := copied(m); got > 0.45 {
		t.Errorf("accuracy %.3f on noise, where there is nothing to copy", got)
	}
	if got := copied(leaking{m}); got < 0.75 {
		t.Errorf("accuracy %.3f with the target among its references: this test would not notice a leak", got)
	}
}

// stillNoise is one batch of noise.
type stillNoise struct{}

func (stillNoise) Name() string                          { return "noise" }
func (stillNoise) Steps() int                            { return 1 }
func (d stillNoise) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }
func (stillNoise) Epoch(int, int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		yield(train.Batch{Inputs: []*tensors.Tensor{noise(4, 6, 48)}}, nil)
	}
}

// The colours of a frame are no input to the network that points: "gray-scale input frame", Fig. 1. Reference: Vondrick et al.
// 2018, Sec. 3.4.
func TestVideoColorizationSeesNoColors(t *testing.T) {
	moved := func(embed func(scope *model.Scope, x *Node) *Node) float64 {
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
			lab := view.RGBToLab(Frames(x))
			l, ab := SliceAxis(lab, -1, AxisRange(0, 1)), SliceAxis(lab, -1, AxisRangeToEnd(1))
			grey := view.LabToRGB(Concatenate([]*Node{l, ZerosLike(ab)}, -1)) // is within sRGB, whatever l
			a := embed(scope, Concatenate([]*Node{Frames(x), grey}, 0))
			n := a.Shape().Dim(0) / 2
			return ReduceAllMax(Abs(Sub(SliceAxis(a, 0, AxisRange(0, n)), SliceAxis(a, 0, AxisRange(n)))))
		}, noise(1, 2, 16))
		if err != nil {
			t.Fatal(err)
		}
		return float64(out.Value().(float32))
	}
	m := tinyColorization()
	// Features are of about 3; conversion there and back rounds.
	if got := moved(m.Embed); got > 1e-3 {
		t.Errorf("without colours the embedding moves by %g", got)
	}
	if got := moved(func(scope *model.Scope, x *Node) *Node { return nn.Last(colored{m}.Encode(scope, x)) }); got < 0.1 {
		t.Errorf("an encoder that sees colours moves by %g without them: this test would not notice", got)
	}
}

// movers is clips of discs of four colours, each of a lightness of its own, that move over grey.
type movers struct{ n, batch int }

func (d movers) Name() string                        { return "movers" }
func (d movers) Steps() int                          { return d.n / d.batch }
func (d movers) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d movers) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	const frames, s = 4, 32
	disc := [][3]uint8{{255, 180, 180}, {60, 200, 60}, {60, 60, 190}, {120, 20, 100}}
	return func(yield func(train.Batch, error) bool) {
		for b := skip; b < d.Steps(); b++ {
			rnd := rand.New(rand.NewPCG(uint64(epoch), uint64(b)))
			pixels := make([]uint8, 0, d.batch*frames*s*s*3)
			for range d.batch {
				var place, speed [4][2]float64
				for k := range disc {
					place[k] = [2]float64{8 + 16*float64(k%2) + 2*rnd.Float64(), 8 + 16*float64(k/2) + 2*rnd.Float64()}
					speed[k] = [2]float64{6*rnd.Float64() - 3, 6*rnd.Float64() - 3}
				}
				for t := range frames {
					for p := range s * s {
						color := [3]uint8{160, 160, 160}
						for k := range disc {
							y, x := place[k][0]+float64(t)*speed[k][0], place[k][1]+float64(t)*speed[k][1]
							if math.Hypot(float64(p/s)-y, float64(p%s)-x) < 6 {
								color = disc[k]
							}
						}
						pixels = append(pixels, color[:]...)
					}
				}
			}
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, d.batch, frames, s, s, 3)}}, nil) {
				return
			}
		}
	}
}

// "This task causes the model to automatically learn to track visual regions": the colours of what moves are copied from where it
// was, and not from the same place. The clusters are those of the colours, found before the first step ("we use 16
// clusters"). Reference: Vondrick et al. 2018, Abstract and Sec. 3.2.
func TestVideoColorizationFollowsWhatMoves(t *testing.T) {
	m := &VideoColorization{Backbone: nn.ResNet(8, 8), Dim: 16, References: 2, Colors: 8, Temperature: 0.1}
	const epochs = 3
	ds := movers{n: 96, batch: 8}
	r := &Run{Method: m, Backend: bestBackend(t), Train: ds, Epochs: epochs, Seed: 1,
		Optimizer: optim.AdamW{Rate: optim.CosineWarmup(3e-3, 5, epochs*ds.Steps())}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("loss %.3f, accuracy %.3f, still %.3f", h.Loss, h.Reports["accuracy"], h.Reports["still"])
	if got, still := h.Reports["accuracy"][epochs-1], h.Reports["still"][epochs-1]; got < still+0.05 {
		t.Errorf("accuracy %.3f, and %.3f by copying from the same place: want what moves to be followed", got, still)
	}
	centers := r.Store.GetVariable("/colors/centers")
	if centers.Trainable {
		t.Error("the optimizer moves the clusters")
	}
	// Five colours fill whole cells; each has a cluster at it. ab by the standard formulae, of sRGB and D65, to a digit.
	for name, want := range map[string][2]float64{"grey": {0, 0}, "red": {27.3, 11.0}, "green": {-63.1, 56.6}} {
		near := math.Inf(1)
		for _, c := range centers.MustValue().Value().([][]float32) {
			near = min(near, math.Hypot(float64(c[0])-want[0], float64(c[1])-want[1]))
		}
		if near > 10 { // cells at edges belong to the clusters as well, and grey is 30 away
			t.Errorf("no cluster at the %s: the nearest is %g away", name, near)
		}
	}
}
