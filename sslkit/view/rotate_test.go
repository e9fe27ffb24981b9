package view

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// turned is a quarter turn counter-clockwise: the right edge becomes the top.
func turned[T any](x images[T], quarters int) images[T] {
	for range quarters {
		y := blank[T](x.n, x.h, x.w, x.c)
		for n := range x.n {
			for i := range x.h {
				for j := range x.w {
					for c := range x.c {
						*y.at(n, i, j, c) = *x.at(n, j, x.w-1-i, c)
					}
				}
			}
		}
		x = y
	}
	return x
}

func rotate(degrees int) func(x *Node) *Node {
	return func(x *Node) *Node { return Rotate(x, degrees) }
}

func TestRotateDirection(t *testing.T) {
	// 1 2    2 4
	// 3 4    1 3
	want := []float32{2, 4, 1, 3}
	if got := apply(t, numbered[float32](1, 2, 2, 1), rotate(90)); !slices.Equal(got.pixel, want) {
		t.Errorf("90 degrees: got %v, want %v", got.pixel, want)
	}
	// A spot right of the centre goes up and right of it.
	x := blank[float32](1, 9, 9, 1)
	*x.at(0, 4, 7, 0) = 1
	y := apply(t, x, rotate(45))
	if *y.at(0, 2, 6, 0) < 0.5 {
		t.Errorf("45 degrees: the spot is not at (2, 6): %v", y.pixel)
	}
	if y = apply(t, x, rotate(-45)); *y.at(0, 6, 6, 0) < 0.5 {
		t.Errorf("-45 degrees: the spot is not at (6, 6): %v", y.pixel)
	}
}

func TestRotateQuarters(t *testing.T) {
	for _, size := range []int{1, 5, 8} {
		x := random[float32](3, size, size, 2)
		for _, k := range []int{-5, 0, 1, 2, 3, 6} {
			if got := apply(t, x, rotate(90*k)); !reflect.DeepEqual(got, turned(x, (k+8)%4)) {
				t.Errorf("size %d: %d degrees is not exact", size, 90*k)
			}
		}
		four := apply(t, x, func(x *Node) *Node { return Rotate(Rotate(Rotate(Rotate(x, 90), 90), 90), 90) })
		if !reflect.DeepEqual(four, x) {
			t.Errorf("size %d: four quarter turns changed the image", size)
		}
	}
	bytes := numbered[uint8](2, 4, 4, 3)
	if got := apply(t, bytes, rotate(270)); !reflect.DeepEqual(got, turned(bytes, 3)) {
		t.Error("270 degrees of uint8 is not exact")
	}
}

func TestRotate90(t *testing.T) {
	quarters := []int32{0, 1, 2, 3, 4, -1, -6, 2147483647}
	check := func(name string, out *tensors.Tensor, want []images[float32]) {
		got := read[float32](t, out)
		for n, w := range want {
			g := single(got, n)
			if !reflect.DeepEqual(g, w) {
				t.Errorf("%s: image %d by %d quarters: got %v, want %v", name, n, quarters[n], g.pixel, w.pixel)
			}
			slices.Sort(g.pixel)
			sorted := slices.Sorted(slices.Values(w.pixel))
			if !slices.Equal(g.pixel, sorted) {
				t.Errorf("%s: image %d lost pixels", name, n)
			}
		}
	}
	x := random[float32](len(quarters), 5, 5, 3)
	var want []images[float32]
	for n, q := range quarters {
		want = append(want, turned(single(x, n), int((q%4+4)%4)))
	}
	out, err := CallOnce(open(t), Rotate90, tensor(x), quarters)
	if err != nil {
		t.Fatal(err)
	}
	check("float32", out, want)

	// From the bytes of a data set, converted in the graph as a run does.
	bytes := numbered[uint8](len(quarters), 2, 2, 1)
	want = nil
	for n, q := range quarters {
		f := blank[float32](1, 2, 2, 1)
		for i := range f.pixel {
			f.pixel[i] = float32(bytes.pixel[4*n+i])
		}
		want = append(want, turned(f, int((q%4+4)%4)))
	}
	out, err = CallOnce(open(t), func(x, q *Node) *Node { return Rotate90(ConvertDType(x, tensors.FromScalar(float32(0)).DType()), q) }, tensor(bytes), quarters)
	if err != nil {
		t.Fatal(err)
	}
	check("uint8", out, want)
}

