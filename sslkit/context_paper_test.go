package sslkit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

func TestContextValidate(t *testing.T) {
	if err := DeepContext(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *ContextPrediction { return DeepContext(nn.ResNet(8, 4)) }, map[string]func(*ContextPrediction){
		"room for a pair": func(m *ContextPrediction) { m.Patch = 0.6 },
		"gap -1":          func(m *ContextPrediction) { m.Gap = -1 },
		"jitter NaN":      func(m *ContextPrediction) { m.Jitter = math.NaN() },
		"hidden units":    func(m *ContextPrediction) { m.Hidden = 0 },
		"tower of -1":     func(m *ContextPrediction) { m.Tower = -1 },
		"guarded by":      func(m *ContextPrediction) { m.Guards.Colors = "grey" },
		"6n+2":            func(m *ContextPrediction) { m.Backbone.Depth = 9 },
	})
}

func TestContextRejectsImages(t *testing.T) {
	m := DeepContext(nn.ResNet(8, 4))
	pairs := func(scope *model.Scope, x *Node) { m.Pairs(scope, x) }
	panics(t, "square images", 28, 32, pairs)
	panics(t, "patches of 3 pixels", 12, 12, pairs)
	m.Patch = 0.45
	panics(t, "a pair takes 77", 64, 64, pairs) // 2*29 + 15 + 2*2
}

// "We sample patches at resolution 96-by-96. We allow a gap of 48 pixels between the sampled patches in the grid, but
// also jitter the location of each patch in the grid by -7 to 7 pixels in each direction." "Given the position of the
// first patch, we sample the second patch randomly from the eight possible neighboring locations".
// Reference: Doersch et al. 2015, Sec. 3 and 3.2.
func TestPaperContextPairs(t *testing.T) {
	for _, c := range []struct{ s, patch, gap, jitter int }{{384, 96, 48, 7}, {96, 24, 12, 2}, {64, 16, 8, 1}, {28, 7, 4, 1}} {
		const n = 160
		m := DeepContext(nn.ResNet(8, 4))
		out := ask(t, 1, places(n, c.s), func(scope *model.Scope, x *Node) []*Node {
			patches, side := m.Pairs(scope, x)
			return []*Node{patches, side}
		})
		size, corner := corners(t, out[0], c.s)
		if size != c.patch || len(corner) != 2*n {
			t.Fatalf("%+v: %d patches of %d pixels", c, len(corner), size)
		}
		var drawn [8]int
		least, most := c.s, 0 // of the jitter between the two
		for i, side := range out[1].Value().([]int32) {
			drawn[side]++
			first, second := corner[2*i], corner[2*i+1]
			place := int(side) + map[bool]int{true: 1}[side > 3]
			for axis, step := range []int{place/3 - 1, place%3 - 1} {
				off := second[axis] - first[axis] - step*(c.patch+c.gap)
				least, most = min(least, off), max(most, off)
			}
		}
		// Each of the two moves: an eighth of the 320 differences or so is beyond what one of them can make, to each side.
		if least < -2*c.jitter || most > 2*c.jitter || least >= -c.jitter || most <= c.jitter {
			t.Errorf("%+v: the second patch is off by %d to %d", c, least, most)
		}
		for side, k := range drawn { // 160 draws of 8: 20 +- 4.2
			if k < 3 || k > 37 {
				t.Errorf("%+v: side %d drawn %d of %d times", c, side, k, n)
			}
		}
	}
}

// "We sample the first patch uniformly": of a pair to the right it is anywhere from the left edge to where the second just
// fits. Reference: Doersch et al. 2015, Sec. 3.
func TestPaperContextPairsAreAnywhere(t *testing.T) {
	const n, s, patch = 400, 64, 16
	m := DeepContext(nn.ResNet(8, 4))
	m.Jitter = 0
	out := ask(t, 1, places(n, s), func(scope *model.Scope, x *Node) []*Node {
		patches, side := m.Pairs(scope, x)
		return []*Node{patches, side}
	})
	_, corner := corners(t, out[0], s)
	least, most := [2]int{s, s}, [2]int{}
	for i, side := range out[1].Value().([]int32) {
		if side == 4 {
			for axis := range 2 {
				least[axis], most[axis] = min(least[axis], corner[2*i][axis]), max(most[axis], corner[2*i][axis])
			}
		}
	}
	// About 50 draws of 49 rows and of 25 columns.
	if least[0] > 8 || most[0] < s-patch-8 || most[0] > s-patch || least[1] > 4 || most[1] < 20 || most[1] > s-2*patch-patch/2 {
		t.Errorf("rows %d to %d, columns %d to %d", least[0], most[0], least[1], most[1])
	}
}

// neighbours is a small context prediction: chance is 1/8.
func neighbours() *ContextPrediction {
	m := DeepContext(nn.ResNet(8, 4))
	m.Tower, m.Hidden, m.Guards = 32, 32, Guards{}
	return m
}

// misnamed makes a mistake: it does not turn the side around with the order of the pair.
type misnamed struct{ *ContextPrediction }

func (m misnamed) Loss(scope *model.Scope, b Batch) *Node {
	patches, y := m.Pairs(scope, b.Image)
	y = Concatenate([]*Node{y, y}, 0)
	logits := m.tell(scope, m.Guards.Apply(scope, patches))
	Report("accuracy", loss.Accuracy(logits, y))
	return loss.CrossEntropy(logits, y)
}

