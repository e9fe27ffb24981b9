package view

import (
	"math"
	"reflect"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// naiveBlur sums over the whole square of the kernel.
func naiveBlur(x images[float64], kernel int, sigma []float64) images[float64] {
	r := kernel / 2
	reflect := func(i, size int) int {
		if i < 0 {
			i = -i
		}
		if i >= size {
			i = 2*(size-1) - i
		}
		return i
	}
	y := blank[float64](x.n, x.h, x.w, x.c)
	for n := range x.n {
		for i := range x.h {
			for j := range x.w {
				for c := range x.c {
					var sum, total float64
					for di := -r; di <= r; di++ {
						for dj := -r; dj <= r; dj++ {
							w := math.Exp(-float64(di*di+dj*dj) / (2 * sigma[n] * sigma[n]))
							sum += w * *x.at(n, reflect(i+di, x.h), reflect(j+dj, x.w), c)
							total += w
						}
					}
					*y.at(n, i, j, c) = sum / total
				}
			}
		}
	}
	return y
}

func blur(kernel int) func(x, sigma *Node) *Node {
	return func(x, sigma *Node) *Node { return GaussianBlur(x, kernel, sigma) }
}

func TestGaussianBlur(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		sigma := []float64{0.1, 0.7, 2, 30}
		for _, c := range []struct{ kernel, h, w, c int }{{1, 1, 1, 1}, {3, 2, 5, 3}, {7, 4, 9, 2}} {
			x := random[float64](len(sigma), c.h, c.w, c.c)
			want := naiveBlur(x, c.kernel, sigma)
			out, err := CallOnce(backend, blur(c.kernel), tensor(x), sigma)
			if err != nil {
				t.Fatal(err)
			}
			sameImages(t, "blur", read[float64](t, out), want, 1e-12)
			out, err = CallOnce(backend, blur(c.kernel), tensor(narrow(x)), float32s(sigma))
			if err != nil {
				t.Fatal(err)
			}
			sameImages(t, "blur in float32", read[float32](t, out), want, 1e-6) // weighted means of values up to 1
		}
	})
}

func TestGaussianBlurByHand(t *testing.T) {
	// With sigma = 1/sqrt(2 ln 2) the weights are 1/2, 1 and 1/2, over 2; the row 0 1 0 sees its middle twice at the ends.
	dot := tensors.FromFlatDataAndDimensions([]float64{0, 0, 0, 0, 1, 0, 0, 0, 0}, 1, 3, 3, 1)
	out, err := CallOnce(goBackend(t), blur(3), dot, []float64{1 / math.Sqrt(2*math.Ln2)})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range read[float64](t, out).pixel {
		if !near(v, 0.25, 1e-12) {
			t.Errorf("pixel %d is %v, want 1/4: reflected, the dot is everywhere", i, v)
		}
	}
}

func TestGaussianBlurGradient(t *testing.T) {
	onBackends(t, func(t *testing.T, backend compute.Backend) {
		checkGradient(t, "blur", backend, blur(5), random[float64](2, 4, 3, 2), []float64{0.8, 1.7},
			func(x images[float64], sigma []float64) images[float64] { return naiveBlur(x, 5, sigma) })
	})
}

func TestRandomBlur(t *testing.T) {
	const n, p = 2000, 0.3
	x := blank[float32](n, 3, 3, 1)
	for k := range n {
		*x.at(k, 1, 1, 0) = 1
	}
	y := drawOn(t, goBackend(t), 1, RandomBlur(p, 3, 0.5, 2), x, 1)[0]
	var drawn []float64 // the sigmas
	for k := range n {
		image := single(y, k)
		if reflect.DeepEqual(image, single(x, k)) {
			continue
		}
		// The corner is (2w)^2, where w = e/(1+2e) and e = exp(-1/(2 sigma^2)).
		w := math.Sqrt(float64(image.pixel[0])) / 2
		drawn = append(drawn, math.Sqrt(-0.5/math.Log(w/(1-2*w))))
	}
	checkShare(t, "blurred", len(drawn), n, p)
	checkUniform(t, "sigma", drawn, 0.5, 2)
}

func TestBlurRejects(t *testing.T) {
	x := tensor(numbered[float32](2, 3, 4, 1))
	with := func(kernel int, sigma any) func(x *Node) *Node {
		return func(x *Node) *Node { return GaussianBlur(x, kernel, Const(x.Graph(), sigma)) }
	}
	for _, c := range []struct {
		want string
		fn   func(x *Node) *Node
		x    *tensors.Tensor
	}{
		{"view.GaussianBlur: images must be", with(3, []float32{1}), tensors.FromValue([]float32{1})},
		{"pixels must be float", with(3, []float32{1, 1}), tensor(numbered[uint8](2, 3, 4, 1))},
		{"the kernel is 4", with(4, []float32{1, 1}), x},
		{"the kernel is -1", with(-1, []float32{1, 1}), x},
		{"a kernel of 7 reflects 3 pixels at each edge", with(7, []float32{1, 1}), x},
		{"take one of at most 5", with(7, []float32{1, 1}), x},
		{"sigma must be [2] Float32", with(3, []float32{1}), x},
		{"sigma must be [2] Float32", with(3, []float64{1, 1}), x},
		{"view.RandomBlur: the probability is 1.5", transformed(RandomBlur(1.5, 3, 1, 2)), x},
		{"sigma is from 0 to 2", transformed(RandomBlur(0.5, 3, 0, 2)), x},
		{"sigma is from 2 to 1", transformed(RandomBlur(0.5, 3, 2, 1)), x},
	} {
		rejects(t, c.want, c.fn, c.x)
	}
}
