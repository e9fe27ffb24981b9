package eval

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
)

func TestTrackingValidate(t *testing.T) {
	if err := TrackingDefaults().Validate(); err != nil {
		t.Error(err)
	}
	for want, o := range map[string]Tracking{
		"negative":           {Previous: -1, Temperature: 1},
		"neither":            {Radius: -1, Temperature: 1},
		"finite and above 0": {Previous: 1},
	} {
		wantError(t, want, o.Validate(), want)
	}
}

// naivePropagate is Eq. 1 and 2 with the temperature of Sec. 3.3: features [t][p][d], labels [p][k].
func naivePropagate(o Tracking, f [][][]float64, first [][]float64, w int) [][][]float64 {
	labels := [][][]float64{first}
	for t := 1; t < len(f); t++ {
		var frame [][]float64
		for p, a := range f[t] {
			sum, out := 0.0, make([]float64, len(first[0]))
			for r := range t {
				if r > 0 && r < t-o.Previous {
					continue
				}
				for q, b := range f[r] {
					if away := max(p/w-q/w, q/w-p/w, p%w-q%w, q%w-p%w); r > 0 && o.Radius > 0 && away > o.Radius {
						continue
					}
					inner := 0.0
					for d := range a {
						inner += a[d] * b[d]
					}
					weight := math.Exp(inner / o.Temperature)
					sum += weight
					for k := range out {
						out[k] += weight * labels[r][q][k]
					}
				}
			}
			for k := range out {
				out[k] /= sum
			}
			frame = append(frame, out)
		}
		labels = append(labels, frame)
	}
	return labels
}

// Eq. 1 serves for labels as for colours, frame by frame, earlier predictions being references. Reference: Vondrick et al. 2018,
// Sec. 3.3.
func TestPropagateMatchesNaive(t *testing.T) {
	const frames, h, w, d, k = 5, 3, 4, 2, 3
	rnd := rand.New(rand.NewPCG(1, 1))
	f := make([][][]float64, frames)
	for i := range f {
		for range h * w {
			f[i] = append(f[i], []float64{rnd.NormFloat64(), rnd.NormFloat64()})
		}
	}
	var first [][]float64
	for range h * w {
		first = append(first, []float64{rnd.Float64(), rnd.Float64(), rnd.Float64()})
	}
	for _, o := range []Tracking{{Previous: 0, Temperature: 1}, {Previous: 2, Temperature: 0.5}, {Previous: 3, Radius: 1, Temperature: 0.5}} {
		out := MustNewExec(quickBackend(t), func(f, first *Node) *Node {
			return o.Propagate(Reshape(f, 1, frames, h, w, d), InsertAxes(first, 0))
		}).MustCall(f, first)[0].Value().([][][][]float64)[0]
		want := naivePropagate(o, f, first, w)
		for i := range want {
			for p := range want[i] {
				for j := range k {
					if math.Abs(out[i][p][j]-want[i][p][j]) > 1e-12 {
						t.Errorf("%v: frame %d, place %d, label %d: %g, want %g", o, i, p, j, out[i][p][j], want[i][p][j])
					}
				}
			}
		}
	}
}

// sliding is two clips of four frames of 16x16: a red square of 8 pixels that moves by 4 a frame, right or down, over green.
type sliding struct{}

func (sliding) Name() string { return "sliding" }

// clip i, pixels and truth.
func (sliding) clip(i int) (pixels, id []uint8) {
	for t := range 4 {
		for p := range 16 * 16 {
			y, x := p/16-4*t*i, p%16-4*t*(1-i)
			if y >= 0 && y < 8 && x >= 0 && x < 8 {
				pixels, id = append(pixels, 220, 60, 60), append(id, 1)
			} else {
				pixels, id = append(pixels, 60, 160, 60), append(id, 0)
			}
		}
	}
	return pixels, id
}

func (d sliding) truth() [][]uint8 {
	_, a := d.clip(0)
	_, b := d.clip(1)
	return [][]uint8{a, b}
}

func (d sliding) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for i := range 2 {
			pixels, _ := d.clip(i)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, 1, 4, 16, 16, 3)}}, nil) {
				return
			}
		}
	}
}

