package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// tenAt is a box of 10 by 10 pixels, so many to the right.
func tenAt(class int32, left float64) Box { return Box{class, 0, left, 10, left + 10} }

func TestIoU(t *testing.T) {
	for _, c := range []struct {
		a, b Box
		want float64
	}{
		{tenAt(0, 0), tenAt(1, 0), 1},
		{tenAt(0, 0), tenAt(0, 5), 50. / 150},
		{tenAt(0, 0), tenAt(0, 10), 0}, // side by side
		{tenAt(0, 0), tenAt(0, 30), 0},
		{tenAt(0, 0), Box{0, 2, 2, 7, 6}, 0.2}, // within
		{Box{}, Box{}, 0},
	} {
		if got := c.a.IoU(c.b); math.Abs(got-c.want) > 1e-12 || got != c.b.IoU(c.a) {
			t.Errorf("%v and %v: %g and %g, want %g", c.a, c.b, got, c.b.IoU(c.a), c.want)
		}
	}
}

func TestAveragePrecision(t *testing.T) {
	one := [][]Box{{tenAt(0, 0)}}
	two := [][]Box{{tenAt(0, 0), tenAt(0, 100)}}
	for name, c := range map[string]struct {
		truth [][]Box
		found [][]Detection
		want  float64
	}{
		"perfect":   {two, [][]Detection{{{tenAt(0, 0), 0.9}, {tenAt(0, 100), 0.8}}}, 1},
		"missed":    {two, [][]Detection{nil}, 0},
		"elsewhere": {one, [][]Detection{{{tenAt(0, 50), 0.9}}}, 0},
		// One of two found: precision 1 at recalls 0 to 0.5, which are 51 of 101.
		"half": {two, [][]Detection{{{tenAt(0, 0), 0.9}}}, 51. / 101},
		// The second detection of one object is wrong: right, wrong, right gives precisions 1, 1/2, 2/3.
		"duplicate": {two, [][]Detection{{{tenAt(0, 0), 0.9}, {tenAt(0, 1), 0.8}, {tenAt(0, 100), 0.7}}}, (51 + 50*2./3) / 101},
		// It costs nothing when nothing right comes after.
		"duplicate last": {one, [][]Detection{{{tenAt(0, 0), 0.9}, {tenAt(0, 1), 0.8}}}, 1},
		// The better score takes the object, though the other one fits better.
		"score before fit": {one, [][]Detection{{{tenAt(0, 0), 0.8}, {tenAt(0, 2), 0.9}}}, 1},
		"wrong first":      {one, [][]Detection{{{tenAt(0, 0), 0.8}, {tenAt(0, 50), 0.9}}}, 0.5},
		// Equal scores keep the order of images, here wrong before right.
		"ties":          {[][]Box{nil, {tenAt(0, 0)}}, [][]Detection{{{tenAt(0, 0), 0.5}}, {{tenAt(0, 0), 0.5}}}, 0.5},
		"ties, in turn": {[][]Box{{tenAt(0, 0)}, nil}, [][]Detection{{{tenAt(0, 0), 0.5}}, {{tenAt(0, 0), 0.5}}}, 1},
		// Envelope: wrong, right, right is never worse than 2/3.
		"envelope": {two, [][]Detection{{{tenAt(0, 50), 0.9}, {tenAt(0, 0), 0.8}, {tenAt(0, 100), 0.7}}}, 2. / 3},
		// An object of another image does not count.
		"other image":       {[][]Box{{tenAt(0, 0)}, nil}, [][]Detection{nil, {{tenAt(0, 0), 0.9}}}, 0},
		"other class":       {one, [][]Detection{{{tenAt(1, 0), 0.9}}}, 0},
		"other class first": {one, [][]Detection{{{tenAt(1, 0), 0.9}, {tenAt(0, 0), 0.1}}}, 1},
		"no objects":        {[][]Box{{tenAt(1, 0)}}, [][]Detection{{{tenAt(0, 0), 0.9}}}, -1},
	} {
		if got := AveragePrecision(c.truth, nil, c.found, 2, 0.5)[0]; math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
	// An overlap of exactly 0.5 is enough, and 0.55 is not.
	half := [][]Detection{{{Box{0, 0, 0, 10, 5}, 0.9}}}
	if a, b := AveragePrecision(one, nil, half, 1, 0.5)[0], AveragePrecision(one, nil, half, 1, 0.55)[0]; a != 1 || b != 0 {
		t.Errorf("an overlap of 0.5: %g at 0.5 and %g at 0.55", a, b)
	}
	if got := meanPrecision([]float64{1, -1, 0.5}); got != 0.75 {
		t.Errorf("mean %g, want 0.75 of the two classes that have objects", got)
	}
}

// Against a naive restatement of COCO's definition, on random boxes.
// What overlaps an object that nobody needs to find counts as nothing. Expected values are COCOeval's rules by hand: a match
// with a regular object comes first, and an ignored object excuses one detection.
func TestAveragePrecisionIgnores(t *testing.T) {
	one := [][]Box{{tenAt(0, 0)}}
	hidden := [][]Box{{tenAt(0, 50)}}
	for name, c := range map[string]struct {
		truth, ignored [][]Box
		found          []Detection
		want           float64
	}{
		"excused":            {one, hidden, []Detection{{tenAt(0, 50), 0.9}, {tenAt(0, 0), 0.8}}, 1},
		"not ignored: wrong": {one, nil, []Detection{{tenAt(0, 50), 0.9}, {tenAt(0, 0), 0.8}}, 0.5},
		"beside it: wrong":   {one, hidden, []Detection{{tenAt(0, 58), 0.9}, {tenAt(0, 0), 0.8}}, 0.5},
		"another class":      {one, [][]Box{{tenAt(1, 50)}}, []Detection{{tenAt(0, 50), 0.9}, {tenAt(0, 0), 0.8}}, 0.5},
		"one excuse each":    {one, hidden, []Detection{{tenAt(0, 50), 0.9}, {tenAt(0, 50), 0.85}, {tenAt(0, 0), 0.8}}, 0.5},
		// It overlaps the hidden one fully and the other by two thirds: it is that one all the same.
		"regular first": {[][]Box{{tenAt(0, 2)}}, [][]Box{{tenAt(0, 0)}}, []Detection{{tenAt(0, 0), 0.9}}, 1},
		// A duplicate at the hidden object's place is excused.
		"duplicate":       {[][]Box{{tenAt(0, 0), tenAt(0, 30)}}, [][]Box{{tenAt(0, 1)}}, []Detection{{tenAt(0, 0), 0.9}, {tenAt(0, 0), 0.85}, {tenAt(0, 30), 0.8}}, 1},
		"not to be found": {one, hidden, nil, 0},
		"nothing else":    {[][]Box{nil}, hidden, []Detection{{tenAt(0, 50), 0.9}}, -1},
	} {
		if got := AveragePrecision(c.truth, c.ignored, [][]Detection{c.found}, 2, 0.5)[0]; math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}

func TestAveragePrecisionNaive(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		truth, found := make([][]Box, 3), make([][]Detection, 3)
		for i := range truth {
			for range 1 + rnd.IntN(4) {
				truth[i] = append(truth[i], tenAt(0, float64(rnd.IntN(40))))
			}
			for range rnd.IntN(8) {
				found[i] = append(found[i], Detection{tenAt(0, float64(rnd.IntN(40))), rnd.Float64()})
			}
		}
		got, want := AveragePrecision(truth, nil, found, 1, 0.5)[0], naivePrecision(truth, found)
		if math.Abs(got-want) > 1e-12 {
			t.Fatalf("%g, want %g of\n%v\n%v", got, want, truth, found)
		}
	}
}

func naivePrecision(truth [][]Box, found [][]Detection) float64 {
	type detection struct {
		image int
		Detection
	}
	var all []detection
	objects := 0.0
	for i := range found {
		objects += float64(len(truth[i]))
		for _, d := range found[i] {
			all = append(all, detection{i, d})
		}
	}
	slices.SortFunc(all, func(a, b detection) int { return better(a.Detection, b.Detection) })
	taken := make(map[[2]int]bool)
	var recall, precision []float64
	right := 0.0
	for n, d := range all {
		best := -1
		for j, b := range truth[d.image] {
			if !taken[[2]int{d.image, j}] && d.IoU(b) >= 0.5 && (best < 0 || d.IoU(b) >= d.IoU(truth[d.image][best])) {
				best = j
			}
		}
		if best >= 0 {
			taken[[2]int{d.image, best}] = true
			right++
		}
		recall, precision = append(recall, right/objects), append(precision, right/float64(n+1))
	}
	sum := 0.0
	for k := range 101 {
		best := 0.0
		for i := range recall {
			if recall[i] >= float64(k)/100-1e-12 {
				best = max(best, precision[i])
			}
		}
		sum += best
	}
	return sum / 101
}

func TestSuppress(t *testing.T) {
	found := []Detection{{tenAt(0, 2), 0.5}, {tenAt(0, 0), 0.9}, {tenAt(1, 1), 0.6}, {tenAt(0, 8), 0.4}, {tenAt(0, 3), 0.3}}
	got := suppress(slices.Clone(found), 0.6, 10)
	// (10-2)/(10+2) = 0.67 overlaps; (10-3)/(10+3) = 0.54 does not, of the best one, and what was dropped drops none.
	if want := []Detection{{tenAt(0, 0), 0.9}, {tenAt(1, 1), 0.6}, {tenAt(0, 8), 0.4}, {tenAt(0, 3), 0.3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := suppress(found, 0.6, 2); len(got) != 2 || got[1].Class != 1 {
		t.Errorf("the best two: %v", got)
	}
}

func TestAssign(t *testing.T) {
	// Cells of 4 pixels in an image of 16: a large box, a small one in it, and one that holds no cell's centre.
	large, small, speck := Box{0, 0, 0, 12, 12}, Box{1, 4, 4, 8, 8}, Box{2, 12, 12, 13, 13}
	class, sides := assign([]Box{small, large, speck}, 4, 4, 4, 4)
	want := []int32{
		0, 0, 0, -1,
		0, 1, 0, -1,
		0, 0, 0, -1,
		-1, -1, -1, 2,
	}
	if !slices.Equal(class, want) {
		t.Errorf("classes %v, want %v", class, want)
	}
	if got := sides[4:8]; !slices.Equal(got, []float32{0.5, 1.5, 2.5, 1.5}) {
		t.Errorf("the second cell's sides are %v", got)
	}
	if got := sides[60:64]; !slices.Equal(got, []float32{0.5, 0.5, 0, 0}) {
		t.Errorf("the speck's sides are %v", got)
	}
	// The centre of a long box is learnt, its ends are not.
	class, _ = assign([]Box{{0, 4, 0, 8, 16}}, 4, 4, 4, 4)
	if want := []int32{-1, -1, -1, -1, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1}; !slices.Equal(class, want) {
		t.Errorf("classes %v, want %v", class, want)
	}
	class, _ = assign([]Box{{0, 0, 0, 4, 32}}, 1, 8, 4, 4)
	if want := []int32{-1, -1, 0, 0, 0, 0, -1, -1}; !slices.Equal(class, want) {
		t.Errorf("classes %v, want %v", class, want)
	}
}

// What is learnt at a cell is read back as the box.
func TestDetectReadsWhatItLearns(t *testing.T) {
	s := &Scenes{Height: 16, Width: 24, Classes: 2}
	box := Box{1, 3, 5, 11, 18}
	class, sides := assign([]Box{box}, 4, 6, 4, 4)
	var built []float32
	for cell, c := range class {
		logits := []float32{-20, -20}
		if c >= 0 {
			logits[c] = 20
		}
		built = append(built, logits...)
		for _, v := range sides[4*cell : 4*cell+4] {
			built = append(built, float32(math.Log(max(float64(v), 1e-6))))
		}
	}
	out, err := CallOnce(quickBackend(t), detectHead{s, 1}.read, tensors.FromFlatDataAndDimensions(built, 1, 4, 6, 6))
	if err != nil {
		t.Fatal(err)
	}
	found := suppress(candidates(tensors.MustCopyFlatData[float32](out), s), sameObject, mostFound)
	if len(found) != 1 || found[0].Class != 1 || found[0].IoU(box) < 0.9999 || found[0].Score < 0.999 {
		t.Errorf("%v, want %v", found, box)
	}
}

// valueAndGradient evaluates f at x and y, and the gradient of its sum in x, in float64.
func valueAndGradient(t *testing.T, f func(x, y *Node) *Node, x, y any) (value, grad []float64) {
	t.Helper()
	out, err := CallOnceN(quickBackend(t), func(x, y *Node) []*Node {
		v := f(x, y)
		return []*Node{v, Gradient(ReduceAllSum(v), x)[0]}
	}, x, y)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float64](out[0]), tensors.MustCopyFlatData[float64](out[1])
}

func TestFocal(t *testing.T) {
	logits, y := []float64{-30, -2, 0, 0.5, 3, 30, -30, 30, 1}, []float64{0, 0, 0, 0, 0, 0, 1, 1, 1}
	f := func(x, y float64) float64 { // -alpha_t (1-p_t)^2 ln p_t
		if y == 0 {
			x = -x
		}
		p := 1 / (1 + math.Exp(-x)) // p_t
		return (0.75 - 0.5*y) * (1 - p) * (1 - p) * math.Log1p(math.Exp(-x))
	}
	got, grad := valueAndGradient(t, focal, logits, y)
	for i, x := range logits {
		want, slope := f(x, y[i]), (f(x+1e-5, y[i])-f(x-1e-5, y[i]))/2e-5
		// Rounding to 2^-53 of values up to 30 leaves 1e-10 in differences over 2e-5.
		if math.Abs(got[i]-want) > 1e-12*(1+want) || math.Abs(grad[i]-slope) > 1e-8 {
			t.Errorf("logit %g, %g: %g and gradient %g, want %g and %g", x, y[i], got[i], grad[i], want, slope)
		}
	}
}

func TestSideLoss(t *testing.T) {
	a, b := []float64{1, 2, 3, 1}, []float64{2, 1, 1, 2}
	box := func(s []float64) Box { return Box{0, -s[0], -s[1], s[2], s[3]} }
	f := func(a []float64) float64 { return -math.Log(box(a).IoU(box(b))) }
	got, grad := valueAndGradient(t, sideLoss, [][]float64{a}, [][]float64{b})
	if math.Abs(got[0]-f(a)) > 1e-6 { // the epsilon, of areas above 1
		t.Errorf("loss %g, want %g", got[0], f(a))
	}
	for i := range a {
		up, down := slices.Clone(a), slices.Clone(a)
		up[i] += 1e-5
		down[i] -= 1e-5
		if want := (f(up) - f(down)) / 2e-5; math.Abs(grad[i]-want) > 1e-6 {
			t.Errorf("side %d: gradient %g, want %g", i, grad[i], want)
		}
	}
	// Where there is no object all is finite, so that leaving it out leaves nothing behind.
	_, grad = valueAndGradient(t, sideLoss, [][]float64{a}, [][]float64{{0, 0, 0, 0}})
	for _, v := range grad {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("gradient %v without an object", grad)
		}
	}
}

func ExampleAveragePrecision() {
	truth := [][]Box{{{Class: 0, Bottom: 10, Right: 10}}}
	found := [][]Detection{{{Box{Class: 0, Bottom: 10, Right: 9}, 0.8}, {Box{Class: 0, Bottom: 10, Right: 10}, 0.7}}}
	fmt.Println(AveragePrecision(truth, nil, found, 2, 0.5)) // the second is a duplicate; class 1 has no objects
	// Output: [1 -1]
}
