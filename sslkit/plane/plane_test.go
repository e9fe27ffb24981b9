package plane

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/spatial/r2"
)

// blobs are rows of d values around centres far apart, in turns, and which centre each is of.
func blobs(n, d, centres int, apart float64) (x [][]float32, of []int) {
	rnd := rand.New(rand.NewPCG(7, 7))
	at := make([][]float64, centres)
	for c := range at {
		for range d {
			at[c] = append(at[c], apart*rnd.NormFloat64())
		}
	}
	for i := range n {
		var row []float32
		for j := range d {
			row = append(row, float32(at[i%centres][j]+rnd.NormFloat64()))
		}
		x, of = append(x, row), append(of, i%centres)
	}
	return x, of
}

// own is the share of places whose nearest neighbour is of their own group.
func own(t *testing.T, y [][2]float64, of []int) float64 {
	t.Helper()
	right := 0
	for i, a := range y {
		best, group := math.Inf(1), -1
		for j, b := range y {
			if d := math.Hypot(a[0]-b[0], a[1]-b[1]); j != i && d < best {
				best, group = d, of[j]
			}
		}
		if group == of[i] {
			right++
		}
	}
	return float64(right) / float64(len(y))
}

func TestPCA(t *testing.T) {
	// Points on a line in 3 dimensions, and a little beside it.
	var x [][]float32
	for i := range 9 {
		s := float64(i - 4)
		x = append(x, []float32{float32(5 + 3*s), float32(1 + 4*s), float32(2 + 0.1*math.Pow(-1, float64(i)))})
	}
	y, share, err := PCA(x)
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.1 / 9 // of the third value, which has five of one sign and four of the other
	for i, p := range y {
		want := [2]float64{5 * float64(i-4), 0.1*math.Pow(-1, float64(i)) - mean}
		for c := range p {
			if math.Abs(p[c]-want[c]) > 1e-3 { // the line and the zigzag are not quite at right angles
				t.Errorf("row %d is at %v, want %v", i, p, want)
			}
		}
	}
	// Variances: 25 * 60/8, and 0.01 * (9 - 1/9)/8.
	if whole := 187.5 + 0.01*(9-1.0/9)/8; math.Abs(share[0]-187.5/whole) > 1e-6 || math.Abs(share[0]+share[1]-1) > 1e-6 {
		t.Errorf("shares %v", share)
	}
	if y, share, err = PCA([][]float32{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}}); err != nil || share != [2]float64{} || y[2] != [2]float64{} {
		t.Errorf("of equal rows: %v, %v, %v", y, share, err)
	}
	if y, share, err = PCA([][]float32{{1}, {3}}); err != nil || share != [2]float64{1, 0} || math.Abs(y[1][0]-1) > 1e-12 {
		t.Errorf("of one value: %v, %v, %v", y, share, err)
	}
}

// divergence is the definition of van der Maaten & Hinton 2008, Eq. 2 and 4, without any shortcut.
func divergence(p [][]float64, y []point) float64 {
	z, sum := 0.0, 0.0
	w := func(i, j int) float64 {
		return 1 / (1 + (y[i].X-y[j].X)*(y[i].X-y[j].X) + (y[i].Y-y[j].Y)*(y[i].Y-y[j].Y))
	}
	for i := range y {
		for j := range y {
			if i != j {
				z += w(i, j)
			}
		}
	}
	for i := range y {
		for j := range y {
			if p[i][j] > 0 {
				sum += p[i][j] * math.Log(p[i][j]/(w(i, j)/z))
			}
		}
	}
	return sum
}

// full is p_ij as a matrix.
func full(edges [][]edge) [][]float64 {
	out := make([][]float64, len(edges))
	for i, all := range edges {
		out[i] = make([]float64, len(edges))
		for _, e := range all {
			out[i][e.to] += e.p
		}
	}
	return out
}

func layout(n int) (y []point) {
	rnd := rand.New(rand.NewPCG(3, 1))
	for range n {
		y = append(y, point{2 * rnd.NormFloat64(), 2 * rnd.NormFloat64()})
	}
	return y
}

func mustNearest(t *testing.T, x [][]float32, k int) [][]neighbour {
	t.Helper()
	m, err := matrix("test", x, 2)
	if err != nil {
		t.Fatal(err)
	}
	return nearest(m, k)
}

