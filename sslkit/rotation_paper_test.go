package sslkit

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

var eighths = []int{0, 45, 90, 135, 180, 225, 270, 315}

func TestRotationValidate(t *testing.T) {
	if err := RotNet(nn.NIN(3, 24)).Validate(); err != nil {
		t.Error(err)
	}
	for want, m := range map[string]*Rotation{
		"at least 2":    {Backbone: nn.NIN(3, 24), Angles: []int{0}},
		"not one of":    {Backbone: nn.NIN(3, 24), Angles: []int{0, 30}},
		"given twice":   {Backbone: nn.NIN(3, 24), Angles: []int{0, 90, 90}},
		"negative":      {Backbone: nn.NIN(3, 24), Angles: []int{0, 90}, Pad: -1},
		"multiple of 6": {Backbone: nn.NIN(3, 25), Angles: []int{0, 90}},
	} {
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// rotated runs m.Rotate on random images [n, s, s, 1] and returns the input and the copies.
func rotated(t *testing.T, m *Rotation, n, s int) (x, copies []float32) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	x = make([]float32, n*s*s)
	for i := range x {
		x[i] = rnd.Float32()
	}
	out, err := CallOnce(goBackend(t), m.Rotate, tensors.FromFlatDataAndDimensions(x, n, s, s, 1))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{len(m.Angles) * n, s, s, 1}; fmt.Sprint(out.Shape().Dimensions) != fmt.Sprint(want) {
		t.Fatalf("copies are %s, want %v", out.Shape(), want)
	}
	return x, tensors.MustCopyFlatData[float32](out)
}

// Rotations by multiples of 90 degrees "can be implemented by flip and transpose operations": they
// permute pixels. Reference: Gidaris et al. 2018, Sec. 2.2.
func TestRotationCopiesAreOneImageTurned(t *testing.T) {
	const n, s = 3, 9
	m := &Rotation{Angles: []int{0, 90, 180, 270}}
	x, copies := rotated(t, m, n, s)
	at := func(k, i, row, column int) float32 { return copies[((k*n+i)*s+row)*s+column] }
	for i := range n {
		for row := range s {
			for column := range s {
				want := x[(i*s+row)*s+column]
				// Counter-clockwise, what was at (row, column) moves to (s-1-column, row).
				r, c := row, column
				for k := range m.Angles {
					if got := at(k, i, r, c); got != want {
						t.Fatalf("image %d at %d degrees: pixel (%d, %d) is %g, want %g exactly", i, m.Angles[k], r, c, got, want)
					}
					r, c = s-1-c, r
				}
			}
		}
	}
}

// With oblique angles no copy may show by its frame how far it was turned.
func TestObliqueCopiesShareTheFrame(t *testing.T) {
	const n, s = 2, 16
	_, copies := rotated(t, &Rotation{Angles: eighths}, n, s)
	var frame [s * s]bool // of the first copy
	for i := range frame {
		frame[i] = copies[i] == 0.5
	}
	corners := 0
	for k := range len(eighths) * n {
		for i := range frame {
			if grey := copies[k*s*s+i] == 0.5; grey != frame[i] {
				t.Fatalf("copy %d: pixel %d is masked: %v, in the first copy: %v", k, i, grey, frame[i])
			}
		}
	}
	for _, masked := range frame {
		if masked {
			corners++
		}
	}
	// The disc reaches the centres of the outermost pixels; 0.04 is for the steps of its edge.
	want := 1 - math.Pi/4*math.Pow((s-1.)/s, 2)
	if share := float64(corners) / (s * s); math.Abs(share-want) > 0.04 {
		t.Errorf("%.2f of the frame is masked, want %.2f", share, want)
	}
}

// blobs yields images that have no upright: smooth isotropic noise, fresh for each index and epoch.
type blobs struct{ steps, batch, s int }

func (d blobs) Name() string                        { return "blobs" }
func (d blobs) Steps() int                          { return d.steps }
func (d blobs) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d blobs) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		rnd := rand.New(rand.NewPCG(3, uint64(epoch)))
		for range d.steps {
			pixels := make([]uint8, 0, d.batch*d.s*d.s)
			for range d.batch {
				pixels = append(pixels, blob(rnd, d.s)...)
			}
			images := tensors.FromFlatDataAndDimensions(pixels, d.batch, d.s, d.s, 1)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{images}}, nil) {
				return
			}
		}
	}
}