// wave is smooth: a few long waves in two directions.
func wave(size int) images[float64] {
	x := blank[float64](1, size, size, 1)
	for i := range size {
		for j := range size {
			*x.at(0, i, j, 0) = math.Sin(0.2*float64(i)+0.1*float64(j)) + math.Cos(0.15*float64(j)-0.1*float64(i))
		}
	}
	return x
}

func inDisc(size, i, j int, margin float64) bool {
	c := float64(size-1) / 2
	return math.Hypot(float64(i)-c, float64(j)-c) < c-margin
}

func TestRotateEighths(t *testing.T) {
	const size = 17
	x := random[float64](2, size, size, 2)
	one := apply(t, x, rotate(45))
	c := float64(size-1) / 2
	h := math.Sqrt2 / 2
	for i := range size {
		for j := range size {
			if !inDisc(size, i, j, 0) {
				continue
			}
			// Turning back clockwise: where the pixel came from, x to the right and y up.
			right, up := float64(j)-c, c-float64(i)
			y, z := c-h*(up-right), c+h*(right+up)
			i0, j0 := int(y), int(z)
			if i0+1 >= size || j0+1 >= size || y < 0 || z < 0 {
				t.Fatalf("pixel (%d, %d) of the disc sees beyond the image", i, j)
			}
			d, e := y-float64(i0), z-float64(j0)
			for n := range 2 {
				for ch := range 2 {
					want := (1-d)*((1-e)**x.at(n, i0, j0, ch)+e**x.at(n, i0, j0+1, ch)) + d*((1-e)**x.at(n, i0+1, j0, ch)+e**x.at(n, i0+1, j0+1, ch))
					if got := *one.at(n, i, j, ch); !near(got, want, 1e-12) {
						t.Fatalf("45 degrees at (%d, %d): got %v, want %v", i, j, got, want)
					}
				}
			}
		}
	}
	// The odd eighths are exact quarter turns of each other.
	for k := 1; k < 4; k++ {
		if got := apply(t, x, rotate(45+90*k)); !reflect.DeepEqual(got, turned(one, k)) {
			t.Errorf("%d degrees is not the quarter turn of 45", 45+90*k)
		}
	}
}

// Twice 45 degrees is 90 up to two interpolations: each errs by at most |second derivative|/8 in either direction, and
// those of the waves sum to at most 0.2^2+0.1^2+0.15^2+0.1^2 = 0.0825, so 2*0.0825/8 = 0.021.
func TestRotateTwice(t *testing.T) {
	const size = 33
	x := wave(size)
	twice := apply(t, x, func(x *Node) *Node { return Rotate(Rotate(x, 45), 45) })
	want := turned(x, 1)
	for i := range size {
		for j := range size {
			// The first turn is right in the disc only, and the second mixes neighbours.
			if inDisc(size, i, j, 1.5) && !near(*twice.at(0, i, j, 0), *want.at(0, i, j, 0), 0.021) {
				t.Errorf("(%d, %d): got %v, want %v", i, j, *twice.at(0, i, j, 0), *want.at(0, i, j, 0))
			}
		}
	}
}

func TestDisc(t *testing.T) {
	for _, size := range []int{1, 2, 8, 9} {
		x := blank[float32](1, size, size, 1)
		for i := range x.pixel {
			x.pixel[i] = 1
		}
		disc := func(x *Node) *Node { return Disc(x, -2) }
		mask := apply(t, x, disc)
		for i := range size {
			for j := range size {
				want := float32(-2)
				if inDisc(size, i, j, 0) {
					want = 1
				}
				if got := *mask.at(0, i, j, 0); got != want {
					t.Errorf("size %d: (%d, %d) is %v, want %v", size, i, j, got, want)
				}
			}
		}
		all := apply(t, x, func(x *Node) *Node {
			var turns []*Node
			for degrees := 0; degrees < 360; degrees += 45 {
				turns = append(turns, disc(Rotate(x, degrees)))
			}
			return Concatenate(turns, 0)
		})
		for n := range all.n {
			if got := all.pixel[n*size*size : (n+1)*size*size]; !slices.Equal(got, mask.pixel) {
				t.Errorf("size %d: another mask at %d degrees", size, 45*n)
			}
		}
	}
}

