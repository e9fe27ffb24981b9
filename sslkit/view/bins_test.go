package view

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Rows of the published points, pts_in_hull.npy, as other repositories list them, and what they add up to.
func TestBinCenters(t *testing.T) {
	centers := BinCenters()
	if len(centers) != Bins {
		t.Fatalf("%d bins, want %d", len(centers), Bins)
	}
	var a, b float64
	for i, c := range centers {
		a, b = a+c[0], b+c[1]
		if i > 0 && !(c[0] > centers[i-1][0] || c[0] == centers[i-1][0] && c[1] == centers[i-1][1]+BinStep) {
			t.Errorf("bin %d is %v, after %v", i, c, centers[i-1])
		}
	}
	for i, want := range map[int][2]float64{0: {-90, 50}, 4: {-90, 90}, 5: {-80, 20}, 312: {100, 0}, 303: {100, -90}, 302: {90, 70}} {
		if centers[i] != want {
			t.Errorf("bin %d is %v, want %v", i, centers[i], want)
		}
	}
	if a != 4910 || b != 2090 {
		t.Errorf("the coordinates add up to %v and %v, those published to 4910 and 2090", a, b)
	}
}

// Every colour of sRGB has a bin of its own square.
func TestBinsCoverSRGB(t *testing.T) {
	const steps = 33
	touched := make(map[[2]float64]bool)
	for i := range steps * steps * steps {
		rgb := []float64{float64(i/steps/steps) / (steps - 1), float64(i/steps%steps) / (steps - 1), float64(i%steps) / (steps - 1)}
		lab := naiveLab(rgb, ourWhite)
		touched[[2]float64{BinStep * math.Round(lab[1]/BinStep), BinStep * math.Round(lab[2]/BinStep)}] = true
	}
	for c := range touched {
		if !slices.Contains(BinCenters(), c) {
			t.Errorf("there is a colour about %v, but no bin", c)
		}
	}
	// A finer grid has 261.
	if len(touched) < 250 || len(touched) > 261 {
		t.Errorf("%d squares have colours", len(touched))
	}
}

// someColours are (a, b) all over the plane, at the centres, on the edges and beyond the bins.
func someColours() [][2]float64 {
	rnd := rand.New(rand.NewPCG(1, 2))
	colours := [][2]float64{{0, 0}, {5, 0}, {5, 5}, {-90, 50}, {128, -128}, {-128, -128}, {12, -3}}
	for range 200 {
		colours = append(colours, [2]float64{200*rnd.Float64() - 100, 200*rnd.Float64() - 100})
	}
	return colours
}

// naiveSoft sorts the bins by their distance, the first of equals first.
func naiveSoft(c [2]float64, neighbours int, sigma float64) (z []float64, nearest int) {
	centers, order := BinCenters(), make([]int, Bins)
	distance := func(q int) float64 { return math.Hypot(c[0]-centers[q][0], c[1]-centers[q][1]) }
	for q := range order {
		order[q] = q
	}
	slices.SortStableFunc(order, func(p, q int) int { return cmp.Compare(distance(p), distance(q)) })
	z = make([]float64, Bins)
	var sum float64
	least := distance(order[0]) // to keep far colours from underflow; it cancels
	for _, q := range order[:neighbours] {
		z[q] = math.Exp((least*least - distance(q)*distance(q)) / (2 * sigma * sigma))
		sum += z[q]
	}
	for q := range z {
		z[q] /= sum
	}
	return z, order[0]
}

func TestSoftBins(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		var flat []float64
		for _, c := range someColours() {
			flat = append(flat, c[0], c[1])
		}
		for _, neighbours := range []int{1, 5, 10} {
			out, err := CallOnceN(backend, func(x []*Node) []*Node {
				return []*Node{SoftBins(x[0], neighbours, 5), NearestBin(x[0])}
			}, tensors.FromFlatDataAndDimensions(flat, 1, len(flat)/2, 2))
			if err != nil {
				t.Fatal(err)
			}
			soft, nearest := out[0].Value().([][][]float64)[0], out[1].Value().([][]int32)[0]
			for i, c := range someColours() {
				want, bin := naiveSoft(c, neighbours, 5)
				if int(nearest[i]) != bin {
					t.Errorf("%v: nearest bin %d, want %d", c, nearest[i], bin)
				}
				for q := range want {
					if !near(soft[i][q], want[q], 1e-9) { // exponents of up to 1e3 round at 1e-13
						t.Fatalf("%v in %d bins: bin %d gets %v, want %v", c, neighbours, q, soft[i][q], want[q])
					}
				}
			}
		}
	})
}

