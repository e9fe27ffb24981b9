package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestLinearSeparates(t *testing.T) {
	train, test := blobs(400, 12, 4, 0.3, 1), blobs(200, 12, 4, 0.3, 2)
	// The scales and offsets of features must not matter, nor a constant one.
	for _, s := range []Set{train, test} {
		for i, row := range s.Features {
			for j := range row {
				row[j] = row[j]*float32(math.Pow(10, float64(j%7-3))) + float32(j%7)
			}
			s.Features[i] = append(row, 5)
		}
	}
	fit, err := Defaults().Linear.Fit(context.Background(), testBackend(t), train, test, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	if fit.Test < 0.99 || fit.Train < 0.99 || fit.Examples != 400 {
		t.Errorf("%+v on separable blobs", fit)
	}
	p := Linear{Side: 1, L2: 1e-3, Iterations: 200}
	fit, err = p.Fit(context.Background(), testBackend(t), train, test, 4, 1)
	again, errAgain := p.Fit(context.Background(), testBackend(t), train, test, 4, 2)
	if err := errors.Join(err, errAgain); err != nil || again != fit || fit.L2 != 1e-3 || fit.Test < 0.99 {
		t.Errorf("%+v, then with another seed %+v, error %v: with a penalty that is given nothing is drawn", fit, again, err)
	}
}

// noisy is a problem in which the best penalty is neither end of the grid: few examples, many dimensions, most of them noise.
func noisy(n int, seed uint64) Set {
	rnd := rand.New(rand.NewPCG(seed, 8))
	s := Set{Features: make([][]float32, n), Labels: make([]int32, n)}
	for i := range s.Features {
		s.Labels[i] = int32(i % 3)
		for j := range 40 {
			v := 1.5 * rnd.NormFloat64()
			if j%3 == i%3 && j < 9 {
				v++
			}
			s.Features[i] = append(s.Features[i], float32(v))
		}
	}
	return s
}

// The penalty is chosen well: of all in the grid few are better on the test set, and the ends are worse.
func TestLinearChoosesPenalty(t *testing.T) {
	train, test := noisy(90, 1), noisy(1500, 2)
	at := make(map[float64]float64)
	var all []float64
	for _, l2 := range L2Grid() {
		fit, err := Linear{Side: 1, L2: l2, Iterations: 200}.Fit(t.Context(), quickBackend(t), train, test, 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		at[l2] = fit.Test
		all = append(all, fit.Test)
	}
	fit, err := Defaults().Linear.Fit(t.Context(), quickBackend(t), train, test, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	// 30 held-out examples a fold choose a neighbour of the best, which may cost two points; the weak end costs eight.
	if fit.Test != at[fit.L2] || fit.Test < slices.Max(all)-0.02 || fit.Test < all[len(all)-1]+0.04 {
		t.Errorf("chose %g with %.3f; the grid has %.3f", fit.L2, fit.Test, all)
	}
	again, err := Defaults().Linear.Fit(t.Context(), quickBackend(t), train, test, 3, 1)
	if err != nil || again != fit {
		t.Errorf("%+v, then %+v with the same seed", fit, again)
	}
}

// The choice is blind to the test labels: whatever they are, the penalty is the same. A choice by them is caught.
func TestLinearChoiceSeesNoTestLabels(t *testing.T) {
	train, test := noisy(90, 1), noisy(60, 2)
	turned := test
	turned.Labels = nil
	for _, c := range test.Labels {
		turned.Labels = append(turned.Labels, (c+1)%3)
	}
	blind := func(fit func(test Set) Fit) bool {
		a, b := fit(test), fit(turned)
		return a.L2 == b.L2 && a.Train == b.Train
	}
	of := func(p Linear) func(Set) Fit {
		return func(test Set) Fit {
			fit, err := p.Fit(t.Context(), quickBackend(t), train, test, 3, 1)
			if err != nil {
				t.Fatal(err)
			}
			return fit
		}
	}
	if !blind(of(Defaults().Linear)) {
		t.Error("other test labels give another penalty")
	}
	byTest := func(test Set) (best Fit) {
		for _, l2 := range L2Grid() {
			if fit := of(Linear{Side: 1, L2: l2, Iterations: 50})(test); fit.Test > best.Test {
				best = fit
			}
		}
		return best
	}
	if blind(byTest) {
		t.Error("this test would not notice a choice by the test set")
	}
}

func TestStratified(t *testing.T) {
	labels := append(uneven(), 3) // 100, 30, 4 and 1
	folds := stratified(labels, 3, 4, 7)
	count := make(map[[2]int]int) // of class and fold
	size := make(map[int]int)
	for i, fold := range folds {
		count[[2]int{int(labels[i]), fold}]++
		size[fold]++
	}
	for c, n := range []int{100, 30, 4} {
		for fold := range 3 {
			if got := count[[2]int{c, fold}]; got < n/3 || got > n/3+1 {
				t.Errorf("fold %d has %d of the %d of class %d", fold, got, n, c)
			}
		}
	}
	if count[[2]int{3, -1}] != 1 || size[0]-size[2] > 1 {
		t.Errorf("%v: the only one of its class must always be trained on, and folds be equal", size)
	}
	if !slices.Equal(folds, stratified(labels, 3, 4, 7)) || slices.Equal(folds, stratified(labels, 3, 4, 8)) {
		t.Error("folds do not follow from the seed")
	}
	one := Set{Features: [][]float32{{0, 1}, {1, 0}}, Labels: []int32{0, 1}}
	fit, err := Defaults().Linear.Fit(t.Context(), quickBackend(t), one, one, 2, 1)
	if err != nil || fit.L2 != usualL2 || fit.Test != 1 {
		t.Errorf("one label a class: %+v, %v", fit, err)
	}
}

func TestMoments(t *testing.T) {
	shift, scale := moments([][]float32{{1, 7, 0, 1e6}, {5, 7, 0, 1e6 + 0.0625}})
	for j, want := range [][2]float64{{3, 0.5}, {7, 0}, {0, 0}, {1e6 + 0.03125, 0}} { // the last differs by rounding only
		if shift[j] != want[0] || scale[j] != want[1] {
			t.Errorf("dimension %d: mean %g, scale %g, want %g", j, shift[j], scale[j], want)
		}
	}
	x := standardized([][]float32{{4, 9, 1, 1e6}}, []float64{2, 7, 0, 1e6}, []float64{0.5, 0, 0, 0})
	if got := x.Value().([][]float32)[0]; got[0] != 1 || got[1] != 0 || got[2] != 0 || got[3] != 0 {
		t.Errorf("standardised %v", got)
	}
}

func TestLinearChanceOnShuffledLabels(t *testing.T) {
	train, test := blobs(1000, 8, 4, 0.3, 1), blobs(1000, 8, 4, 0.3, 2)
	for i := range train.Labels { // of noise without centres, and labels drawn apart
		rnd := rand.New(rand.NewPCG(5, uint64(i)))
		for _, s := range []Set{train, test} {
			s.Labels[i] = int32(rnd.IntN(4))
		}
	}
	fit, err := Defaults().Linear.Fit(context.Background(), testBackend(t), train, test, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(fit.Test-0.25) > 0.055 { // four standard deviations of 1000 guesses
		t.Errorf("test accuracy %g on labels without meaning, want 0.25", fit.Test)
	}
}

// The minimum of the documented objective, reached by plain gradient descent in float64.
func TestLinearMinimisesItsObjective(t *testing.T) {
	train := blobs(60, 3, 3, 1.5, 4)
	p := Linear{Side: 1, L2: 0.05, Iterations: 200}
	shift, scale := moments(train.Features)
	x := make([][]float64, len(train.Features))
	for i, row := range train.Features {
		for j, v := range row {
			x[i] = append(x[i], (float64(v)-shift[j])*scale[j])
		}
	}
	w := make([]float64, 12) // 3x3 weights, 3 biases
	logits := func(row []float64) []float64 {
		out := make([]float64, 3)
		for c := range out {
			out[c] = w[9+c]
			for j, v := range row {
				out[c] += v * w[3*j+c]
			}
		}
		return out
	}
	for range 4000 {
		grad := make([]float64, 12)
		for i := range 9 {
			grad[i] = p.L2 * w[i]
		}
		for i, row := range x {
			z, sum := logits(row), 0.0
			for c := range z {
				z[c] = math.Exp(z[c])
				sum += z[c]
			}
			for c := range z {
				g := z[c] / sum / 60
				if int(train.Labels[i]) == c {
					g -= 1.0 / 60
				}
				grad[9+c] += g
				for j, v := range row {
					grad[3*j+c] += g * v
				}
			}
		}
		for i := range w {
			w[i] -= 0.5 * grad[i]
		}
	}
	test := blobs(500, 3, 3, 1.5, 5)
	want := make([]int32, 500)
	for i, row := range test.Features {
		z := make([]float64, 3)
		for j, v := range row {
			z[j] = (float64(v) - shift[j]) * scale[j]
		}
		z = logits(z)
		for c := range z {
			if z[c] > z[want[i]] {
				want[i] = int32(c)
			}
		}
	}
	test.Labels = want
	fit, err := p.Fit(context.Background(), testBackend(t), train, test, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if fit.Test < 0.994 { // a gradient below 1e-4 leaves a few rows at the boundary
		t.Errorf("agrees with the minimum on %g of the rows", fit.Test)
	}
}

func TestLinearPerClass(t *testing.T) {
	train, test := blobs(300, 6, 3, 0.8, 1), blobs(200, 6, 3, 0.8, 2)
	p := Defaults().Linear
	p.PerClass = 4
	drawn, err := train.draw(Labels{PerClass: 4}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	count := make([]int, 3)
	for _, l := range drawn.Labels {
		count[l]++
	}
	if count[0] != 4 || count[1] != 4 || count[2] != 4 {
		t.Errorf("drew %v of each class, want 4", count)
	}
	fits := make([]Fit, 3)
	for i, seed := range []int64{1, 1, 2} {
		if fits[i], err = p.Fit(context.Background(), testBackend(t), train, test, 3, seed); err != nil {
			t.Fatal(err)
		}
	}
	if fits[0].Examples != 12 || fits[0] != fits[1] {
		t.Errorf("%+v and %+v with one seed, want 12 examples and the same", fits[0], fits[1])
	}
	other, err := train.draw(Labels{PerClass: 4}, 3, 2)
	if err != nil || &other.Features[0][0] == &drawn.Features[0][0] {
		t.Errorf("two seeds drew the same example first")
	}
	p.PerClass = 101
	_, err = p.Fit(context.Background(), testBackend(t), train, test, 3, 1)
	wantError(t, "101 of 100", err, "class 0 has 100", "wants 101")
}

func TestLinearRefusesAndStops(t *testing.T) {
	for want, p := range map[string]Linear{
		"side -1":       {Side: -1, Iterations: 1},
		"l2 NaN":        {L2: math.NaN(), Iterations: 1},
		"of 1 folds":    {Folds: 1, Iterations: 1},
		"give one of":   {Folds: 3, L2: 1e-3, Iterations: 1},
		"0 iterations":  {},
		"-1 labels a c": {Iterations: 1, PerClass: -1},
	} {
		_, err := p.Fit(context.Background(), quickBackend(t), blobs(9, 2, 3, 1, 1), blobs(9, 2, 3, 1, 1), 3, 1)
		wantError(t, want, err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Defaults().Linear.Fit(ctx, quickBackend(t), blobs(9, 2, 3, 1, 1), blobs(9, 2, 3, 1, 1), 3, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestLinearIsFast(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	train, test := blobs(10000, 256, 10, 8, 1), blobs(2000, 256, 10, 8, 2)
	start := time.Now()
	fit, err := Defaults().Linear.Fit(context.Background(), testBackend(t), train, test, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("10,000 x 256, 10 classes in %v: %+v", took, fit)
	if took > 30*time.Second { // well below a second on two free cores with XLA; pure Go and loaded machines get leeway
		t.Errorf("took %v", took)
	}
}
