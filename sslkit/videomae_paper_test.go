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

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
)

// Films of these tests have 8 frames of 8x8, cut into 4 times of 16 pieces of 2x2x2.
func toyVideoMAE() *VideoMAE {
	return &VideoMAE{Backbone: nn.Tubes(1, 32, 2, 2), Mask: 0.75, DecoderDepth: 1, DecoderWidth: 32, Normalize: true}
}

func TestVideoMAEValidate(t *testing.T) {
	for _, m := range []*VideoMAE{toyVideoMAE(), SmallVideoMAE(nn.Tubes(3, 64, 4, 2))} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	wantInvalid(t, toyVideoMAE, map[string]func(*VideoMAE){
		`not "frames"`:           func(m *VideoMAE) { m.Backbone = nn.Frames(1, 8, 0) },
		"mask 0: the share":      func(m *VideoMAE) { m.Mask = 0 },
		"mask 1: the share":      func(m *VideoMAE) { m.Mask = 1 },
		"depth 0 and width 32":   func(m *VideoMAE) { m.DecoderDepth = 0 },
		"depth 1 and width 33":   func(m *VideoMAE) { m.DecoderWidth = 33 },
		"span of at least 1 fra": func(m *VideoMAE) { m.Backbone.Span = 0 },
	})
}

// noiseFilms are films of random pixels.
func noiseFilms(n int) *tensors.Tensor {
	rnd := rand.New(rand.NewPCG(3, 9))
	x := make([]float32, n*8*64)
	for i := range x {
		x[i] = rnd.Float32()
	}
	return tensors.FromFlatDataAndDimensions(x, n, 8, 8, 8, 1)
}

func callFilms(t *testing.T, store *model.Store, fn func(scope *model.Scope, clip *Node) []*Node, clips *tensors.Tensor) []*tensors.Tensor {
	t.Helper()
	clips, err := clips.LocalClone()
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnceN(goBackend(t), store, fn, clips)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Masks are tubes, the same at all times, so that what is hidden once is hidden always.
// As a mistake, pieces are hidden one by one. Reference: Tong et al. 2022, Sec. 3.3 (a paraphrase).
func TestVideoMAEHidesTubes(t *testing.T) {
	for _, random := range []bool{false, true} {
		m, store := toyVideoMAE(), seeded(t)
		m.Random = random
		var hidden int
		often, leaks := make([]int, 16), 0
		const rounds = 100
		for range rounds {
			order := callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node {
				pieces, _, grid := m.Backbone.Cut(clip)
				var order *Node
				order, hidden = m.mask(scope, pieces, grid)
				return []*Node{order}
			}, noiseFilms(2))[0].Value().([][]int32)
			for _, row := range order {
				if sorted := slices.Sorted(slices.Values(row)); len(row) != 64 || sorted[0] != 0 || sorted[63] != 63 || len(slices.Compact(sorted)) != 64 {
					t.Fatalf("%v is no order of 64 pieces", row)
				}
				seen := map[int32]int{}
				for _, piece := range row[:64-hidden] {
					seen[piece%16]++
				}
				for place, times := range seen {
					often[place]++
					if times != 4 {
						leaks++
					}
				}
			}
		}
		if hidden != 48 {
			t.Errorf("random %t: %d of 64 are hidden, want three quarters", random, hidden)
		}
		if (leaks > 0) != random {
			t.Errorf("random %t: %d places are seen at some times only", random, leaks)
		}
		for place, n := range often {
			if want := 2. * rounds / 4; !random && math.Abs(float64(n)-want) > 4.5*math.Sqrt(want*0.75) { // of 16 places
				t.Errorf("place %d is seen in %d films, want %v", place, n, want)
			}
		}
	}
}

// The loss is the mean squared error between the normalised targets and what is painted, on what is hidden.
// As mistakes it is of all pieces, or of pixels as they are. Reference: Tong et al. 2022, Sec. 3.1, Eq. 1 (a paraphrase).
func TestVideoMAELossIsOnHiddenPieces(t *testing.T) {
	m, store, films := toyVideoMAE(), seeded(t), noiseFilms(3)
	of := func(scope *model.Scope, clip *Node) []*Node { return []*Node{m.Loss(scope, Batch{Image: clip})} }
	callFilms(t, store, of, films)
	jitter(t, store)
	again := func() {
		if err := store.SetRNGStateFromSeed(5); err != nil {
			t.Fatal(err)
		}
	}
	again()
	got := float64(callFilms(t, store, of, films)[0].Value().(float32))
	again() // so that the same is drawn
	out := callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node {
		pieces, _, grid := m.Backbone.Cut(clip)
		order, hidden := m.mask(scope, pieces, grid)
		return []*Node{m.predict(scope, pieces, order, hidden, grid), order, pieces, loss.NormalizePatches(pieces)}
	}, films)
	pred, order := out[0].Value().([][][]float32), out[1].Value().([][]int32)
	naive := func(from int, of [][][]float32) float64 {
		var sum, count float64
		for n := range order {
			for k := from; k < 64; k++ {
				for i, v := range of[n][order[n][k]] {
					sum, count = sum+math.Pow(float64(pred[n][k][i]-v), 2), count+1
				}
			}
		}
		return sum / count
	}
	pixels, normal := out[2].Value().([][][]float32), out[3].Value().([][][]float32)
	const tolerance = 1e-3 // float32 sums of 1,152 terms of some ten
	if want := naive(16, normal); math.Abs(got-want) > tolerance {
		t.Errorf("loss %v, want %v", got, want)
	}
	for name, wrong := range map[string]float64{"of all pieces": naive(0, normal), "of pixels": naive(16, pixels)} {
		if math.Abs(got-wrong) < 10*tolerance {
			t.Errorf("%s the loss is %v: this test would not tell", name, wrong)
		}
	}
	// Pieces are the films': two frames of two by two pixels, time by time and row by row.
	whole := tensors.MustCopyFlatData[float32](films)
	for l, piece := range pixels[1] {
		for i, v := range piece {
			frame, y, x := 2*(l/16)+i/4, 2*(l%16/4)+i%4/2, 2*(l%4)+i%2
			if want := 4*whole[((8+frame)*8+y)*8+x] - 2; math.Abs(float64(v-want)) > 1e-5 {
				t.Fatalf("piece %d has %v at %d, want %v", l, v, i, want)
			}
		}
	}
}