// Each pair is seen from both of its patches, on opposite sides.
func TestContextInBothOrders(t *testing.T) {
	sloping := fresh{30, 32, 24, 1, slope}
	if got := learnt(t, neighbours(), sloping, 2); got < 0.55 {
		t.Errorf("accuracy %.3f on a slope, want it learnt", got)
	}
	if got := learnt(t, misnamed{neighbours()}, sloping, 2); got > 0.5 { // each pair has two labels
		t.Errorf("accuracy %.3f with the same side for both orders: this test would not notice", got)
	}
}

// Patterns at the borders and textures that go on from patch to patch are shortcuts, against which there is a gap: of blobs of
// some 3 pixels, the borders of a pair that face each other are alike without it, and not with it.
// Reference: Doersch et al. 2015, Sec. 3.1.
func TestPaperContextGap(t *testing.T) {
	const n, s = 400, 28
	rnd := rand.New(rand.NewPCG(3, 3))
	pixels := make([]uint8, 0, n*s*s)
	for range n {
		pixels = append(pixels, blob(rnd, s)...)
	}
	images := tensors.FromFlatDataAndDimensions(pixels, n, s, s, 1)
	// alike is the correlation of the facing borders of the pairs that lie above, left, right or below each other.
	alike := func(m *ContextPrediction) float64 {
		out := ask(t, 1, images, func(scope *model.Scope, x *Node) []*Node {
			patches, side := m.Pairs(scope, floatImage(x))
			return []*Node{patches, side}
		})
		size := out[0].Shape().Dim(1)
		patches := tensors.MustCopyFlatData[float32](out[0])
		var xy, xx, yy float64
		for i, side := range out[1].Value().([]int32) {
			at := func(k, row, column int) float64 { return float64(patches[((2*i+k)*size+row)*size+column]) - 0.5 }
			for j := range size {
				var x, y float64
				switch side {
				case 1:
					x, y = at(0, 0, j), at(1, size-1, j)
				case 3:
					x, y = at(0, j, 0), at(1, j, size-1)
				case 4:
					x, y = at(0, j, size-1), at(1, j, 0)
				case 6:
					x, y = at(0, size-1, j), at(1, 0, j)
				}
				xy, xx, yy = xy+x*y, xx+x*x, yy+y*y
			}
		}
		return xy / math.Sqrt(xx*yy)
	}
	m := neighbours()
	if got := alike(m); math.Abs(got) > 0.12 { // some 200 pairs of 7 pixels, of which neighbours are alike: a deviation of 0.04
		t.Errorf("facing borders correlate by %.3f with a gap, which blobs are too small to bridge", got)
	}
	m.Gap, m.Jitter = 0, 0
	if got := alike(m); got < 0.4 {
		t.Errorf("facing borders correlate by %.3f without a gap: this test would not notice what goes on", got)
	}
}

// "fc6" sees where in its patch a thing is: it has weights for each position of the map; without it, the mean has none.
// Reference: Doersch et al. 2015, Fig. 3; Noroozi & Favaro 2016, Fig. 3.
func TestPaperTowersEndInFC6(t *testing.T) {
	jigsaw := puzzles()
	for name, c := range map[string]struct {
		m    Method
		want []int
	}{
		"context": {neighbours(), []int{2 * 2 * 16, 32}}, // patches of 7 pixels: maps of 2x2, 16 channels
		"jigsaw":  {jigsaw, []int{2 * 2 * 16, jigsaw.Tower}},
	} {
		for _, pooled := range []bool{false, true} {
			m := c.m
			switch m := m.(type) {
			case *ContextPrediction:
				if pooled {
					m.Tower = 0
				}
			case *Jigsaw:
				if pooled {
					m.Tower = 0
				}
			}
			store, err := NewStore(1)
			if err != nil {
				t.Fatal(err)
			}
			g := NewGraph(goBackend(t), name)
			m.Loss(store.RootScope(), Batch{Image: Parameter(g, "x", shapes.Make(dtypes.Float32, 2, 28, 28, 1))})
			g.Finalize()
			v := store.GetVariable("/fc6/linear_1/dense/weights")
			if pooled && v != nil || !pooled && (v == nil || !slices.Equal(v.Shape().Dimensions, c.want)) {
				t.Errorf("%s, pooled: %v: fc6 is %v, want %v", name, pooled, v, c.want)
			}
		}
	}
}

func TestContextPredict(t *testing.T) {
	const n, s = 6, 28
	m := neighbours()
	out := ask(t, 1, places(n, s), func(scope *model.Scope, x *Node) []*Node {
		first, second, side, guess := m.Predict(scope, x)
		return []*Node{first, second, side, guess}
	})
	_, from := corners(t, out[0], s)
	_, to := corners(t, out[1], s)
	for i, side := range out[2].Value().([]int32) {
		right := map[int32]int{0: -1, 3: -1, 5: -1, 2: 1, 4: 1, 7: 1}[side]
		if d := to[i][1] - from[i][1] - 11*right; d < -2 || d > 2 {
			t.Errorf("side %d: from %v to %v", side, from[i], to[i])
		}
	}
	for _, guess := range out[3].Value().([]int32) {
		if guess < 0 || guess > 7 {
			t.Errorf("guessed %d", guess)
		}
	}
	if out[3].Shape().Dim(0) != n {
		t.Errorf("%d guesses", out[3].Shape().Dim(0))
	}
	// Pixels of a loader pass, too.
	bytes := tensors.FromFlatDataAndDimensions(make([]uint8, 2*s*s), 2, s, s, 1)
	ask(t, 1, bytes, func(scope *model.Scope, x *Node) []*Node {
		_, _, _, guess := m.Predict(scope, x)
		return []*Node{guess}
	})
}