// Similarities by their definition: Gaussian with the given perplexity, made symmetric, summing to 1
// (van der Maaten & Hinton 2008, Sec. 2 and 3.1).
func TestSimilarities(t *testing.T) {
	const n, perplexity = 40, 8
	x, _ := blobs(n, 5, 3, 2)
	near := mustNearest(t, x, n-1)
	for i, all := range near {
		if !slices.IsSortedFunc(all, func(a, b neighbour) int { return int(math.Copysign(1, a.distance-b.distance)) }) {
			t.Fatalf("neighbours of %d are not sorted: %v", i, all)
		}
		entropy, first := 0.0, 0.0
		p := conditional(all, perplexity)
		for k, a := range all {
			want := 0.0
			for j := range x[i] {
				want += math.Pow(float64(x[i][j])-float64(x[a.row][j]), 2)
			}
			if math.Abs(a.distance-want) > 1e-9*want {
				t.Fatalf("%d and %d are %g apart, want %g", i, a.row, a.distance, want)
			}
			entropy -= p[k] * math.Log2(p[k])
			// Gaussian: the logarithm of a ratio is proportional to the difference of the squared distances.
			if k == 0 {
				continue
			}
			beta := math.Log(p[0]/p[k]) / (a.distance - all[0].distance)
			if first == 0 {
				first = beta
			}
			if math.Abs(beta-first) > 1e-6*first {
				t.Fatalf("row %d is no Gaussian: %g and %g", i, beta, first)
			}
		}
		if got := math.Exp2(entropy); math.Abs(got-perplexity) > 1e-4 {
			t.Fatalf("row %d has a perplexity of %g", i, got)
		}
	}
	p, total := full(similarities(near, perplexity)), 0.0
	for i := range p {
		for j := range p {
			total += p[i][j]
			if math.Abs(p[i][j]-p[j][i]) > 1e-15 || p[i][i] != 0 {
				t.Fatalf("p[%d][%d] = %g and %g", i, j, p[i][j], p[j][i])
			}
		}
	}
	if math.Abs(total-1) > 1e-12 {
		t.Errorf("they sum to %g", total)
	}
	// Neighbours at one distance, and at none, have equal shares.
	for _, distance := range []float64{0, 2} {
		for _, v := range conditional([]neighbour{{1, distance}, {2, distance}, {3, distance}}, 1) {
			if math.Abs(v-1.0/3) > 1e-12 {
				t.Errorf("at distance %g: %g", distance, v)
			}
		}
	}
}