// What is hidden cannot be seen: no bit of what is painted follows from it.
func TestVideoMAESeesNothingHidden(t *testing.T) {
	m, store, films := toyVideoMAE(), seeded(t), noiseFilms(1)
	order := [][]int32{nil}
	for k := range 64 {
		order[0] = append(order[0], int32(k*5%64))
	}
	paint := func(films *tensors.Tensor) [][][]float32 {
		return callFilms(t, store, func(scope *model.Scope, clip *Node) []*Node {
			pieces, _, grid := m.Backbone.Cut(clip)
			return []*Node{m.predict(scope, pieces, Const(clip.Graph(), order), 48, grid)}
		}, films)[0].Value().([][][]float32)
	}
	before := paint(films)
	for k, piece := range order[0] {
		pixels := tensors.MustCopyFlatData[float32](films)
		l := int(piece)
		pixels[(2*(l/16)*8+2*(l%16/4))*8+2*(l%4)] += 0.5
		after := paint(tensors.FromFlatDataAndDimensions(pixels, 1, 8, 8, 8, 1))
		if changed := !slices.EqualFunc(before[0], after[0], slices.Equal[[]float32]); changed != (k < 16) {
			t.Errorf("piece %d, the %d. in order: it is seen: %t", piece, k, changed)
		}
	}
}

// walls are still films of squares of random grey, none of which follows from another.
type walls struct{ n, batch int }

func (d walls) Name() string                        { return "walls" }
func (d walls) Steps() int                          { return d.n / d.batch }
func (d walls) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }
func (d walls) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for b := skip; b < d.Steps(); b++ {
			pixels, index := make([]uint8, d.batch*4*16), make([]int32, d.batch)
			for i := range d.batch {
				rnd := rand.New(rand.NewPCG(uint64(epoch), uint64(b*d.batch+i)))
				var grey [4]uint8
				for k := range grey {
					grey[k] = uint8(255 * rnd.IntN(2))
				}
				for k := range 64 {
					pixels[i*64+k] = grey[k%16/8*2+k%4/2]
				}
			}
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, d.batch, 4, 4, 4, 1),
				tensors.FromFlatDataAndDimensions(index, d.batch)}}, nil) {
				return
			}
		}
	}
}

// Information leaks: where pieces are hidden one by one, those of a still film can be copied from other times; of tubes they
// cannot. Reference: Tong et al. 2022, Sec. 3.2 (a paraphrase).
func TestVideoMAELeaksWithoutTubes(t *testing.T) {
	explained := map[bool]float64{}
	for _, random := range []bool{false, true} {
		m := &VideoMAE{Backbone: nn.Tubes(1, 32, 2, 1), Mask: 0.5, Random: random, DecoderDepth: 1, DecoderWidth: 32}
		r := &Run{Method: m, Backend: goBackend(t), Train: walls{64, 32}, Epochs: 60, Seed: 1, Optimizer: optim.AdamW{Rate: optim.Constant(0.006)}}
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		explained[random] = h.Reports["explained"][59]
	}
	if explained[false] > 0.05 || explained[true] < 0.3 { // of greys that nothing tells; half of them twice in four times
		t.Errorf("of tubes %.2f is explained, of pieces one by one %.2f", explained[false], explained[true])
	}
}

func TestVideoMAERefuses(t *testing.T) {
	for want, c := range map[string]struct {
		dims []int
		mask float64
	}{
		"needs films":            {[]int{2, 4, 1, 8, 1}, 0.5},
		"cannot be cut":          {[]int{2, 3, 8, 8, 1}, 0.5},
		"a multiple of that":     {[]int{2, 4, 7, 7, 1}, 0.5},
		"hiding 32 of 32 pieces": {[]int{2, 4, 8, 8, 1}, 0.99},
		"hiding 0 of 32 pieces":  {[]int{2, 4, 8, 8, 1}, 0.01},
	} {
		m := toyVideoMAE()
		m.Mask = c.mask
		n := 1
		for _, d := range c.dims {
			n *= d
		}
		_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return m.Loss(scope, Batch{Image: x}) },
			tensors.FromFlatDataAndDimensions(make([]float32, n), c.dims...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want one with %q", c.dims, err, want)
		}
	}
}
