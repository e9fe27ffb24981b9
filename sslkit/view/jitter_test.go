package view

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// drawOn applies a transform calls times to x, with a store seeded by seed.
func drawOn[T float32 | float64](t *testing.T, backend compute.Backend, seed int64, transform Transform, x images[T], calls int) []images[T] {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		t.Fatal(err)
	}
	exec := model.MustNewExec(backend, store, func(scope *model.Scope, x *Node) *Node { return transform(scope, x) })
	defer exec.Finalize()
	var out []images[T]
	for range calls {
		y, err := exec.Call1(tensor(x))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, read[T](t, y))
	}
	return out
}

func transformed(transform Transform) func(x *Node) *Node {
	return func(x *Node) *Node { return transform(model.NewStore().RootScope(), x) }
}

// checkShare wants a share p of n but for 5 standard deviations.
func checkShare(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	if d := math.Abs(float64(got) - p*float64(n)); d > 5*math.Sqrt(p*(1-p)*float64(n)) {
		t.Errorf("%s: %d of %d, want a share of %g", what, got, n, p)
	}
}

// distance is that of Kolmogorov and Smirnov between two samples: the largest between their distribution functions.
func distance(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	if math.IsNaN(a[0]) { // sorted first
		return a[0]
	}
	var i, j int
	var d float64
	for i < len(a) && j < len(b) {
		v := min(a[i], b[j])
		for i < len(a) && a[i] <= v {
			i++
		}
		for j < len(b) && b[j] <= v {
			j++
		}
		d = max(d, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return d
}

// sameLaw wants two samples from one distribution: a larger distance has a probability of 1e-6.
func sameLaw(t *testing.T, what string, got, want []float64) {
	t.Helper()
	limit := 2.7 * math.Sqrt(1/float64(len(got))+1/float64(len(want)))
	if d := distance(got, want); !(d < limit) {
		t.Errorf("%s: the distribution functions are %.3f apart, want less than %.3f", what, d, limit)
	}
}

func checkUniform(t *testing.T, what string, got []float64, low, high float64) {
	t.Helper()
	var want []float64
	for i := range 10000 {
		want = append(want, low+(high-low)*(float64(i)+0.5)/10000)
	}
	sameLaw(t, what, got, want)
	// 1e-3 is for reading a parameter off float32 pixels.
	if lowest, highest := slices.Min(got), slices.Max(got); lowest < low-1e-3 || highest > high+1e-3 {
		t.Errorf("%s: from %g to %g, want within [%g, %g]", what, lowest, highest, low, high)
	}
}

// permutations of 0 to n-1.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

var naiveAdjust = []func(x naive, f float64) naive{naiveBrightness, naiveContrast, naiveSaturation, naiveHue}

// Each image is adjusted by its own factors in its own order; all 24 are in the batch, and equal places keep the order.
func TestJitterOrder(t *testing.T) {
	factor := []float64{1.5, 1.9, 0.3, 0.21} // strong enough to clip, so that no two commute
	for _, kinds := range [][]adjustable{{isBrightness, isContrast, isSaturation, isHue}, {isContrast, isHue}, {isBrightness, isContrast, isSaturation}} {
		orders := permutations(len(kinds))
		n := len(orders) + 1
		places := make([][]float64, len(kinds))
		for _, order := range append(orders, make([]int, len(kinds))) {
			for i, place := range order {
				places[i] = append(places[i], float64(place)/4)
			}
		}
		x := colourful(n, 3)
		want := naively(x, make([]float64, n), func(x naive, _ float64) naive { return x })
		size := x.h * x.w * x.c
		for k := range n {
			image := images[float64]{1, x.h, x.w, x.c, want.pixel[k*size : (k+1)*size]}
			order := make([]int, len(kinds))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int { return int(4 * (places[a][k] - places[b][k])) })
			for _, i := range order {
				copy(image.pixel, naively(image, []float64{factor[kinds[i]]}, naiveAdjust[kinds[i]]).pixel)
			}
		}
		onBackends(t, func(t *testing.T, backend compute.Backend) {
			out, err := CallOnce(backend, func(x *Node) *Node {
				var steps []adjustment
				for i, kind := range kinds {
					place := Const(x.Graph(), places[i])
					steps = append(steps, adjustment{kind, AddScalar(ZerosLike(place), factor[kind]), place})
				}
				return join(jitter(planes(x), steps))
			}, tensor(x))
			if err != nil {
				t.Fatal(err)
			}
			sameImages(t, "jitter", read[float64](t, out), want, 1e-12)
		})
	}
}

// All of the jitter, from the ranges of the factors to the order, has the distribution of torchvision's ColorJitter.
func TestColorJitterDistribution(t *testing.T) {
	const n, p = 4000, 0.8
	strength := []float64{0.8, 1.3, 1.2, 0.2}
	one := []float64{0.9, 0.3, 0.2, 0.2, 0.5, 0.4, 0.1, 0.1, 0.3, 0.7, 0.8, 0.6}
	x := blank[float64](n, 2, 2, 3)
	for i := range x.pixel {
		x.pixel[i] = one[i%len(one)]
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	want := naively(x, make([]float64, n), func(x naive, _ float64) naive {
		if rnd.Float64() >= p {
			return x
		}
		for _, i := range rnd.Perm(4) {
			low, high := max(0, 1-strength[i]), 1+strength[i]
			if i == 3 {
				low, high = -strength[i], strength[i]
			}
			x = naiveAdjust[i](x, low+(high-low)*rnd.Float64())
		}
		return x
	})
	got := drawOn(t, goBackend(t), 1, ColorJitter(p, strength[0], strength[1], strength[2], strength[3]), x, 1)[0]
	unchanged := 0
	for k := range n {
		if slices.Equal(got.pixel[k*12:(k+1)*12], one) {
			unchanged++
		}
	}
	checkShare(t, "unchanged", unchanged, n, 1-p)
	at := func(x images[float64], i int) []float64 {
		var v []float64
		for k := range n {
			v = append(v, x.pixel[k*12+i])
		}
		return v
	}
	for i := range one {
		sameLaw(t, "values", at(got, i), at(want, i))
	}
	// Where pixels depend on each other: the spread of an image's values, and what is lost to the clipping.
	spread := func(x images[float64]) []float64 {
		a, b, d := at(x, 0), at(x, 8), make([]float64, n)
		for k := range d {
			d[k] = a[k] - b[k]
		}
		return d
	}
	sameLaw(t, "differences", spread(got), spread(want))
}

// One adjustment at a time shows its factor.
func TestColorJitterRanges(t *testing.T) {
	const n = 2000
	x := blank[float32](n, 1, 2, 3)
	for k := range n {
		copy(x.pixel[k*6:], []float32{0.45, 0.4, 0.42, 0.5, 0.55, 0.51})
	}
	gray := func(p []float32) float64 { return naiveGray([]float64{float64(p[0]), float64(p[1]), float64(p[2])}) }
	mean := (gray(x.pixel[:3]) + gray(x.pixel[3:6])) / 2
	about := func(m float64) func(y []float32) float64 { // of the first red value
		return func(y []float32) float64 { return (float64(y[0]) - m) / (float64(x.pixel[0]) - m) }
	}
	for name, c := range map[string]struct {
		transform Transform
		factor    func(y []float32) float64
		low, high float64
	}{
		"brightness": {ColorJitter(1, 1.2, 0, 0, 0), about(0), 0, 2.2},
		"contrast":   {ColorJitter(1, 0, 0.6, 0, 0), about(mean), 0.4, 1.6},
		"saturation": {ColorJitter(1, 0, 0, 1.3, 0), about(gray(x.pixel[:3])), 0, 2.3},
		"hue": {ColorJitter(1, 0, 0, 0, 0.3), func(y []float32) float64 {
			before, _, _ := rgb2hsv(float64(x.pixel[0]), float64(x.pixel[1]), float64(x.pixel[2]))
			after, _, _ := rgb2hsv(float64(y[0]), float64(y[1]), float64(y[2]))
			return after - before - math.Round(after-before)
		}, -0.3, 0.3},
	} {
		var factors []float64
		y := drawOn(t, goBackend(t), 1, c.transform, x, 1)[0]
		for k := range n {
			factors = append(factors, c.factor(y.pixel[k*6:]))
		}
		checkUniform(t, name, factors, c.low, c.high)
	}
}

func TestRandomGrayscale(t *testing.T) {
	const n, p = 2000, 0.2
	x := random[float64](n, 2, 2, 3)
	y := drawOn(t, goBackend(t), 1, RandomGrayscale(p), x, 1)[0]
	gray := naively(x, make([]float64, n), func(x naive, _ float64) naive { return naiveGrayscale(x) })
	grays := 0
	for k := range n {
		image := y.pixel[k*12 : (k+1)*12]
		switch {
		case slices.EqualFunc(image, gray.pixel[k*12:(k+1)*12], func(a, b float64) bool { return near(a, b, 1e-12) }):
			grays++
		case !slices.Equal(image, x.pixel[k*12:(k+1)*12]):
			t.Fatalf("image %d is neither itself nor gray: %v", k, image)
		}
	}
	checkShare(t, "gray", grays, n, p)
}

func TestRandomSolarize(t *testing.T) {
	const n, p = 2000, 0.4
	x := blank[float32](n, 1, 2, 1)
	for k := range n {
		copy(x.pixel[2*k:], []float32{0.25, 0.75})
	}
	solarized := 0
	for k, y := 0, drawOn(t, goBackend(t), 1, RandomSolarize(p, 0.6), x, 1)[0]; k < n; k++ {
		if y.pixel[2*k] != 0.25 {
			t.Fatalf("image %d: below the threshold is %v", k, y.pixel[2*k])
		}
		if y.pixel[2*k+1] == 0.25 {
			solarized++
		}
	}
	checkShare(t, "solarized", solarized, n, p)
}

// Probabilities of 0 and 1 are certain.
func TestChance(t *testing.T) {
	x := random[float64](500, 1, 1, 3)
	if got := drawOn(t, goBackend(t), 1, RandomGrayscale(0), x, 1)[0]; !reflect.DeepEqual(got, x) {
		t.Error("a probability of 0 changed an image")
	}
	want := apply(t, x, Grayscale)
	sameImages(t, "a probability of 1", drawOn(t, goBackend(t), 1, RandomGrayscale(1), x, 1)[0], want, 1e-15)
}

// What is about colour does nothing to images of one channel, and draws nothing for them.
func TestColourOfOneChannel(t *testing.T) {
	store := model.NewStore()
	g := NewGraph(goBackend(t), "one channel")
	defer g.Finalize()
	x := Zeros(g, tensor(random[float32](2, 3, 3, 1)).Shape())
	if y := Chain(ColorJitter(0.8, 0, 0, 0.4, 0.4), RandomGrayscale(0.2))(store.RootScope(), x); y != x {
		t.Error("colour changed images of one channel")
	}
	for _, node := range g.Nodes() {
		if node.Type() == NodeTypeRNGBitGenerator {
			t.Error("random numbers are drawn for nothing")
		}
	}
	one := colourful(3, 1)
	got := drawOn(t, goBackend(t), 1, ColorJitter(1, 0, 0.5, 0.4, 0.4), one, 1)[0]
	sameImages(t, "contrast alone", drawOn(t, goBackend(t), 1, ColorJitter(1, 0, 0.5, 0, 0), one, 1)[0], got, 0)
}

func TestColorTransformsGradient(t *testing.T) {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		t.Fatal(err)
	}
	transform := Chain(ColorJitter(0.8, 0.8, 0.8, 0.8, 0.2), RandomGrayscale(0.2), RandomBlur(0.5, 3, 0.1, 2), RandomSolarize(0.1, 0.5))
	out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
		return Gradient(ReduceAllSum(Square(transform(scope, x))), x)[0]
	}, tensor(narrow(colourful(8, 3))))
	if err != nil {
		t.Fatal(err)
	}
	var total float64
	for _, v := range read[float32](t, out).pixel {
		total += math.Abs(float64(v))
	}
	if !(total > 0) || math.IsInf(total, 1) {
		t.Errorf("the absolute gradients sum to %v", total)
	}
}

func TestJitterRejects(t *testing.T) {
	x, two := tensor(numbered[float32](2, 3, 3, 3)), tensor(numbered[float32](2, 3, 3, 2))
	rejects(t, "view.ColorJitter: images must have 1 or 3", transformed(ColorJitter(1, 1, 1, 1, 0)), two)
	rejects(t, "view.ColorJitter: the probability is -1", transformed(ColorJitter(-1, 1, 1, 1, 0)), x)
	rejects(t, "must be at least 0", transformed(ColorJitter(1, 1, -1, 1, 0)), x)
	rejects(t, "must be at least 0", transformed(ColorJitter(1, 1, math.NaN(), 1, 0)), x)
	rejects(t, "at most 0.5", transformed(ColorJitter(1, 1, 1, 1, 0.6)), x)
	rejects(t, "view.RandomGrayscale: the probability is 2", transformed(RandomGrayscale(2)), x)
	rejects(t, "view.RandomSolarize: the probability is NaN", transformed(RandomSolarize(math.NaN(), 0.5)), x)
}
