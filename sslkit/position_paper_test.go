package sslkit

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
)

func TestPositionValidate(t *testing.T) {
	if err := AbsolutePosition(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *PatchPosition { return AbsolutePosition(nn.ResNet(8, 4)) }, map[string]func(*PatchPosition){
		"share of the image": func(m *PatchPosition) { m.Patch = 1 },
		"aberration -0.1":    func(m *PatchPosition) { m.Aberration = -0.1 },
		"hidden units":       func(m *PatchPosition) { m.Hidden = 0 },
		"guarded by":         func(m *PatchPosition) { m.Guards.Colors = "grey" },
		"6n+2":               func(m *PatchPosition) { m.Backbone.Depth = 9 },
	})
	locate := func(m *PatchPosition) func(scope *model.Scope, x *Node) {
		return func(scope *model.Scope, x *Node) { m.Locate(scope, x) }
	}
	panics(t, "has no place", 12, 12, locate(AbsolutePosition(nn.ResNet(8, 4))))
	panics(t, "square images", 28, 32, locate(AbsolutePosition(nn.ResNet(8, 4))))
}

func TestPositionIsWhereThePatchWas(t *testing.T) {
	const n, s, patch = 200, 28, 7
	m := AbsolutePosition(nn.ResNet(8, 2))
	out := ask(t, 1, places(n, s), func(scope *model.Scope, x *Node) []*Node {
		patch, place, guess := m.Locate(scope, x)
		return []*Node{patch, place, guess}
	})
	size, corner := corners(t, out[0], s)
	if size != patch {
		t.Fatalf("patches of %d pixels, want %d", size, patch)
	}
	var sum float64
	for i, at := range out[1].Value().([][]float32) {
		for axis := range 2 {
			if want := float64(corner[i][axis]) / (s - patch); math.Abs(float64(at[axis])-want) > 1e-6 {
				t.Fatalf("patch at %v: place %v", corner[i], at)
			}
			sum += (float64(at[axis]) - 0.5) * (float64(at[axis]) - 0.5)
		}
	}
	// A uniform place on 22 is 1/6 * 23/21 from the centre, squared; of 200 draws it is good to 0.008.
	if got := sum / n; math.Abs(got-1./6*23/21) > 0.03 {
		t.Errorf("the centre errs by %.3f, squared", got)
	}
}

// coloured makes a grey picture of a channel.
func coloured(draw func(rnd *rand.Rand, s int) []uint8) func(rnd *rand.Rand, s int) []uint8 {
	return func(rnd *rand.Rand, s int) []uint8 {
		var out []uint8
		for _, v := range draw(rnd, s) {
			out = append(out, v, v, v)
		}
		return out
	}
}

// A network can learn where a patch was relative to the lens, from nothing but the separation of green and magenta. Against
// that, all channels of a patch but one are dropped. Reference: Doersch et al. 2015, Sec. 3.1 and 4.2.
func TestPaperPositionFromAberration(t *testing.T) {
	chance := math.Sqrt(1. / 6 * 23 / 21)
	ds := fresh{50, 32, 28, 3, coloured(blob)}
	m := AbsolutePosition(nn.ResNet(8, 4))
	m.Hidden, m.Aberration = 32, 0.15
	if got := learnt(t, m, ds, 2); got > 0.8*chance {
		t.Errorf("error %.3f with aberration, chance is %.3f: nothing to guard against", got, chance)
	}
	m.Guards.Colors = "drop"
	if got := learnt(t, m, ds, 2); got < chance-0.03 {
		t.Errorf("error %.3f with aberration and all but one colour dropped, chance is %.3f", got, chance)
	}
}

func TestGuardsApply(t *testing.T) {
	const n, s = 40, 8
	rnd := rand.New(rand.NewPCG(1, 2))
	pixels := make([]float32, n*s*s*3)
	for i := range pixels {
		pixels[i] = rnd.Float32()
	}
	x := tensors.FromFlatDataAndDimensions(pixels, n, s, s, 3)
	guarded := func(g Guards) []float32 {
		return tensors.MustCopyFlatData[float32](ask(t, 1, x, func(scope *model.Scope, x *Node) []*Node {
			return []*Node{g.Apply(scope, x)}
		})[0])
	}
	changed := func(y []float32) (images int) {
		for k := range n {
			for i := range s * s * 3 {
				if y[k*s*s*3+i] != pixels[k*s*s*3+i] {
					images++
					break
				}
			}
		}
		return images
	}
	for _, c := range []struct {
		guards      Guards
		least, most int
	}{
		{Guards{}, 0, 0},
		{Guards{Colors: "drop"}, n, n},
		{Guards{Colors: "project"}, n, n},
		{Guards{Colors: "shift"}, n - 2, n}, // 1 of 9^3 is not shifted
		{Guards{Downsample: 0.5}, 8, 32},    // 20 +- 3.2
		{Guards{Normalize: true}, n, n},
	} {
		if got := changed(guarded(c.guards)); got < c.least || got > c.most {
			t.Errorf("%+v changes %d of %d patches", c.guards, got, n)
		}
	}
	// Colours are dropped before a patch is normalised: the noise stays small beside what is kept.
	y := guarded(Guards{Colors: "drop", Normalize: true})
	var small int
	for _, v := range y {
		if math.Abs(float64(v)-0.5) < 0.03 {
			small++
		}
	}
	if share := float64(small) / float64(len(y)); share < 2./3 || share > 0.75 {
		t.Errorf("%.2f of the values are noise, want 2/3 and a little", share)
	}
}
