package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func TestPairsByHand(t *testing.T) {
	// Of different lengths, which do not matter. The first partner is nearest, the second is not, the third ties.
	p := Pairs{A: [][]float32{{2, 0}, {0, 3}, {1, 1}}, B: [][]float32{{1, 0}, {-1, 0}, {0, 0}}}
	positive, negative := p.Similarities()
	h := math.Sqrt(0.5) // cosines are float32
	for _, c := range []struct{ got, want []float64 }{
		{positive, []float64{1, 0, 0}},
		{negative, []float64{-1, 0, 0, 0, h, -h}},
	} {
		if !slices.EqualFunc(c.got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-7 }) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	if got := p.Match(); got != 1./3 {
		t.Errorf("match %g, want 1/3", got)
	}
}

func TestPairsGeometry(t *testing.T) {
	// A's rows are opposite, 2 apart: log exp(-2*4) = -8. Partners are at a right angle, once, and the same, once.
	p := Pairs{A: [][]float32{{2, 0}, {-1, 0}}, B: [][]float32{{0, 1}, {-5, 0}}}
	alignment, uniformity, err := p.Geometry(testBackend(t))
	if err != nil || math.Abs(alignment-1) > 1e-6 || math.Abs(uniformity+8) > 1e-5 { // float32
		t.Errorf("alignment %g, uniformity %g, want 1 and -8; %v", alignment, uniformity, err)
	}
}

// Against the definition, feature by feature; one feature of B is constant.
func TestCorrelations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 1))
	const n, d = 30, 3
	var p Pairs
	for range n {
		a := []float32{rnd.Float32(), 10 * rnd.Float32(), rnd.Float32()}
		p.A, p.B = append(p.A, a), append(p.B, []float32{a[0] + rnd.Float32(), -a[1], 7})
	}
	moments := func(x [][]float32, j int) (mean, variance float64) {
		for _, row := range x {
			mean += float64(row[j]) / n
		}
		for _, row := range x {
			variance += math.Pow(float64(row[j])-mean, 2) / n
		}
		return mean, variance
	}
	got := p.Correlations()
	for i := range d {
		for j := range d {
			ma, va := moments(p.A, i)
			mb, vb := moments(p.B, j)
			want := 0.0
			for k := range n {
				want += (float64(p.A[k][i]) - ma) * (float64(p.B[k][j]) - mb) / n / math.Sqrt((va+1e-5)*(vb+1e-5))
			}
			if math.Abs(got[i][j]-want) > 1e-12 {
				t.Errorf("feature %d with %d: %g, want %g", i, j, got[i][j], want)
			}
		}
	}
	if got[1][1] > -0.999 || got[0][2] != 0 {
		t.Errorf("opposite features %g, a constant one %g", got[1][1], got[0][2])
	}
}

func TestNegativeWeights(t *testing.T) {
	s := []float64{0.9, 0.5, -1}
	flat, err := NegativeWeights(s, 1e6)
	if err != nil || math.Abs(flat[0]-flat[2]) > 1e-5 || math.Abs(flat[0]-1./3) > 1e-5 {
		t.Errorf("at a high temperature %v, %v: want thirds", flat, err)
	}
	sharp, err := NegativeWeights(s, 0.001) // exp(900) would overflow
	if err != nil || sharp[0] != 1 || sharp[1] != math.Exp(-400) {
		t.Errorf("at a low temperature %v, %v: want all on the first", sharp, err)
	}
	if _, err := NegativeWeights(s, 0); err == nil {
		t.Error("temperature 0 passes")
	}
}

func TestColorHistogram(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const n, side, bins = 2, 5, 3
	pixels, want := make([]float32, n*side*side*3), make([]float32, n*bins*bins*bins)
	for i := range pixels {
		pixels[i] = rnd.Float32()
	}
	copy(pixels, []float32{0, 1, 1. / 3}) // the ends, and an edge between boxes
	for i := 0; i < len(pixels); i += 3 {
		box := 0
		for _, v := range pixels[i : i+3] {
			box = box*bins + min(int(v*bins), bins-1)
		}
		want[i/(side*side*3)*bins*bins*bins+box] += 1. / (side * side)
	}
	out, err := CallOnce(testBackend(t), func(x *Node) *Node { return ColorHistogram(x, bins) },
		tensors.FromFlatDataAndDimensions(pixels, n, side, side, 3))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tensors.CopyFlatData[float32](out)
	if err != nil || !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
		t.Errorf("got %v, want %v; %v", got, want, err)
	}
}

// Views differ between the sides and keep the order of the examples; without randomness both sides are the features.
func TestDrawPairs(t *testing.T) {
	backend, ds := quickBackend(t), bars{n: 40, classes: 4, batch: 16}
	draw := func(transform view.Transform) Pairs {
		store, err := sslkit.NewStore(3)
		if err != nil {
			t.Fatal(err)
		}
		before := store.NumVariables()
		p, err := DrawPairs(t.Context(), backend, store, transform, func(_ *model.Scope, x *Node) *Node { return nn.Pool(x) }, ds)
		if err != nil {
			t.Fatal(err)
		}
		if store.NumVariables() != before {
			t.Error("the store has new variables")
		}
		return p
	}
	still := draw(func(_ *model.Scope, x *Node) *Node { return x })
	if len(still.A) != 40 || !slices.EqualFunc(still.A, still.B, slices.Equal[[]float32]) {
		t.Error("without randomness the sides differ")
	}
	shifted := draw(view.RandomCrop(3))
	same := 0
	for i := range shifted.A {
		if slices.Equal(shifted.A[i], shifted.B[i]) {
			same++
		}
	}
	if same > 20 { // some shifts lose only black pixels
		t.Errorf("%d of 40 pairs are of equal views", same)
	}
}

// Tolerance by its definition, over all pairs; images of other classes have no say, and neither have lengths.
func TestTolerance(t *testing.T) {
	p := Pairs{A: [][]float32{{3, 0}, {1, 1}, {0, -2}, {-1, 2}, {5, 1}}}
	label := []int32{2, 2, 0, 0, 2}
	sum, n := 0.0, 0.0
	for i, a := range p.A {
		for j, b := range p.A {
			if i == j || label[i] != label[j] {
				continue
			}
			dot := float64(a[0]*b[0] + a[1]*b[1])
			sum += dot / math.Hypot(float64(a[0]), float64(a[1])) / math.Hypot(float64(b[0]), float64(b[1]))
			n++
		}
	}
	if got := p.Tolerance(label); math.Abs(got-sum/n) > 1e-12 { // sums of eight in another order
		t.Errorf("tolerance %g, want %g", got, sum/n)
	}
	if got := (Pairs{A: p.A[:2]}).Tolerance([]int32{0, 1}); !math.IsNaN(got) {
		t.Errorf("without two of a class: %g", got)
	}
}
