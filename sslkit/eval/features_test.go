package eval

import (
	"context"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
)

func TestGridAveragesCells(t *testing.T) {
	const h, w, c = 5, 4, 2
	flat := make([]float32, 2*h*w*c)
	for i := range flat {
		flat[i] = float32(i*i%97) / 10
	}
	x := tensors.FromFlatDataAndDimensions(flat, 2, h, w, c)
	for _, side := range []int{0, 1, 2, 3, 4, 9} {
		got := MustNewExec(testBackend(t), func(x *Node) []*Node { return Grid(side)([]*Node{x}) }).MustCall(x)[0].Value().([][]float32)
		sh, sw := min(side, h), min(side, w)
		if side == 0 {
			sh, sw = h, w
		}
		for n, row := range got {
			if len(row) != sh*sw*c {
				t.Fatalf("side %d: %d dimensions, want %d", side, len(row), sh*sw*c)
			}
			for i := range sh {
				for j := range sw {
					for k := range c {
						// AdaptiveAvgPool2d's cells.
						sum, count := 0.0, 0.0
						for y := i * h / sh; y < int(math.Ceil(float64((i+1)*h)/float64(sh))); y++ {
							for x := j * w / sw; x < int(math.Ceil(float64((j+1)*w)/float64(sw))); x++ {
								sum += float64(flat[((n*h+y)*w+x)*c+k])
								count++
							}
						}
						if v := float64(row[(i*sw+j)*c+k]); math.Abs(v-sum/count) > 1e-5 { // float32 sums of at most 20 values below 10
							t.Errorf("side %d, image %d, cell %d,%d,%d is %g, want %g", side, n, i, j, k, v, sum/count)
						}
					}
				}
			}
		}
	}
}

func TestPooledAndGridInOnePass(t *testing.T) {
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	d := bars{n: 10, classes: 2, batch: 4}
	f, err := sslkit.Features(context.Background(), testBackend(t), store, pixels{}, d, func(maps []*Node) []*Node {
		return append(Pooled(maps), Grid(2)(maps)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []int{1, 1, 4, 4}
	for i, m := range f {
		if len(m) != 10 || len(m[0]) != want[i] {
			t.Errorf("matrix %d is %dx%d, want 10x%d", i, len(m), len(m[0]), want[i])
		}
	}
	if a, b := f[0][3][0], f[1][3][0]; math.Abs(float64(2*a-b)) > 1e-5 {
		t.Errorf("pooled stages %g and %g: the second is twice the first", a, b)
	}
}

func TestGridRefuses(t *testing.T) {
	backend := quickBackend(t)
	build := func(side int, dims ...int) error {
		return exceptions.TryCatch[error](func() {
			x := tensors.FromFlatDataAndDimensions(make([]float32, 8), dims...)
			MustNewExec(backend, func(x *Node) []*Node { return Grid(side)([]*Node{x}) }).MustCall(x)
		})
	}
	wantError(t, "rank 2", build(1, 2, 4), "[N, h, w, C]")
	wantError(t, "negative side", build(-1, 2, 2, 2, 1), "side is -1")
}

func TestSetsThatCannotBeMeasured(t *testing.T) {
	good := func() Set { return blobs(6, 3, 2, 1, 1) }
	for want, change := range map[string]func(train, test *Set){
		"training set is empty":          func(train, _ *Set) { *train = Set{} },
		"test set is empty":              func(_, test *Set) { *test = Set{} },
		"6 examples but 5 labels":        func(train, _ *Set) { train.Labels = train.Labels[:5] },
		"test label 2 is 2, want 0 to 1": func(_, test *Set) { test.Labels[2] = 2 },
		"training label 0 is -1":         func(train, _ *Set) { train.Labels[0] = -1 },
		"not finite (NaN)":               func(_, test *Set) { test.Features[4][1] = float32(math.NaN()) },
		"not finite (+Inf)":              func(train, _ *Set) { train.Features[4][1] = float32(math.Inf(1)) },
		"example 3 have 2 dimensions":    func(train, _ *Set) { train.Features[3] = train.Features[3][:2] },
		"3 dimensions, test features 2":  func(_, test *Set) { *test = blobs(6, 2, 2, 1, 1) },
	} {
		train, test := good(), good()
		change(&train, &test)
		wantError(t, want, checkPair(train, test, 2), want)
		_, err := Defaults().Linear.Fit(context.Background(), quickBackend(t), train, test, 2, 1)
		wantError(t, "linear: "+want, err, want)
		_, err = DefaultNonLinear(1).Fit(context.Background(), quickBackend(t), train, test, 2, 1)
		wantError(t, "non-linear: "+want, err, want)
	}
	wantError(t, "1 class", checkPair(good(), good(), 1), "at least 2")
}