// What looks like nothing else is followed by its colours; the identity leaves it where it was.
func TestTrack(t *testing.T) {
	track := func(embed Embedder) *Tracked {
		store, err := sslkit.NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Track(t.Context(), quickBackend(t), store, embed, sliding{}, sliding{}.truth(), TrackingDefaults())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := track(Pixels(false))
	// The square fills cells of 4x4 pixels: nothing is lost, but for the corners of the upsampled map.
	if got.Objects != 2 || got.Region < 0.9 || got.Contour < 0.9 || len(got.ByFrame) != 3 {
		t.Errorf("by colour %+v, want the square followed", got)
	}
	if got.ColorError > 1 || got.Flicker > 1 || got.TrueFlicker > 1e-3 {
		t.Errorf("by colour %+v, want the colours copied", got)
	}
	still := track(nil)
	// The squares share half, nothing, nothing after 1, 2 and 3 steps: J is 32/96, 0 and 0.
	for i, want := range []float64{1. / 3, 0, 0} {
		if math.Abs(still.ByFrame[i]-want) > 1e-12 {
			t.Errorf("identity: J of frame %d is %g, want %g", i+2, still.ByFrame[i], want)
		}
	}
	if math.Abs(still.Region-1./6) > 1e-12 { // without the last frame
		t.Errorf("identity: J is %g, want 1/6", still.Region)
	}
	// Its middle is 4, 8 and then 12 pixels away, but in the last frame half of it has left: 10. A tenth of 16 is never reached.
	if math.Abs(still.PointError-(4+8+10)/3.) > 1e-5 || still.PCK != 0 {
		t.Errorf("identity: points are off by %g, %g within a tenth, want 22/3 and 0", still.PointError, still.PCK)
	}
	// The colour of the square's place changes to that of the ground, a half of it with the first step.
	if still.Flicker < 20 || still.ColorError < 10 {
		t.Errorf("identity: %+v, want colours left behind", still)
	}
	grey := track(Pixels(true))
	if grey.Region < 0.6 { // red and green differ little in lightness
		t.Errorf("by lightness %+v", grey)
	}
	alike := track(func(_ *model.Scope, x *Node) *Node { return OnesLike(poolAxis(poolAxis(x, 1, 4), 2, 4)) })
	if alike.Region > 0.3 {
		t.Errorf("by features that are all alike %+v: this test would not notice", alike)
	}
}

// A film of which nobody knows the objects is judged by its colours, place by place.
func TestTrackWithoutTruth(t *testing.T) {
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	blank := [][]uint8{make([]uint8, 1024), make([]uint8, 1024)}
	for name, embed := range map[string]Embedder{"colour": Pixels(false), "identity": nil} {
		of := func(truth [][]uint8) *Tracked {
			got, err := Track(t.Context(), quickBackend(t), store, embed, sliding{}, truth, TrackingDefaults())
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		got, known := of(blank), of(sliding{}.truth())
		if got.Objects != 0 || got.Region != 0 || got.PCK != 0 {
			t.Errorf("%s: %+v of nothing", name, got)
		}
		if math.Abs(got.ColorError-known.ColorError) > 1e-4 {
			t.Errorf("%s: colour error %g, and %g with the truth", name, got.ColorError, known.ColorError)
		}
		// The square moves by one column of the map a frame: some places change, and the copied colours with them, or not at all.
		if got.TrueFlicker < 5 || embed == nil && got.Flicker != 0 || embed != nil && math.Abs(got.Flicker-got.TrueFlicker) > 1 {
			t.Errorf("%s: places flicker by %g, in truth by %g", name, got.Flicker, got.TrueFlicker)
		}
	}
}

func TestCarryPoints(t *testing.T) {
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	carried, err := Carry(t.Context(), quickBackend(t), store, nil, sliding{}, sliding{}.truth(), TrackingDefaults())
	if err != nil {
		t.Fatal(err)
	}
	c := carried[0]
	if c.T != 4 || c.H != 16 || c.Rows != 4 || !slices.Equal(c.Masks[:256], sliding{}.truth()[0][:256]) {
		t.Errorf("%d frames of %d pixels, maps of %d rows, or the first mask is another", c.T, c.H, c.Rows)
	}
	for i, at := range c.Points[3][0] { // rows 0 to 7: their middle is between two cells
		if math.Abs(at-3.5) > 1e-5 {
			t.Errorf("coordinate %d of the middle is %g, want 3.5", i, at)
		}
	}
}

func TestCarryErrors(t *testing.T) {
	store, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	carry := func(truth [][]uint8, o Tracking) error {
		_, err := Carry(t.Context(), quickBackend(t), store, nil, sliding{}, truth, o)
		return err
	}
	whole := sliding{}.truth()
	wantError(t, "one truth", carry(whole[:1], TrackingDefaults()), "the truth of each")
	wantError(t, "three truths", carry(append(whole, whole[0]), TrackingDefaults()), "truth of 3 clips for 2")
	wantError(t, "zero options", carry(whole, Tracking{}), "temperature 0")
}
