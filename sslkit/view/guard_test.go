package view

import (
	"math"
	"reflect"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// moments are the mean and the deviation of what keep chooses of image n.
func moments[T float32 | float64](x images[T], n int, keep func(c int) bool) (mean, deviation float64) {
	var values []float64
	for i := range x.h * x.w * x.c {
		if keep(i % x.c) {
			values = append(values, float64(x.pixel[n*x.h*x.w*x.c+i]))
		}
	}
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}

func naiveStandardize(x images[float64]) images[float64] {
	y := blank[float64](x.n, x.h, x.w, x.c)
	for n := range x.n {
		var variance float64
		for c := range x.c {
			mean, deviation := moments(x, n, func(of int) bool { return of == c })
			variance += deviation * deviation / float64(x.c)
			for i := range x.h {
				for j := range x.w {
					*y.at(n, i, j, c) = *x.at(n, i, j, c) - mean
				}
			}
		}
		for i := range x.h * x.w * x.c {
			at := &y.pixel[n*x.h*x.w*x.c+i]
			*at = 0.5 + 0.25**at/max(math.Sqrt(variance), 1./255)
		}
	}
	return y
}

func TestStandardize(t *testing.T) {
	for _, c := range []int{1, 3} {
		x := random[float64](4, 5, 6, c)
		for i := range x.pixel {
			switch i / (5 * 6 * c) {
			case 1: // a small spread at a large mean
				x.pixel[i] = 0.9 + 0.02*x.pixel[i]
			case 2: // less than a grey level, which stays less than the deviation
				x.pixel[i] = 0.3 + 1e-4*x.pixel[i]
			case 3: // flat
				x.pixel[i] = 0.7
			}
		}
		want := naiveStandardize(x)
		for i, got := range apply(t, x, Standardize).pixel {
			if !near(got, want.pixel[i], 1e-12) {
				t.Fatalf("%d channels: pixel %d is %v, want %v", c, i, got, want.pixel[i])
			}
		}
		x32 := blank[float32](x.n, x.h, x.w, x.c)
		for i, v := range x.pixel {
			x32.pixel[i] = float32(v)
		}
		for i, got := range apply(t, x32, Standardize).pixel {
			if !near(float64(got), want.pixel[i], 1e-5) { // 0.02 of spread keep 6e-8/0.02 = 3e-6
				t.Fatalf("float32, %d channels: pixel %d is %v, want %v", c, i, got, want.pixel[i])
			}
		}
	}
}

func TestStandardizeGradient(t *testing.T) {
	x, weight := random[float64](2, 3, 4, 3), random[float64](2, 3, 4, 3)
	value := func() float64 {
		var sum float64
		for i, v := range naiveStandardize(x).pixel {
			sum += weight.pixel[i] * v * v
		}
		return sum
	}
	got := apply(t, x, func(x *Node) *Node {
		return Gradient(ReduceAllSum(Mul(ConstTensor(x.Graph(), tensor(weight)), Square(Standardize(x)))), x)[0]
	})
	const h, tolerance = 1e-5, 1e-7 // central differences in float64
	for i, g := range got.pixel {
		v := x.pixel[i]
		x.pixel[i] = v + h
		up := value()
		x.pixel[i] = v - h
		down := value()
		x.pixel[i] = v
		if want := (up - down) / (2 * h); !near(g, want, tolerance) {
			t.Errorf("gradient of pixel %d is %v, want %v", i, g, want)
		}
	}
}

// "Let a = [-1, 2, -1] ... B = I - a'a/(aa'), which is a matrix that subtracts the projection of a color onto the
// green-magenta color axis. We then multiply every pixel value by B." Reference: Doersch et al. 2015, Sec. 3.1.
func TestPaperProjectColors(t *testing.T) {
	a := [3]float64{-1, 2, -1}
	project := func(colour []float64) (out [3]float64) {
		dot := 0.
		for c, v := range colour {
			dot += a[c] * v
		}
		for c, v := range colour {
			out[c] = v - dot*a[c]/6
		}
		return out
	}
	x := random[float64](2, 3, 4, 3)
	y := apply(t, x, ProjectColors)
	gradient := apply(t, x, func(x *Node) *Node { return Gradient(ReduceAllSum(Square(ProjectColors(x))), x)[0] })
	for i := 0; i < len(x.pixel); i += 3 {
		want := project(x.pixel[i : i+3])
		for c := range 3 {
			if got := y.pixel[i+c]; !near(got, want[c], 1e-12) {
				t.Fatalf("%v becomes %v, want %v", x.pixel[i:i+3], y.pixel[i:i+3], want)
			}
			// Of the squared length of a projection: twice the projection.
			if got := gradient.pixel[i+c]; !near(got, 2*want[c], 1e-12) {
				t.Fatalf("gradient at %v is %v, want twice %v", x.pixel[i:i+3], gradient.pixel[i:i+3], want)
			}
		}
	}
	grey := random[float32](1, 2, 2, 1)
	if got := apply(t, grey, ProjectColors); !reflect.DeepEqual(got, grey) {
		t.Errorf("grey became %v", got.pixel)
	}
}

// "Randomly drop 2 of the 3 color channels from each patch ... replacing the dropped colors with Gaussian noise (standard
// deviation ~1/100 the standard deviation of the remaining channel)". Reference: Doersch et al. 2015, Sec. 3.1.
func TestPaperDropColors(t *testing.T) {
	const n, s = 60, 16
	x := random[float32](n, s, s, 3)
	var kept [3]int
	for _, y := range draw(t, 1, DropColors, x, 2) {
		for k := range n {
			same := -1
			for c := range 3 {
				if equal := channel(single(y, k), c); reflect.DeepEqual(equal, channel(single(x, k), c)) {
					if same >= 0 {
						t.Fatalf("image %d keeps channels %d and %d", k, same, c)
					}
					same = c
				}
			}
			if same < 0 {
				t.Fatalf("image %d keeps no channel", k)
			}
			kept[same]++
			_, deviation := moments(x, k, func(c int) bool { return c == same })
			mean, noise := moments(y, k, func(c int) bool { return c != same })
			// Of 512 values the mean is good to 4 % of a deviation and the deviation to 3 %: 5 sigma.
			if want := deviation / 100; math.Abs(mean-0.5) > 0.22*want || math.Abs(noise-want) > 0.16*want {
				t.Errorf("image %d: the noise is %g +- %g, want 0.5 +- %g", k, mean, noise, want)
			}
		}
	}
	for c, got := range kept { // 120 draws of three: 40 +- 5.2
		if got < 15 || got > 65 {
			t.Errorf("channel %d kept %d times of %d", c, got, 2*n)
		}
	}
	grey := random[float32](2, 3, 3, 1)
	if got := draw(t, 1, DropColors, grey, 1)[0]; !reflect.DeepEqual(got, grey) {
		t.Errorf("grey became %v", got.pixel)
	}
}

func channel(x images[float32], c int) images[float32] {
	y := blank[float32](x.n, x.h, x.w, 1)
	for i := range y.pixel {
		y.pixel[i] = x.pixel[i*x.c+c]
	}
	return y
}

// shifted samples x at every pixel moved by (dy, dx), the edge repeated.
func shifted(x images[float32], dy, dx int) images[float32] {
	y := blank[float32](x.n, x.h, x.w, x.c)
	for n := range x.n {
		for i := range x.h {
			for j := range x.w {
				for c := range x.c {
					*y.at(n, i, j, c) = *x.at(n, min(max(i+dy, 0), x.h-1), min(max(j+dx, 0), x.w-1), c)
				}
			}
		}
	}
	return y
}

func TestShiftColors(t *testing.T) {
	const n, by = 60, 1
	x := random[float32](n, 5, 6, 3)
	shifts, together := map[[2]int]int{}, 0
	for _, y := range draw(t, 1, ShiftColors(by), x, 2) {
		for k := range n {
			var of [3][2]int
			for c := range 3 {
				found := 0
				for dy := -by; dy <= by; dy++ {
					for dx := -by; dx <= by; dx++ {
						if reflect.DeepEqual(channel(single(y, k), c), shifted(channel(single(x, k), c), dy, dx)) {
							of[c] = [2]int{dy, dx}
							found++
						}
					}
				}
				if found != 1 {
					t.Fatalf("channel %d of image %d is no shifted copy", c, k)
				}
				shifts[of[c]]++
			}
			if of[0] == of[1] {
				together++
			}
		}
	}
	for dy := -by; dy <= by; dy++ { // 360 draws of 9: 40 +- 6
		for dx := -by; dx <= by; dx++ {
			if got := shifts[[2]int{dy, dx}]; got < 10 || got > 70 {
				t.Errorf("shift (%d, %d) drawn %d times of 360", dy, dx, got)
			}
		}
	}
	if together > 31 { // 120 chances of 1/9: 13 +- 3.4
		t.Errorf("red and green moved together in %d of %d images", together, 2*n)
	}
	if same := draw(t, 1, ShiftColors(0), x, 1)[0]; !reflect.DeepEqual(same, x) {
		t.Error("shifts by 0 changed the images")
	}
	grey := random[float32](2, 3, 3, 1)
	if got := draw(t, 1, ShiftColors(1), grey, 1)[0]; !reflect.DeepEqual(got, grey) {
		t.Errorf("grey became %v", got.pixel)
	}
}

// pixelated is x of side pixels, each an average over what it covers, and interpolated again.
func pixelated(x images[float32], side int) images[float64] {
	size := x.h
	at := func(line func(j int) float64, i int) float64 {
		coarse := func(k int) float64 {
			var sum float64
			for sub := range 64 * size { // so finely that each sample is in one pixel
				if p := (float64(sub) + 0.5) / 64; int(p*float64(side)/float64(size)) == k {
					sum += line(int(p)) / 64
				}
			}
			return sum * float64(side) / float64(size)
		}
		p := min(max((float64(i)+0.5)*float64(side)/float64(size)-0.5, 0), float64(side-1))
		k := int(p)
		return (1-p+float64(k))*coarse(k) + (p-float64(k))*coarse(min(k+1, side-1))
	}
	rows, y := blank[float64](x.n, size, size, x.c), blank[float64](x.n, size, size, x.c)
	for n := range x.n {
		for c := range x.c {
			for i := range size {
				for j := range size {
					*rows.at(n, i, j, c) = at(func(k int) float64 { return float64(*x.at(n, k, j, c)) }, i)
				}
			}
			for i := range size {
				for j := range size {
					*y.at(n, i, j, c) = at(func(k int) float64 { return *rows.at(n, i, k, c) }, j)
				}
			}
		}
	}
	return y
}

// "Randomly downsampling some patches to as little as 100 total pixels, and then upsampling it", of 96x96.
// Reference: Doersch et al. 2015, Sec. 3.2.
func TestPaperPixelate(t *testing.T) {
	const n, size, share = 100, 8, 0.7
	x := random[float32](n, size, size, 1)
	naive := make([]images[float64], size)
	for side := 1; side < size; side++ {
		naive[side] = pixelated(x, side)
	}
	sides := make([]int, size+1) // how many images of each side
	for _, y := range draw(t, 1, Pixelate(share), x, 3) {
		for k := range n {
			found := 0
			if reflect.DeepEqual(single(y, k), single(x, k)) {
				found, sides[size] = 1, sides[size]+1
			}
			for side := 1; side < size; side++ {
				worst := 0.
				for i, v := range single(y, k).pixel {
					worst = max(worst, math.Abs(float64(v)-naive[side].pixel[k*size*size+i]))
				}
				// Samples of 1/64 pixel put a boundary off by up to that; the sides differ by 0.1 and more.
				if worst < 0.02 {
					found, sides[side] = found+1, sides[side]+1
				}
			}
			if found == 0 && !closeTo(single(y, k), single(x, k)) {
				t.Fatalf("image %d is x at no resolution: %v", k, single(y, k).pixel)
			}
		}
	}
	// The area is uniform: P(side <= m) = share * ((m+0.5)^2/size^2 - least)/(1-least); 300 draws, 4 sigma.
	const least = 100. / (96 * 96)
	below := 0
	for side := 1; side < size; side++ {
		below += sides[side]
		p := share * ((float64(side)+0.5)*(float64(side)+0.5)/(size*size) - least) / (1 - least)
		if sigma := math.Sqrt(3 * n * p * (1 - p)); math.Abs(float64(below)-3*n*p) > 4*sigma {
			t.Errorf("%d of %d images have %d pixels or fewer, want %.0f +- %.0f", below, 3*n, side, 3*n*p, sigma)
		}
	}
	if same := draw(t, 1, Pixelate(0), x, 1)[0]; !reflect.DeepEqual(same, x) {
		t.Error("a share of 0 changed the images")
	}
}

func closeTo(a, b images[float32]) bool {
	for i, v := range a.pixel {
		if !near(float64(v), float64(b.pixel[i]), 1e-5) {
			return false
		}
	}
	return true
}

// A mean is kept where all coarse pixels count alike, and a flat image always.
func TestCoarsenRowsSumToOne(t *testing.T) {
	const size = 7
	side := []float32{1, 2, 3, 4, 5, 6, 7}
	out, err := CallOnce(open(t), func(side *Node) *Node { return coarsen(InsertAxes(side, -1, -1), size) }, side)
	if err != nil {
		t.Fatal(err)
	}
	for n, m := range out.Value().([][][]float32) {
		for i, row := range m {
			var sum float64
			for j, v := range row {
				sum += float64(v)
				if n == size-1 && !near(float64(v), map[bool]float64{true: 1}[i == j], 1e-6) {
					t.Errorf("all pixels kept: weight (%d, %d) is %v", i, j, v)
				}
			}
			if !near(sum, 1, 1e-6) {
				t.Errorf("side %d: row %d sums to %v", n+1, i, sum)
			}
		}
	}
}

func TestGuardsReject(t *testing.T) {
	random := func(transform Transform) func(x *Node) *Node {
		return func(x *Node) *Node { return transform(model.NewStore().RootScope(), x) }
	}
	flat, bytes := []float32{1, 2}, tensor(numbered[uint8](1, 2, 2, 3))
	for name, guard := range map[string]func(x *Node) *Node{
		"Standardize": Standardize, "ProjectColors": ProjectColors, "DropColors": random(DropColors),
		"ShiftColors": random(ShiftColors(1)), "Pixelate": random(Pixelate(0.5)),
	} {
		rejects(t, "view."+name+": images must be [N, H, W, C]", guard, flat)
		if name != "ShiftColors" {
			rejects(t, "view."+name+": pixels must be float32 or float64", guard, bytes)
		}
	}
	rejects(t, "1 or 3 channels", ProjectColors, tensor(numbered[float32](1, 2, 2, 2)))
	rejects(t, "move by -1 pixels", random(ShiftColors(-1)), tensor(numbered[float32](1, 2, 2, 3)))
	rejects(t, "a share of 1.5", random(Pixelate(1.5)), tensor(numbered[float32](1, 2, 2, 3)))
	rejects(t, "must be square", random(Pixelate(0.5)), tensor(numbered[float32](1, 2, 3, 3)))
}