// The repeated edge must not show inside the disc: it is as if the image went on beyond its frame.
func TestDiscHidesTheFrame(t *testing.T) {
	for _, size := range []int{8, 9} {
		large := random[float64](1, size+8, size+8, 1)
		x := blank[float64](1, size, size, 1)
		for i := range size {
			for j := range size {
				*x.at(0, i, j, 0) = *large.at(0, i+4, j+4, 0)
			}
		}
		for _, view := range []func(x *Node) *Node{rotate(45), Soften} {
			got, want := apply(t, x, view), apply(t, large, view)
			for i := range size {
				for j := range size {
					if inDisc(size, i, j, 0) && !near(*got.at(0, i, j, 0), *want.at(0, i+4, j+4, 0), 1e-12) {
						t.Errorf("size %d: (%d, %d) depends on what lies outside the image", size, i, j)
					}
				}
			}
		}
	}
}

func TestSoften(t *testing.T) {
	x := random[float64](2, 3, 4, 2)
	got := apply(t, x, Soften)
	for n := range x.n {
		for i := range x.h {
			for j := range x.w {
				for c := range x.c {
					var want float64
					for di := -1; di <= 1; di++ {
						for dj := -1; dj <= 1; dj++ {
							weight := map[int]float64{0: 1 - 4*0.050 - 4*0.036, 1: 0.050, 2: 0.036}[di*di+dj*dj]
							want += weight * *x.at(n, min(max(i+di, 0), x.h-1), min(max(j+dj, 0), x.w-1), c)
						}
					}
					if !near(*got.at(n, i, j, c), want, 1e-12) {
						t.Fatalf("(%d, %d): got %v, want %v", i, j, *got.at(n, i, j, c), want)
					}
				}
			}
		}
	}
	one := images[float32]{1, 1, 1, 1, []float32{3}}
	if got := apply(t, one, Soften).pixel[0]; !near(float64(got), 3, 1e-6) {
		t.Errorf("one pixel of 3 became %v", got)
	}
}