// The exact gradient is that of the divergence, by finite differences; the Barnes-Hut one is near it.
func TestGradient(t *testing.T) {
	const n = 60
	x, _ := blobs(n, 5, 3, 2)
	p, y := similarities(mustNearest(t, x, 30), 10), layout(n)
	exact, err := gradient(p, y, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	dense, norm := full(p), 0.0
	for i := range y {
		var want r2.Vec
		const h = 1e-5
		for c, at := range []*float64{&y[i].X, &y[i].Y} {
			was := *at
			*at = was + h
			up := divergence(dense, y)
			*at = was - h
			down := divergence(dense, y)
			*at = was
			*[]*float64{&want.X, &want.Y}[c] = (up - down) / (2 * h)
		}
		if r2.Norm(r2.Sub(exact[i], want)) > 1e-8 { // h^2, and rounding over h
			t.Fatalf("gradient of %d is %v, want %v", i, exact[i], want)
		}
		norm += r2.Norm2(want)
	}
	for _, theta := range []float64{0.1, 0.5} {
		near, err := gradient(p, y, 1, theta)
		if err != nil {
			t.Fatal(err)
		}
		off := 0.0
		for i := range near {
			off += r2.Norm2(r2.Sub(near[i], exact[i]))
		}
		// At 0.5 a cell's points lie within half of its distance: a few percent.
		if rel := math.Sqrt(off / norm); rel > 0.15*theta || rel == 0 {
			t.Errorf("theta %g: the gradient is off by %.3g of its length", theta, rel)
		}
	}
	// Twelvefold similarities attract twelve times as much.
	more, err := gradient(p, y, 12, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range more {
		var pull r2.Vec
		for j := range y {
			v := r2.Sub(r2.Vec(y[i]), r2.Vec(y[j]))
			pull = r2.Add(pull, r2.Scale(4*dense[i][j]/(1+r2.Norm2(v)), v))
		}
		if r2.Norm(r2.Sub(r2.Sub(more[i], exact[i]), r2.Scale(11, pull))) > 1e-12 {
			t.Fatalf("exaggerated gradient of %d", i)
		}
	}
}

// The curve's constants are a least-squares fit, as the authors' find_ab_params makes it for spread 1 and min_dist 0.1: no
// constants near them fit better.
func TestCurve(t *testing.T) {
	off := func(a, b float64) float64 {
		sum := 0.0
		for i := range 300 {
			d := 3 * float64(i) / 299
			want := 1.0
			if d >= 0.1 {
				want = math.Exp(-(d - 0.1))
			}
			sum += math.Pow(1/(1+a*math.Pow(d, 2*b))-want, 2)
		}
		return sum
	}
	best := off(curveA, curveB)
	for _, at := range [][2]float64{{curveA + 0.01, curveB}, {curveA - 0.01, curveB}, {curveA, curveB + 0.005}, {curveA, curveB - 0.005}} {
		if off(at[0], at[1]) <= best {
			t.Errorf("a = %g, b = %g fit better", at[0], at[1])
		}
	}
}

// Memberships sum to log2 k, the nearest's is 1, and the graph is their union (McInnes et al., Alg. 2 and 3).
func TestFuzzy(t *testing.T) {
	const n, k = 30, 6
	x, _ := blobs(n, 4, 2, 1)
	near := mustNearest(t, x, k)
	one := make([][]float64, n)
	for i, all := range near {
		one[i] = make([]float64, n)
		w, sum := membership(all), 0.0
		for at, v := range w {
			one[i][all[at].row] = v
			sum += v
		}
		if w[0] != 1 || math.Abs(sum-math.Log2(k)) > 1e-6 {
			t.Fatalf("row %d: %v sums to %g", i, w, sum)
		}
	}
	graph, seen := fuzzy(near), 0
	for _, e := range graph {
		a, b := one[e.from][e.to], one[e.to][e.from]
		if want := a + b - a*b; math.Abs(e.weight-want) > 1e-12 || want == 0 {
			t.Fatalf("edge %+v, want a weight of %g", e, want)
		}
	}
	for i := range one {
		for j := range one {
			if one[i][j] > 0 || one[j][i] > 0 {
				seen++
			}
		}
	}
	if len(graph) != seen {
		t.Errorf("%d edges, want %d", len(graph), seen)
	}
	if w := membership([]neighbour{{1, 0}, {2, 0}, {3, 4}}); w[0] != 1 || w[1] != 1 || w[2] != 1 { // those at the same place count as the nearest
		t.Errorf("of rows at the same place: %v", w)
	}
}

// The forces are the gradients of the cross-entropy's two terms, by finite differences; the 0.001 of the authors' code, which is
// left out of the definition, weighs 0.1 % at a distance of 1.
func TestForces(t *testing.T) {
	w := func(a, b [2]float64) float64 {
		return 1 / (1 + curveA*math.Pow(math.Pow(a[0]-b[0], 2)+math.Pow(a[1]-b[1], 2), curveB))
	}
	a, b := [2]float64{0.3, -1.1}, [2]float64{-0.6, 0.4}
	const h = 1e-6
	for c := range a {
		up, down := a, a
		up[c], down[c] = a[c]+h, a[c]-h
		want := (math.Log(w(down, b)) - math.Log(w(up, b))) / (2 * h)
		if got := attraction(a, b)[c]; math.Abs(got-want) > 1e-8 {
			t.Errorf("attraction %g, want %g", got, want)
		}
		want = (math.Log(1-w(down, b)) - math.Log(1-w(up, b))) / (2 * h)
		if got := repulsion(a, b)[c]; math.Abs(got-want) > 1e-3*math.Abs(want) {
			t.Errorf("repulsion %g, want %g", got, want)
		}
	}
	if attraction(a, a) != [2]float64{} || repulsion(a, a) != [2]float64{} {
		t.Error("a force at no distance")
	}
}

// What the layouts are for: of groups in 20 dimensions that two components cannot part, neighbours stay together.
func TestLayouts(t *testing.T) {
	x, of := blobs(240, 20, 8, 1.4)
	linear, _, err := PCA(x)
	if err != nil {
		t.Fatal(err)
	}
	flat, err := Kept(x, linear, 10)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, place := range map[string]func(seed int64) ([][2]float64, error){
		"t-SNE": func(seed int64) ([][2]float64, error) {
			o := DefaultTSNE(len(x))
			o.Seed, o.Iterations = seed, 400
			return o.Map(ctx, x)
		},
		"UMAP": func(seed int64) ([][2]float64, error) {
			o := DefaultUMAP(len(x))
			o.Seed, o.Epochs = seed, 200
			return o.Map(ctx, x)
		},
	} {
		y, err := place(1)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := Kept(x, y, 10)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s keeps %.3f of 10 neighbours, PCA %.3f; nearest of the same group: %.3f, PCA %.3f", name, kept, flat, own(t, y, of), own(t, linear, of))
		if kept < flat+0.1 || own(t, y, of) < 0.95 || own(t, linear, of) > 0.9 {
			t.Errorf("%s keeps %.3f of 10 neighbours, PCA %.3f; nearest of the same group: %.3f, PCA %.3f", name, kept, flat, own(t, y, of), own(t, linear, of))
		}
		again, err := place(1)
		if err != nil || !slices.Equal(again, y) {
			t.Errorf("%s: with the same seed it is another layout, %v", name, err)
		}
		if other, err := place(2); err != nil || slices.Equal(other, y) {
			t.Errorf("%s: with another seed it is the same layout, %v", name, err)
		}
	}
}

// A collapsed encoder's rows are all equal: a layout of them is a cloud, and no error.
func TestCollapsed(t *testing.T) {
	x := make([][]float32, 40)
	for i := range x {
		x[i] = []float32{1, 0, 0}
	}
	y, err := DefaultTSNE(len(x)).Map(t.Context(), x)
	finite(t, "t-SNE", y, err)
	y, err = DefaultUMAP(len(x)).Map(t.Context(), x)
	finite(t, "UMAP", y, err)
}

func finite(t *testing.T, name string, y [][2]float64, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i, p := range y {
		if s := p[0] + p[1]; math.IsNaN(s) || math.IsInf(s, 0) {
			t.Fatalf("%s: row %d is at %v", name, i, p)
		}
	}
}

func TestKept(t *testing.T) {
	x := [][]float32{{0, 0}, {1, 0}, {3, 0}, {7, 0}}
	for want, y := range map[float64][][2]float64{1: {{0, 0}, {0, 1}, {0, 3}, {0, 7}}, 0.75: {{0, 0}, {0, 1}, {0, 30}, {0, 20}}} {
		if got, err := Kept(x, y, 1); err != nil || got != want {
			t.Errorf("%v keep %g, want %g; %v", y, got, want, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	ctx, x := t.Context(), [][]float32{{1, 2}, {3, 4}, {5, 6}, {9, 8}, {7, 7}}
	uneven, wrong := slices.Clone(x), slices.Clone(x)
	uneven[2], wrong[2] = []float32{1}, []float32{1, float32(math.NaN())}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	good := TSNE{Perplexity: 1, Iterations: 1}
	for want, err := range map[string]error{
		"PCA of 1 rows":          second(PCA(x[:1])),
		"t-SNE of 3 rows":        second2(good.Map(ctx, x[:3])),
		"UMAP of 3 rows":         second2(UMAP{Neighbours: 2, Epochs: 1}.Map(ctx, x[:3])),
		"row 2 has 1 values":     second(PCA(uneven)),
		"row 2 has NaN":          second2(good.Map(ctx, wrong)),
		"perplexity 2":           second2(TSNE{Perplexity: 2, Iterations: 1}.Map(ctx, x)),
		"theta 2":                second2(TSNE{Perplexity: 1, Theta: 2, Iterations: 1}.Map(ctx, x)),
		"0 iterations":           second2(TSNE{Perplexity: 1}.Map(ctx, x)),
		"5 neighbours":           second2(UMAP{Neighbours: 5, Epochs: 1}.Map(ctx, x)),
		"0 epochs":               second2(UMAP{Neighbours: 2}.Map(ctx, x)),
		"t-SNE: context cancel":  second2(good.Map(gone, x)),
		"UMAP: context cancel":   second2(UMAP{Neighbours: 2, Epochs: 1}.Map(gone, x)),
		"neighbours of 5 rows":   func() error { _, err := Kept(x, nil, 5); return err }(),
		"of 5 rows, 4 places":    func() error { _, err := Kept(x, make([][2]float64, 4), 2); return err }(),
		"of rows without values": second(PCA([][]float32{{}, {}})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := good.Map(gone, x); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func second(_ [][2]float64, _ [2]float64, err error) error { return err }
func second2(_ [][2]float64, err error) error              { return err }