// blob is white noise seen through a small round blur, which leaves no direction preferred.
func blob(rnd *rand.Rand, s int) []uint8 {
	const r = 2
	noise := make([]float64, (s+2*r)*(s+2*r))
	for i := range noise {
		noise[i] = rnd.NormFloat64()
	}
	out := make([]uint8, s*s)
	for i := range out {
		var v float64
		for dy := -r; dy <= r; dy++ {
			for dx := -r; dx <= r; dx++ {
				v += math.Exp(-float64(dy*dy+dx*dx)) * noise[(i/s+dy+r)*(s+2*r)+i%s+dx+r]
			}
		}
		out[i] = uint8(min(max(128+40*v, 0), 255))
	}
	return out
}

// margined makes a mistake: its crops have a black margin at the top only.
type margined struct{ *Rotation }

func (m margined) Loss(scope *model.Scope, b Batch) *Node {
	rest := Slice(b.Image, AxisRange(), AxisRangeToEnd(2))
	black := ZerosLike(Slice(b.Image, AxisRange(), AxisRangeFromStart(2)))
	return m.recognise(scope, m.Rotate(Concatenate([]*Node{black, rest}, 1)))
}

// upright trains m and returns its accuracy on the pretext task in the last epoch.
func upright(t *testing.T, m Method, ds Dataset, epochs int) float64 {
	t.Helper()
	r := &Run{Method: m, Backend: bestBackend(t), Train: ds, Epochs: epochs, Seed: 1,
		Optimizer: optim.SGD{Rate: optim.CosineWarmup(0.1, 5, epochs*ds.Steps()), Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}}
	h, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("loss %.3f, accuracy %.3f", h.Loss, h.Reports["accuracy"])
	return h.Reports["accuracy"][epochs-1]
}

// These operations "do not leave any easily detectable low-level visual artifacts that will lead the
// ConvNet to learn trivial features": what has an upright is learnt, what has none keeps its secret.
// Reference: Gidaris et al. 2018, Sec. 2.2.
func TestRotationLeavesNoTrace(t *testing.T) {
	// 16 images x 4 copies x 40 steps: chance varies by 0.009 from epoch to epoch, 0.05 is far off.
	const tolerance = 0.05
	ds := blobs{steps: 40, batch: 16, s: 20}
	m := &Rotation{Backbone: nn.ResNet(8, 8), Angles: []int{0, 90, 180, 270}}
	if got := upright(t, m, toyData{n: 256, s: 16, batch: 16}, 3); got < 0.95 {
		t.Errorf("accuracy %.3f on bars in the upper half of the image, want it solved", got)
	}
	if got := upright(t, m, ds, 2); got > 0.25+tolerance {
		t.Errorf("accuracy %.3f on images without an upright, chance is 0.25", got)
	}
	if got := upright(t, margined{m}, ds, 2); got < 0.5 {
		t.Errorf("accuracy %.3f with a margin at the top: this test would not notice a trace", got)
	}
	// Interpolation tells odd from even multiples of 45 degrees, view.Soften notwithstanding, and
	// no more than that.
	m.Angles = eighths
	if got := upright(t, m, ds, 2); got > 0.25+tolerance {
		t.Errorf("accuracy %.3f at eight angles on images without an upright, the parity alone gives 0.25", got)
	}
}

// A batch holds all rotated copies of each of its images (Sec. 3.1, implementation details), and its
// loss is the mean over them of -log F^y(g(X|y)).
// Reference: Gidaris et al. 2018, Sec. 2.1, Eq. 1 and 2.
func TestRotationLossIsEquation2(t *testing.T) {
	backend := goBackend(t)
	m := &Rotation{Backbone: nn.NIN(3, 6), Angles: []int{0, 180}}
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	pixels := make([]float32, 4*12*12)
	for i := range pixels {
		pixels[i] = rnd.Float32()
	}
	out, err := model.CallOnceN(backend, store, func(scope *model.Scope, x *Node) []*Node {
		l := m.Loss(scope, Batch{Image: x})
		copies := Concatenate([]*Node{x, view.Rotate(x, 180)}, 0)
		h := nn.Pool(nn.Last(m.Encode(scope.Store().RootScope(), copies)))
		logits := layers.Dense(scope.Store().Scope("classifier"), h, true, 2)
		return []*Node{l, logits}
	}, tensors.FromFlatDataAndDimensions(pixels, 4, 12, 12, 1))
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	for i, row := range out[1].Value().([][]float32) {
		y := i / 4
		want += math.Log(math.Exp(float64(row[0]))+math.Exp(float64(row[1]))) - float64(row[y])
	}
	want /= 8
	// Both are float32 sums of eight terms of about 1.
	if got := float64(out[0].Value().(float32)); math.Abs(got-want) > 1e-5 {
		t.Errorf("loss %g, want %g", got, want)
	}
}