// noise is isotropic, with power 1/f^2 as photographs have (white: all the pixels independent), seen through square pixels.
func noise(n, size int, white bool) images[float64] {
	r := rand.New(rand.NewPCG(1, 2))
	x := blank[float64](n, size, size, 1)
	for k := range n {
		if white {
			for i := range size * size {
				x.pixel[k*size*size+i] = r.NormFloat64()
			}
			continue
		}
		for range 300 {
			// Equal power in equal steps of log f is power 1/f^2 in the plane; f from 1/64 to 1.5 waves a pixel.
			f, angle, phase := math.Exp(math.Log(1.0/64)+r.Float64()*math.Log(96)), 2*math.Pi*r.Float64(), 2*math.Pi*r.Float64()
			fy, fx := f*math.Sin(angle), f*math.Cos(angle)
			amplitude := sinc(fx) * sinc(fy) // a pixel averages over its square
			for i := range size {
				for j := range size {
					*x.at(k, i, j, 0) += amplitude * math.Cos(2*math.Pi*(fy*float64(i)+fx*float64(j))+phase)
				}
			}
		}
	}
	return x
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// sharpness is the mean square of the Laplacian inside the disc.
func sharpness(x images[float64]) float64 {
	var sum float64
	count := 0
	for n := range x.n {
		for i := range x.h {
			for j := range x.w {
				if inDisc(x.h, i, j, 2) {
					l := 4**x.at(n, i, j, 0) - *x.at(n, i-1, j, 0) - *x.at(n, i+1, j, 0) - *x.at(n, i, j-1, 0) - *x.at(n, i, j+1, 0)
					sum += l * l
					count++
				}
			}
		}
	}
	return sum / float64(count)
}

// Interpolation must not give the odd angles away by their blur.
func TestSoftenMatchesRotation(t *testing.T) {
	const n, size = 60, 32
	for _, c := range []struct {
		name            string
		white           bool
		plain, softened [2]float64 // bounds of the ratio of sharpness, odd to even angles
	}{
		// 60 images leave about 0.02 of sampling error, since both angles see the same ones.
		{"1/f^2", false, [2]float64{0.30, 0.50}, [2]float64{0.93, 1.07}},
		// White noise has nothing in common with images, and its diagonal frequencies fold over when turned: stated, not matched.
		{"white", true, [2]float64{0.20, 0.35}, [2]float64{0.65, 1.0}},
	} {
		x := noise(n, size, c.white)
		odd := sharpness(apply(t, x, rotate(45)))
		plain, softened := odd/sharpness(x), odd/sharpness(apply(t, x, Soften))
		t.Logf("%s: Laplacian energy at 45 degrees to that at 0: %.3f as it is, %.3f softened", c.name, plain, softened)
		if plain < c.plain[0] || plain > c.plain[1] {
			t.Errorf("%s: ratio %.3f without Soften, want within %v", c.name, plain, c.plain)
		}
		if softened < c.softened[0] || softened > c.softened[1] {
			t.Errorf("%s: ratio %.3f with Soften, want within %v", c.name, softened, c.softened)
		}
	}
}

// A linear view is told by what it makes of the unit images; so is the gradient of sum(weight*view(x)).
func TestRotateGradient(t *testing.T) {
	const size = 5
	weight := random[float64](1, size, size, 1)
	for name, view := range map[string]func(x *Node) *Node{
		"90": rotate(90), "45": rotate(45), "225": rotate(225), "Soften": Soften,
		"Disc":     func(x *Node) *Node { return Disc(x, 0) },
		"Rotate90": func(x *Node) *Node { return Rotate90(x, BroadcastToDims(Const(x.Graph(), int32(3)), x.Shape().Dim(0))) },
	} {
		out, err := CallOnce(open(t), func(w, x *Node) *Node {
			return Gradient(ReduceAllSum(Mul(w, view(x))), x)[0]
		}, tensor(weight), tensor(random[float64](1, size, size, 1)))
		if err != nil {
			t.Fatal(err)
		}
		units := blank[float64](size*size, size, size, 1)
		for i := range size * size {
			units.pixel[i*size*size+i] = 1
		}
		seen := apply(t, units, view)
		for i, got := range read[float64](t, out).pixel {
			var want float64
			for k, w := range weight.pixel {
				want += w * seen.pixel[i*size*size+k]
			}
			if !near(got, want, 1e-12) {
				t.Errorf("%s: d/d pixel %d = %v, want %v", name, i, got, want)
			}
		}
	}
}

func TestRotateRejects(t *testing.T) {
	square, oblong := tensor(numbered[float32](2, 3, 3, 1)), tensor(numbered[float32](2, 3, 4, 1))
	quarter := func(q any) func(x *Node) *Node {
		return func(x *Node) *Node { return Rotate90(x, Const(x.Graph(), q)) }
	}
	disc := func(x *Node) *Node { return Disc(x, 0) }
	for _, c := range []struct {
		want string
		fn   func(x *Node) *Node
		x    *tensors.Tensor
	}{
		{"view.Rotate: 30 degrees", rotate(30), square},
		{"view.Rotate: images must be square", rotate(180), oblong},
		{"view.Rotate: pixels must be float", rotate(45), tensor(numbered[uint8](1, 3, 3, 1))},
		{"view.Rotate90: images must be square", quarter([]int32{1, 2}), oblong},
		{"quarter must be [2] int32", quarter([]int32{1}), square},
		{"quarter must be [2] int32", quarter([]int64{1, 2}), square},
		{"quarter must be [2] int32", quarter(int32(1)), square},
		{"view.Disc: images must be square", disc, oblong},
		{"view.Disc: pixels must be float", disc, tensor(numbered[uint8](1, 3, 3, 1))},
		{"view.Soften: images must be [N, H, W, C]", Soften, tensors.FromValue([]float32{1})},
		{"view.Soften: pixels must be float", Soften, tensor(numbered[uint8](1, 3, 3, 1))},
	} {
		rejects(t, c.want, c.fn, c.x)
	}
}