func TestAnnealedMean(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	logits := make([][]float64, 6)
	for i := range logits {
		for range Bins {
			logits[i] = append(logits[i], 3*rnd.NormFloat64())
		}
	}
	logits[4][7], logits[4][200] = 50, 50 // two modes alike
	logits[5][9] = 1e4
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		for _, temperature := range []float64{0, 0.01, 0.38, 1, 3} {
			out, err := CallOnce(backend, func(x *Node) *Node { return AnnealedMean(x, temperature) }, logits)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range out.Value().([][]float64) {
				if want := naiveAnnealed(logits[i], temperature); !near(got[0], want[0], 1e-9) || !near(got[1], want[1], 1e-9) {
					t.Errorf("row %d at %g: %v, want %v", i, temperature, got, want)
				}
			}
		}
	})
}

// naiveAnnealed is Eq. 5 on probabilities: exp(log(z)/T), normalised, times the centres.
func naiveAnnealed(logits []float64, temperature float64) (mean [2]float64) {
	largest := slices.Max(logits)
	if temperature == 0 {
		return BinCenters()[slices.Index(logits, largest)]
	}
	var sum, total float64
	for _, l := range logits {
		sum += math.Exp(l - largest)
	}
	for q, c := range BinCenters() {
		z := math.Exp(logits[q]-largest) / sum
		f := math.Exp(math.Log(z) / temperature)
		total += f
		mean[0], mean[1] = mean[0]+f*c[0], mean[1]+f*c[1]
	}
	return [2]float64{mean[0] / total, mean[1] / total}
}

func TestAnnealedMeanGradient(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	logits := [][]float64{make([]float64, Bins)}
	for q := range Bins {
		logits[0][q] = rnd.NormFloat64()
	}
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		out, err := CallOnce(backend, func(x *Node) *Node {
			y := AnnealedMean(x, 0.38)
			return Gradient(Add(ReduceAllSum(y), ReduceAllSum(SliceAxis(y, -1, AxisElem(0)))), x)[0] // of 2a + b
		}, logits)
		if err != nil {
			t.Fatal(err)
		}
		value := func() float64 { m := naiveAnnealed(logits[0], 0.38); return 2*m[0] + m[1] }
		const h = 1e-5 // error h^2 of values of about 100
		for _, q := range []int{0, 17, 100, 312} {
			logits[0][q] += h
			up := value()
			logits[0][q] -= 2 * h
			want := (up - value()) / (2 * h)
			logits[0][q] += h
			if got := out.Value().([][]float64)[0][q]; !near(got, want, 1e-6) {
				t.Errorf("d/d logit %d is %v, want %v", q, got, want)
			}
		}
	})
}

func TestBinsReject(t *testing.T) {
	plane, logits := [][]float32{{1, 2}}, [][]float32{make([]float32, Bins)}
	rejects(t, "view.SoftBins: 0 neighbours", func(x *Node) *Node { return SoftBins(x, 0, 5) }, plane)
	rejects(t, "view.SoftBins: 314 neighbours", func(x *Node) *Node { return SoftBins(x, Bins+1, 5) }, plane)
	rejects(t, "sigma 0", func(x *Node) *Node { return SoftBins(x, 5, 0) }, plane)
	rejects(t, "view.SoftBins: want [..., 2]", func(x *Node) *Node { return SoftBins(x, 5, 5) }, logits)
	rejects(t, "view.NearestBin: pixels must be float", NearestBin, [][]int32{{1, 2}})
	rejects(t, "view.AnnealedMean: want [..., 313]", func(x *Node) *Node { return AnnealedMean(x, 1) }, plane)
	rejects(t, "view.AnnealedMean: temperature -1", func(x *Node) *Node { return AnnealedMean(x, -1) }, logits)
}
